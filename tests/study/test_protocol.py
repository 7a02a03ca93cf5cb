"""The protocol: identities of its groupings, and their roles."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import Saliency
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped
from captum_superpixel._untyped import ndimage
from captum_superpixel.masks import Felzenszwalb, Grid, Slic, multiscale
from captum_superpixel.pooling import pool_segments
from captum_superpixel.study.context import Study
from captum_superpixel.study.protocol import (
    PIXELS,
    SIGNS,
    Grouping,
    size_groupings,
    standard_groupings,
)

STANDARD = {grouping.name: grouping for grouping in standard_groupings(12)}
NAMES = list(STANDARD)


@pytest.fixture
def images() -> Tensor:
    """Three images (3, 3, 24, 20): blocks of color, a gradient, and noise."""
    generator = torch.Generator().manual_seed(2)
    blocks = torch.rand(3, 4, 4, generator=generator).repeat_interleave(6, 1).repeat_interleave(5, 2)
    ramp = torch.linspace(0, 1, 20).expand(3, 24, 20)
    return torch.stack([blocks, ramp, torch.rand(3, 24, 20, generator=generator)])


@pytest.fixture
def maps() -> Tensor:
    return torch.randn(3, 3, 24, 20, generator=torch.Generator().manual_seed(4))


def test_the_standard_groupings(images: Tensor) -> None:
    assert STANDARD[PIXELS].generators == ()
    assert STANDARD[PIXELS].blur == 0
    assert STANDARD["cells"].generators == (Grid(12),)
    assert STANDARD["Slic"].generators == (Slic(12),)
    assert STANDARD["Felzenszwalb"].generators == (Felzenszwalb(),)
    assert list(STANDARD["ensemble"].generators) == multiscale()
    cells = {generator.n_segments for generator in STANDARD["cell ensemble"].generators}  # type: ignore[attr-defined]
    assert cells == {generator.n_segments for generator in multiscale()}
    assert STANDARD["blur"].blur == 1.5 / 32
    assert len({grouping.describe() for grouping in STANDARD.values()}) == len(standard_groupings(12)) == len(STANDARD)
    assert len({grouping.meaning for grouping in STANDARD.values()}) == len(STANDARD)
    controls = {"cells", "cell ensemble", "blur"}
    assert {name for name, grouping in STANDARD.items() if grouping.meaning.startswith("control: ")} == controls


def test_the_counts_and_the_preprocessing_reach_all_generators() -> None:
    groupings = standard_groupings(9, counts=(5, 8), denormalize=(0.5, 0.25), channel_order="bgr")
    of = {grouping.name: grouping.generators for grouping in groupings}
    assert list(of["ensemble"]) == multiscale((5, 8), denormalize=(0.5, 0.25), channel_order="bgr")
    assert of["cell ensemble"] == (Grid(5), Grid(8))
    for generator in (*of["Slic"], *of["Felzenszwalb"]):
        assert (generator.denormalize, generator.channel_order) == (Slic(denormalize=(0.5, 0.25)).denormalize, "bgr")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sign", SIGNS)
def test_constant_maps_stay(name: str, sign: str, images: Tensor) -> None:
    group, _ = STANDARD[name].bind(images)
    constant = torch.tensor([-2.0, 0.5, 3.0]).view(1, 3, 1, 1).expand(3, 3, 24, 20)
    expected = constant.abs() if sign == "magnitude" else constant
    assert torch.allclose(group(constant, sign), expected, atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_grouping_is_linear_and_magnitudes_are_pooled_before(name: str, images: Tensor, maps: Tensor) -> None:
    group, _ = STANDARD[name].bind(images)
    other = maps.roll(3, dims=-1)
    assert torch.allclose(
        group(2 * maps - other, "signed"), 2 * group(maps, "signed") - group(other, "signed"), atol=1e-5
    )
    assert torch.equal(group(maps, "magnitude"), group(maps.abs(), "signed"))
    assert torch.equal(group(-maps, "magnitude"), group(maps, "magnitude"))
    assert (group(maps, "magnitude") >= group(maps, "signed").abs() - 1e-6).all()


@pytest.mark.parametrize("name", [name for name in NAMES if not STANDARD[name].blur])
def test_grouping_keeps_the_sum_of_each_channel(name: str, images: Tensor, maps: Tensor) -> None:
    group, _ = STANDARD[name].bind(images)
    assert torch.allclose(group(maps, "signed").sum((2, 3)), maps.sum((2, 3)), atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_alone_and_in_a_batch(name: str, images: Tensor, maps: Tensor) -> None:
    together, _ = STANDARD[name].bind(images)
    alone = [STANDARD[name].bind(images[i : i + 1])[0](maps[i : i + 1], "signed") for i in range(3)]
    assert torch.allclose(together(maps, "signed"), torch.cat(alone), atol=1e-6)


def test_pixels_are_left_as_they_are(images: Tensor, maps: Tensor) -> None:
    group, segments = STANDARD["pixels"].bind(images)
    assert segments == 24 * 20
    assert torch.equal(group(maps, "signed"), maps)
    assert torch.equal(group(maps, "magnitude"), maps.abs())


def test_a_cell_for_every_pixel_is_pixels(images: Tensor, maps: Tensor) -> None:
    group, segments = Grouping("all", (Grid(24 * 20),)).bind(images)
    assert segments == 24 * 20
    assert torch.equal(group(maps, "signed"), maps)


def test_cells_are_the_means_of_blocks(images: Tensor, maps: Tensor) -> None:
    group, segments = Grouping("cells", (Grid(30),)).bind(images)  # 6 by 5 of 4 x 4 pixels
    assert segments == 30
    blocks = maps.view(3, 3, 6, 4, 5, 4).mean(dim=(3, 5))
    expected = blocks.repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert torch.allclose(group(maps, "signed"), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["cell ensemble", "ensemble"])
def test_an_ensemble_is_the_mean_over_its_members(name: str, images: Tensor, maps: Tensor) -> None:
    group, segments = STANDARD[name].bind(images)
    masks = [generator(images) for generator in STANDARD[name].generators]
    expected = torch.zeros_like(maps)
    for mask in masks:
        expected += pool_segments(maps, mask) / len(masks)
    assert torch.allclose(group(maps, "signed"), expected, atol=1e-6)
    counts = [len(set(mask[i].flatten().tolist())) for mask in masks for i in range(3)]
    assert segments == pytest.approx(np.mean(counts))


def test_the_mean_number_of_segments_is_over_the_images(images: Tensor) -> None:
    counts = [len(mask.unique()) for mask in Felzenszwalb()(images)]
    assert len(set(counts)) > 1
    assert STANDARD["Felzenszwalb"].bind(images)[1] == pytest.approx(np.mean(counts))


@pytest.mark.parametrize("spatial", [(24, 20), (32, 64)])
def test_blur_against_scipy(spatial: tuple[int, int]) -> None:
    """A Gaussian of 3/64 of the shorter side, whose weights beyond the border are shared out over those inside."""
    maps = torch.randn(2, 3, *spatial, generator=torch.Generator().manual_seed(1))
    group, _ = STANDARD["blur"].bind(maps)

    def gaussian(values: Any) -> Any:
        return ndimage.gaussian_filter(values, 1.5 * min(spatial) / 32, mode="constant", truncate=12)

    inside = gaussian(np.ones(spatial))
    for image, blurred in zip(maps, group(maps, "signed"), strict=True):
        for channel, result in zip(image.numpy(), blurred.numpy(), strict=True):
            np.testing.assert_allclose(result, gaussian(channel.astype(np.float64)) / inside, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_maps_are_not_written_to(name: str, images: Tensor, maps: Tensor) -> None:
    before = maps.clone()
    group: Callable[..., Tensor] = STANDARD[name].bind(images)[0]
    for sign in SIGNS:
        group(maps, sign)
    assert torch.equal(maps, before)


def test_sizes_grow_and_leave_four_segments() -> None:
    groupings = size_groupings(32, 32, denormalize=(0.5, 0.25), channel_order="bgr")
    assert [grouping.name for grouping in groupings[::2]] == [f"Slic {n}" for n in (256, 113, 64, 28, 16, 7, 4)]
    assert [grouping.family for grouping in groupings] == ["Slic", "cells"] * 7
    assert groupings[0].generators == (Slic(256, denormalize=(0.5, 0.25), channel_order="bgr"),)
    assert groupings[-1].generators == (Grid(4),)
    assert size_groupings(3, 3) == ()
    names = [grouping.name for grouping in size_groupings(4, 5)]
    assert names == ["Slic 5", "cells 5"]
    names = [grouping.name for grouping in size_groupings(4, 4)]
    assert names == ["Slic 4", "cells 4"]


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("name", [name for name, grouping in STANDARD.items() if grouping.generators])
def test_groups_are_those_of_superpixel_grouped(name: str, sign: str, images: Tensor) -> None:
    """What is studied is what is advertised, bit for bit: the wrapper around a method, with the same generators."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5))
    network.requires_grad_(False)
    options = {"target": [0, 3, 1], "abs": False}
    pixels = Saliency(network).attribute(images.clone().requires_grad_(), **options)
    reduction: Any = "abs_mean" if sign == "magnitude" else "mean"
    generators = list(STANDARD[name].generators)
    wrapped = SuperpixelGrouped(Saliency(network), generators, reduction=reduction)
    group, _ = STANDARD[name].bind(images)
    assert torch.equal(
        group(pixels, sign),  # type: ignore[arg-type]
        wrapped.attribute(images.clone().requires_grad_(), **options),
    )


