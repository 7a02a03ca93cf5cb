"""Tables of regions and the mask of the first of them: ranks, areas and shares that follow from the map alone."""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from fuzzed_inputs import FLOATS, feature_masks, partitions, renamed, seeds, shapes, tensors, tried
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from untouched import all_untouched

from captum_superpixel import ensemble_regions, region_table, top_regions

SCORES = ("mean", "sum", "abs_mean", "max")


@st.composite
def cases(draw: st.DrawFn) -> tuple[Tensor, Any]:
    shape = draw(shapes((1, 2, 3), side=7))
    return draw(tensors(shape)), draw(feature_masks(shape))


@tried(30)
@given(cases(), st.sampled_from(SCORES), st.sampled_from(("score", "magnitude")))
def test_every_region_has_its_row(case: tuple[Tensor, Any], score: Any, by: Any) -> None:
    maps, mask = case
    with all_untouched((maps, mask)):
        table = region_table(maps, mask, score=score, by=by)
    ids = torch.as_tensor(np.asarray(mask, dtype=np.int64)).expand(len(maps), 1, *maps.shape[2:])
    for number in range(len(maps)):
        rows = [row for row in table if row.image == number]
        names, areas = ids[number].unique(return_counts=True)
        assert {row.id: row.area for row in rows} == dict(zip(names.tolist(), areas.tolist(), strict=True))
        assert abs(sum(row.area_share for row in rows) - 1) < 1e-9
        total = sum(row.share for row in rows)
        assert abs(total - 1) < 1e-9 or (total == 0 and all(row.score == 0 for row in rows))
        assert all((row.rank is None) == (total == 0) for row in rows)
        values = [abs(row.score) if by == "magnitude" else row.score for row in rows if row.rank]
        assert all(first >= second or np.isclose(first, second) for first, second in pairwise(values))
        for row in rows:
            where = (ids[number, 0] == row.id).nonzero().double()
            assert np.allclose(row.centroid, where.mean(0))
            low, high = where.amin(0), where.amax(0) + 1
            assert row.bounding_box == (*low.long().tolist(), *high.long().tolist())
        assert str(table)


@tried(20)
@given(cases(), st.sampled_from(SCORES))
def test_an_image_alone_has_the_rows_that_it_has_in_a_batch(case: tuple[Tensor, Any], score: Any) -> None:
    maps, mask = case
    table = region_table(maps, mask, score=score)
    for number in range(len(maps)):
        own = mask if len(mask) == 1 else mask[number : number + 1]
        alone = region_table(maps[number : number + 1], own, score=score)
        together = [row for row in table if row.image == number]
        assert [row.id for row in alone] == [row.id for row in together]
        assert np.allclose([row.score for row in alone], [row.score for row in together])
        assert [row.rank for row in alone] == [row.rank for row in together]


@tried(25)
@given(cases(), st.data())
def test_the_first_regions_are_those_of_the_table(case: tuple[Tensor, Any], data: st.DataObject) -> None:
    maps, mask = case
    table = region_table(maps, mask)
    ids = torch.as_tensor(np.asarray(mask, dtype=np.int64)).expand(len(maps), 1, *maps.shape[2:])
    fewest = min(len(one.unique()) for one in ids)
    k = data.draw(st.integers(1, fewest))
    share = data.draw(st.floats(0, 1))
    with all_untouched((maps, mask)):
        marked = top_regions(maps, mask, k=k)
        covering = top_regions(maps, mask, fraction=share, by="magnitude")
    assert (marked.shape, marked.dtype) == ((len(maps), 1, *maps.shape[2:]), torch.bool)
    for number in range(len(maps)):
        ranked = [row.id for row in table if row.image == number and row.rank]
        first = ranked[:k]
        assert torch.equal(marked[number], torch.isin(ids[number], torch.tensor(first, dtype=torch.int64)))
        # Where no region has a score, none is ranked, and none marked.
        if ranked:
            assert covering[number].double().mean() >= share - 1e-9
        inside = ids[number][covering[number]].unique()
        assert torch.equal(torch.isin(ids[number], inside), covering[number])


@tried(20)
@given(st.data())
def test_names_do_not_matter_to_the_ranks(data: st.DataObject) -> None:
    shape = data.draw(shapes((1, 2)))
    maps = data.draw(tensors(shape, FLOATS[:2]))
    mask = data.draw(partitions(shape[2:], shape[0]))
    other = data.draw(renamed(mask))
    for one, two in zip(region_table(maps, mask), region_table(maps, other), strict=True):
        assert (one.image, one.rank, one.area, one.score, one.tied) == (
            two.image,
            two.rank,
            two.area,
            two.score,
            two.tied,
        )


@tried(15)
@given(st.data())
def test_several_maps_and_draws(data: st.DataObject) -> None:
    shape = data.draw(shapes((2,), side=6))
    maps = data.draw(tensors(shape, (torch.float64,)))
    mask = data.draw(feature_masks(shape))
    noise = torch.randn(3, *shape, generator=torch.Generator().manual_seed(data.draw(seeds)), dtype=torch.float64)
    several, draws = maps + noise, torch.cat([maps + noise] * 3)
    with all_untouched((maps, mask, draws)):
        table = region_table(maps, mask, draws=draws, score="abs_mean")
        mean = region_table(several, mask, score="sum")
    assert all(row.interval is not None and not row.interval[1] < row.interval[0] for row in table)
    alone = region_table(several.mean(0), mask, score="sum")
    assert {(row.image, row.id) for row in mean} == {(row.image, row.id) for row in alone}
    scores = {(row.image, row.id): row.score for row in alone}
    assert all(np.isclose(row.score, scores[row.image, row.id]) for row in mean)


@tried(12)
@given(st.data())
def test_regions_of_an_ensemble_are_unions_of_what_its_members_divide(data: st.DataObject) -> None:
    shape = data.draw(shapes((2,), (1, 3), (1, 3), side=8))
    maps = data.draw(tensors(shape))
    masks = [data.draw(feature_masks(shape)) for _ in range(data.draw(st.integers(1, 3)))]
    with all_untouched((maps, *masks)):
        regions = ensemble_regions(maps, masks)
    assert (regions.shape, regions.dtype) == ((len(maps), 1, *shape[2:]), torch.int64)
    for labels in regions:
        assert torch.equal(labels.unique(), torch.arange(int(labels.max()) + 1))
