"""Strategies for the public surface: images and maps in every layout and dtype, masks with any ids, networks.

Contents come from a drawn seed and pattern, not element by element: Hypothesis then shrinks shapes, layouts and
patterns, which is what faults depend on, and drawing is quick.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor, nn

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64)
ID_DTYPES = (torch.int64, torch.int32, torch.int16, torch.uint8)
PATTERNS = ("noise", "zeros", "constant", "steps", "outlier", "alternating", "tiny", "large")
LAYOUTS = ("contiguous", "channels last", "transposed", "strided", "offset", "expanded")
LARGEST_ID = 2**63 - 1

seeds = st.integers(0, 2**16)


def tried(percent: float) -> Callable[[Any], Any]:
    """Try so many of a hundred of the examples that the profile has."""
    return settings(max_examples=max(1, round(percent * settings.default.max_examples / 100)))


def shapes(
    spatial: Sequence[int] = (1, 2, 3),
    batch: tuple[int, int] = (1, 5),
    channels: tuple[int, int] = (1, 8),
    side: int = 9,
) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes ``(N, C, *spatial)`` with these numbers of spatial dimensions."""

    def sized(dimensions: int) -> st.SearchStrategy[tuple[int, ...]]:
        longest = side if dimensions < 3 else min(side, 5)
        return st.tuples(st.integers(*batch), st.integers(*channels), *[st.integers(1, longest)] * dimensions)

    return st.sampled_from(spatial).flatmap(sized)


def filled(shape: Sequence[int], dtype: torch.dtype, pattern: str, seed: int) -> Tensor:
    """A tensor of one of ``PATTERNS``, whose values every dtype can hold."""
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if pattern in ("zeros", "constant"):
        values = torch.full_like(values, 0 if pattern == "zeros" else seed % 7 + 1)
    elif pattern == "steps":  # many ties
        values = values.round()
    elif pattern == "outlier" and values.numel():
        values.view(-1)[seed % values.numel()] = 100
    elif pattern == "alternating":
        values = torch.arange(values.numel(), dtype=torch.float64).view(values.shape) % 2 * 2 - 1
    elif pattern in ("tiny", "large"):
        values *= 1e-5 if pattern == "tiny" else 100
    if not dtype.is_floating_point:
        values = values.abs().mul(10).clamp(max=127)
    return values.to(dtype)


def laid_out(tensor: Tensor, layout: str) -> Tensor:
    """The same values in another layout, but for "expanded", which repeats the first image of a batch."""
    if layout == "channels last" and tensor.ndim in (4, 5):
        return tensor.contiguous(memory_format=torch.channels_last if tensor.ndim == 4 else torch.channels_last_3d)
    if layout == "transposed" and tensor.ndim > 1:
        return tensor.transpose(-1, 0).contiguous().transpose(-1, 0)
    if layout == "strided" and tensor.ndim:
        wide = tensor.repeat_interleave(2, dim=-1)
        return wide[..., ::2]
    if layout == "offset" and tensor.ndim:
        return torch.cat([tensor[:1], tensor])[1:]
    if layout == "expanded" and tensor.ndim and len(tensor):
        return tensor[:1].expand(tensor.shape)
    return tensor.contiguous()


@st.composite
def tensors(
    draw: st.DrawFn,
    shape: tuple[int, ...],
    dtypes: Sequence[torch.dtype] = FLOATS,
    patterns: Sequence[str] = PATTERNS,
) -> Tensor:
    """A tensor of this shape in any layout."""
    made = filled(shape, draw(st.sampled_from(dtypes)), draw(st.sampled_from(patterns)), draw(seeds))
    return laid_out(made, draw(st.sampled_from(LAYOUTS)))


@st.composite
def partitions(draw: st.DrawFn, spatial: tuple[int, ...], count: int = 1, channels: int = 1) -> Tensor:
    """Segments from 0 on without gaps, ``(count, channels, *spatial)`` int64: noise, blocks, one, or one per pixel."""
    pixels = int(np.prod(spatial)) * channels
    kind = draw(st.sampled_from(("noise", "blocks", "one", "pixels")))
    rows = []
    for number in range(count):
        k = 1 if kind == "one" else pixels if kind == "pixels" else draw(st.integers(1, min(pixels, 12)))
        flat = torch.arange(pixels) * k // pixels
        if kind == "noise":
            flat = flat[torch.randperm(pixels, generator=torch.Generator().manual_seed(draw(seeds) + number))]
        rows.append(flat.view(channels, *spatial))
    return torch.stack(rows)


@st.composite
def renamed(draw: st.DrawFn, mask: Tensor) -> Tensor:
    """The same partition with other ids, in ascending order, up to 2**63 - 1."""
    count = int(mask.max()) + 1
    kind = draw(st.sampled_from(("as they are", "shifted", "gaps", "largest")))
    if kind == "gaps":
        steps = torch.randint(1, 2**40, (count,), generator=torch.Generator().manual_seed(draw(seeds)))
        return steps.cumsum(0)[mask]
    if kind == "shifted":
        return mask + draw(st.sampled_from((1, 255, 2**31, 2**53)))
    return mask if kind == "as they are" else mask + (LARGEST_ID - count + 1)


@st.composite
def feature_masks(draw: st.DrawFn, shape: tuple[int, ...], per_channel: bool = False) -> Any:
    """A mask that fits ``(N, C, *spatial)``: of one or each image, of pixels or elements, as tensor or array."""
    count = draw(st.sampled_from((1, shape[0])))
    channels = draw(st.sampled_from((1, shape[1]))) if per_channel else 1
    mask = draw(renamed(draw(partitions(shape[2:], count, channels))))
    if int(mask.max()) < 128:
        mask = mask.to(draw(st.sampled_from(ID_DTYPES)))
    mask = laid_out(mask, draw(st.sampled_from([layout for layout in LAYOUTS if layout != "expanded"])))
    return mask.numpy() if draw(st.booleans()) else mask


def linear_network(shape: Sequence[int], outputs: int = 3, seed: int = 0, nonlinear: bool = True) -> nn.Module:
    """From inputs of this shape, whatever the batch, to ``outputs`` numbers, without chance and in evaluation mode."""
    size = int(np.prod(shape[1:]))
    layers = [nn.Flatten(), nn.Linear(size, 5), nn.Softplus(), nn.Linear(5, outputs)]
    network = nn.Sequential(*(layers if nonlinear else [nn.Flatten(), nn.Linear(size, outputs)]))
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return network.eval()
