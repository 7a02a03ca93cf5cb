"""Localization: drawings, the published formulas in NumPy, and what ties, signs and empty maps come to."""

import inspect
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel import metrics
from captum_superpixel.metrics.localization import (
    LOCALIZATION,
    grid_pointing_game,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
)
from captum_superpixel.pooling import pool_segments

Metric = Callable[[Tensor, Tensor], Tensor]
METRICS: list[Metric] = [pointing_game, relevance_mass_accuracy, relevance_rank_accuracy]
ALL = pytest.mark.parametrize("metric", METRICS)


def draw(*rows: str) -> Tensor:
    return torch.tensor([[[[character == "#" for character in row] for row in rows]]])


def random_maps(count: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    maps = torch.randn(count, 3, 9, 7, generator=generator)
    masks = torch.rand(count, 1, 9, 7, generator=generator) < torch.linspace(0.05, 0.9, count).view(-1, 1, 1, 1)
    masks[:, 0, 4, 3] = True
    return maps, masks


def pooled_heatmap(attributions: NDArray[np.float32]) -> NDArray[np.float64]:
    """The "sum,pos" pooling of Arras et al.: (C, H, W) to (H, W)."""
    pooled: NDArray[np.float64] = np.maximum(attributions.astype(np.float64).sum(axis=0), 0.0)
    return pooled


def published_pointing(heatmap: NDArray[np.float64], mask: NDArray[np.bool_], tolerance: float) -> float:
    row, column = np.unravel_index(np.argmax(heatmap), heatmap.shape)
    ys, xs = np.nonzero(mask)
    return float(np.any((ys - row) ** 2 + (xs - column) ** 2 <= tolerance**2))


def published_mass(heatmap: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    return float(heatmap[mask].sum() / heatmap.sum())


def published_rank(heatmap: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    size = int(mask.sum())
    top = set(np.argsort(heatmap.ravel())[::-1][:size].tolist())
    return len(top & set(np.flatnonzero(mask).tolist())) / size


def test_every_metric_of_maps_and_object_masks_is_in_the_table() -> None:
    functions = [each for each in vars(metrics).values() if inspect.isfunction(each)]
    taken = {each.__name__: list(inspect.signature(each).parameters)[:2] for each in functions}
    assert set(LOCALIZATION) == {name for name, first in taken.items() if first == ["attributions", "object_masks"]}
    assert list(LOCALIZATION.values()) == METRICS
    assert metrics.LOCALIZATION is LOCALIZATION


def test_the_metrics_are_the_published_formulas() -> None:
    maps, masks = random_maps()
    # All positive, so that no two pixels tie at 0: the sort of the published code would break those ties by position.
    positive = maps.exp()
    for maps_of_one_kind in (maps, positive):
        heatmaps = [pooled_heatmap(attributions) for attributions in maps_of_one_kind.numpy()]
        objects = [mask[0] for mask in masks.numpy()]
        pairs = list(zip(heatmaps, objects, strict=True))
        mass = [published_mass(*pair) for pair in pairs]
        np.testing.assert_allclose(relevance_mass_accuracy(maps_of_one_kind, masks).numpy(), mass, rtol=1e-12)
        for tolerance in (0, 1, 1.5, 3):
            hits = [published_pointing(*pair, tolerance) for pair in pairs]
            assert pointing_game(maps_of_one_kind, masks, tolerance=tolerance).tolist() == hits
    rank = [published_rank(*pair) for pair in pairs]
    np.testing.assert_allclose(relevance_rank_accuracy(positive, masks).numpy(), rank, rtol=1e-12)
    assert 0.3 < np.mean(rank) < 0.8


def test_a_drawn_map() -> None:
    mask = draw("#..", "##.")
    scores = torch.tensor([[[[5.0, 6.0, 0.0], [1.0, 2.0, -9.0]]]])
    assert pointing_game(scores, mask).item() == 0
    assert pointing_game(scores, mask, tolerance=1).item() == 1
    assert relevance_mass_accuracy(scores, mask).item() == pytest.approx((5 + 1 + 2) / (5 + 6 + 1 + 2))
    assert relevance_rank_accuracy(scores, mask).item() == pytest.approx(2 / 3)  # the top three are 6, 5 and 2


def test_tolerance_is_a_euclidean_distance() -> None:
    scores = torch.zeros(1, 1, 6, 6)
    scores[..., 0, 0] = 1
    mask = torch.zeros(1, 1, 6, 6, dtype=torch.bool)
    mask[..., 3, 4] = True
    assert pointing_game(scores, mask, tolerance=4.99).item() == 0
    assert pointing_game(scores, mask, tolerance=5).item() == 1


def test_channels_are_summed_with_their_signs() -> None:
    """The channels cancel in the left pixel and add up in the right one."""
    scores = torch.tensor([[[[5.0, 1.0]], [[-5.0, 2.0]]]])
    mask = draw("#.")
    assert [metric(scores, mask).item() for metric in METRICS] == [0, 0, 0]
    magnitudes = [metric(scores.abs(), mask).item() for metric in METRICS]
    assert magnitudes == pytest.approx([1, 10 / 13, 1])


@ALL
def test_relevance_all_inside_is_1_and_all_outside_is_0(metric: Metric) -> None:
    _, masks = random_maps()
    assert metric(masks.float(), masks).tolist() == [1] * len(masks)
    some_outside = ~masks.flatten(1).all(dim=1)
    # The object may be larger than what lies outside: then pixels of it follow among the top K, at random.
    small = some_outside & (masks.flatten(1).float().mean(dim=1) < 0.5)
    assert metric((~masks).float()[small], masks[small]).tolist() == [0] * int(small.sum())


@ALL
@pytest.mark.parametrize("level", [0.0, 0.25, -3.0])
def test_a_constant_map_is_worth_the_share_of_the_object(metric: Metric, level: float) -> None:
    _, masks = random_maps()
    share = masks.double().mean(dim=(1, 2, 3))
    torch.testing.assert_close(metric(torch.full((len(masks), 2, 9, 7), level), masks), share)


@ALL
def test_a_map_without_positive_relevance_is_worth_no_more_than_a_blank_one(metric: Metric) -> None:
    maps, masks = random_maps()
    torch.testing.assert_close(metric(-maps.exp(), masks), metric(torch.zeros_like(maps), masks))


@ALL
def test_a_mask_of_the_whole_image_holds_everything(metric: Metric) -> None:
    maps, masks = random_maps()
    torch.testing.assert_close(metric(maps, torch.ones_like(masks)), torch.ones(len(maps), dtype=torch.float64))


@ALL
def test_what_changes_nothing(metric: Metric) -> None:
    maps, masks = random_maps()
    wanted = metric(maps, masks)
    torch.testing.assert_close(metric(maps * 1024, masks), wanted)
    torch.testing.assert_close(metric(maps.flip(3), masks.flip(3)), wanted)
    torch.testing.assert_close(metric(maps.sum(dim=1, keepdim=True, dtype=torch.float64), masks), wanted)
    alone = torch.cat([metric(maps[n : n + 1], masks[n : n + 1]) for n in range(len(maps))])
    torch.testing.assert_close(alone, wanted, rtol=1e-12, atol=0)


@ALL
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32])
def test_every_real_dtype_gives_float64(metric: Metric, dtype: torch.dtype) -> None:
    maps, masks = random_maps()
    whole = (maps * 20).round()
    result = metric(whole.to(dtype), masks)
    assert result.dtype == torch.float64
    torch.testing.assert_close(result, metric(whole, masks))


@pytest.mark.parametrize("metric", [pointing_game, relevance_rank_accuracy])
def test_ties_are_worth_the_mean_over_all_ways_to_break_them(metric: Metric) -> None:
    """A map of three segments; a whisper of noise breaks its ties at random."""
    segments = torch.tensor([[[[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2]]]])
    scores = torch.tensor([0.2, 0.7, 0.5])[segments].double()
    mask = draw("...##.", "..###.", "..####")
    generator = torch.Generator().manual_seed(0)
    broken = scores + 1e-6 * torch.rand(20_000, 1, 3, 6, generator=generator)
    results = metric(broken, mask.expand(len(broken), -1, -1, -1))
    error = results.std().item() / len(results) ** 0.5
    assert 0 < error < 0.01
    assert metric(scores, mask).item() == pytest.approx(results.mean().item(), abs=4 * error)


def test_pooled_maps_have_exact_ties() -> None:
    """Channels of different scales: the sums over channels must not tell pixels of one segment apart."""
    maps = torch.rand(1, 3, 13, 11, generator=torch.Generator().manual_seed(1))
    segments = torch.arange(13 * 11).view(1, 1, 13, 11) // 50
    pooled = pool_segments(maps * torch.tensor([1e-3, 1.0, 1e3]).view(1, 3, 1, 1), segments)
    best = segments == segments.flatten()[pooled.double().sum(dim=1).argmax()]
    last_pixel_of_best = torch.zeros(13 * 11, dtype=torch.bool)
    last_pixel_of_best[best.flatten().nonzero()[-1]] = True
    assert pointing_game(pooled, last_pixel_of_best.view(1, 1, 13, 11)).item() == pytest.approx(1 / int(best.sum()))


@ALL
def test_wrong_arguments_are_named(metric: Metric) -> None:
    maps, masks = random_maps(4)
    with pytest.raises(TypeError, match=r"object_masks must be a boolean tensor, but is of torch.float32"):
        metric(maps, masks.float())
    with pytest.raises(TypeError, match=r"object_masks must be a boolean tensor, but is a list"):
        metric(maps, masks.tolist())  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"\(4, 9, 7\) do not fit attributions of shape \(4, 3, 9, 7\).*\(4, 1, 9, 7\)"
    ):
        metric(maps, masks[:, 0])
    with pytest.raises(ValueError, match=r"\(1, 1, 9, 7\) do not fit"):
        metric(maps, masks[:1])
    masks[1], masks[3] = False, False
    with pytest.raises(ValueError, match=r"2 of 4 object_masks \(index 1, 3\) mark no pixel"):
        metric(maps, masks)
    maps[2, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"1 of 4 entries of attributions \(index 2\) hold NaN"):
        metric(maps, masks)


