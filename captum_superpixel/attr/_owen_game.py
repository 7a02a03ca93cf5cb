"""A network as a game of superpixels: its output where some are present and the others replaced, and maps of values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel.attr._captum import run_forward
from captum_superpixel.attr._owen_recursion import Coalition
from captum_superpixel.masks import SegmentTree

__all__ = ["Game", "Shares"]

Shares: TypeAlias = Literal["change", "size"]
"""What a value that was not divided is shared by: how far elements are from their replacement, or all alike."""


class Game:
    """A network as a function of which leaves of each image are present.

    Args:
        forward_func: The network.
        images: ``(N, C, *spatial)``.
        replacement: What absent leaves are replaced by, of the shape of the images.
        target: Which output is the value.
        additional: Further arguments of the network.
        trees: The tree of each image.
        shares: Whether what was not divided is shared by ``"change"`` or by ``"size"``.
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        images: Tensor,
        replacement: Tensor,
        target: Any,
        additional: Any,
        trees: Sequence[SegmentTree],
        shares: Shares,
    ) -> None:
        self._forward, self._images, self._replacement = forward_func, images, replacement
        self._target, self._additional = target, additional
        self._segments = torch.stack([tree.segments for tree in trees]).to(images.device)
        self._amounts = [_amounts(*pair, shares) for pair in zip(images, replacement, strict=True)]
        self._most = max(tree.n_leaves for tree in trees)
        self._dtype = images.dtype

    def play(self, rows: Sequence[tuple[int, Coalition]]) -> list[float]:
        """Evaluate coalitions, each of the image of that index."""
        index = torch.tensor([image for image, _ in rows], device=self._images.device)
        present = torch.zeros(len(rows), self._most, dtype=torch.bool, device="cpu")
        for place, (_, coalition) in enumerate(rows):
            present[place, : len(coalition)] = torch.from_numpy(coalition)
        segments = self._segments[index]
        shown = present.to(segments.device).gather(1, segments.flatten(1)).view(segments.shape)[:, None]
        perturbed = torch.where(shown, self._images[index], self._replacement[index])
        further = self._additional if isinstance(self._additional, tuple) else (self._additional,)
        chosen = None if self._additional is None else tuple(self._of_rows(each, index) for each in further)
        output = run_forward(self._forward, (perturbed,), self._target_of(index), chosen, 1)
        if not isinstance(output, Tensor) or output.numel() != len(rows):
            shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(
                f"the network returned {shape} for {len(rows)} images, but OwenValues needs one number for each: pass "
                "the target that is to be explained"
            )
        self._dtype = output.dtype if output.is_floating_point() else torch.float32
        numbers: list[float] = output.detach().cpu().double().flatten().tolist()
        return numbers

    def masses(self, index: int) -> NDArray[np.float64]:
        """Say in proportion to what the leaves of an image share what was not divided among them, ``(K,)``."""
        masses: NDArray[np.float64] = self._sum_over_leaves(index).numpy()
        return masses

    def lay_out(self, values: Sequence[Tensor], per_pixel: bool) -> Tensor:
        """Write the values ``(K,)`` of each image's leaves, float64, into maps ``(N, C, *spatial)``."""
        maps = []
        for index, (of_leaves, segments) in enumerate(zip(values, self._segments, strict=True)):
            shown = of_leaves[segments.cpu()].expand(self._images.shape[1:])
            if per_pixel:
                shown = shown * self._parts_of_leaves(index)
            maps.append(shown.to(self._dtype).to(segments.device))
        return torch.stack(maps).contiguous()

    def _parts_of_leaves(self, index: int) -> Tensor:
        """Say what part of its leaf each element of an image is, ``(C, *spatial)``, float64."""
        amounts, segments = self._amounts[index], self._segments[index].cpu()
        sums = self._sum_over_leaves(index)
        # A leaf that equals its replacement is divided evenly.
        sizes = len(amounts) * torch.bincount(segments.flatten()).double()
        return torch.where(sums[segments] > 0, amounts / sums[segments], 1 / sizes[segments])

    def _sum_over_leaves(self, index: int) -> Tensor:
        """Add up the amounts of each leaf of an image, ``(K,)``, float64."""
        return torch.bincount(self._segments[index].cpu().flatten(), weights=self._amounts[index].sum(dim=0).flatten())

    def _of_rows(self, argument: Any, index: Tensor) -> Any:
        """The entries of an argument of N rows that belong to these images; any other argument as it is."""
        has_rows = isinstance(argument, Tensor) and argument.ndim > 0 and len(argument) == len(self._images)
        return argument[index.to(argument.device)] if has_rows else argument

    def _target_of(self, index: Tensor) -> Any:
        if isinstance(self._target, list) and len(self._target) == len(self._images):
            return [self._target[image] for image in index.tolist()]
        return self._of_rows(self._target, index)


def _amounts(image: Tensor, replacement: Tensor, shares: Shares) -> Tensor:
    """Say in proportion to what the elements of an image ``(C, *spatial)`` share a value, float64, on the CPU."""
    if shares == "size":
        return torch.ones(image.shape, dtype=torch.float64)
    return (image.cpu().double() - replacement.cpu().double()).abs()
