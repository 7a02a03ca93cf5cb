"""The mask of one image, written run by run."""

from __future__ import annotations

from captum_superpixel.masks.slic.compiled.kernels.marking import Ints, Longs, kernel

__all__ = ["write_runs"]

_WRITTEN = 8
"""So many pixels are written at the same time, as numbers of 64 bits."""


@kernel
def write_runs(
    height: int,
    rows: int,
    width: int,
    run_starts: Ints,
    row_firsts: Ints,
    components: Ints,
    segments: Ints,
    thickness: int,
    factor: int,
    breadth: int,
    out_depth: int,
    out_height: int,
    out_width: int,
    out: Longs,
) -> None:
    """Write the segments of runs as blocks of pixels, of which the last may be cut off.

    Args:
        height: H.
        rows: Y.
        width: W.
        run_starts: As from ``find_runs``.
        row_firsts: Likewise.
        components: In which component each run is.
        segments: In which segment each component is.
        thickness: How many slices of pixels a block has.
        factor: How many rows of pixels a slice of it has.
        breadth: How many pixels a row of it has.
        out_depth: How many slices the mask has.
        out_height: How many rows a slice of it has.
        out_width: How many pixels each of these.
        out: The mask, overwritten.
    """
    area = out_height * out_width
    end = out_depth * area
    for line in range(height):
        y, start = line % rows, line * width
        slab = thickness * (line // rows) * area
        first = slab + factor * y * out_width
        for run in range(row_firsts[line], row_firsts[line + 1]):
            number = segments[components[run]]
            left = first + breadth * (run_starts[run] - start)
            right = first + min(breadth * (run_starts[run + 1] - start), out_width)
            if right + _WRITTEN <= end:
                # As in ``fill_runs``, but not beyond the mask.
                for at in range(left, right, _WRITTEN):
                    for lane in range(_WRITTEN):
                        out[at + lane] = number
            else:
                for place in range(left, right):
                    out[place] = number
        for row in range(factor * y + 1, min(factor * (y + 1), out_height)):
            for x in range(out_width):
                out[slab + row * out_width + x] = out[first + x]
        if y == rows - 1:
            for other in range(slab + area, min(slab + thickness * area, end), area):
                for place in range(area):
                    out[other + place] = out[slab + place]
