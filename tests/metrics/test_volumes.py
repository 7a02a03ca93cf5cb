"""Insertion, deletion and localization of volumes."""

import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from captum_superpixel.masks import Grid
from captum_superpixel.metrics import (
    deletion_auc,
    deletion_curve,
    insertion_auc,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
    road,
)
from captum_superpixel.metrics._removal import background


def weigh(volumes: Tensor) -> Tensor:
    """A model whose score is 1 for the first voxel, and 3 for the last."""
    return volumes[:, 0, 0, 0, 0] + 3 * volumes[:, 0, -1, -1, -1]


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_curves_of_a_drawn_volume() -> None:
    maps = torch.zeros(1, 1, 2, 1, 2)
    maps[0, 0, 1, 0, 1], maps[0, 0, 0, 0, 0] = 9, 5
    options = {"baselines": "zero", "softmax": False}
    curve = deletion_curve(weigh, torch.ones(1, 1, 2, 1, 2), maps, **options)  # type: ignore[arg-type]
    assert curve.fractions.tolist() == [[0, 0.25, 0.5, 0.75, 1]]
    assert curve.scores.tolist() == [[4, 1, 0, 0, 0]]
    assert deletion_auc(weigh, torch.ones(1, 1, 2, 1, 2), maps, **options).tolist() == [0.75]  # type: ignore[arg-type]
    assert insertion_auc(weigh, torch.ones(1, 1, 2, 1, 2), maps, **options).tolist() == [3.25]  # type: ignore[arg-type]


@pytest.mark.parametrize("baselines", ["mean", "zero", 0.5])
@pytest.mark.parametrize("regions", [True, False])
def test_a_volume_of_one_slice_has_the_areas_of_the_image(baselines: str | float, regions: bool) -> None:
    images, maps = noise(3, 2, 8, 9), noise(3, 1, 8, 9).log()
    mask = Grid(6)(images) if regions else None
    deep = None if mask is None else mask[:, :, None]

    def score(inputs: Tensor) -> Tensor:
        return inputs.flatten(1).square().sum(dim=1)

    for metric in (deletion_auc, insertion_auc):
        flat = metric(score, images, maps, feature_mask=mask, baselines=baselines, softmax=False)
        volume = metric(
            score, images[:, :, None], maps[:, :, None], feature_mask=deep, baselines=baselines, softmax=False
        )
        assert torch.equal(flat, volume)


def test_the_blur_of_a_volume_is_of_a_tenth_of_its_sides() -> None:
    volumes = noise(1, 2, 30, 70, 50).double()
    expected = volumes.numpy()
    for axis, sigma in ((2, 3), (3, 5), (4, 5)):
        expected = gaussian_filter1d(expected, sigma, axis, mode="constant", truncate=20)
        expected = expected / gaussian_filter1d(
            torch.ones_like(volumes).numpy(), sigma, axis, mode="constant", truncate=20
        )
    torch.testing.assert_close(background("blur", volumes), torch.from_numpy(expected), atol=1e-6, rtol=0)


def test_localization_in_a_drawn_volume() -> None:
    maps = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[5.0, 2.0], [0.0, 0.0]]])[None, None]
    inside = torch.zeros(1, 1, 2, 2, 2, dtype=torch.bool)
    inside[:, :, 1, 0] = True
    assert relevance_mass_accuracy(maps, inside).tolist() == [7 / 8]
    assert relevance_rank_accuracy(maps, inside).tolist() == [1]
    assert pointing_game(maps, inside).tolist() == [1]
    above = inside.flip(2)
    assert pointing_game(maps, above).tolist() == [0]
    assert pointing_game(maps, above, tolerance=1).tolist() == [1]


def test_what_does_not_fit() -> None:
    volume = torch.rand(1, 1, 4, 5, 6)
    with pytest.raises(
        ValueError, match=r"attributions must have shape \(N, C, D, H, W\), but has shape \(1, 1, 5, 6\)"
    ):
        deletion_auc(weigh, volume, torch.rand(1, 1, 5, 6))
    with pytest.raises(ValueError, match=r"one map per image, of shape \(1, 1 or 1, 4, 5, 6\)"):
        deletion_auc(weigh, volume, torch.rand(1, 1, 4, 5, 5))
    with pytest.raises(ValueError, match=r"channels last: pass inputs.movedim\(-1, -4\)"):
        deletion_auc(weigh, torch.rand(1, 8, 16, 16, 3), torch.rand(1, 8, 16, 16, 3))
    with pytest.raises(ValueError, match=r"their slices as images, inputs.movedim\(2, 1\).flatten\(0, 1\)"):
        road(weigh, volume, volume)
