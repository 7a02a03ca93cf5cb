"""What every mask generator promises, whatever its engine."""

import copy
import dataclasses
import pickle
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from captum_superpixel import masks
from captum_superpixel.masks import Felzenszwalb, Grid, Quickshift, SkimageSlic, Slic, Watershed
from captum_superpixel.masks.base import ImageMaskGenerator

CountComponents = Callable[..., int]
Noise = Callable[..., Tensor]
Photographs = Callable[[int], Tensor]
ALL = [made for made in masks.GENERATORS.values() if isinstance(made, type)]
ENGINES = [cls for cls in ALL if cls is not Grid]  # Grid does not look at the image


def labels_of(mask: Tensor) -> list[list[int]]:
    return [image.unique().tolist() for image in mask]


def test_the_package_exports_the_generators() -> None:
    assert {cls.__name__ for cls in ALL} <= set(masks.__all__)
    assert all(hasattr(masks, name) for name in masks.__all__)


def test_generators_have_the_names_of_options() -> None:
    """A class that is public and missing here cannot be chosen by a command."""
    public = [getattr(masks, name) for name in masks.__all__]
    classes = [member for member in public if isinstance(member, type) and issubclass(member, ImageMaskGenerator)]
    assert set(classes) | {masks.multiscale} == set(masks.GENERATORS.values())
    assert masks.GENERATORS["skimage_slic"] is SkimageSlic
    assert all(name.replace("_", "") == made.__name__.lower() for name, made in masks.GENERATORS.items())
    assert {"slic", "grid"} <= {name for name in masks.GENERATORS if masks.is_counted(name)}
    assert not any(map(masks.is_counted, ("multiscale", "felzenszwalb")))
    with pytest.raises(KeyError, match="slick"):
        masks.is_counted("slick")


@pytest.mark.parametrize("name", masks.GENERATORS)
def test_generators_are_made_alike(name: str) -> None:
    counts = (9,) if masks.is_counted(name) else ()
    made = masks.GENERATORS[name](*counts, denormalize=(0.5, 0.25), channel_order="bgr")
    for generator in made if isinstance(made, list) else [made]:
        assert generator.denormalize == ((0.5,), (0.25,))
        assert generator.channel_order == "bgr"
        assert not counts or generator.n_segments == 9


@pytest.mark.parametrize(
    "generator", [Slic(20), SkimageSlic(20), Watershed(20), Felzenszwalb(), Quickshift(), Grid(20)]
)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_labels_are_consecutive_in_each_image(
    generator: Callable[[Tensor], Tensor], channels: int, noise: Noise
) -> None:
    inputs = noise(3, channels, 24, 31)
    inputs[1] = torch.linspace(0, 1, 31)
    mask = generator(inputs)
    assert mask.shape == (3, 1, 24, 31)
    assert mask.dtype == torch.int64
    assert mask.is_contiguous()
    assert labels_of(mask) == [list(range(len(labels))) for labels in labels_of(mask)]
    assert len(mask[0].unique()) > 1


@pytest.mark.parametrize("cls", ENGINES[1:])
@pytest.mark.parametrize("num_threads", [None, 1, 2, 3, 9])
def test_an_image_gets_the_same_mask_in_any_batch(
    cls: type[SkimageSlic], num_threads: int | None, photographs: Photographs, noise: Noise
) -> None:
    batch = torch.cat([photographs(40).float(), 1e4 * noise(2, 3, 40, 40), torch.zeros(1, 3, 40, 40)])
    together = cls(num_threads=num_threads)(batch)
    assert torch.equal(together, torch.cat([cls()(image[None]) for image in batch]))
    assert torch.equal(together.flip(0), cls(num_threads=num_threads)(batch.flip(0)))
    assert torch.equal(together, cls(num_threads=num_threads)(batch))


@pytest.mark.parametrize("cls", ENGINES)
@pytest.mark.parametrize("denormalize", [None, (0.0, 1 / 256)])
def test_every_dtype_gives_the_same_mask(
    cls: type[SkimageSlic], denormalize: tuple[float, float] | None, photographs: Photographs
) -> None:
    pixels = photographs(32)[:2]
    generator = cls(denormalize=denormalize)
    expected = generator(pixels.float())
    integers = (torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int16, torch.int64)
    for dtype in (*integers, torch.float16, torch.bfloat16, torch.float64):
        assert torch.equal(generator(pixels.to(dtype)), expected), dtype


