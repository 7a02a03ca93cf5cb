"""Maps of several models: by hand, against NumPy, SciPy and scikit-learn, and at their edges."""

import itertools
import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp, spearmanr
from sklearn.metrics import roc_curve
from torch import Tensor

from captum_superpixel.metrics import across_models
from captum_superpixel.metrics.across_models import across_model_variance, distances_between_models, mege_reco
from captum_superpixel.pooling import pool_segments

Draw = Callable[..., Tensor]


def columns(*models: list[float]) -> Tensor:
    """One image of one row of pixels, a row a model: (M, 1, 1, 1, W)."""
    return torch.tensor(models, dtype=torch.float64)[:, None, None, None]


# Variance over models


def test_variance_by_hand() -> None:
    # Means 2, 0, 1; unbiased variances 1, 4, 0; energy 4 + 0 + 1.
    maps = columns([1, 2, 1], [2, 0, 1], [3, -2, 1])
    torch.testing.assert_close(across_model_variance(maps), torch.tensor([5 / 5]).double())
    torch.testing.assert_close(across_model_variance(maps[[0, 2]]), torch.tensor([(2 + 8) / 5]).double())


def test_variance_against_numpy(random: Draw) -> None:
    maps = random(4, 5, 3, 6, 7) + random(1, 5, 3, 6, 7, seed=1)
    expected = maps.numpy().var(axis=0, ddof=1).sum((1, 2, 3)) / (maps.numpy().mean(axis=0) ** 2).sum((1, 2, 3))
    torch.testing.assert_close(across_model_variance(maps), torch.from_numpy(expected), rtol=1e-12, atol=0)


def test_variance_is_of_the_signed_channels() -> None:
    maps = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).reshape(2, 1, 2, 1, 1)
    assert across_model_variance(maps).item() == math.inf
    assert across_model_variance(maps.abs()).item() == 0
    assert across_model_variance(maps.sum(dim=2, keepdim=True)).isnan().item()


@pytest.mark.parametrize("models", [2, 3, 7, 40])
def test_variance_of_models_that_agree_is_exactly_zero(models: int, random: Draw) -> None:
    maps = random(1, 6, 3, 5, 5).expand(models, -1, -1, -1, -1)
    assert torch.equal(across_model_variance(maps), torch.zeros(6).double())


def test_variance_of_maps_that_cancel_and_of_maps_that_are_zero(random: Draw) -> None:
    cancelling, zero, constant = random(1, 1, 3, 4, 4), torch.zeros(1, 1, 3, 4, 4), torch.ones(1, 1, 3, 4, 4)
    maps = torch.cat(
        [torch.cat([cancelling, -cancelling]), torch.cat([zero, zero]), torch.cat([constant, zero])], dim=1
    )
    value = across_model_variance(maps)
    assert value[0].item() == math.inf
    assert math.isnan(value[1].item())
    assert value[2].item() == pytest.approx(0.5 / 0.25)


@pytest.mark.parametrize("factor", [-3.0, 1e-200, 1e200])
def test_a_common_factor_does_not_matter(factor: float, random: Draw) -> None:
    maps = random(3, 4, 2, 5, 5)
    torch.testing.assert_close(across_model_variance(factor * maps), across_model_variance(maps))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int32, torch.uint8])
def test_variance_of_every_real_dtype_is_float64(dtype: torch.dtype, random: Draw) -> None:
    maps = (10 * random(3, 4, 2, 5, 5)).abs().round().to(dtype)
    value = across_model_variance(maps)
    assert value.dtype == torch.float64
    assert torch.equal(value, across_model_variance(maps.double()))


def test_one_image_alone_is_the_same_as_in_a_batch(random: Draw) -> None:
    maps = random(3, 5, 2, 6, 6)
    singles = torch.cat([across_model_variance(maps[:, n : n + 1]) for n in range(5)])
    torch.testing.assert_close(singles, across_model_variance(maps), rtol=1e-13, atol=0)


@pytest.mark.parametrize("block", [1, 3 * 2 * 36 * 2])
def test_images_are_compared_in_blocks(monkeypatch: pytest.MonkeyPatch, block: int, random: Draw) -> None:
    maps, correct = random(3, 5, 2, 6, 6), random(3, 5, seed=1) > -0.5
    variance, scores = across_model_variance(maps), mege_reco(maps, correct)
    monkeypatch.setattr(across_models, "_BLOCK", block)
    torch.testing.assert_close(across_model_variance(maps), variance, rtol=1e-13, atol=0)
    assert mege_reco(maps, correct) == scores