def test_a_wrong_tolerance_is_named() -> None:
    maps, masks = random_maps(2)
    for tolerance in (-1, math.nan, math.inf):
        with pytest.raises(
            ValueError, match=f"tolerance must be finite and at least 0, but {float(tolerance)} was passed"
        ):
            pointing_game(maps, masks, tolerance=tolerance)
    with pytest.raises(TypeError, match=r"tolerance must be a number, but '15' \(str\) was passed"):
        pointing_game(maps, masks, tolerance="15")  # type: ignore[arg-type]


def test_cells_are_numbered_in_rows_and_hold_their_share() -> None:
    scores = torch.tensor([[1.0, 1.0, 0.0, 8.0], [1.0, 1.0, -5.0, 0.0], [0.0, 2.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    maps = scores.expand(4, 1, -1, -1)
    shares = grid_pointing_game(maps, torch.arange(4))
    assert shares.tolist() == pytest.approx([4 / 16, 8 / 16, 2 / 16, 2 / 16])
    # Of one cell a pixel, the highest score is in the last one of the first row.
    cell = torch.tensor([3], dtype=torch.int32)
    assert grid_pointing_game(maps[:1], cell, side=4).item() == pytest.approx(8 / 16)
    assert grid_pointing_game(maps[:1], torch.tensor([0]), side=1).item() == 1


@pytest.mark.parametrize("side", [2, 3])
def test_the_grid_pointing_game_is_the_published_formula(side: int) -> None:
    """In NumPy, of rectangular mosaics; the cells' shares are all there is."""
    maps = torch.randn(6, 3, 12, 6, generator=torch.Generator().manual_seed(5))
    found = []
    for cell in range(side * side):
        shares = grid_pointing_game(maps, torch.full((6,), cell), side=side)
        assert shares.dtype == torch.float64
        found.append(shares)
        row, column = divmod(cell, side)
        for share, attributions in zip(shares.tolist(), maps.numpy(), strict=True):
            heatmap = pooled_heatmap(attributions)
            blocks = heatmap.reshape(side, 12 // side, side, 6 // side)
            assert share == pytest.approx(blocks[row, :, column].sum() / heatmap.sum())
    torch.testing.assert_close(torch.stack(found).sum(dim=0), torch.ones(6, dtype=torch.float64))


@pytest.mark.parametrize("level", [0.0, 0.25, -3.0])
def test_a_map_that_knows_nothing_is_worth_one_cell(level: float) -> None:
    maps = torch.full((9, 2, 6, 3), level)
    torch.testing.assert_close(
        grid_pointing_game(maps, torch.arange(9), side=3), torch.full((9,), 1 / 9, dtype=torch.float64)
    )
    gaussian = metrics.centered_gaussian(torch.zeros(4, 1, 8, 8))
    assert grid_pointing_game(gaussian, torch.arange(4)).tolist() == pytest.approx([0.25] * 4)


def test_wrong_cells_are_named() -> None:
    maps, cells = torch.ones(3, 1, 4, 6), torch.zeros(3, dtype=torch.int64)
    with pytest.raises(TypeError, match=r"cells must be a tensor of integers, but is of torch\.float32"):
        grid_pointing_game(maps, cells.float())
    with pytest.raises(TypeError, match=r"cells must be a tensor of integers, but is of torch\.bool"):
        grid_pointing_game(maps, cells.bool())
    with pytest.raises(TypeError, match=r"cells must be a tensor of integers, but is a list"):
        grid_pointing_game(maps, [0, 1, 2])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"cells of shape \(2,\) do not fit 3 maps: .* \(3,\)"):
        grid_pointing_game(maps, cells[:2])
    for wrong in (4, -1):
        with pytest.raises(ValueError, match=f"cells holds {wrong} at index 2, but the cells are numbered 0 to 3"):
            grid_pointing_game(maps, torch.tensor([0, 3, wrong]))
    with pytest.raises(ValueError, match=r"4 x 6 pixels cannot be divided into 3 x 3 cells"):
        grid_pointing_game(maps, cells, side=3)
    with pytest.raises(ValueError, match="side must be at least 1, but 0"):
        grid_pointing_game(maps, cells, side=0)
    with pytest.raises(ValueError, match=r"1 of 3 entries of attributions \(index 1\) hold NaN"):
        grid_pointing_game(maps * torch.tensor([1.0, torch.nan, 1.0]).view(3, 1, 1, 1), cells)