@pytest.mark.parametrize("cls", ALL)
def test_memory_layout_and_gradients_do_not_matter(cls: type[SkimageSlic], photographs: Photographs) -> None:
    pixels = photographs(32)[:2].float()
    before = pixels.clone()
    expected = cls()(pixels)
    spread = torch.zeros(2, 6, 32, 64)
    spread[:, ::2, :, ::2] = pixels
    assert torch.equal(cls()(spread[:, ::2, :, ::2]), expected)
    assert torch.equal(cls()(pixels.to(memory_format=torch.channels_last)), expected)
    assert torch.equal(cls()(pixels[:1].expand(2, 3, 32, 32)), expected[:1].expand(2, 1, 32, 32))
    mask = cls()(pixels.requires_grad_())
    assert torch.equal(mask, expected)
    assert not mask.requires_grad
    assert torch.equal(pixels, before)


@pytest.mark.parametrize("cls", ALL)
def test_without_denormalize_brightness_and_contrast_do_not_matter(
    cls: type[SkimageSlic], photographs: Photographs
) -> None:
    pixels = photographs(32).double()
    assert torch.equal(cls()(pixels), cls()(pixels * 8 - 1000))


@pytest.mark.parametrize("cls", ENGINES)
def test_a_range_beyond_the_largest_float_is_scaled(cls: type[SkimageSlic], noise: Noise) -> None:
    pixels = noise(1, 3, 16, 16).ge(0.5).float()
    extreme = torch.where(pixels > 0, torch.finfo(torch.float32).max, torch.finfo(torch.float32).min)
    assert torch.equal(cls()(extreme), cls()(pixels))


@pytest.mark.parametrize("size", [32, 48, 96])
@pytest.mark.parametrize("n_segments", [1, 10, 50, 100, 300])
@pytest.mark.parametrize("cls", [SkimageSlic, Watershed])
def test_segments_are_connected_and_exactly_as_many_as_asked_for(
    cls: type[SkimageSlic], n_segments: int, size: int, photographs: Photographs, count_components: CountComponents
) -> None:
    masks = cls(n_segments)(photographs(size))[:, 0].numpy()
    assert [int(mask.max()) + 1 for mask in masks] == [n_segments] * 4
    assert all(count_components(mask) == mask.max() + 1 for mask in masks)
    # None is a speck, smaller than a tenth of the mean.
    assert all(np.bincount(mask.ravel()).min() >= size * size / (10 * n_segments) for mask in masks)


@pytest.mark.parametrize("cls", [SkimageSlic, Watershed, partial(Watershed, compactness=0.5)])
@pytest.mark.parametrize("n_segments", [2, 3, 64, 500, 1023, 1024])
def test_so_they_are_in_drawings(
    cls: type[SkimageSlic], n_segments: int, count_components: CountComponents, noise: Noise
) -> None:
    halves = torch.zeros(1, 3, 32, 32)
    halves[..., 16:] = 1
    dot = torch.zeros(1, 3, 32, 32)
    dot[..., 5, 7] = 1
    ramp = torch.linspace(0, 1, 32).expand(1, 3, 32, 32)
    for mask in cls(n_segments)(torch.cat([halves, dot, ramp, noise(1, 3, 32, 32)]))[:, 0].numpy():
        assert mask.max() + 1 == n_segments
        assert count_components(mask) == mask.max() + 1


@pytest.mark.parametrize("cls", [SkimageSlic, Watershed])
def test_two_halves_are_two_segments(cls: type[SkimageSlic]) -> None:
    halves = torch.zeros(1, 1, 32, 32)
    halves[..., 16:] = 1
    assert torch.equal(cls(2)(halves), halves.long())


@pytest.mark.parametrize("cls", [Felzenszwalb, Quickshift])
@pytest.mark.parametrize(("size", "least", "most"), [(32, 15, 90), (224, 40, 320), (320, 40, 320)])
def test_the_defaults_suit_the_size(
    cls: type[Quickshift], size: int, least: int, most: int, photographs: Photographs
) -> None:
    for mask in cls()(photographs(size)[:2]):
        assert least <= len(mask.unique()) <= most


