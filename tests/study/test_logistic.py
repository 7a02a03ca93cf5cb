"""Fits to other images, against scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from captum_superpixel.study.logistic import fitted


def test_probabilities_are_those_of_scikit_learn_over_the_same_folds() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(3, 40, (600,), generator=generator)
    features = torch.randn(600, 2, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 50.0]) + torch.tensor(
        [0.0, 9.0]
    )
    chance = torch.sigmoid(1.5 * features[:, 0] - 0.02 * features[:, 1])
    happened = torch.rand(600, generator=generator, dtype=torch.float64) < chance
    folds = np.unique(images.numpy(), return_inverse=True)[1] % 5
    expected = cross_val_predict(
        LogisticRegression(C=1e6, tol=1e-8, max_iter=1000),
        (features / torch.tensor([1.0, 50.0])).numpy(),
        happened.numpy(),
        cv=PredefinedSplit(folds),
        method="predict_proba",
    )[:, 1]
    assert fitted(features, happened, images).numpy() == pytest.approx(expected, abs=1e-4)


def test_what_is_fitted_has_not_seen_the_image() -> None:
    # Each image has an outcome of its own, which a fit that had seen it would know by its number.
    images = torch.arange(50).repeat_interleave(4)
    happened = (torch.rand(50, generator=torch.Generator().manual_seed(1)) < 0.5)[images]
    blind = fitted(torch.nn.functional.one_hot(images).double(), happened, images)
    for fold in range(5):
        # The same for all images of a fold, whatever happened in them.
        of_fold = images % 5 == fold
        assert blind[of_fold].max() - blind[of_fold].min() < 1e-9
        assert set(happened[of_fold].tolist()) == {True, False}
    told = fitted(happened.double()[:, None], happened, images)
    assert ((told > 0.9) == happened).all()
    assert torch.isfinite(told).all()


def test_of_a_single_image_only_the_base_rate_is_known() -> None:
    happened = torch.tensor([True, False, False, False])
    found = fitted(torch.arange(4.0)[:, None], happened, torch.full((4,), 7))
    assert found.tolist() == [0.25] * 4


def test_outcomes_that_are_all_the_same_are_expected_again() -> None:
    found = fitted(torch.arange(20.0)[:, None], torch.ones(20, dtype=torch.bool), torch.arange(20))
    assert (found > 0.99).all()
