"""Slices of volumes, drawn by the functions that draw images."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from captum_superpixel.visualization import (
    save_html,
    visualize_comparison,
    visualize_superpixels,
    visualize_top_regions,
)

VOLUME = torch.rand(1, 1, 4, 6, 8, generator=torch.Generator().manual_seed(0))
MASK = torch.zeros(1, 1, 4, 6, 8, dtype=torch.int64)
MASK[:, :, :, 3:] = 5
MASK[:, :, 2:, :, 4:] = 7
MAP = torch.where(MASK == 5, 3.0, torch.where(MASK == 7, -1.0, 1.0))
"""Ranks: 5, 0, 7; the last is in slices 2 and 3 alone."""


def numbers(axis):
    return {text.get_text(): text.get_position() for text in axis.texts}


@pytest.mark.parametrize(("axis", "index"), [(0, 1), (1, 4), (2, 7)])
def test_the_slice_that_is_asked_for(axis, index):
    _, drawn = visualize_superpixels(VOLUME, MAP, MASK, slice_index=index, slice_axis=axis, outlier_perc=0)
    values = drawn.images[1].get_array()
    assert_array_equal(values * 3, MAP[0, 0].select(axis, index))
    assert drawn.get_title() == f"{['slice', 'row', 'column'][axis]} {index} of 0 to {MAP.shape[axis + 2] - 1}"
    picture = drawn.images[0].get_array()[..., 0]
    expected = 0.2 + 0.65 * VOLUME[0, 0].select(axis, index).double().numpy()
    np.testing.assert_allclose(picture, expected, atol=1e-6)


def test_by_default_the_slice_with_the_largest_attribution():
    maps = MAP.clone()
    maps[:, :, 3] *= 1.5
    assert visualize_superpixels(VOLUME, maps, MASK)[1].get_title() == "slice 3 of 0 to 3"
    maps[..., 2] *= 9
    assert visualize_top_regions(VOLUME, maps, MASK, k=1, slice_axis=2)[1].get_title().endswith("column 2 of 0 to 7")


def test_regions_have_the_ranks_that_they_have_in_the_volume():
    _, axis = visualize_superpixels(VOLUME, MAP, MASK, k=3, k_against=0, slice_index=2, title="mine")
    found = numbers(axis)
    assert set(found) == {"1", "2", "3"}
    for rank, id_ in (("1", 5), ("2", 0), ("3", 7)):
        column, row = map(int, found[rank])
        assert MASK[0, 0, 2, row, column] == id_
    assert axis.get_title() == "mine"
    assert set(numbers(visualize_superpixels(VOLUME, MAP, MASK, k=3, k_against=0, slice_index=0)[1])) == {"1", "2"}


def test_top_regions_are_those_of_the_volume():
    _, axis = visualize_top_regions(VOLUME, MAP, MASK, k=1, background="grey", slice_index=3)
    assert (
        axis.get_title()
        == f"top 1 of 3 regions, {100 * float((MASK == 5).float().mean()):.3g} % of the volume\nslice 3 of 0 to 3"
    )
    picture = axis.images[0].get_array()[..., 0]
    assert_array_equal(picture == 0.5, MASK[0, 0, 3] != 5)


@pytest.mark.parametrize(
    "draw", [visualize_superpixels, lambda *given, **more: visualize_top_regions(*given, k=1, **more)]
)
def test_errors(draw):
    with pytest.raises(ValueError, match=r"attributions has shape \(1, 4, 6, 8\), but of a volume all three are drawn"):
        draw(VOLUME, MAP[0], MASK)
    with pytest.raises(ValueError, match=r"image has shape \(2, 1, 4, 6, 8\), .* such as volumes\[:1\]"):
        draw(VOLUME.expand(2, -1, -1, -1, -1), MAP, MASK)
    with pytest.raises(ValueError, match=r"feature_mask of shape \(1, 1, 4, 6, 7\) does not fit the image"):
        draw(VOLUME, MAP, MASK[..., :7])
    with pytest.raises(ValueError, match=r"slice_index must be at most 3, but 4 was passed"):
        draw(VOLUME, MAP, MASK, slice_index=4)
    with pytest.raises(ValueError, match=r"slice_axis=3 is unknown: choose one of 0, 1, 2"):
        draw(VOLUME, MAP, MASK, slice_axis=3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_projection_shows_the_largest_magnitude_of_each_line(axis):
    maps = torch.randn(MAP.shape, generator=torch.Generator().manual_seed(1)) * (MASK + 1)
    _, drawn = visualize_superpixels(VOLUME, maps, MASK, slice_index="max", slice_axis=axis, outlier_perc=0)
    lines = maps[0, 0].movedim(axis, -1)
    expected = torch.stack([line[line.abs().argmax()] for line in lines.reshape(-1, lines.shape[-1])])
    values = drawn.images[1].get_array() * maps.abs().max().item()
    np.testing.assert_allclose(values, expected.view(lines.shape[:-1]), rtol=1e-6)
    picture = drawn.images[0].get_array()[..., 0]
    np.testing.assert_allclose(picture, 0.2 + 0.65 * VOLUME[0, 0].amax(axis).double().numpy(), atol=1e-6)
    assert drawn.get_title() == f"maximum across {['slice', 'row', 'column'][axis]}s 0 to {MAP.shape[axis + 2] - 1}"


def test_segments_of_a_projection_are_those_of_its_values():
    maps = torch.where(MASK == 7, -5.0, MAP)
    _, axis = visualize_superpixels(VOLUME, maps, MASK, k=2, k_against=1, slice_index="max")
    found = numbers(axis)
    assert set(found) == {"1", "2", "3"}
    # From the front, segment 7 lies behind both others, which have smaller magnitudes.
    seen = torch.where((MASK == 7).any(dim=2), 7, MASK[:, :, 0])[0, 0]
    for rank, id_ in (("1", 5), ("2", 0), ("3", 7)):
        column, row = map(int, found[rank])
        assert seen[row, column] == id_


def test_a_line_without_a_number_is_a_hole_of_the_projection():
    maps = MAP.clone()
    maps[0, 0, :, 0, 0] = torch.nan
    maps[0, 0, 1, 2, 1] = torch.nan
    _, axis = visualize_superpixels(VOLUME, maps, MASK, slice_index="max")
    assert np.argwhere(np.ma.getmaskarray(axis.images[1].get_array())).tolist() == [[0, 0]]


def test_top_regions_of_a_projection_show_what_their_lines_meet():
    maps = torch.where(MASK == 7, 9.0, MAP)
    maps[0, 0, 0, 0, 5] = 50.0  # of another region, in front of the one that is shown
    _, axis = visualize_top_regions(VOLUME, maps, MASK, k=1, background="grey", slice_index="max")
    assert axis.get_title().endswith("\nmaximum across slices 0 to 3")
    picture = axis.images[0].get_array()[..., 0]
    inside = (MASK == 7)[0, 0]
    expected = torch.where(inside, VOLUME[0, 0], 0).amax(0).where(inside.any(0), torch.tensor(0.5))
    np.testing.assert_allclose(picture, expected, atol=1e-6)


def test_the_only_projection_is_that_of_the_maximum():
    with pytest.raises(ValueError, match=r"slice_index='mean' is unknown: choose one of 'max'"):
        visualize_superpixels(VOLUME, MAP, MASK, slice_index="mean")
    with pytest.raises(TypeError, match=r"slice_index must be an integer, but 1.5"):
        visualize_superpixels(VOLUME, MAP, MASK, slice_index=1.5)


def test_what_draws_images_alone_asks_for_slices(tmp_path):
    with pytest.raises(ValueError, match=r"image has shape \(1, 1, 4, 6, 8\): .* one slice, such as image\[0, :, 0\]"):
        save_html(tmp_path / "page.html", VOLUME, {"map": MAP}, MASK)
    with pytest.raises(ValueError, match=r"one slice each, such as images\[:, :, 0\]"):
        visualize_comparison(VOLUME, {"map": MAP})
    # What the messages ask for is taken.
    save_html(tmp_path / "page.html", VOLUME[0, :, 0], {"map": MAP[0, :, 0]}, MASK[0, :, 0])
    visualize_comparison(VOLUME[:, :, 0], {"map": MAP[:, :, 0]})
