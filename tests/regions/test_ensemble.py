"""The regions of maps that are means over several segmentations, by hand and against their definition."""

import numpy as np
import pytest
import torch
from skimage.measure import label
from torch import Tensor

from captum_superpixel import ensemble_regions, pool_segments
from captum_superpixel.masks import Grid, multiscale


def example(seed: int = 0, size: int = 64) -> tuple[Tensor, list[Tensor]]:
    """A map by six segmentations of noise, of which some follow its clouds."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, 3, 8, 8, generator=generator)
    images = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    masks = [make(images) for make in (*multiscale(), Grid(9), Grid(20))]
    pixels = torch.randn(2, 3, size, size, generator=generator)
    return torch.stack([pool_segments(pixels, mask) for mask in masks]).mean(dim=0), masks


def test_by_hand() -> None:
    """Two masks cut nine columns into 0-2, 3-5 and 6-8, and into 0-3 and 4-8: four pieces, of which two are alike."""
    thirds = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2]).expand(1, 1, 4, 9)
    halves = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1]).expand(1, 1, 4, 9)
    maps = torch.tensor([4.0, 4, 4, 0, 1, 1, -3, -3, -3]).expand(1, 1, 4, 9)
    assert ensemble_regions(maps, [thirds, halves], 4)[0, 0, 0].tolist() == [0, 0, 0, 1, 2, 2, 3, 3, 3]
    assert ensemble_regions(maps, [thirds, halves], 3)[0, 0, 0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    # 12 pixels of 4 and 12 of about 2/3 differ less than the latter and 12 of -3, in squares: 10 to 12.
    assert ensemble_regions(maps, [thirds, halves])[0, 0, 0].tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1]
    assert ensemble_regions(maps, [thirds, halves], 1).unique().tolist() == [0]


def test_a_single_mask_gives_its_own_segments() -> None:
    _, masks = example()
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    mask = masks[-1]
    found = ensemble_regions(pool_segments(pixels, mask), [mask])
    for image, expected in zip(found, mask, strict=True):
        pairs = torch.stack([image.flatten(), expected.flatten()]).unique(dim=1)
        assert pairs.shape[1] == len(expected.unique()) == len(image.unique())


@pytest.mark.parametrize("n_regions", [None, 5, 12])
def test_regions_are_connected_as_many_as_asked_for_and_no_specks(n_regions: int | None) -> None:
    maps, masks = example()
    for n, image in enumerate(ensemble_regions(maps, masks, n_regions)[:, 0]):
        counts = sorted(len(mask[n].unique()) for mask in masks)
        expected = n_regions or counts[(len(counts) - 1) // 2]
        ids, areas = image.unique(return_counts=True)
        assert ids.tolist() == list(range(expected))
        assert areas.min() >= image.numel() / (30 * expected)
        assert label(image.numpy(), connectivity=1, background=-1).max() == expected
        firsts = [int((image.flatten() == number).nonzero()[0]) for number in ids]
        assert firsts == sorted(firsts)


def test_borders_are_those_of_the_members() -> None:
    maps, masks = example()
    regions = ensemble_regions(maps, masks)
    for axis in (2, 3):
        borders = [values.diff(dim=axis) != 0 for values in (regions, *masks)]
        assert not (borders[0] & ~torch.stack(borders[1:]).any(dim=0)).any()


def test_regions_explain_more_of_the_map_than_the_median_member() -> None:
    """What is left within the regions is less than within the segments that would otherwise stand for the map."""
    maps, masks = example()
    mean = maps.mean(dim=1, keepdim=True)
    counts = [len(mask[0].unique()) for mask in masks]
    member = masks[sorted(range(len(masks)), key=lambda n: (counts[n], n))[(len(masks) - 1) // 2]]
    left = [(mean - pool_segments(mean, mask))[0].square().sum() for mask in (ensemble_regions(maps, masks), member)]
    assert left[0] < 0.5 * left[1]


def test_what_is_equal_is_one_region_and_nan_is_apart() -> None:
    _, masks = example()
    assert ensemble_regions(torch.zeros(2, 1, 64, 64), masks).unique().tolist() == [0]
    maps = torch.zeros(2, 1, 64, 64)
    maps[:, :, 10:30, 10:30] = torch.nan
    regions = ensemble_regions(maps, masks)
    assert torch.equal(regions == 1, maps.isnan())
    assert regions.max() == 1


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_an_image_without_a_finite_value_is_one_region_and_the_others_are_as_alone(value: float) -> None:
    maps, masks = example()
    damaged = maps.clone()
    damaged[0] = value
    regions = ensemble_regions(damaged, masks)
    assert regions[0].unique().tolist() == [0]
    assert torch.equal(regions[1], ensemble_regions(maps, masks)[1])


def test_an_image_alone_is_as_in_the_batch_and_units_do_not_matter() -> None:
    maps, masks = example()
    found = ensemble_regions(maps, masks)
    assert torch.equal(found[1:], ensemble_regions(maps[1:], [mask[1:] for mask in masks]))
    assert torch.equal(found, ensemble_regions(1024 * maps, [mask * 1000 + 7 for mask in masks]))
    assert torch.equal(found, ensemble_regions(maps, [np.asarray(mask) for mask in masks]))


@pytest.mark.parametrize(
    ("attributions", "masks", "options", "error", "message"),
    [
        (torch.zeros(1, 1, 4, 4).int(), [torch.zeros(1, 1, 4, 4).long()], {}, TypeError, "but torch.int32 was passed"),
        (torch.zeros(4, 4), [torch.zeros(4, 4).long()], {}, ValueError, r"attributions of shape \(4, 4\) are no maps"),
        (torch.zeros(1, 1, 4, 4), [], {}, ValueError, "at least one"),
        (torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4).long(), {}, ValueError, "a list of one mask per member"),
        (torch.zeros(1, 1, 4, 4), [torch.zeros(1, 1, 4, 5).long()], {}, ValueError, r"\(1, 1, 4, 5\)"),
        (torch.zeros(1, 2, 4, 4), [torch.zeros(1, 2, 4, 4).long()], {}, ValueError, r"\(1, 2, 4, 4\) does not fit"),
        (torch.zeros(1, 1, 4, 4), [torch.zeros(1, 1, 4, 4).long()], {"n_regions": 0}, ValueError, "at least 1, but 0"),
    ],
)
def test_errors(attributions: Tensor, masks: object, options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ensemble_regions(attributions, masks, **options)
