"""How sure a region is: by hand, by identities, and against a transcription in NumPy, loop by loop."""

import math
import re

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from captum_superpixel.regions.confidence import (
    CALIBRATION,
    COVERAGE,
    describe_interval,
    describe_stays_top,
    margins,
    prediction_interval,
    stays_top,
    z_scores,
)

Array = NDArray[np.float64]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def transcribed(draws: Array, k: int) -> Array:
    """The formulas of ``stays_top`` for one image ``(J, K)``, region by region and draw by draw."""
    found = []
    for region in range(draws.shape[1]):
        distances = []
        for scores in draws:
            z = stats.zscore(scores)
            others = sorted(np.delete(z, region), reverse=True)
            distances.append(z[region] - others[k - 1])
        certainty = np.mean(distances) / np.sqrt(np.var(distances, ddof=1) + 0.01)
        found.append(1 / (1 + np.exp(-certainty)))
    return np.array(found)


@pytest.mark.parametrize("k", [2, 3, 6])
def test_the_formulas_are_those_of_a_transcription(k: int) -> None:
    draws = draw(12, 4, 7) ** 2
    expected = [transcribed(draws[:, n].numpy(), k) for n in range(4)]
    np.testing.assert_allclose(stays_top(draws, k).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(stays_top(draws[:, 1], k).numpy(), expected[1], rtol=1e-12)


def test_margins_by_hand() -> None:
    """Scores with mean 0 and standard deviation 1 are their own z-scores."""
    scores = torch.tensor([[1.5, 0.5, -0.5, -1.5], [-1.5, -0.5, 0.5, 1.5]], dtype=torch.float64) / math.sqrt(1.25)
    expected = torch.tensor([[2.0, 1, -1, -2], [-2, -1, 1, 2]], dtype=torch.float64) / math.sqrt(1.25)
    torch.testing.assert_close(margins(scores, 2), expected)
    # Two that tie for the last place on top are at the edge of it, both.
    tied = torch.tensor([[3.0, 1.0, 1.0, 0.0]] * 2)
    assert margins(tied, 2)[0].sign().tolist() == [1, 0, 0, -1]


def test_draws_that_agree_exactly_leave_what_the_floor_does() -> None:
    scores = draw(9)
    z = np.sort(stats.zscore(scores.numpy()))[::-1]
    found = stays_top(scores.expand(12, -1), 3).sort(descending=True).values
    assert found[0].item() == pytest.approx(1 / (1 + math.exp(-(z[0] - z[3]) / 0.1)))
    assert found[-1].item() == pytest.approx(1 / (1 + math.exp(-(z[-1] - z[2]) / 0.1)))


def test_neither_the_scale_of_a_draw_nor_the_order_of_anything_matters() -> None:
    draws = draw(12, 3, 8)
    found = stays_top(draws, 3)
    scaled = draws * (1 + draw(12, 3, 1, seed=1)) * 1e-9 + draw(12, 3, 1, seed=2)
    torch.testing.assert_close(stays_top(scaled, 3), found, rtol=1e-5, atol=1e-5)
    order = torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    torch.testing.assert_close(stays_top(draws[..., order], 3), found[..., order])
    torch.testing.assert_close(stays_top(draws.flip(0), 3), found)


def test_regions_that_are_all_alike_are_equally_and_hardly_likely_to_be_on_top() -> None:
    """Of 20 regions 5 are on top, in each draw others."""
    found = stays_top(draw(4000, 20), 5)
    assert found.max() - found.min() < 0.03
    assert found.max() < 0.45


def test_regions_that_an_image_lacks_change_nothing() -> None:
    draws = draw(12, 6)
    padded = torch.cat([draws, torch.full((12, 2), torch.nan, dtype=torch.float64)], dim=1)
    together = torch.stack([padded, torch.cat([draws, draw(12, 2, seed=3)], dim=1)], dim=1)
    torch.testing.assert_close(stays_top(together, 3)[0, :6], stays_top(draws, 3))
    assert stays_top(together, 3)[0, 6:].isnan().all()
    low, high = prediction_interval(padded[0], padded)
    assert torch.stack([low, high])[:, 6:].isnan().all()
    torch.testing.assert_close(low[:6], prediction_interval(draws[0], draws)[0])


@pytest.mark.parametrize("k", [3, 4])
def test_where_all_regions_are_on_top_there_is_no_probability(k: int) -> None:
    assert stays_top(draw(12, 3), k).isnan().all()
    assert not stays_top(draw(12, 5), k).isnan().any()


def test_equal_scores_have_z_scores_of_zero_whatever_rounding_does() -> None:
    rounded = torch.tensor([0.1 + 0.2, 0.3, 0.3], dtype=torch.float64)
    assert z_scores(rounded).tolist() == [0, 0, 0]
    assert stays_top(rounded.expand(8, -1), 2).tolist() == [0.5] * 3


def test_the_interval_is_that_of_a_transcription() -> None:
    draws, scores = draw(12, 2, 7), 100 * draw(2, 7, seed=1)
    low, high = prediction_interval(scores, draws)
    for n in range(2):
        z = stats.zscore(draws[:, n].numpy(), axis=1)
        half = 1.96 * math.sqrt(2) * z.std(axis=0, ddof=1) * scores[n].numpy().std()
        np.testing.assert_allclose(low[n].numpy(), scores[n].numpy() - half, rtol=1e-12)
        np.testing.assert_allclose(high[n].numpy(), scores[n].numpy() + half, rtol=1e-12)


def test_the_interval_is_in_the_units_of_the_scores() -> None:
    draws, scores = draw(12, 7), draw(7, seed=1)
    low, high = prediction_interval(scores, draws)
    for scaled in prediction_interval(1e-6 * scores + 3, 50 * draws), prediction_interval(1e-6 * scores + 3, draws):
        torch.testing.assert_close(scaled, (1e-6 * low + 3, 1e-6 * high + 3))


def test_the_interval_holds_another_draw_as_often_as_it_says() -> None:
    """Draws and the two networks are alike: scores about the same means, with normal noise."""
    means = 3 * draw(400, 40)
    noise = torch.Generator().manual_seed(1)
    networks = means + torch.randn(62, 400, 40, generator=noise, dtype=torch.float64)
    low, high = prediction_interval(networks[0], networks[2:])
    one, other = networks[0], z_scores(networks[1])
    brought = other * one.std(dim=1, keepdim=True, correction=0) + one.mean(dim=1, keepdim=True)
    assert ((low <= brought) & (brought <= high)).double().mean().item() == pytest.approx(0.95, abs=0.01)


def test_equal_scores_have_no_interval() -> None:
    for bound in prediction_interval(torch.full((5,), 7.0), draw(12, 5).float()):
        assert bound.isnan().all()


@pytest.mark.parametrize(
    ("draws", "k", "error", "message"),
    [
        (draw(12, 5), 1, ValueError, "k=1: the probability that a single region stays the first is overconfident"),
        (draw(12, 5), 0, ValueError, "k must be at least 1, but 0 was passed"),
        (draw(12, 5), 2.5, TypeError, "k must be an integer, but 2.5"),
        pytest.param(
            *(draw(12, 5), 10**5000, ValueError, f"k must be at most {2**63 - 1}, but one of 16610 bits was passed"),
            id="more digits than Python writes",
        ),
        (draw(12, 5), 2**64, ValueError, f"k must be at most {2**63 - 1}, but {2**64} was passed"),
        (draw(1, 5), 2, ValueError, "1 draws have no spread"),
        (draw(12), 2, ValueError, "but have shape (12,)"),
        (draw(2, 3, 4, 5), 2, ValueError, "but have shape (2, 3, 4, 5)"),
        (torch.ones(12, 5, dtype=torch.long), 2, TypeError, "but torch.int64 was passed"),
        ([[1.0]], 2, TypeError, "but list was passed"),
    ],
)
def test_draws_that_cannot_be_used(draws: Tensor, k: int, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        stays_top(draws, k)


def test_scores_that_do_not_fit_their_draws() -> None:
    with pytest.raises(
        ValueError, match=re.escape("(4,) do not fit draws of shape (12, 5): pass draws of shape (J, 4)")
    ):
        prediction_interval(draw(4), draw(12, 5))


def test_what_is_said_names_where_it_was_measured_and_what_it_is_not() -> None:
    assert "top 5" in describe_stays_top(5)
    assert "nothing about faithfulness" in describe_stays_top(5)
    assert CALIBRATION in describe_stays_top(5)
    assert COVERAGE in describe_interval()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_every_precision_gives_what_float64_gives_of_the_same_scores(dtype: torch.dtype) -> None:
    draws = (torch.rand(12, 8, generator=torch.Generator().manual_seed(0)) * 1000 + 500).to(dtype)
    assert torch.equal(stays_top(draws, 3), stays_top(draws.double(), 3))
    assert stays_top(draws, 3).std() > 0.05
    low, high = prediction_interval(draws[0], draws)
    expected = prediction_interval(draws[0].double(), draws.double())
    assert torch.equal(low, expected[0])
    assert torch.equal(high, expected[1])
    assert (low < high).all()
    assert z_scores(torch.full((7,), 0.1, dtype=dtype)).tolist() == [0.0] * 7