def names_with(role: str) -> list[str]:
    return [name for name, grouping in STANDARD.items() if role in grouping.roles]


def test_roles() -> None:
    """What claims are about is a candidate, and what it is set above a control; pixels are never left out."""
    assert names_with("of the paper") == ["Slic"]
    assert names_with("recommended") == ["ensemble"]
    candidates, controls = set(names_with("candidate")), set(names_with("control"))
    assert candidates >= {"Slic", "Felzenszwalb", "ensemble"}
    assert controls >= {PIXELS, "cells", "cell ensemble", "blur"}
    assert candidates | controls == set(NAMES)
    for role in ("drawn", "retrained"):
        assert set(names_with(role)) >= {PIXELS, "Slic", "ensemble"}
    for grouping in STANDARD.values():
        claimed = {"of the paper", "recommended"} & set(grouping.roles)
        assert bool(grouping.rivals) == bool(claimed)
        assert set(grouping.rivals) <= controls - {grouping.name}
        if claimed:
            assert grouping.name in candidates
            assert grouping.rivals[0] == PIXELS


def test_all_settings_reach_the_protocol(
    settings_of: Callable[..., Any], study_of: Callable[..., Study], squares_root: Path
) -> None:
    given = {"n_segments": 7, "n_steps": 3, "n_samples": 4, "noise": 0.25, "draws": 5, "auc_steps": 6, "models": 3}
    study = study_of(settings_of(**given, mean=(0.5,) * 3, std=(0.5,) * 3))
    protocol, methods = study.protocol, study.protocol.method_settings
    assert (methods.n_steps, methods.n_samples, methods.noise) == (3, 4, 0.5)  # for inputs from -1 to 1
    assert (methods.baseline, methods.signed, methods.images_at_once) == (0.0, True, 256)
    assert (protocol.draws, protocol.auc_steps, protocol.road_noise) == (5, 6, 0.02)
    assert protocol.stability
    of = {grouping.name: grouping for grouping in (*protocol.groupings, *protocol.sizes)}
    assert [grouping.name for grouping in protocol.groupings] == NAMES
    options: dict[str, Any] = {"denormalize": ((0.5,) * 3, (0.5,) * 3)}
    assert (of["Slic"].generators, of["cells"].generators) == ((Slic(7, **options),), (Grid(7),))
    assert protocol.sizes == size_groupings(16, 16, **options)
    one = study_of(settings_of(models=1), data=study.data).protocol
    assert (one.stability, one.sizes) == (False, ())
