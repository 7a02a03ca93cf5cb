"""Metrics of volumes: a volume of one slice has the value of the image, and drawn ones have what is counted by hand."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.stats import pearsonr
from skimage.metrics import structural_similarity
from torch import Tensor

from captum_superpixel.masks import Grid
from captum_superpixel.metrics import (
    across_model_variance,
    another_image,
    centered_gaussian,
    cosine_similarity,
    deletion_auc,
    deletion_curve,
    effective_regions,
    entropy,
    grid_pointing_game,
    insertion_auc,
    irof,
    mege_reco,
    mu_fidelity,
    null_corrected,
    pointing_game,
    rank_correlation,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
    road,
    shuffled,
    ssim,
    top_k_intersection,
    top_k_iou,
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


def test_irof_counts_the_segments_of_a_drawn_volume() -> None:
    """The score falls from 4 to 1 to 0 as the last voxel's segment goes, then the first's, and the third is nothing."""
    segments = torch.tensor([[[0, 1]], [[1, 2]]])
    maps = torch.tensor([2.0, 0.0, 3.0])[segments][None, None]
    found = irof(weigh, torch.ones(1, 1, 2, 1, 2), maps, feature_mask=segments, baselines="zero", softmax=False)
    torch.testing.assert_close(found, torch.tensor([1 - ((4 + 1) / 8 + 1 / 8) / 3]).double())


def test_mu_fidelity_of_contributions_in_a_volume_is_one_and_of_others_what_scipy_correlates() -> None:
    volumes, weights = noise(2, 1, 3, 4, 5), noise(1, 1, 3, 4, 5).double() - 0.5

    def linear(inputs: Tensor) -> Tensor:
        return (inputs * weights).flatten(1).sum(dim=1)

    options = {"baselines": "zero", "softmax": False}
    exact = mu_fidelity(linear, volumes, volumes * weights, **options)  # type: ignore[arg-type]
    torch.testing.assert_close(exact, torch.ones(2).double())
    # A subset is one of the three slices, so many draws weigh them about alike.
    slices = torch.arange(3).view(3, 1, 1).expand(3, 4, 5)
    maps = noise(2, 1, 3, 4, 5).flip(4)
    found = mu_fidelity(
        linear,
        volumes,
        maps,
        feature_mask=slices,
        subset_share=0.3,
        n_subsets=3000,
        **options,  # type: ignore[arg-type]
    )
    for value, volume, one in zip(found, volumes, maps, strict=True):
        expected = pearsonr(one.sum(dim=(0, 2, 3)), (volume * weights)[0].sum(dim=(0, 2, 3))).statistic
        assert float(value) == pytest.approx(expected, abs=0.05)


ALIKE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "top_k_intersection": top_k_intersection,
    "top_k_iou": top_k_iou,
    "cosine_similarity": cosine_similarity,
    "rank_correlation": rank_correlation,
    "null_corrected": lambda first, second: null_corrected(rank_correlation, first, second, n_draws=3).nulls,
    "entropy": lambda first, _: entropy(first),
    "effective_regions": lambda first, _: effective_regions(first),
    "effective_regions of a mask": lambda first, _: effective_regions(
        first, torch.arange(99).view(first.shape[2:]) // 10
    ),
    "across_model_variance": lambda first, second: across_model_variance(torch.stack([first, second])),
    "mege": lambda *maps: mege_reco(torch.stack(maps), torch.ones(2, 3, dtype=torch.bool)).mege,
    "mege by l2": lambda *maps: mege_reco(torch.stack(maps), torch.ones(2, 3, dtype=torch.bool), distance="l2").mege,
    "another_image": lambda first, _: another_image(first),
    "shuffled": lambda first, _: shuffled(first),
}


@pytest.mark.parametrize("name", list(ALIKE))
def test_a_volume_has_the_value_of_the_image_with_its_slices_below_each_other(name: str) -> None:
    """These know of pixels and channels, not of places."""
    first, second = noise(3, 2, 9, 11) - 0.5, noise(3, 2, 9, 11).flip(0) - 0.4
    metric = ALIKE[name]
    flat, volume = metric(first, second), metric(*(maps.view(3, 2, 3, 3, 11) for maps in (first, second)))
    assert torch.equal(flat, volume.reshape(flat.shape))


def test_ssim_of_volumes_is_of_windows_in_three_dimensions() -> None:
    first, second = noise(2, 1, 7, 9, 8).double(), noise(2, 1, 7, 9, 8).flip(3).double()
    found = ssim(first, second, percentile=100, sigma=0.6)
    for value, *maps in zip(found, first[:, 0], second[:, 0], strict=True):
        a, b = ((each - each.min()) / (each.max() - each.min()) for each in maps)
        expected = structural_similarity(
            a.numpy(), b.numpy(), data_range=1, gaussian_weights=True, sigma=0.6, use_sample_covariance=False
        )
        assert float(value) == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"are 7 x 9 x 8 pixels, smaller than the window of 11 x 11 x 11 that"):
        ssim(first, second)


def test_the_centered_gaussian_of_a_volume_is_a_product_over_its_axes() -> None:
    found = centered_gaussian(torch.zeros(1, 2, 3, 5, 4), width=0.3)
    lines = [np.abs(np.arange(size) - (size - 1) / 2) for size in (3, 5, 4)]
    weights = [
        np.exp(-(line**2 - line.min() ** 2) / 2 / (0.3 * size) ** 2)
        for line, size in zip(lines, (3, 5, 4), strict=True)
    ]
    expected = torch.from_numpy(np.einsum("i,j,k->ijk", *weights)).float()
    torch.testing.assert_close(found, expected.expand(1, 2, 3, 5, 4))


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
    with pytest.raises(ValueError, match=r"their slices as images, attributions.movedim\(2, 1\).flatten\(0, 1\)"):
        grid_pointing_game(volume, torch.tensor([0]))
    with pytest.raises(ValueError, match=r"maps_a.* seem to have their channels last: pass maps_a.movedim\(-1, -4\)"):
        top_k_iou(*[torch.rand(1, 16, 16, 16, 3)] * 2)
    with pytest.raises(ValueError, match=r"\(1, 2, 1, 4, 5, 6\) \(M, N, C, D, H, W\) come from 1 model"):
        across_model_variance(torch.rand(1, 2, 1, 4, 5, 6))