# Multiples of 1/256 that reach from 0 to 1: so shifting and scaling by the powers of two below is exact.
MEAN, STD = (0.5, 0.25, 0.75), (0.25, 0.5, 0.125)


def exact_pixels(photographs: Photographs) -> Tensor:
    pixels = photographs(48).float()
    pixels[:, :, 0, 0], pixels[:, :, 0, 1] = 0, 256
    return pixels / 256


def normalized(pixels: Tensor) -> Tensor:
    return (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


@pytest.mark.parametrize("cls", ENGINES)
def test_denormalize_gives_the_mask_of_the_picture_itself(cls: type[SkimageSlic], photographs: Photographs) -> None:
    pixels = exact_pixels(photographs)
    generator = cls(denormalize=(MEAN, STD))
    assert torch.equal(generator(normalized(pixels)), cls()(pixels))
    assert torch.equal(cls(denormalize=(0.5, 0.25))((pixels - 0.5) / 0.25), cls()(pixels))
    assert not torch.equal(cls()(normalized(pixels)), cls()(pixels))


@pytest.mark.parametrize("cls", ENGINES)
def test_denormalized_pixels_are_clipped(cls: type[SkimageSlic], photographs: Photographs) -> None:
    bright = 2 * exact_pixels(photographs) - 0.5
    generator = cls(denormalize=(0.0, 1.0))
    assert torch.equal(generator(bright), generator(bright.clamp(0, 1)))
    assert not torch.equal(generator(bright), cls()(bright))


@pytest.mark.parametrize("cls", ENGINES)
def test_bgr_is_the_flipped_rgb(cls: type[SkimageSlic], photographs: Photographs) -> None:
    pixels = exact_pixels(photographs)
    assert torch.equal(cls(channel_order="bgr")(pixels.flip(1)), cls()(pixels))
    # mean and std come in the order of the model's channels.
    model = cls(channel_order="bgr", denormalize=(MEAN[::-1], STD[::-1]))
    assert torch.equal(model(normalized(pixels).flip(1)), cls()(pixels))
    for channels in (pixels[:, :1], pixels[:, :2]):
        assert torch.equal(cls(channel_order="bgr")(channels), cls()(channels))


@pytest.mark.parametrize("cls", [Slic, SkimageSlic, Felzenszwalb, Quickshift])
def test_colors_are_not_what_swapping_red_and_blue_leaves_alone(
    cls: type[SkimageSlic], photographs: Photographs
) -> None:
    assert not torch.equal(cls(channel_order="bgr")(photographs(48)), cls()(photographs(48)))


@pytest.mark.parametrize("cls", ENGINES)
def test_gray_is_segmented_like_its_color_copy(cls: type[SkimageSlic], photographs: Photographs) -> None:
    gray = photographs(48)[:, :1]
    assert torch.equal(cls()(gray), cls()(gray.expand(-1, 3, -1, -1)))
    assert torch.equal(cls(denormalize=(0, 1 / 255))(gray), cls(denormalize=(0, 1 / 255))(gray.repeat(1, 3, 1, 1)))


FLAT: dict[str, Callable[[Noise], Tensor]] = {
    "black": lambda noise: torch.zeros(1, 3, 16, 16),
    "one color": lambda noise: torch.tensor([0.3, -1.7, 2.2]).view(1, 3, 1, 1).repeat(1, 1, 16, 16),
    "white bytes": lambda noise: torch.full((1, 1, 16, 16), 255, dtype=torch.uint8),
    "rounding": lambda noise: 0.4 + 1e-7 * noise(1, 3, 16, 16),
    "rounding in one of five": lambda noise: torch.cat(
        [torch.zeros(1, 4, 16, 16), 7 + 1e-6 * noise(1, 1, 16, 16)], dim=1
    ),
}


@pytest.mark.parametrize("cls", ENGINES)
@pytest.mark.parametrize("name", FLAT)
@pytest.mark.parametrize("denormalize", [None, (0.45, 0.25)])
def test_an_image_of_one_color_is_one_segment(
    cls: type[SkimageSlic], name: str, denormalize: tuple[float, float] | None, noise: Noise
) -> None:
    flat = FLAT[name](noise)
    inputs = torch.cat([flat.float(), noise(*flat.shape)])
    mask = cls(denormalize=denormalize)(inputs)
    assert mask[0].eq(0).all()
    assert mask[1].max() > 0


def test_the_rounding_in_these_images_is_there(noise: Noise) -> None:
    assert all(len(FLAT[name](noise)[0, -1].unique()) > 1 for name in ("rounding", "rounding in one of five"))


def test_an_image_that_clipping_leaves_without_detail_is_one_segment(noise: Noise) -> None:
    inputs = 5 + noise(1, 3, 16, 16)
    for cls in ENGINES:
        assert cls(denormalize=(0.5, 0.5))(inputs).eq(0).all(), cls


def test_a_grid_divides_an_image_of_one_color_too() -> None:
    assert len(Grid(4)(torch.zeros(1, 3, 16, 16)).unique()) == 4


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 9), (9, 1), (2, 3)])
def test_tiny_images_work(cls: type[SkimageSlic], shape: tuple[int, int], noise: Noise) -> None:
    inputs = noise(2, 3, *shape)
    pixels = shape[0] * shape[1]
    counted = cls in (Slic, SkimageSlic, Watershed, Grid)
    mask = cls(pixels)(inputs) if counted else cls()(inputs)
    assert mask.shape == (2, 1, *shape)
    if counted:
        assert labels_of(mask) == [list(range(pixels))] * 2
        assert cls(1)(inputs).eq(0).all()


