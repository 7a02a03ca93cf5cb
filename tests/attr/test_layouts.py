"""Which reading of a layer's shape is right, by hand: sizes of networks that everybody knows."""

import re

import pytest
import torch
from torch import nn

from captum_superpixel.attr.layouts import Layout, LayoutError, Surroundings, channel_axis_of_type, find_layout

SQUARE, TALL = (2, 3, 224, 224), (2, 3, 64, 32)


@pytest.mark.parametrize(
    ("shape", "image", "expected"),
    [
        ((2, 512, 7, 7), SQUARE, Layout((7, 7))),  # ResNet
        ((2, 7, 7, 768), SQUARE, Layout((7, 7), 4, 3)),  # torchvision's Swin
        ((2, 24, 16, 8), TALL, Layout((16, 8))),
        ((2, 16, 8, 24), TALL, Layout((16, 8), 4, 3)),
        ((2, 4, 15, 7), (2, 3, 227, 100), Layout((15, 7))),  # sides that the stride does not divide
        ((2, 196, 768), SQUARE, Layout((14, 14), 3, 2, 0)),
        ((2, 197, 768), SQUARE, Layout((14, 14), 3, 2, 1)),  # ViT: a class token
        ((2, 198, 192), SQUARE, Layout((14, 14), 3, 2, 2)),  # DeiT: class and distillation
        ((2, 261, 384), SQUARE, Layout((16, 16), 3, 2, 5)),  # DINOv2: class and four registers
        ((2, 33, 192), TALL, Layout((8, 4), 3, 2, 1)),
        ((2, 192, 196), SQUARE, Layout((14, 14), 3, 1, 0)),  # tokens along the last axis
    ],
)
def test_one_reading(shape: tuple[int, ...], image: tuple[int, ...], expected: Layout) -> None:
    assert find_layout(shape, image) == expected


@pytest.mark.parametrize(
    ("shape", "image", "message"),
    [
        ((2, 8, 8, 8), (2, 3, 32, 32), r"output (2, 8, 8, 8) can be read in more than one way"),
        ((2, 9, 5, 3), SQUARE, "(2, 9, 5, 3) can be read in more than one way"),
        ((2, 16, 16), (2, 3, 64, 64), "(2, 16, 16) can be read in more than one way"),
        ((2, 30, 33), (2, 3, 64, 64), "of its output (2, 30, 33) neither 30 nor 33 tokens are a grid of images of 64"),
        ((2, 10), SQUARE, "its output (2, 10) is neither (N, C, h, w)"),
        ((2, 3, 4, 5, 6), SQUARE, "its output (2, 3, 4, 5, 6) is neither"),
        ((128, 49, 96), SQUARE, "(128, 49, 96) does not begin with the number of images, 2,"),
        ((1, 2, 16, 16), SQUARE, "(1, 2, 16, 16) does not begin with the number of images, 2,"),
    ],
)
def test_none_or_several_readings(shape: tuple[int, ...], image: tuple[int, ...], message: str) -> None:
    with pytest.raises(LayoutError, match=re.escape(message)):
        find_layout(shape, image)


class Permuting(nn.LayerNorm):
    """As torchvision's LayerNorm2d, it takes channels first."""


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Conv2d(3, 8, 1), (2, 8, 8, 8), 1),
        (nn.BatchNorm2d(8), (2, 8, 8, 8), 1),
        (nn.MaxPool2d(2), (2, 8, 8, 8), 1),
        (nn.AdaptiveAvgPool2d(8), (2, 8, 8, 8), 1),
        (nn.GroupNorm(2, 8), (2, 8, 8, 8), 1),
        (nn.Linear(4, 8), (2, 8, 8, 8), 3),
        (nn.LayerNorm(8), (2, 8, 8, 8), 3),
        (nn.LayerNorm([8, 6, 6]), (2, 8, 6, 6), 1),
        (nn.LayerNorm(8), (2, 64, 8), 2),
        (Permuting(5), (2, 5, 8, 8), 1),
        (Permuting(5), (2, 8, 8, 5), 3),
        (Permuting(8), (2, 8, 8, 8), None),
        (nn.Linear(4, 8), (2, 64, 8), None),  # it may mix the tokens
        (nn.ReLU(), (2, 8, 8, 8), None),
        (None, (2, 8, 8, 8), None),
    ],
)
def test_layers_whose_type_decides(layer: nn.Module | None, shape: tuple[int, ...], expected: int | None) -> None:
    assert channel_axis_of_type(layer, shape) == expected


