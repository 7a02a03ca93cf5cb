"""The outline of the part of a picture that a target is about, in the pixels of the picture."""

from __future__ import annotations

import torch
from torch import Tensor

from captum_superpixel._untyped import binary_dilation, find_boundaries

__all__ = ["YELLOW", "outlined"]

YELLOW = (255, 230, 26)
"""Of outlines; red, green and blue up to 255."""
_LINES = 150
"""The outline in a picture is one pixel wide for each so many of its longer side, and so is its dark edge."""


def outlined(picture: Tensor, region: Tensor | None) -> Tensor:
    """Draw the outline of a region into a picture, yellow with a dark edge, at the inner side of its border.

    Args:
        picture: ``(3, H, W)`` uint8.
        region: ``(H, W)`` bool; None, or all of the picture, for no outline.

    Returns:
        ``(3, H, W)`` uint8, another one where something is drawn.

    Examples:
        >>> region = torch.zeros(5, 5, dtype=torch.bool)
        >>> region[1:4, 1:4] = True
        >>> (outlined(torch.full((3, 5, 5), 9, dtype=torch.uint8), region)[0] == 255).int().tolist()[1:4]
        [[0, 1, 1, 1, 0], [0, 1, 0, 1, 0], [0, 1, 1, 1, 0]]
    """
    if region is None or region.all():
        return picture
    inside = region.cpu().numpy()
    line = find_boundaries(inside, mode="thick") & inside
    width = max(1, max(inside.shape) // _LINES)
    line = binary_dilation(line, iterations=width - 1) & inside if width > 1 else line
    edge = binary_dilation(line, iterations=width)
    drawn = picture.clone()
    drawn[:, torch.from_numpy(edge)] = 0
    drawn[:, torch.from_numpy(line)] = torch.tensor(YELLOW, dtype=torch.uint8)[:, None]
    return drawn
