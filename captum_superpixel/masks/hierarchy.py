"""A hierarchy of segments: a binary tree for each image that merges its segments by color and border, two at a time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel._checks import checked_integer, listed
from captum_superpixel.feature_masks import MaskLike, check_feature_mask, rank_rows, repeat_for_batch
from captum_superpixel.masks.base import ImageMaskGenerator
from captum_superpixel.masks.slic import Slic
from captum_superpixel.masks.slic._color import rgb_to_lab

__all__ = ["SegmentTree", "hierarchy", "segment_trees"]

MaskGenerator: TypeAlias = Callable[[Tensor], Tensor]

_UNSEEN = 2.3
"""The difference in CIELAB that is just noticeable: among smaller ones sizes and borders decide."""


@dataclass(frozen=True, eq=False)
class SegmentTree:
    """A binary tree over the K segments of one image, which are its leaves.

    Nodes have numbers: the leaves 0 to K-1, as in the mask, and what the i-th merge makes K + i, so that the last one,
    2K - 2, is the whole image.

    Args:
        segments: The leaves, int64 ``(*spatial)``, numbered from 0 without gaps.
        merges: The two nodes that each of the K-1 merges joins, of which the lower stands first.

    Raises:
        TypeError: If the segments are no tensor of integers.
        ValueError: If they are not numbered from 0 without gaps, or the merges are not those of a binary tree over
            them.

    Examples:
        >>> tree = SegmentTree(torch.tensor([[0, 1, 2]]), ((1, 2), (0, 3)))
        >>> [tree.cut(count).tolist() for count in (1, 2, 3)]
        [[[0, 0, 0]], [[0, 1, 1]], [[0, 1, 2]]]
        >>> tree.members.int().tolist()
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [1, 1, 1]]
    """

    segments: Tensor
    merges: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        _check_segments(self.segments)
        nodes = sorted(node for pair in self.merges for node in pair)
        early = all(max(pair) < self.n_leaves + index for index, pair in enumerate(self.merges))
        if nodes != list(range(2 * self.n_leaves - 2)) or not early:
            raise ValueError(
                f"{len(self.merges)} merges of {self.n_leaves} segments do not make a binary tree: {self.n_leaves - 1} "
                "are needed, in which each node but the last stands once, after the merge that made it"
            )

    @cached_property
    def n_leaves(self) -> int:
        """K, the number of segments."""
        return int(self.segments.max()) + 1

    @cached_property
    def members(self) -> Tensor:
        """Which leaves each node holds, ``(2K - 1, K)`` bool, on the CPU."""
        rows = torch.eye(2 * self.n_leaves - 1, self.n_leaves, dtype=torch.bool, device="cpu")
        for index, (first, second) in enumerate(self.merges):
            rows[self.n_leaves + index] = rows[first] | rows[second]
        return rows

    @cached_property
    def sizes(self) -> Tensor:
        """How many pixels each node holds, ``(2K - 1,)`` int64, on the CPU."""
        of_leaves = torch.bincount(self.segments.flatten().cpu(), minlength=self.n_leaves)
        return (self.members * of_leaves).sum(dim=1)

    def cut(self, n_segments: int) -> Tensor:
        """Undo the last merges, until there are ``n_segments`` nodes or the leaves are left.

        Args:
            n_segments: How many nodes, at least 1.

        Returns:
            int64 ``(*spatial)``, numbered from 0 in the order of each node's first leaf. What a smaller number gives
            is a union of these.
        """
        made = self.n_leaves - min(checked_integer("n_segments", n_segments), self.n_leaves)
        joined = {node for pair in self.merges[:made] for node in pair}
        nodes = [node for node in range(self.n_leaves + made) if node not in joined]
        # Of several maxima argmax gives the first, which is the node's first leaf.
        nodes.sort(key=lambda node: int(self.members[node].int().argmax()))
        numbers = torch.zeros(self.n_leaves, dtype=torch.int64, device="cpu")
        for number, node in enumerate(nodes):
            numbers[self.members[node]] = number
        return numbers.to(self.segments.device)[self.segments]


def _check_segments(segments: object) -> None:
    """Raise TypeError or ValueError unless these are ids from 0 on without gaps."""
    if not isinstance(segments, Tensor) or segments.is_floating_point() or segments.is_complex():
        what = f"a tensor of {segments.dtype}" if isinstance(segments, Tensor) else f"a {type(segments).__name__}"
        raise TypeError(f"segments must be a tensor of integers (*spatial), but {what} was passed")
    ids = torch.unique(segments).tolist()
    if not ids or ids != list(range(len(ids))):
        raise ValueError(
            f"the segments hold the ids {listed(ids) or 'of no pixel'}, but must be numbered from 0 without gaps: "
            "segment_trees(images, feature_mask=mask) takes any ids"
        )


def hierarchy(
    inputs: Tensor,
    n_segments: Sequence[int] = (8, 16, 32, 64),
    *,
    mask_generator: MaskGenerator | None = None,
    feature_mask: MaskLike | None = None,
) -> list[Tensor]:
    """Segment images at several levels, of which the coarser ones merge whole segments of the finer ones.

    The list can be passed on as it is, for example as ``feature_mask=`` of ``SuperpixelGrouped``, which averages over
    the levels. Unlike the members of :func:`~captum_superpixel.masks.multiscale`, the levels share their borders.

    Args:
        inputs: Images ``(N, C, *spatial)``.
        n_segments: How many segments each level has, where the leaves are as many.
        mask_generator: Makes the leaves, as for :func:`segment_trees`.
        feature_mask: The leaves, likewise.

    Returns:
        A mask ``(N, 1, *spatial)`` int64 for each level, on the device of the inputs.

    Raises:
        TypeError: If ``n_segments`` is not a sequence of integers, or the inputs or the mask are no tensors.
        ValueError: If there is no level, one is below 1, or the images cannot be segmented.

    Examples:
        >>> images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        >>> coarse, fine = hierarchy(images, (4, 16))
        >>> [[len(mask.unique()) for mask in level] for level in (coarse, fine)]
        [[4, 4], [16, 16]]
        >>> [len(torch.unique(coarse[0][fine[0] == segment])) for segment in range(16)] == [1] * 16
        True
    """
    if not isinstance(n_segments, Sequence):
        raise TypeError(f"n_segments must be a sequence of integers, but {n_segments!r} was passed: write (8, 32)")
    if not n_segments:
        raise ValueError("n_segments is empty: name at least one level")
    trees = segment_trees(inputs, mask_generator=mask_generator, feature_mask=feature_mask)
    return [torch.stack([tree.cut(count) for tree in trees])[:, None] for count in n_segments]


@torch.no_grad()
def segment_trees(
    inputs: Tensor,
    *,
    mask_generator: MaskGenerator | None = None,
    feature_mask: MaskLike | None = None,
) -> list[SegmentTree]:
    """Merge the segments of each image into one, two at a time, and note in which order.

    Of all pairs that touch, the one is merged next for which ::

        n * m / (n + m) * sqrt(d**2 + 2.3**2) / border

    is smallest, where n and m are their numbers of pixels, d is the distance of their mean colors in CIELAB, and border
    the number of pairs of pixels in which they touch. The factor of the sizes is that of Ward's criterion, by which
    small segments join first, and keeps the tree balanced; there the distance is squared, which makes deeper trees. A
    long common border says that two segments are parts of one thing. The constant, the least difference that is seen,
    lets sizes and borders decide among equal colors.

    Args:
        inputs: Images ``(N, C, *spatial)``, real and finite.
        mask_generator: Makes the leaves, and says by its ``denormalize`` and ``channel_order``, or by those of the
            generator in it, what the colors are; None for ``Slic()``, about 100 leaves.
        feature_mask: The leaves, ids ``(1 or N, 1, *spatial)`` in place of the generator's; they need not be connected.

    Returns:
        A tree for each image, the same as for that image alone. Its leaves are numbered in the order of their ids.

    Raises:
        TypeError: If the inputs are not a tensor of real numbers, or the mask is none of integers.
        ValueError: If the images cannot be segmented, or the mask does not fit them.

    References:
        Ward, "Hierarchical Grouping to Optimize an Objective Function", Journal of the American Statistical
        Association 58(301), 1963, https://doi.org/10.1080/01621459.1963.10500845.
        Salembier, Garrido, "Binary Partition Tree as an Efficient Representation for Image Processing, Segmentation,
        and Information Retrieval", IEEE TIP 9(4), 2000, https://doi.org/10.1109/83.841934.

    Examples:
        >>> images = torch.tensor([[[[0.0, 0.0, 0.9, 1.0]]]])
        >>> segment_trees(images, feature_mask=torch.arange(4).view(1, 1, 1, 4))[0].merges
        ((0, 1), (2, 3), (4, 5))
    """
    generator = Slic() if mask_generator is None else mask_generator
    if isinstance(generator, type) or not callable(generator):
        raise TypeError(f"mask_generator must be a mask generator, such as Slic(), but {generator!r} was passed")
    # Other generators may not look at colors at all, as Grid does not.
    settings = _colors_of(generator)
    scaling = Slic(1, denormalize=settings.denormalize, channel_order=settings.channel_order)
    scaling.check_inputs(inputs)
    name, made = ("feature_mask", feature_mask) if feature_mask is not None else ("the mask", generator(inputs))
    mask = check_feature_mask(made, inputs.shape, name=name)
    if mask.shape[1] != 1:
        raise ValueError(
            f"{name} of shape {tuple(mask.shape)} tells channels apart, but the segments of a tree are of "
            f"pixels: pass a mask of shape (1 or N, 1, {', '.join(map(str, inputs.shape[2:]))})"
        )
    mask = repeat_for_batch(mask, len(inputs)).to(inputs.device).expand(len(inputs), *mask.shape[1:])
    mask = rank_rows(mask.flatten(1)).view(mask.shape)
    colors = _colors(scaling.scale_pixels(inputs)[0])
    return [
        SegmentTree(one[0], _merge_all(one[0].cpu().numpy(), color)) for one, color in zip(mask, colors, strict=True)
    ]


def _colors_of(generator: MaskGenerator) -> ImageMaskGenerator:
    """The generator that says what colors are: this one, or the one inside it, as of ``Cached``; else the default."""
    inner: object = generator
    while not isinstance(inner, ImageMaskGenerator) and callable(getattr(inner, "generator", None)):
        inner = inner.generator  # type: ignore[attr-defined]  # looked up in the line before
    return inner if isinstance(inner, ImageMaskGenerator) else Slic()


def _colors(images: Tensor) -> list[NDArray[np.float32]]:
    """Bring each image of ``(N, C, *spatial)`` in [0, 1] to CIELAB, other channels to the range of its lightness."""
    # One by one, as the conversion takes several times the memory of what it converts.
    values = (rgb_to_lab(image[None])[0] if len(image) == 3 else image * 100 for image in images)
    return [value.cpu().numpy() for value in values]


def _merge_all(segments: NDArray[np.int64], colors: NDArray[np.float32]) -> tuple[tuple[int, int], ...]:
    """List the merges of the segments ``(*spatial)`` of one image, by its colors ``(C, *spatial)``."""
    flat = segments.ravel()
    sizes: list[float] = np.bincount(flat).astype(float).tolist()
    sums = [np.bincount(flat, weights=channel.ravel().astype(float)) for channel in colors]
    means = (np.stack(sums, axis=1) / np.asarray(sizes)[:, None]).tolist()
    borders = _borders(segments)

    def cost(first: int, second: int) -> float:
        together = sizes[first] * sizes[second] / (sizes[first] + sizes[second])
        return together * math.hypot(math.dist(means[first], means[second]), _UNSEEN) / borders[first][second]

    waiting = [(cost(first, second), first, second) for first in borders for second in borders[first] if first < second]
    heapq.heapify(waiting)
    merges: list[tuple[int, int]] = []
    roots = set(range(len(sizes)))
    while len(roots) > 1:
        # The pixels of an image are connected, so a pair that touches is always left.
        _, first, second = heapq.heappop(waiting)
        if not {first, second} <= roots:
            continue
        made, total = len(sizes), sizes[first] + sizes[second]
        merges.append((first, second))
        roots -= {first, second}
        means.append(
            [(sizes[first] * a + sizes[second] * b) / total for a, b in zip(means[first], means[second], strict=True)]
        )
        sizes.append(total)
        borders[made] = {}
        # In ascending order, so that the sums do not depend on how dictionaries happen to be ordered.
        for other in sorted((borders[first].keys() | borders[second].keys()) & roots):
            length = borders[first].get(other, 0) + borders[second].get(other, 0)
            borders[made][other] = borders[other][made] = length
            heapq.heappush(waiting, (cost(other, made), other, made))
        roots.add(made)
    return tuple(merges)


def _borders(segments: NDArray[np.int64]) -> dict[int, dict[int, int]]:
    """Count the pairs of neighboring pixels in which each two segments ``(*spatial)`` touch."""
    count = int(segments.max()) + 1
    codes = []
    for axis in range(segments.ndim):
        along = np.moveaxis(segments, axis, 0)
        here, there = along[:-1].ravel(), along[1:].ravel()
        apart = here != there
        here, there = here[apart], there[apart]
        codes.append(np.minimum(here, there) * count + np.maximum(here, there))
    pairs, lengths = np.unique(np.concatenate(codes), return_counts=True)
    borders: dict[int, dict[int, int]] = {segment: {} for segment in range(count)}
    for pair, length in zip(pairs.tolist(), lengths.tolist(), strict=True):
        first, second = divmod(pair, count)
        borders[first][second] = borders[second][first] = length
    return borders
