"""The outline of a part of the picture, as a path that the page draws over the map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel.visualization.images import ImageLike

__all__ = ["outline_path", "read_outline"]


def read_outline(outline: ImageLike | None, shape: tuple[int, int]) -> str:
    """Check a part of a picture of height and width ``shape``, and describe its border; None has none.

    Raises:
        TypeError: If it does not consist of truth values.
        ValueError: If it has another size than the picture.
    """
    if outline is None:
        return ""
    region = outline.detach().cpu().numpy() if isinstance(outline, Tensor) else np.asarray(outline)
    if region.dtype != np.bool_:
        raise TypeError(f"outline must hold truth values, but {region.dtype} was passed: pass a mask, such as map > 0")
    if region.shape != shape:
        raise ValueError(f"outline has shape {region.shape}, but the picture {shape}: pass (H, W), one value per pixel")
    return outline_path(region)


def outline_path(region: NDArray[np.bool_]) -> str:
    """Write the border of a region ``(H, W)`` as an SVG path in pixels of the picture, ``""`` for all or nothing of it.

    Examples:
        >>> region = np.zeros((4, 5), dtype=bool)
        >>> region[1:3, 1:4] = True
        >>> outline_path(region)
        'M1 1H4M1 3H4M1 1V3M4 1V3'
    """
    if region.all():
        return ""
    # What is around the picture is outside, so that outlines close at its borders.
    padded = np.pad(region, 1)
    rows = [f"M{start} {at}H{end}" for at, start, end in _runs(padded[1:, 1:-1] != padded[:-1, 1:-1])]
    columns = [f"M{at} {start}V{end}" for at, start, end in _runs((padded[1:-1, 1:] != padded[1:-1, :-1]).T)]
    return "".join(rows + columns)


def _runs(edges: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """List the runs of True in each row: the row, where it starts, and where it has ended."""
    steps = np.diff(np.pad(edges.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    (at, starts), (_, ends) = np.nonzero(steps == 1), np.nonzero(steps == -1)
    return list(zip(at.tolist(), starts.tolist(), ends.tolist(), strict=True))
