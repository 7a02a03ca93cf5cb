"""Mask generators on another device: the masks of the CPU, on the device of the images."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_device import NAME, Case, foreign
from skimage import data
from torch import Tensor

from captum_superpixel.attr import segment_images
from captum_superpixel.masks import (
    Cached,
    Felzenszwalb,
    Grid,
    PatchAligned,
    Precomputed,
    Quickshift,
    SkimageSlic,
    Slic,
    Watershed,
    _components,
    from_proposals,
    hierarchy,
    multiscale,
    segment_trees,
)
from captum_superpixel.masks.slic import compiled
from captum_superpixel.masks.slic import slic as slic_module
from captum_superpixel.masks.slic._segmenting import AtOnce, Setting, segment_pixels
from captum_superpixel.masks.slic._shared_pixels import SharedPixels
from captum_superpixel.masks.slic.compiled import segmenting

Check = Callable[..., None]


def photographs() -> Tensor:
    """Three crops, one of them flat, 40 x 56."""
    image = torch.from_numpy(data.astronaut()).movedim(-1, 0)[:, 60:220, 150:374].float()[None] / 255
    small = torch.nn.functional.avg_pool2d(image, 4)
    return torch.cat([small, torch.full_like(small, 0.5), small.flip(3).mul(0.5)])


def dots() -> Tensor:
    """Bright dots on gray, which k-means leaves too small: they grow, and images are segmented again."""
    images = torch.full((2, 1, 48, 48), 0.5)
    images[:, :, ::7, ::5] = 1
    images[1, :, 10:20] = 0
    return images


VALID = torch.ones(3, 1, 40, 56, dtype=torch.bool)
VALID[:, :, 10:30, 20:24] = False
VALID[2, :, :, 30] = False

VOLUMES = torch.rand(2, 1, 6, 14, 16, generator=torch.Generator().manual_seed(0)).cumsum(3)

PROPOSALS = torch.zeros(3, 40, 56, dtype=torch.bool)
PROPOSALS[0, 5:30, 5:30] = PROPOSALS[1, 10:20, 10:20] = PROPOSALS[2, 25:39, 20:50] = True

CASES: dict[str, Case] = {
    "Slic": lambda on: Slic(30)(on(photographs())),
    "Slic, other settings": lambda on: Slic(
        12, 3.0, denormalize=((0.4, 0.5, 0.6), (0.2, 0.3, 0.4)), channel_order="bgr", spacing=(2.0, 1.0)
    )(on(photographs())),
    "Slic, specks": lambda on: Slic(40)(on(dots())),
    "Slic, five channels": lambda on: Slic(20)(on(torch.cat([photographs(), photographs()[:, :2]], dim=1))),
    "Slic, blocks": lambda on: Slic(3)(on(photographs().repeat_interleave(3, 2).repeat_interleave(3, 3))),
    "Slic, whole numbers": lambda on: Slic(20)(on((photographs() * 255).to(torch.uint8))),
    "Slic, half": lambda on: Slic(20)(on(photographs().half())),
    "Slic, outliers": lambda on: Slic(20)(on(photographs().index_put((torch.tensor(0),) * 4, torch.tensor(90.0)))),
    "Slic, valid": lambda on: Slic(20)(on(photographs()), on(VALID)),
    "Slic, one segment, valid": lambda on: Slic(1)(on(photographs()), on(VALID)),
    "Slic, volumes": lambda on: Slic(12)(on(VOLUMES)),
    "multiscale": lambda on: segment_images(multiscale(), on(photographs())),
    "multiscale, valid": lambda on: [one(on(photographs()), on(VALID)) for one in multiscale()[:3]],
    "SkimageSlic": lambda on: SkimageSlic(20)(on(photographs())),
    "SkimageSlic, valid": lambda on: SkimageSlic(20)(on(photographs()), on(VALID)),
    "Watershed": lambda on: Watershed(20)(on(photographs())),
    "Watershed, valid": lambda on: Watershed(20)(on(photographs()), on(VALID)),
    "Felzenszwalb": lambda on: Felzenszwalb()(on(photographs())),
    "Quickshift": lambda on: Quickshift()(on(photographs())),
    "Quickshift, valid": lambda on: Quickshift()(on(photographs()), on(VALID)),
    "Grid": lambda on: Grid(20)(on(photographs())),
    "Grid, valid": lambda on: Grid(20)(on(photographs()), on(VALID)),
    "Cached": lambda on: [cached(on(photographs())) for cached in [Cached(Slic(10))] for _ in range(2)],
    "PatchAligned": lambda on: PatchAligned(Slic(10), patch_size=8)(on(photographs())),
    "Precomputed": lambda on: Precomputed.from_images(on(photographs()), on(MASKS))(on(photographs())),
    "Precomputed, by the CPU": lambda on: Precomputed.from_images(photographs(), MASKS)(on(photographs())),
    "from_proposals": lambda on: from_proposals(on(PROPOSALS), on(torch.tensor([0.5, 0.2, 0.9]))),
    "from_proposals, scores": lambda on: from_proposals(on(PROPOSALS), [0.5, 0.2, 0.9]),
    "from_proposals, a list": lambda on: from_proposals(list(on(PROPOSALS))),
    "hierarchy": lambda on: hierarchy(on(photographs()), (4, 10)),
    "hierarchy of masks": lambda on: hierarchy(on(photographs()), (4, 8), feature_mask=on(MASKS)),
    "hierarchy of arrays": lambda on: hierarchy(on(photographs()), (4, 8), feature_mask=MASKS.numpy()),
    "segment_trees": lambda on: [tree.cut(5) for tree in segment_trees(on(photographs()), feature_mask=on(MASKS))],
}
MASKS = Grid(20)(photographs())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_masks(case: Case, check: Check) -> None:
    check(case)


@pytest.mark.parametrize("name", ["Slic", "Slic, specks", "Slic, valid", "Slic, volumes", "multiscale"])
def test_masks_where_components_are_labeled_on_the_device(
    name: str, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_components, "_PARALLEL", {NAME})
    check(CASES[name])


@pytest.mark.parametrize("by_lowest", [False, True])
def test_groups_are_the_same_however_long_the_way_to_their_root(by_lowest: bool, check: Check) -> None:
    chain = torch.arange(-1, 99).clamp(min=0)
    alone = torch.arange(100, 103)
    backwards = torch.arange(104, 154).clamp(max=152)
    partners = torch.cat([chain, alone, backwards])
    check(lambda on: _components.unite(on(partners), by_lowest=by_lowest))


def test_a_stored_mask_serves_both(tmp_path: Path) -> None:
    expected = Slic(10)(photographs())
    Cached(Slic(10), tmp_path)(foreign(photographs()))
    again = Cached(Slic(10), tmp_path)(photographs())
    assert np.array_equal(again, expected)


@pytest.fixture
def machine_code(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Machine code for the CPU that writes down where the images are that it gets, and leaves them to torch."""
    devices = []

    def segment_inputs(library: object, setting: object, scaling: object, inputs: Tensor, threads: int) -> None:
        devices.append(inputs.device.type)

    def segment_images(library: object, settings: Sequence[Setting], images: Tensor) -> list[Tensor]:
        devices.append(images.device.type)
        return segment_pixels(settings, SharedPixels(images), AtOnce(10**5, 10**5))

    monkeypatch.setattr(compiled, "find_library", object)
    monkeypatch.setattr(compiled, "segment_inputs", segment_inputs)
    monkeypatch.setattr(compiled, "segment_images", segment_images)
    monkeypatch.setattr(slic_module, "_COPIED", {NAME})
    monkeypatch.setattr(segmenting, "_PLAIN", (Tensor, type(foreign(photographs()))))
    return devices