SETTINGS = [
    (Slic(50, 5, channel_order="bgr"), "Slic(n_segments=50, compactness=5.0, channel_order='bgr')"),
    (SkimageSlic(), "SkimageSlic(n_segments=100)"),
    (
        SkimageSlic(20, 5.0, denormalize=([0.5], np.array([0.25]))),
        "SkimageSlic(n_segments=20, compactness=5.0, denormalize=((0.5,), (0.25,)))",
    ),
    (
        Watershed(7, 1, channel_order="bgr", num_threads=2),
        "Watershed(n_segments=7, sigma=1.0, channel_order='bgr', num_threads=2)",
    ),
    (
        Watershed(250, compactness=0.001, plain=True),
        "Watershed(n_segments=250, compactness=0.001, plain=True)",
    ),
    (Felzenszwalb(50, min_size=3), "Felzenszwalb(scale=50.0, min_size=3)"),
    (Quickshift(), "Quickshift()"),
    (Quickshift(2, 9, 0.25, 64), "Quickshift(kernel_size=2.0, max_dist=9.0, ratio=0.25, max_side=64)"),
    (Grid(np.int64(9)), "Grid(n_segments=9)"),
]


@pytest.mark.parametrize(("generator", "text"), SETTINGS)
def test_settings_are_values(generator: SkimageSlic, text: str) -> None:
    assert repr(generator) == text
    assert eval(text) == generator
    for twin in (eval(text), copy.copy(generator), copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))):
        assert twin == generator
        assert hash(twin) == hash(generator)
    assert dataclasses.replace(generator, channel_order="bgr") == type(generator)(
        **{field.name: getattr(generator, field.name) for field in dataclasses.fields(generator)}
        | {"channel_order": "bgr"}
    )
    assert len({generator, eval(text), SkimageSlic(99)}) == 2


@pytest.mark.parametrize(("generator", "text"), SETTINGS)
def test_settings_cannot_be_changed(generator: SkimageSlic, text: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="channel_order"):
        generator.channel_order = "bgr"  # type: ignore[misc]


def test_denormalize_takes_numbers_sequences_arrays_and_tensors() -> None:
    expected = ((0.5, 0.25), (0.125, 2.0))
    for mean in ([0.5, 0.25], (0.5, 0.25), np.array([0.5, 0.25]), torch.tensor([0.5, 0.25]).view(1, 2, 1, 1)):
        assert SkimageSlic(denormalize=(mean, [0.125, 2])).denormalize == expected
    for std in (2, 2.0, np.float32(2), np.array(2.0), torch.tensor(2), [2]):
        assert SkimageSlic(denormalize=[0.5, std]).denormalize == ((0.5,), (2.0,))
