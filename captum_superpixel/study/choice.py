"""What was chosen on images that no table of a study is made of: one place for all of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from captum_superpixel.study.rows import MapSign

__all__ = ["FORMER", "N_VIEWS", "Choice", "Recommended", "choice_for"]

N_VIEWS = 8
"""Views of each image that maps are averaged over, unless the study says otherwise."""

FORMER = ((8, 16, 32, 64), (5.0, 15.0))
"""Segments and compactness of the ensemble that was recommended until now, by magnitudes and with one view."""


class Recommended(NamedTuple):
    """The row that is recommended for a method.

    Args:
        grouping: Its name.
        sign: How signs are treated.
        over_views: Whether the map is averaged over views.
        negative_weight: What negative values count for where they are averaged apart, -1 to 1; for all groupings.
    """

    grouping: str = "ensemble"
    sign: MapSign = "evidence"
    over_views: bool = True
    negative_weight: float = 0.5


@dataclass(frozen=True)
class Choice:
    """What is recommended for images of a size, and how its rivals are tuned.

    Not settled yet: these are the values of the experiments that this study is made to check.

    Args:
        n_segments: Of the ensemble's members, as :func:`~captum_superpixel.masks.multiscale` takes them.
        compactness: Likewise.
        blur: Standard deviation of the Gaussian that does best, in parts of the shorter side.
        guided_radius: Radius of the guided filter's windows, in parts of the shorter side.
        guided_eps: What its guide's variance is compared with, for pixels in [0, 1].
        recommended: By method; what is not named has the default.
    """

    n_segments: tuple[int, ...] = FORMER[0]
    compactness: tuple[float, ...] = FORMER[1]
    blur: float = 3 / 32
    guided_radius: float = 8 / 32
    guided_eps: float = 0.01
    recommended: Mapping[str, Recommended] = field(default_factory=dict)

    def recommended_for(self, method: str) -> Recommended:
        """The row that is recommended for a method."""
        return self.recommended.get(method, Recommended())


_CHOICES: tuple[tuple[float, Choice], ...] = ((inf, Choice()),)
"""Each with the longest shorter side, in pixels, of the images that it is for, in ascending order."""


def choice_for(height: int, width: int) -> Choice:
    """What was chosen for images of a size in pixels."""
    return next(choice for longest, choice in _CHOICES if min(height, width) <= longest)
