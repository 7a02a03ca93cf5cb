"""Regions of volumes and series: where they lie, and that they are scored like those of images."""

import pytest
import torch
from skimage.measure import label, regionprops
from torch import Tensor

from captum_superpixel import ensemble_regions, region_table, top_regions
from captum_superpixel.masks import Grid, Slic


def drawn() -> tuple[Tensor, Tensor]:
    """A volume of two slices with three segments, and a map that is 4, 1 and -2 in them."""
    mask = torch.tensor([[[7, 7, 3], [7, 7, 3]], [[7, 7, 3], [9, 9, 9]]])[None, None]
    return torch.where(mask == 7, 1.0, torch.where(mask == 3, 4.0, -2.0)), mask


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_a_drawn_volume() -> None:
    table = region_table(*drawn())
    assert [(region.id, region.rank, region.area, region.score) for region in table] == [
        (3, 1, 3, 4.0),
        (7, 2, 6, 1.0),
        (9, 3, 3, -2.0),
    ]
    first = table[0].to_record()
    where = {name: value for name, value in first.items() if name.startswith(("centroid", "min", "max"))}
    assert where == {
        "centroid_slice": pytest.approx(1 / 3),
        "centroid_row": pytest.approx(1 / 3),
        "centroid_col": 2,
        "min_slice": 0,
        "min_row": 0,
        "min_col": 2,
        "max_slice": 2,
        "max_row": 2,
        "max_col": 3,
    }
    header, row, *_ = str(table).splitlines()
    assert " ".join(header.split()[:12]) == "image rank id area of image slice row column slices rows columns"
    assert row.split()[6:12] == ["0.33", "0.33", "2.00", "0:2", "0:2", "2:3"]


def test_places_are_those_of_scikit_image() -> None:
    maps, mask = noise(2, 2, 6, 9, 10), Slic(12)(noise(2, 1, 6, 9, 10))
    for n in range(2):
        properties = {item.label - 1: item for item in regionprops(mask[n, 0].numpy() + 1)}  # type: ignore[no-untyped-call]
        regions = region_table(maps, mask).of_image(n)
        assert len(regions) == len(properties)
        for region in regions:
            assert region.bounding_box == properties[region.id].bbox
            assert region.centroid == pytest.approx(properties[region.id].centroid)
            assert region.score == pytest.approx(float(maps[n][:, mask[n, 0] == region.id].double().mean()))


def test_several_maps_and_draws_of_volumes() -> None:
    maps, mask = noise(3, 2, 1, 4, 6, 8), Grid(6)(torch.zeros(2, 1, 4, 6, 8))
    table = region_table(maps, mask)
    assert len(table) == 12
    assert table[0].standard_error is not None
    one = region_table(maps.mean(dim=0), mask)
    assert [(region.id, region.rank) for region in one] == [(region.id, region.rank) for region in table]
    sure = region_table(maps[0].abs(), mask, draws=maps[:1].abs() + 0.01 * noise(9, 2, 1, 4, 6, 8).abs(), k=2)
    assert all(0 <= region.stays_top <= 1 for region in sure)  # type: ignore[operator]
    assert sure.of_image(0)[0].stays_top > 0.9  # type: ignore[operator]


def test_a_volume_of_one_slice_has_the_regions_of_the_image() -> None:
    maps, mask = noise(2, 3, 8, 9), Grid(6)(torch.zeros(1, 1, 8, 9))
    deep = region_table(maps[:, :, None], mask[:, :, None])
    for region, other in zip(region_table(maps, mask), deep, strict=True):
        assert (region.image, region.rank, region.id, region.score) == (other.image, other.rank, other.id, other.score)
        assert other.centroid == (0.0, *region.centroid)
    assert torch.equal(top_regions(maps, mask, k=2)[:, :, None], top_regions(maps[:, :, None], mask[:, :, None], k=2))


def test_top_regions_of_a_drawn_volume() -> None:
    maps, mask = drawn()
    assert torch.equal(top_regions(maps, mask, k=1), mask == 3)
    assert torch.equal(top_regions(maps, mask, fraction=0.5), mask != 9)


def test_series() -> None:
    maps = torch.tensor([[[1.0, 1.0, 5.0, 5.0, -1.0]]])
    mask = torch.tensor([[[0, 0, 4, 4, 6]]])
    table = region_table(maps, mask)
    assert [(region.id, region.centroid, region.bounding_box) for region in table] == [
        (4, (2.5,), (2, 4)),
        (0, (0.5,), (0, 2)),
        (6, (4.0,), (4, 5)),
    ]
    assert table[0].to_record()["centroid_place"] == 2.5
    assert " ".join(str(table).split()[:8]) == "image rank id area of image place places"
    assert top_regions(maps, mask, k=1).tolist() == [[[False, False, True, True, False]]]


def test_regions_of_an_ensemble_of_series_are_those_of_an_image_of_one_row() -> None:
    maps = torch.tensor([[[4.0, 4, 4, 0, 1, 1, -3, -3, -3]]])
    masks = [torch.tensor([[[0, 0, 0, 1, 1, 1, 2, 2, 2]]]), torch.tensor([[[0, 0, 0, 0, 1, 1, 1, 1, 1]]])]
    assert ensemble_regions(maps, masks, 3).tolist() == [[[0, 0, 0, 1, 1, 1, 2, 2, 2]]]
    rows = [mask[:, :, None] for mask in masks]
    assert torch.equal(ensemble_regions(maps, masks)[:, :, None], ensemble_regions(maps[:, :, None], rows))


def test_regions_of_an_ensemble_of_volumes_are_connected_and_where_the_map_changes() -> None:
    maps = torch.zeros(1, 1, 4, 6, 6)
    maps[..., 3:] = 2.0
    maps[:, :, 2:, :, 3:] = 5.0
    masks = [Grid(8)(maps), Grid(16)(maps)]
    regions = ensemble_regions(maps, masks, 3)
    assert regions.unique().tolist() == [0, 1, 2]
    assert len(torch.stack([maps.flatten(), regions.flatten().float()]).unique(dim=1)[0]) == 3
    found = ensemble_regions(noise(1, 1, 5, 7, 8), [Slic(9)(noise(1, 1, 5, 7, 8)), Grid(6)(noise(1, 1, 5, 7, 8))], 6)
    assert int(label(found[0, 0].numpy(), connectivity=1, background=-1).max()) == len(found.unique())


def test_shapes_of_volumes_that_do_not_fit() -> None:
    mask = torch.zeros(1, 1, 4, 6, 6, dtype=torch.long)
    with pytest.raises(ValueError, match=r"\(1, 1, 4, 6, 5\): pass a mask of shape \(1 or N, 1 or C, 4, 6, 5\)"):
        region_table(torch.zeros(1, 1, 4, 6, 5), mask)
    with pytest.raises(ValueError, match=r"\(1, 1, 1, 1, 4, 6, 6\) are not maps of volumes: pass \(N, C, D, H, W\)"):
        region_table(torch.zeros(1, 1, 1, 1, 4, 6, 6), mask)
