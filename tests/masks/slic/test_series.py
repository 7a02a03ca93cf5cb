"""Slic on series, as images of one row: borders where the series jumps, connected, the same along any axis."""

import pytest
import torch
from torch import Tensor

from captum_superpixel import SuperpixelGrouped
from captum_superpixel.attr.shapley import ExactShapleyValues
from captum_superpixel.masks import Slic

JUMPS = [0, 130, 210, 480, 700, 1000]
LEVELS = [0.1, 0.8, 0.3, 0.9, 0.2]


def steps() -> Tensor:
    """A series ``(1, 1, 1000)`` of five levels, with noise."""
    series = 0.03 * torch.randn(1, 1, 1000, generator=torch.Generator().manual_seed(0))
    for first, end, level in zip(JUMPS, JUMPS[1:], LEVELS, strict=False):
        series[..., first:end] += level
    return series


def borders(mask: Tensor) -> list[int]:
    """Where a segment begins, along a mask of one row."""
    labels = mask.flatten()
    return ((labels[1:] != labels[:-1]).nonzero().flatten() + 1).tolist()


@pytest.mark.parametrize("count", [10, 20])
def test_segments_end_where_the_series_jumps(count: int) -> None:
    found = borders(Slic(count)(steps()[:, :, None]))
    assert set(JUMPS[1:-1]) <= set(found)
    assert 0.9 * count <= len(found) + 1 <= count


def test_segments_are_intervals() -> None:
    noise = torch.randn(3, 2, 400, generator=torch.Generator().manual_seed(1)).cumsum(dim=2)
    for mask in Slic(25)(noise[:, :, None]):
        assert len(borders(mask)) + 1 == len(mask.unique()) == int(mask.max()) + 1


def test_a_row_a_column_and_a_line_of_voxels_are_one_series() -> None:
    series = torch.cat([steps(), steps().flip(2)])
    row = Slic(15)(series[:, :, None])
    assert torch.equal(Slic(15)(series[:1, :, None]), row[:1])
    for shape in ((1000, 1), (1, 1000, 1), (1000, 1, 1)):
        assert torch.equal(Slic(15)(series.view(2, 1, *shape)).flatten(), row.flatten())


def test_spacing_is_without_effect_and_what_is_not_valid_is_apart() -> None:
    series = steps()[:, :, None]
    assert torch.equal(Slic(15, spacing=(1, 5))(series), Slic(15)(series))
    valid = torch.arange(1000).view(1, 1, 1, 1000) >= 300
    mask = Slic(8)(series.masked_fill(~valid, torch.nan), mask=valid)
    assert mask[~valid].unique().tolist() == [int(mask.max())]
    assert {180, 400} <= set(borders(mask[valid]))


def test_a_generator_for_series() -> None:
    """As the page has it: Shapley values of segments, of a network that adds up the fourth level."""

    def slic_of_series(series: Tensor) -> Tensor:
        return Slic(10)(series[:, :, None])[:, :, 0]

    series = steps()
    grouped = SuperpixelGrouped(ExactShapleyValues(lambda inputs: inputs[:, 0, 480:700].sum(dim=1)), slic_of_series)
    maps = grouped.attribute(series)
    assert maps[..., :480].abs().max() == maps[..., 700:].abs().max() == 0
    assert float(maps[..., 480:700].unique().sum()) == pytest.approx(float(series[..., 480:700].sum()), rel=1e-4)