@pytest.mark.parametrize("name", ["Slic", "Slic, other settings", "Slic, half", "Slic, volumes", "multiscale"])
def test_few_pixels_are_segmented_by_the_machine_code_of_the_cpu(
    name: str, check: Check, machine_code: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    check(CASES[name])
    machine_code.clear()
    CASES[name](foreign)
    by_code = [] if name in ("Slic, other settings", "Slic, volumes") else ["cpu"]
    assert set(machine_code) == set(by_code)
    machine_code.clear()
    monkeypatch.setattr(slic_module, "_PIXELS_WORTH_COPYING", 0)
    CASES[name](foreign)
    assert not machine_code


def test_what_a_subclass_does_is_done_once(machine_code: list[str]) -> None:
    calls = []

    class Noted(Slic):
        def __call__(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
            calls.append(inputs.device.type)
            return super().__call__(inputs, mask)

    class Scaled(Slic):
        def scale_pixels(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
            calls.append(inputs.device.type)
            return super().scale_pixels(inputs)

    for generator in (Noted(20), Scaled(20)):
        calls.clear()
        generator(foreign(photographs()))
        assert calls == [NAME]


def test_what_is_no_image_is_refused_as_everywhere(machine_code: list[str]) -> None:
    images = foreign(photographs().index_fill(3, torch.tensor([4]), torch.nan))
    with pytest.raises(ValueError, match="nan_to_num"):
        Slic(20)(images)
