"""The colors of some images as k-means compares them, computed once for all the generators that ask for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from captum_superpixel.masks.slic._color import gray_to_lightness_, rgb_to_lab_

_PIXELS_AT_ONCE = {"cpu": 110_000}
"""How many pixels are converted at the same time, where caches count."""

_MANY_PIXELS_AT_ONCE = 4_000_000
"""How many elsewhere, where each of some twenty operations is a launch; it bounds the memory, 36 bytes per pixel."""


Halving = Callable[[Tensor, Sequence[int]], Tensor]
"""What averages blocks of two pixels along some of the spatial axes of images."""


class Scratch:
    """Memory that is used again and again, because to allocate it anew would cost more than to compute with it.

    It is lent by name, the same for the same name: what was borrowed under it before is then overwritten.

    Args:
        device: Where the memory is.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._memory: dict[str, Tensor] = {}

    def lend(self, name: str, *shape: int) -> Tensor:
        """Give contiguous float32 memory of some shape, whatever is in it."""
        size = math.prod(shape)
        if name not in self._memory or self._memory[name].numel() < size:
            self._memory[name] = torch.empty(size, dtype=torch.float32, device=self.device)
        return self._memory[name][:size].view(shape)


class SharedPixels:
    """A few images, in every form that is asked for: each is computed when it is first asked for, and kept.

    Args:
        images: Shape ``(N, C, *spatial)``, float32 in [0, 1]; one channel is gray, three are red, green and blue.
        scratch: Memory for what works on them, one after the other; with None their own.
        halving: Averages blocks of two pixels along some axes, to the bits of :func:`halve`; with None that itself.
    """

    def __init__(self, images: Tensor, scratch: Scratch | None = None, halving: Halving | None = None) -> None:
        self.images = images
        self.halving = halving or halve
        self.scratch = scratch or Scratch(images.device)
        self._shrunk: dict[tuple[int, ...], SharedPixels] = {}
        self._colors: dict[bool, Tensor] = {}

    def shrunk(self, factors: tuple[int, ...]) -> SharedPixels:
        """Average blocks of so many pixels along each axis, powers of two; at the far edges the last pixels repeat."""
        most = max(factors)
        if most == 1:
            # Not kept among the others: in a cycle the memory would stay until the next garbage collection.
            return self
        if factors not in self._shrunk:
            halved = [axis for axis, factor in enumerate(factors) if factor == most]
            before = tuple(most // 2 if factor == most else factor for factor in factors)
            self._shrunk[factors] = SharedPixels(self.halving(self.shrunk(before).images, halved), self.scratch)
        return self._shrunk[factors]

    def select(self, chosen: Tensor) -> SharedPixels:
        """Take some of the images, by their places ``(R,)``, with the colors that are there already."""
        selected = SharedPixels(self.images[chosen], self.scratch)
        selected._colors = {blurred: colors[chosen] for blurred, colors in self._colors.items()}
        return selected

    def colors(self, *, blurred: bool) -> Tensor:
        """Bring one and three channels to CIELAB, and others to the range from 0 to 100; lightness and these less 50.

        Gray has lightness alone: its two axes of color would be 0.

        Args:
            blurred: Whether pixels are averaged with their neighbors first, by the weights 1, 2, 1 along each axis.

        Returns:
            Shape ``(N, C, *spatial)``, float32, contiguous. Not to be written to.
        """
        if blurred not in self._colors:
            values = self.images.new_empty(self.images.shape)
            self._colors[blurred] = self._convert_(_blur(self.images, values) if blurred else values.copy_(self.images))
        return self._colors[blurred]

    def _convert_(self, values: Tensor) -> Tensor:
        channels = values.shape[1]
        if channels not in (1, 3):
            return values.mul_(100).sub_(50)
        convert_ = rgb_to_lab_ if channels == 3 else gray_to_lightness_
        flattened = values.flatten(2)
        at_once = _PIXELS_AT_ONCE.get(values.device.type, _MANY_PIXELS_AT_ONCE)
        for images in torch.split(flattened, max(1, at_once // flattened.shape[2])):
            for pixels in torch.split(images, at_once, dim=2):
                convert_(pixels, self.scratch.lend("lab", 3, *pixels.shape))[:, 0].sub_(50)
        return values


def halve(images: Tensor, axes: Sequence[int]) -> Tensor:
    """Average blocks of two pixels along some of the spatial axes; at the far edges the last pixels repeat."""
    odd = [images.shape[2 + axis] % 2 if axis in axes else 0 for axis in range(images.ndim - 2)]
    if any(odd):
        # What lacks nothing would be copied all the same.
        images = pad(images, [length for odd_one in reversed(odd) for length in (0, odd_one)], mode="replicate")
    for axis in axes:
        first = [slice(None)] * images.ndim
        second = first.copy()
        first[2 + axis], second[2 + axis] = slice(None, None, 2), slice(1, None, 2)
        images = images[tuple(first)] + images[tuple(second)]
    return images.mul_(0.5 ** len(axes))


def _blur(images: Tensor, out: Tensor) -> Tensor:
    """Average pixels with their neighbors, of which those at the edges lack some: then they count themselves."""
    dimensions = images.ndim - 2
    other = torch.empty_like(out) if dimensions > 1 else out
    for axis in range(2, 2 + dimensions):
        # In turns, so that the last is the one that is wanted.
        blurred = out if (dimensions + 1 - axis) % 2 == 0 else other
        torch.mul(images, 2, out=blurred)
        last = images.shape[axis] - 1
        # Before each pixel, then after it: the order of the additions decides how they round.
        for step in (0, 1):
            blurred.narrow(axis, 1 - step, last).add_(images.narrow(axis, step, last))
            blurred.narrow(axis, step * last, 1).add_(images.narrow(axis, step * last, 1))
        images = blurred
    return out.mul_(0.25**dimensions)
