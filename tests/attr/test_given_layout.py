"""Layouts by a function of the user: masks of the map come back to the layer."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle

from captum_superpixel.attr.given_layout import GivenLayout
from captum_superpixel.attr.layouts import LayoutError


def of_tokens(tokens: Tensor) -> Tensor:
    return tokens[:, 1:].transpose(1, 2).unflatten(2, (2, 3))


def test_map_and_size() -> None:
    layout = GivenLayout(of_tokens, shape=(7, 4))
    tokens = torch.rand(2, 7, 4)
    assert torch.equal(layout(tokens)[1, 3], tokens[1, 1:, 3].view(2, 3))
    assert layout.size == (2, 3)


def test_a_mask_comes_back_to_the_layer() -> None:
    """The class token is none of the places, and gets an id of its own."""
    mask = torch.tensor([[[[0, 1, 1], [2, 2, 5]]]])
    found = GivenLayout(of_tokens, shape=(7, 4)).to_layer(mask)
    assert found.shape == (1, 7, 4)
    assert found[0].tolist() == [[number] * 4 for number in (6, 0, 1, 1, 2, 2, 5)]
    turned = GivenLayout(lambda output: output.permute(0, 3, 2, 1), shape=(3, 2, 4))
    assert turned.to_layer(mask)[0, :, :, 0].tolist() == [[0, 2], [1, 2], [1, 5]]


@pytest.mark.parametrize(
    "transform",
    [
        lambda output: of_tokens(output) / 2,
        lambda output: of_tokens(output[:, :1].expand(-1, 7, -1)),
        lambda output: of_tokens(output) + 3,
    ],
    ids=["halved", "repeated", "shifted"],
)
def test_functions_that_do_more_than_move(transform: Any) -> None:
    layout = GivenLayout(transform, shape=(7, 4))
    with pytest.raises(
        LayoutError, match=re.escape("does more than move the elements of the layer's output of shape (1, 7, 4)")
    ):
        layout.to_layer(torch.zeros(1, 1, 2, 3, dtype=torch.int64))


@pytest.mark.parametrize(
    ("transform", "shape"),
    [
        (lambda tokens: tokens[:, 1:].reshape(len(tokens), -1, 2, 3), (2, 7, 4)),
        # So many channels for each place that every token's places lie in channels of its own.
        (lambda tokens: tokens.reshape(len(tokens), -1, 2, 3), (1, 6, 12)),
        (lambda output: output.reshape(len(output), -1, 2, 3), (2, 2, 3, 5)),
        (lambda output: output.reshape(len(output), -1, 2, 3), (2, 2, 3, 12)),
        (lambda tokens: tokens.reshape(len(tokens), -1, 3, 4), (1, 12, 6)),
        (lambda tokens: tokens[:, ::2].reshape(len(tokens), -1, 2, 3), (1, 12, 12)),
    ],
    ids=["tokens", "tokens of many channels", "channels last", "many channels last", "many tokens", "every other"],
)
def test_functions_that_scramble_places(transform: Any, shape: tuple[int, ...]) -> None:
    output = torch.rand(shape)
    with pytest.raises(LayoutError, match=re.escape(f"of the layer's output of shape {shape} runs along the channels")):
        GivenLayout(transform)(output)


@pytest.mark.parametrize(
    ("transform", "shape"),
    [
        (of_tokens, (2, 7, 4)),
        (lambda output: output.movedim(-1, 1), (1, 2, 3, 4)),
        (lambda tokens: tokens.transpose(1, 2).unflatten(2, (2, 3)).flip(2), (1, 6, 12)),
        (lambda heads: heads.transpose(2, 3).flatten(1, 2).unflatten(2, (2, 3)), (2, 5, 6, 4)),
        (lambda output: pixel_shuffle(output, 2), (1, 8, 3, 2)),
        (lambda output: pixel_unshuffle(output, 2), (1, 2, 4, 6)),
        (lambda windows: windows.permute(0, 5, 1, 3, 2, 4).flatten(2, 3).flatten(3), (1, 2, 3, 4, 5, 2)),
        (lambda tokens: of_tokens(tokens) / 2 + 0.25, (2, 7, 4)),
        (lambda tokens: of_tokens(tokens).square(), (2, 7, 4)),
        # Patches whose neighbors become channels, or whose channels neighbors, and frames that become channels.
        (lambda tokens: pixel_unshuffle(tokens.transpose(1, 2).unflatten(2, (4, 6)), 2), (2, 24, 3)),
        (lambda tokens: pixel_unshuffle(tokens.unflatten(2, (4, 6)), 2), (2, 3, 24)),
        (lambda tokens: pixel_shuffle(of_tokens(tokens), 2), (2, 7, 8)),
        (lambda tokens: tokens.unflatten(1, (2, 3, 4)).permute(0, 1, 4, 2, 3).flatten(1, 2), (2, 24, 5)),
        (lambda output: pixel_unshuffle(output, 2), (1, 3, 6, 2)),
        # Swin pads odd sizes by zeros; a token for the whole image goes along with all places.
        (lambda output: pad(output.movedim(-1, 1), (0, 1, 0, 1)), (2, 5, 7, 4)),
        (lambda tokens: torch.cat([of_tokens(tokens), tokens[:, 0, :, None, None].expand(-1, -1, 2, 3)], 1), (2, 7, 4)),
        (lambda output: output * (torch.arange(3) > 0), (2, 4, 5, 3)),
    ],
)
def test_functions_that_do_not(transform: Any, shape: tuple[int, ...]) -> None:
    output = torch.rand(shape)
    assert torch.equal(GivenLayout(transform)(output), transform(output))


def test_the_numbers_of_places_are_asked_once_for_each_shape() -> None:
    seen: list[Tensor] = []

    def noting(tokens: Tensor) -> Tensor:
        seen.append(tokens)
        return of_tokens(tokens)

    layout = GivenLayout(noting)
    for batch in (2, 2, 3, 2):
        layout(torch.rand(batch, 7, 4))
    assert [len(tokens) for tokens in seen] == [2, 2, 2, 3, 3, 2]


def test_maps_of_volumes() -> None:
    with pytest.raises(LayoutError, match=r"it must return \(N, C, h, w, d\), for as many"):
        GivenLayout(of_tokens, dimensions=3)(torch.rand(2, 7, 4))