def test_the_type_decides_where_the_shape_does_not() -> None:
    image = (2, 3, 32, 32)
    assert find_layout((2, 8, 8, 8), image, nn.Conv2d(3, 8, 1)).channel_axis == 1
    assert find_layout((2, 8, 8, 8), image, nn.Linear(4, 8)).channel_axis == 3
    assert find_layout((2, 9, 5, 3), SQUARE, nn.Conv2d(3, 9, 1)) == Layout((5, 3))
    assert find_layout((2, 16, 16), (2, 3, 64, 64), nn.LayerNorm(16)) == Layout((4, 4), 3, 2)


def test_a_linear_layer_that_seems_to_mix_rows() -> None:
    with pytest.raises(LayoutError, match="more than one way"):
        find_layout((2, 24, 16, 8), TALL, nn.Linear(8, 8))


@pytest.mark.parametrize(
    ("shape", "around", "expected"),
    [
        # Unpadded patches: 3 x 3 of them, where 64 pixels would also hold 2 x 2 and five other tokens.
        ((2, 9, 32), Surroundings([(3, 3)]), Layout((3, 3), 3, 2, 0)),
        ((2, 21, 32), Surroundings([(4, 4)]), Layout((4, 4), 3, 2, 5)),
        ((2, 25, 32), Surroundings([(4, 4)]), Layout((4, 4), 3, 2, 9)),
        ((2, 64, 32), Surroundings([(16, 16)]), Layout((8, 8), 3, 2)),  # merged two by two
        ((2, 6, 32), Surroundings([(5, 3)]), Layout((3, 2), 3, 2)),  # rounded up, as Swin pads
        ((2, 64, 16), Surroundings([(16, 16)], {256, 64}), Layout((8, 8), 3, 2)),  # 16 are 4 x 4 as well
        ((2, 16, 64), Surroundings([(16, 16)], {256, 64}), Layout((8, 8), 3, 1)),
        ((2, 64, 64), Surroundings([(16, 16)], {64}, channel_axis=2), Layout((8, 8), 3, 2)),
        ((2, 8, 8, 8), Surroundings(channel_axis=3), Layout((8, 8), 4, 3)),
        ((2, 8, 8, 8), Surroundings(channel_axis=1), Layout((8, 8))),
    ],
)
def test_what_the_rest_of_the_network_says(shape: tuple[int, ...], around: Surroundings, expected: Layout) -> None:
    assert find_layout(shape, (2, 3, 64, 64), around=around) == expected


@pytest.mark.parametrize("count", [26, 30, 10, 5])
def test_tokens_that_are_no_grid_that_was_seen(count: int) -> None:
    with pytest.raises(LayoutError, match=f"neither {count} nor 11 tokens are a grid"):
        find_layout((2, count, 11), (2, 3, 64, 64), around=Surroundings([(4, 4)]))


def test_weights_of_attention_are_no_map() -> None:
    with pytest.raises(LayoutError, match=r"\(2, 4, 17, 17\) holds the weights by which each of 17 tokens"):
        find_layout((2, 4, 17, 17), (2, 3, 64, 64), nn.Dropout(), Surroundings([(4, 4)], {17}))


LAYOUTS = [
    Layout((2, 3)),
    Layout((2, 3), 4, 3),
    Layout((2, 3), 3, 2, 0),
    Layout((2, 3), 3, 2, 4),
    Layout((2, 3), 3, 1, 1),
]


def in_layer(layout: Layout, maps: torch.Tensor) -> torch.Tensor:
    """What a layer of that layout returns for maps (N, C, h, w), element by element; extra tokens hold -1."""
    count, channels, height, width = maps.shape
    if layout.rank == 4:
        return maps if layout.channel_axis == 1 else torch.stack([maps[:, c] for c in range(channels)], dim=3)
    output = torch.full((count, layout.extra_tokens + height * width, channels), -1.0)
    for row in range(height):
        for column in range(width):
            output[:, layout.extra_tokens + row * width + column] = maps[:, :, row, column]
    return output if layout.channel_axis == 2 else output.transpose(1, 2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_outputs_become_maps(layout: Layout) -> None:
    maps = torch.arange(48.0).view(2, 4, 2, 3)
    output = in_layer(layout, maps)
    assert torch.equal(layout(output), maps)
    assert torch.equal(eval(layout.expression)(output), maps)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_masks_become_the_layers(layout: Layout) -> None:
    mask = torch.tensor([[[[7, 3, 3], [0, 1, 2]]]])
    expected = in_layer(layout, mask.float()).long()
    assert torch.equal(layout.to_layer(mask), expected.where(expected >= 0, 8))
