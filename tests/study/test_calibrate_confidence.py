"""What the calibration benchmark makes by itself: draws from standard errors, fits to other images, padded parts."""

import importlib
import math
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from captum_superpixel.study.calibrating import Cases

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("calibration_results")


@pytest.mark.parametrize("sign", ["magnitude", "signed"])
def test_standard_errors_are_those_of_the_pixels_of_a_segment(results: ModuleType, sign: str) -> None:
    maps = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.long)
    mask[..., 6:] = 1
    explaining = SimpleNamespace(options=SimpleNamespace(seed=0, draws=4000))
    draws = results.from_errors(explaining, maps, mask, sign, (0, 0)).numpy()
    pixels = (maps.abs() if sign == "magnitude" else maps).mean(dim=1)[0].numpy()
    for region, part in enumerate((pixels[:, :6], pixels[:, 6:])):
        assert draws[:, 0, region].mean() == pytest.approx(part.mean(), abs=0.1 * part.std())
        assert draws[:, 0, region].std() == pytest.approx(part.std() / math.sqrt(part.size), rel=0.05)
    assert abs(np.corrcoef(draws[:, 0].T)[0, 1]) < 0.06


def test_what_is_fitted_has_not_seen_the_image(results: ModuleType) -> None:
    # Each image has an outcome of its own, which a fit that had seen it would know by its number.
    images = torch.arange(50).repeat_interleave(4)
    happened = (torch.rand(50, generator=torch.Generator().manual_seed(1)) < 0.5)[images]
    cases = Cases(torch.zeros(200, dtype=torch.float64), happened, torch.zeros(200, 2, dtype=torch.long), images)
    own = torch.nn.functional.one_hot(images).double()
    blind = results.fitted(own, cases)
    for image in range(50):
        # The fold's share of outcomes, and nothing about the image.
        assert 0.2 < float(blind[images == image].mean()) < 0.8
    told = results.fitted(happened.double()[:, None], cases)
    assert ((told > 0.9) == happened).all()


def test_parts_are_padded_with_nan(results: ModuleType) -> None:
    one, other = results.padded([torch.ones(2, 3), torch.ones(2, 5)])
    assert one.shape == other.shape == (2, 5)
    assert one.isnan().sum(dim=1).tolist() == [2, 2]
    assert not other.isnan().any()


def test_one_map_has_the_margins_that_many_equal_draws_have(results: ModuleType) -> None:
    scores = torch.tensor([[[3.0, 2.0, 1.0, 0.0], [0.0, 5.0, 0.0, 5.0]]])
    found = results.margins_of(scores, 2)
    assert found.sign().tolist() == [[[1, 1, -1, -1], [-1, 1, -1, 1]]]
    assert found[0, 0].tolist() == pytest.approx(
        [4 / math.sqrt(5), 2 / math.sqrt(5), -2 / math.sqrt(5), -4 / math.sqrt(5)]
    )