def test_pure_noise_tends_to_the_number_of_models(random: Draw) -> None:
    # The ratio of two means of 30,000 values: its relative standard deviation is below .01.
    for models in (2, 5):
        maps = random(models, 1, 3, 100, 100)
        assert across_model_variance(maps).item() == pytest.approx(models, rel=0.05)


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_grouping_divides_the_variance_of_independent_noise_by_the_size_of_segments(size: int, random: Draw) -> None:
    cells = torch.arange(64) // size
    mask = (cells[:, None] * 64 + cells).reshape(1, 1, 64, 64)
    signal = pool_segments(random(1, 4, 64, 64), mask)  # constant in the segments: grouping leaves it alone
    maps = 3 * signal + 0.1 * random(4, 4, 64, 64, seed=1)
    grouped = pool_segments(maps, mask)
    ratio = across_model_variance(grouped[:, None]) / across_model_variance(maps[:, None])
    # Chi-squared with 3 * 4 * 4096 / size**2 degrees of freedom, at least 768: a standard deviation of .05.
    assert ratio.item() == pytest.approx(1 / size**2, rel=0.15)


def test_grouping_never_raises_the_numerator(random: Draw) -> None:
    maps, mask = random(3, 8, 1, 6, 6), torch.randint(0, 5, (8, 1, 6, 6), generator=torch.Generator().manual_seed(0))
    grouped = torch.stack([pool_segments(one, mask) for one in maps])
    numerators = [across_model_variance(one) * one.mean(dim=0).square().sum(dim=(1, 2, 3)) for one in (grouped, maps)]
    assert (numerators[0] < numerators[1]).all()


# MeGe and ReCo

UP, DOWN, TENT, FLAT = [0, 1, 2], [2, 1, 0], [1, 2, 1], [1, 1, 1]
"""Rank correlations: UP, DOWN -1; UP, TENT 0; FLAT 0 with all."""


def scores(maps: Tensor, correct: list[list[int]], held_out: list[int] | None = None) -> tuple[float, float]:
    unseen = None if held_out is None else torch.tensor(held_out)
    found = mege_reco(maps, torch.tensor(correct).bool(), unseen)
    assert [(value.dtype, value.shape) for value in found] == [(torch.float64, ())] * 2
    return found.mege.item(), found.reco.item()


def by_definition(maps: Tensor, correct: Tensor, held_out: Tensor | None) -> tuple[list[float], list[float]]:
    """Distances where both models of a pair are right, and where one is: a loop over images and pairs."""
    agreeing, differing = [], []
    for n in range(maps.shape[1]):
        for i, j in itertools.combinations(range(len(maps)), 2):
            if held_out is not None and held_out[n] not in (i, j):
                continue
            one, other = (maps[m, n].double().abs().sum(dim=0).flatten().numpy() for m in (i, j))
            distance = math.sqrt(1 - abs(spearmanr(one, other).statistic))
            if correct[i, n] and correct[j, n]:
                agreeing.append(distance)
            elif correct[i, n] or correct[j, n]:
                differing.append(distance)
    return agreeing, differing


def test_mege_and_reco_by_hand() -> None:
    # Distances: UP and UP 0, UP and TENT 1. Models 0 and 1 are right, 2 is not.
    assert scores(columns(UP, UP, TENT), [[1], [1], [0]]) == (1, 1)
    # Both right are far apart, right and wrong are alike: no threshold does better than none.
    assert scores(columns(UP, TENT, UP), [[1], [1], [0]])[0] == 0.5
    # Among the three both-right pairs two have distance 1: 1 / (1 + 2 / 3).
    assert scores(columns(UP, UP, TENT), [[1], [1], [1]])[0] == pytest.approx(0.6)
    # |Spearman|: the reverse order is no distance at all.
    assert scores(columns(UP, DOWN), [[1], [1]])[0] == 1


def test_reco_is_zero_when_the_wrong_are_as_near() -> None:
    two_images = torch.cat([columns(UP, UP), columns(UP, UP)], dim=1)
    assert scores(two_images, [[1, 1], [1, 0]]) == (1, 0)
    reversed_images = torch.cat([columns(UP, TENT), columns(UP, UP)], dim=1)
    assert scores(reversed_images, [[1, 1], [1, 0]]) == (0.5, 0)


def test_a_flat_map_is_at_distance_one() -> None:
    assert scores(columns(UP, FLAT), [[1], [1]])[0] == 0.5
    assert scores(columns(FLAT, FLAT), [[1], [1]])[0] == 0.5
    assert scores(torch.zeros(2, 1, 3, 4, 4), [[1], [1]])[0] == 0.5


