"""The entry into the compiled code for images as the caller has them, one after the other."""

from __future__ import annotations

from captum_superpixel.masks.slic.compiled.kernels.looking import ONE_COLOR, PREPARED, prepare
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, Ints, Longs, kernel
from captum_superpixel.masks.slic.compiled.kernels.scaling import NORMALIZED, scale
from captum_superpixel.masks.slic.compiled.kernels.segments import COLORS, FIND, SETTLE, WRITE, segment

__all__ = ["OUTCOMES", "TOO_FEW", "segment_all"]

TOO_FEW = 4
"""What has been found of an image, beside what ``prepare`` finds: fewer segments than would be enough."""

OUTCOMES = 8
"""More than there are of these."""


@kernel
def segment_all(
    first: int,
    count: int,
    images: list[Floats],
    how: int,
    statistics: Floats,
    colors: Floats,
    sizes: Longs,
    float_tables: list[Floats],
    int_tables: list[Ints],
    floats: list[Floats],
    ints: list[Ints],
    longs: list[Longs],
    scratch: list[Floats],
    magnitudes: Ints,
    masks: list[Longs],
) -> int:
    """Segment images until there is one that needs more than that.

    Args:
        first: The first of the images.
        count: How many there are.
        images: Shape ``(C, H, W)`` each, any values.
        how: As for ``take_row``.
        statistics: As for ``prepare``.
        colors: As for ``segment``; likewise the others that stand there.
        sizes: See there.
        float_tables: See there.
        int_tables: See there.
        floats: See there.
        ints: See there.
        longs: See there.
        scratch: Memory as ``tables.scaling_lengths`` says.
        magnitudes: Memory for ``LANES`` numbers.
        masks: Shape ``(H, W)`` each, overwritten.

    Returns:
        ``OUTCOMES`` times the number of that image, or of images, and what has been found of it, or ``PREPARED``.
    """
    channels, enough, factor, height, width = sizes[0], sizes[11], sizes[12], sizes[13], sizes[14]
    normalized, bounds = how & NORMALIZED, scratch[0]
    used = statistics if normalized else bounds
    for index in range(first, count):
        image, mask = images[index], masks[index]
        found = prepare(
            image, channels, height * width, normalized, statistics, bounds, scratch[1], scratch[2], magnitudes
        )
        if found == ONE_COLOR:
            for place in range(height * width):
                mask[place] = 0
        elif found == PREPARED:
            steps = COLORS | FIND | SETTLE | WRITE
            if factor > 2:
                scale(how, image, channels, height, width, factor, used, scratch[3], scratch[4], scratch[5])
                image = scratch[sizes[17]]
            else:
                # What is halved once at most is scaled row by row, as it is converted.
                steps |= how
            segments = segment(steps, image, used, colors, sizes, float_tables, int_tables, floats, ints, longs, mask)
            if segments < enough:
                return OUTCOMES * index + TOO_FEW
        else:
            return OUTCOMES * index + found
    return OUTCOMES * count + PREPARED
