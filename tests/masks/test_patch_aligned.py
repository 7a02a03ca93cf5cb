"""Segments of whole patches: those of the patches' mean colors, each label repeated over its patch."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from captum_superpixel.masks import Cached, Felzenszwalb, Grid, PatchAligned, SkimageSlic, Slic, Watershed

CountComponents = Callable[..., int]
Noise = Callable[..., Tensor]
Photographs = Callable[[int], Tensor]
ENGINES = [Slic(20), SkimageSlic(20), Watershed(20), Felzenszwalb(), Grid(20)]


def of_patches(mask: Tensor, height: int, width: int) -> Tensor:
    """The label of each patch ``(N, h, w)``, of which a patch has but one."""
    patches = mask[:, 0].unfold(1, height, height).unfold(2, width, width).flatten(3)
    assert torch.equal(patches.amin(3), patches.amax(3))
    return patches[..., 0]


def test_patches_by_their_means() -> None:
    """The border runs through the third patch, whose mean .65 is nearer to 1 than to 0."""
    image = torch.tensor([0, 0, 0, 0, 0.3, 1, 1, 1, 1, 1]).expand(1, 3, 2, 10)
    assert SkimageSlic(2)(image)[0, 0].tolist() == [[0] * 5 + [1] * 5] * 2
    assert PatchAligned(SkimageSlic(2), 2)(image)[0, 0].tolist() == [[0] * 4 + [1] * 6] * 2
    assert PatchAligned(Grid(2), (2, 5))(image)[0, 0].tolist() == [[0] * 5 + [1] * 5] * 2


@pytest.mark.parametrize("generator", ENGINES, ids=lambda generator: type(generator).__name__)
def test_segments_are_those_of_the_image_of_patches(generator: Any, photographs: Photographs) -> None:
    pixels = photographs(96)[..., :64]
    mask = PatchAligned(generator, (8, 4))(pixels)
    assert mask.shape == (4, 1, 96, 64)
    assert mask.dtype == torch.int64
    assert mask.is_contiguous()
    means = np.stack([pixels.numpy()[:, :, row : row + 8].mean(axis=2) for row in range(0, 96, 8)], axis=2)
    means = np.stack([means[..., column : column + 4].mean(axis=3) for column in range(0, 64, 4)], axis=3)
    assert torch.equal(of_patches(mask, 8, 4), generator(torch.from_numpy(means).float())[:, 0])
    assert len(mask.unique()) > 3


@pytest.mark.parametrize("patch", [14, 16])
def test_segments_are_connected_dense_and_as_many_as_asked_for(
    patch: int, photographs: Photographs, count_components: CountComponents
) -> None:
    for mask in PatchAligned(Slic(40), patch)(photographs(224))[:, 0].numpy():
        labels = np.unique(mask)
        assert labels.tolist() == list(range(len(labels)))
        assert 36 <= len(labels) <= 40
        assert count_components(mask) == len(labels)


def test_an_image_gets_the_same_mask_in_any_batch_and_layout(photographs: Photographs) -> None:
    pixels, generator = photographs(112), PatchAligned(Slic(30), 8)
    together = generator(pixels)
    assert torch.equal(together, torch.cat([generator(image[None]) for image in pixels]))
    assert torch.equal(together.flip(0), generator(pixels.flip(0)))
    assert torch.equal(together, generator(pixels.float().to(memory_format=torch.channels_last)))
    assert torch.equal(together, generator(pixels.double().requires_grad_()))


def test_settings_of_the_generator_hold_for_means(photographs: Photographs) -> None:
    """Means are taken of normalized values as of the pixels themselves."""
    pixels = photographs(64).float() / 256
    normalized = (pixels - 0.5) / 0.25
    expected = PatchAligned(Slic(20, denormalize=(0.0, 1.0)), 4)(pixels)
    assert torch.equal(PatchAligned(Slic(20, denormalize=(0.5, 0.25)), 4)(normalized), expected)


def test_signals_and_volumes() -> None:
    assert PatchAligned(Grid(2), 3)(torch.rand(1, 2, 12)).tolist() == [[[0] * 6 + [1] * 6]]
    volume = PatchAligned(Grid(2), (1, 2, 2))(torch.rand(2, 1, 2, 4, 4))
    assert volume[1, 0].tolist() == [[[0, 0, 1, 1]] * 4] * 2


def test_one_mask_for_all_images() -> None:
    mask = PatchAligned(lambda means: torch.arange(4).view(1, 1, 2, 2), 2)(torch.rand(3, 3, 4, 4))
    assert mask.tolist() == [[[[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]]] * 3


def test_pixels_that_are_not_valid() -> None:
    """They count for no mean; the patch at the bottom right has no other pixels, and is a segment of its own."""
    image = torch.zeros(1, 1, 4, 6)
    image[..., 2:] = 1
    valid = torch.ones(1, 1, 4, 6, dtype=torch.bool)
    valid[..., 2:, 4:] = False
    valid[..., 0, 0] = False
    image[~valid] = torch.nan
    mask = PatchAligned(SkimageSlic(2), 2)(image, mask=valid)
    assert mask[0, 0].tolist() == [[0, 0, 1, 1, 1, 1]] * 2 + [[0, 0, 1, 1, 2, 2]] * 2
    assert torch.equal(PatchAligned(SkimageSlic(2), 2)(image.expand(2, -1, -1, -1), mask=valid), torch.cat([mask] * 2))


def test_it_can_be_cached_compared_and_copied(tmp_path: Path, photographs: Photographs) -> None:
    pixels, generator = photographs(64), PatchAligned(Slic(12), 8)
    cached = Cached(generator, tmp_path)
    assert torch.equal(cached(pixels), generator(pixels))
    assert len(Cached(PatchAligned(Slic(12), 8), tmp_path)) == 4
    assert len(Cached(PatchAligned(Slic(12), (8, 4)), tmp_path)) == 0
    assert generator == pickle.loads(pickle.dumps(generator)) == copy.deepcopy(generator)
    assert eval(repr(generator)) == generator


@pytest.mark.parametrize(
    ("generator", "patch", "shape", "message"),
    [
        (Slic(9), 16, (1, 3, 32, 40), r"patches of 16 x 16 pixels do not divide images of 32 x 40: pass the patch"),
        (Slic(9), (4, 4, 4), (1, 3, 32, 40), r"patch_size=\(4, 4, 4\) has 3 sides, but inputs of .* have 2 spatial"),
        (
            Slic(9),
            16,
            (1, 3, 32, 32),
            r"PatchAligned\(.*Slic\(n_segments=9\).* have 2 x 2: n_segments=9, but .* 4 pix",
        ),
        (Slic(9), 16, (3, 32, 32), r"segments inputs of .*, but these have shape \(3, 32, 2\): add the batch"),
        (Slic(9), 16, (0, 3, 32, 32), r"but these have shape \(0, 3, 32, 32\)"),
        (Slic(9), 8, (1, 32, 32, 3), r"\(1, 32, 32, 3\)"),
        (lambda means: means, 16, (1, 3, 32, 32), r"made a mask of \(1, 3, 2, 2\) .* must make one of \(1, 1, 2, 2\)"),
        (lambda means: 3, 16, (1, 3, 32, 32), r"made a mask of int of the patches"),
    ],
)
def test_images_that_cannot_be_segmented(generator: Any, patch: Any, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PatchAligned(generator, patch)(torch.zeros(shape) if 0 in shape else torch.rand(shape))


def test_what_is_no_image() -> None:
    with pytest.raises(TypeError, match=r"but a ndarray was passed"):
        PatchAligned()(np.zeros((1, 3, 16, 16)))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"dtype torch.complex64"):
        PatchAligned()(torch.zeros(1, 3, 16, 16, dtype=torch.complex64))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((Slic,), TypeError, r"but the class <class .*Slic'> was passed"),
        ((3,), TypeError, r"such as Slic\(\), but 3 was passed"),
        ((Slic(), 0), ValueError, r"patch_size must be at least 1, but 0"),
        ((Slic(), (8, 0)), ValueError, r"patch_size\[1\] must be at least 1, but 0"),
        ((Slic(), 8.0), TypeError, r"patch_size must be an integer, but 8.0"),
        ((Slic(), "16"), TypeError, r"patch_size must be an integer, but '16'"),
    ],
)
def test_settings_that_cannot_be_meant(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        PatchAligned(*arguments)