def test_no_pairs_give_nan() -> None:
    both_wrong, one_right, both_right = ([[0], [0]], [[1], [0]], [[1], [1]])
    assert all(map(math.isnan, scores(columns(UP, TENT), both_wrong)))
    assert all(map(math.isnan, scores(columns(UP, TENT), one_right)))
    mege, reco = scores(columns(UP, TENT), both_right)
    assert mege == 0.5
    assert math.isnan(reco)


def test_the_held_out_model_is_compared_with_each_other_one() -> None:
    maps = columns(UP, UP, TENT)  # distances 0-1: 0, 0-2: 1, 1-2: 1
    right = [[1], [1], [1]]
    assert scores(maps, right, [0])[0] == pytest.approx(1 / (1 + 1 / 2))
    assert scores(maps, right, [1])[0] == pytest.approx(1 / (1 + 1 / 2))
    assert scores(maps, right, [2])[0] == pytest.approx(1 / (1 + 1))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("folds", [True, False])
def test_mege_and_reco_against_loops_scipy_and_scikit_learn(ties: bool, folds: bool, random: Draw) -> None:
    models, images = 4, 24
    correct = random(models, images, seed=2) > -0.6
    shared = 0.7 * random(1, images, 3, 6, 5, seed=1)
    maps = random(models, images, 3, 6, 5) + shared * correct[..., None, None, None]
    maps = maps.round() if ties else maps
    held_out = torch.arange(images) % models if folds else None
    agreeing, differing = by_definition(maps, correct, held_out)
    assert min(len(agreeing), len(differing)) > 10
    found = mege_reco(maps, correct, held_out)
    assert found.mege.item() == pytest.approx(1 / (1 + np.mean(agreeing)), abs=1e-12)
    assert found.reco.item() > 0
    # ReCo is the one-sided Kolmogorov-Smirnov statistic, and the largest Youden index of the distance as a score.
    rounded = np.round(agreeing, 9), np.round(differing, 9)
    assert found.reco.item() == pytest.approx(ks_2samp(*rounded, alternative="greater").statistic, abs=1e-12)
    labels = [1] * len(agreeing) + [0] * len(differing)
    false_rate, true_rate, _ = roc_curve(labels, -np.concatenate(rounded), drop_intermediate=False)
    assert found.reco.item() == pytest.approx(max(true_rate - false_rate), abs=1e-12)


def test_the_order_of_models_and_images_does_not_matter(random: Draw) -> None:
    maps, correct = random(3, 9, 1, 5, 5), random(3, 9, seed=1) > -0.5
    models, images, held_out = torch.tensor([2, 0, 1]), torch.arange(9) * 4 % 9, torch.arange(9) % 3
    renamed = torch.argsort(models)[held_out]
    expected = mege_reco(maps, correct, held_out)
    found = mege_reco(maps[models][:, images], correct[models][:, images], renamed[images])
    torch.testing.assert_close(tuple(found), tuple(expected), rtol=1e-13, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int16])
def test_mege_and_reco_of_every_real_dtype(dtype: torch.dtype, random: Draw) -> None:
    maps, correct = (4 * random(3, 9, 2, 5, 5)).to(dtype), random(3, 9, seed=1) > -0.5
    assert mege_reco(maps, correct) == mege_reco(maps.double(), correct)


def test_two_models_without_folds_are_two_models_with_either_fold(random: Draw) -> None:
    maps, correct = random(2, 8, 1, 5, 5), random(2, 8, seed=1) > -0.5
    assert mege_reco(maps, correct) == mege_reco(maps, correct, torch.arange(8, dtype=torch.uint8) % 2)


# MeGe by the Euclidean distance


def test_mege_by_the_euclidean_distance_by_hand() -> None:
    # As displayed, from 0 to 1: (0, 0, 1), the same again, and (0, 1, 1), a distance of 1 from both.
    maps = torch.cat([columns([0, 0, 1]), columns([2, 2, -7]), columns([0, 3, 3])])
    every = torch.ones(3, 1).bool()
    assert distances_between_models(maps, "l2")[0].tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0]]
    assert mege_reco(maps[:2], every[:2], distance="l2").mege.item() == 1
    assert mege_reco(maps[1:], every[1:], distance="l2").mege.item() == 0.5
    assert mege_reco(maps, every, distance="l2").mege.item() == pytest.approx(1 / (1 + 2 / 3))
    # Models 0 and 1 are right and near, 2 is wrong and far from both.
    assert tuple(mege_reco(maps, torch.tensor([[1], [1], [0]]).bool(), distance="l2")) == (1, 1)


