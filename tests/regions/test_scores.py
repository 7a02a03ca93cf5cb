"""How sure draws make the regions of a table: against the statistics of their scores, and what cannot be used."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from captum_superpixel.pooling import Reduction, segment_scores
from captum_superpixel.regions import Ranking, Region, RegionTable, region_table
from captum_superpixel.regions.confidence import prediction_interval, stays_top


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MASK = torch.arange(36).view(1, 1, 6, 6) // 5 * 100
"""Eight regions of five pixels or one."""
MAPS, DRAWS = draw(2, 3, 6, 6), draw(12, 2, 3, 6, 6, seed=1)


def by_id(table: RegionTable, image: int) -> list[Region]:
    return sorted(table.of_image(image), key=lambda region: region.id)


@pytest.mark.parametrize("score", ["mean", "sum", "abs_mean"])
@pytest.mark.parametrize("by", ["score", "magnitude"])
def test_a_region_is_as_sure_as_the_scores_of_its_draws(score: Reduction, by: Ranking) -> None:
    maps, draws = (MAPS, DRAWS) if score != "abs_mean" else (MAPS - 0.5, DRAWS - 0.5)
    table = region_table(maps, MASK, score=score, by=by, draws=draws, k=3)
    assert table.k == 3
    reduce = torch.Tensor.sum if score == "sum" else torch.Tensor.mean
    of_draws = torch.stack([reduce(segment_scores(one, MASK, score), dim=1) for one in draws])
    chances = stays_top(of_draws, 3)
    low, high = prediction_interval(reduce(segment_scores(maps, MASK, score), dim=1), of_draws)
    for n in range(2):
        rows = by_id(table, n)
        np.testing.assert_allclose([region.stays_top for region in rows], chances[n].numpy())
        np.testing.assert_allclose([region.interval for region in rows], torch.stack([low[n], high[n]], dim=1).numpy())


def test_what_perturbed_attributions_returns_and_its_maps_say_the_same() -> None:
    expected = region_table(MAPS, MASK, draws=DRAWS, k=3)
    assert region_table(MAPS, MASK, draws=SimpleNamespace(attributions=DRAWS), k=3) == expected
    assert region_table(MAPS, MASK, draws=DRAWS.clone().requires_grad_(), k=3) == expected


def test_draws_change_nothing_else() -> None:
    with_draws = region_table(MAPS, MASK, draws=DRAWS, k=3).to_records()
    for before, after in zip(region_table(MAPS, MASK).to_records(), with_draws, strict=True):
        sure = ("stays_top", "interval_low", "interval_high")
        assert {name: value for name, value in after.items() if name not in sure} == {
            name: value for name, value in before.items() if name not in sure
        }
        assert not any(after[name] is None for name in sure)


def test_without_k_there_are_intervals_alone_for_signed_scores_too() -> None:
    table = region_table(MAPS - 0.5, MASK, draws=DRAWS - 0.5)
    assert table.k is None
    assert {region.stays_top for region in table} == {None}
    for region in table:
        assert region.interval is not None
        assert region.interval[0] < region.score < region.interval[1]


def test_an_image_alone_is_as_sure_as_in_a_batch_of_others_with_more_regions() -> None:
    mask = torch.cat([MASK, MASK // 2 + 7])
    table = region_table(MAPS, mask, draws=DRAWS, k=2)
    for n in range(2):
        alone = region_table(MAPS[n : n + 1], mask[n : n + 1], draws=DRAWS[:, n : n + 1], k=2)
        assert [region.stays_top for region in alone] == pytest.approx([r.stays_top for r in table.of_image(n)])
        assert [region.interval for region in alone] == [pytest.approx(r.interval) for r in table.of_image(n)]


def test_regions_without_a_score_or_a_rank_have_no_probability_and_change_none() -> None:
    maps, draws = MAPS.clone(), DRAWS.clone()
    maps[0, :, 0, 0] = draws[3, 0, 1, 0, 2] = math.nan  # both in the region of id 0
    maps[1] = 0
    table = region_table(maps, MASK, draws=draws, k=3)
    first, *others = by_id(table, 0)
    assert first.interval is not None
    assert all(map(math.isnan, (first.stays_top or 0, *first.interval)))
    without = region_table(MAPS[:1, :, 1:], MASK[:, :, 1:], draws=DRAWS[:, :1, :, 1:], k=3)
    # The row that is left out holds the region and one pixel of the next.
    assert [region.stays_top for region in others[1:]] == pytest.approx(
        [region.stays_top for region in by_id(without, 0)[1:]], abs=0.1
    )
    for region in table.of_image(1):
        assert region.interval is not None
        assert all(map(math.isnan, (region.stays_top or 0, *region.interval)))


def test_few_draws_are_warned_of_where_the_caller_stands() -> None:
    with pytest.warns(UserWarning, match=r"7 draws are few: 8 are the least") as warned:
        region_table(MAPS, MASK, draws=DRAWS[:7], k=3)
    assert warned[0].filename == __file__
    region_table(MAPS, MASK, draws=DRAWS[:8], k=3)


@pytest.mark.parametrize(
    ("draws", "k", "message"),
    [
        (None, 3, "k=3 without draws: pass draws=perturbed_attributions(…) too"),
        (DRAWS, 1, "k=1: the probability that a single region stays the first is overconfident"),
        (DRAWS, 8, "k=8, but image 0 has only 8 regions with a rank, which are all among its top 8"),
        (DRAWS, 99, "k=99, but image 0 has only 8 regions"),
        (DRAWS[:1], 3, "draws of shape (1, 2, 3, 6, 6) are 1 map per image, which have no spread"),
        (DRAWS[:0], 3, "are 0 maps per image"),
        (DRAWS[:, :1], 3, "(12, 1, 3, 6, 6) do not fit attributions of shape (2, 3, 6, 6): pass J draws of these"),
        (DRAWS[0], 3, "draws of shape (2, 3, 6, 6) do not fit"),
        (DRAWS.index_fill(0, torch.tensor([2, 5]), math.inf), 3, "draws 2, 5 of 12 hold NaN or infinite"),
        (DRAWS - 0.5, 3, "k=3 with score='mean' of maps that have negative values"),
    ],
)  # fmt: skip
def test_draws_that_cannot_be_used(draws: Tensor | None, k: int, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        region_table(MAPS, MASK, draws=draws, k=k)


def test_signed_maps_have_no_probability_though_their_draws_had() -> None:
    with pytest.raises(ValueError, match=r"not calibrated for signed scores; pass score=\"abs_mean\""):
        region_table(-MAPS, MASK, draws=DRAWS, k=3)
    region_table(-MAPS, MASK, draws=DRAWS, k=3, score="abs_mean")


def test_k_is_checked_for_every_image() -> None:
    mask = torch.cat([MASK, MASK // 300])
    with pytest.raises(ValueError, match=r"k=3, but image 1 has only 3 regions"):
        region_table(MAPS, mask, draws=DRAWS, k=3)


def test_draws_of_several_maps_mean_nothing() -> None:
    with pytest.raises(ValueError, match=r"attributions of shape \(4, 2, 3, 6, 6\) are 4 maps per image"):
        region_table(MAPS.expand(4, -1, -1, -1, -1), MASK, draws=DRAWS)


@pytest.mark.parametrize(
    ("draws", "what"), [(MASK, "torch.int64"), ([1.0], "a list"), (SimpleNamespace(attributions=None), "a NoneType")]
)
def test_draws_that_are_no_maps(draws: Tensor, what: str) -> None:
    with pytest.raises(TypeError, match=f"draws must be a floating-point tensor .*but {what} was passed"):
        region_table(MAPS, MASK, draws=draws)