def test_the_euclidean_distance_against_numpy(monkeypatch: pytest.MonkeyPatch, random: Draw) -> None:
    maps, correct = random(3, 5, 2, 6, 7), torch.ones(3, 5).bool()
    sums = maps.abs().sum(dim=2).numpy()
    low, high = sums.min(axis=(2, 3), keepdims=True), np.percentile(sums, 99, axis=(2, 3), keepdims=True)
    shown = (sums.clip(max=high) - low) / (high - low)
    expected = np.sqrt(((shown[:, None] - shown[None]) ** 2).sum(axis=(3, 4))).transpose(2, 0, 1)
    found = distances_between_models(maps, "l2")
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    upper = expected[:, *np.triu_indices(3, k=1)]
    assert mege_reco(maps, correct, distance="l2").mege.item() == pytest.approx(1 / (1 + upper.mean()))
    monkeypatch.setattr(across_models, "_BLOCK", 1)
    np.testing.assert_allclose(distances_between_models(maps, "l2").numpy(), expected, atol=1e-12)


def test_the_largest_distance_is_the_root_of_the_number_of_pixels() -> None:
    maps = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).reshape(2, 1, 1, 1, 2).expand(2, 1, 1, 8, 2)
    assert distances_between_models(maps, "l2")[0, 0, 1].item() == pytest.approx(math.sqrt(16))


def test_distances_are_those_of_ranks_unless_said_otherwise(random: Draw) -> None:
    maps = random(3, 4, 2, 5, 5)
    by_rank = distances_between_models(maps)
    assert torch.equal(by_rank, distances_between_models(maps, "spearman"))
    for n in range(4):
        one, other = (maps[m, n].abs().sum(dim=0).flatten().numpy() for m in (0, 2))
        assert by_rank[n, 0, 2].item() == pytest.approx(math.sqrt(1 - abs(spearmanr(one, other).statistic)))


# Bad input


def test_unknown_distances(random: Draw) -> None:
    maps, correct = random(2, 4, 3, 5, 5), torch.ones(2, 4).bool()
    for call in (distances_between_models, lambda maps, distance: mege_reco(maps, correct, distance=distance)):
        with pytest.raises(ValueError, match="distance='l1' is unknown: choose one of 'spearman', 'l2'"):
            call(maps, distance="l1")


def test_maps_that_are_not_those_of_several_models(random: Draw) -> None:
    one, pair = random(1, 4, 3, 5, 5), random(2, 4, 3, 5, 5)
    broken = pair.clone()
    broken[1, 2, 0, 0, 0] = math.inf
    correct = torch.ones(2, 4).bool()
    for call in (across_model_variance, lambda maps: mege_reco(maps, correct)):
        with pytest.raises(ValueError, match=re.escape("shape (1, 4, 3, 5, 5) (M, N, C, H, W) come from 1 model")):
            call(one)
        with pytest.raises(ValueError, match=re.escape("must have shape (M, N, C, H, W), but has shape (4, 3, 5, 5)")):
            call(pair[0])
        with pytest.raises(ValueError, match=re.escape("1 of 2 entries of maps (index 1) hold NaN or infinite")):
            call(broken)
        with pytest.raises(TypeError, match=r"maps must be a tensor .* but a list was passed"):
            call([pair[0], pair[1]])


def test_answers_that_do_not_fit_the_maps(random: Draw) -> None:
    maps, correct = random(2, 4, 3, 5, 5), torch.ones(2, 4).bool()
    with pytest.raises(ValueError, match=re.escape("correct has shape (4, 2), but the maps are of 2 models and 4 im")):
        mege_reco(maps, correct.T)
    with pytest.raises(TypeError, match=r"correct must be a boolean tensor, but a tensor of torch\.int64 was passed"):
        mege_reco(maps, correct.long())
    with pytest.raises(TypeError, match="correct must be a boolean tensor, but a list was passed"):
        mege_reco(maps, correct.tolist())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=re.escape("held_out has shape (3,), but there are 4 images")):
        mege_reco(maps, correct, torch.tensor([0, 1, 0]))
    with pytest.raises(ValueError, match="held_out goes from 0 to 2, but the models are 0 to 1"):
        mege_reco(maps, correct, torch.tensor([0, 1, 2, 0]))
    with pytest.raises(ValueError, match="held_out goes from -1 to 1, but the models are 0 to 1"):
        mege_reco(maps, correct, torch.tensor([0, 1, -1, 0]))
    with pytest.raises(TypeError, match=r"held_out must be a tensor of integers .* a tensor of torch\.float32"):
        mege_reco(maps, correct, torch.zeros(4))
    with pytest.raises(TypeError, match="held_out must be a tensor of integers or None, but a tuple was passed"):
        mege_reco(maps, correct, (0, 1, 0, 1))  # type: ignore[arg-type]
