"""What was chosen on images that no reported table is made of: the recommendation, and the tuning of its controls."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from captum_superpixel.attr.recipes import RECIPES, SMALL, Kind, Size
from captum_superpixel.study.rows import MapSign

__all__ = ["FORMER", "Choice", "Recommended", "choice_for"]

FORMER = ((8, 16, 32, 64), (5.0, 15.0))
"""Segments and compactness of the ensemble that was recommended until now, by magnitudes and with one view."""

_SIGNS: dict[str, MapSign] = {"evidence": "evidence", "abs_mean": "magnitude"}
_KINDS: dict[str, Kind] = {
    "Saliency": "gradient",
    "IntegratedGradients": "path",
    "SmoothGrad": "noisy",
    # Nothing was chosen on its maps: it has what SmoothGrad has, which is magnitudes.
    "SparsifiedSmoothGrad": "noisy",
}


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

    By ``tests/benchmarks/choose_recommended.py``, whose rule was fixed before its run.

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


def choice_for(height: int, width: int) -> Choice:
    """What was chosen for images of a size in pixels.

    Examples:
        >>> choice_for(32, 32).blur > choice_for(224, 224).blur
        True
    """
    return _SMALL if min(height, width) <= SMALL else _LARGE


def _of(size: Size, **controls: float) -> Choice:
    """What :func:`~captum_superpixel.attr.recommended` makes of images of a size, and its controls."""
    recipes = {method: RECIPES[kind, size] for method, kind in _KINDS.items()}
    ensemble = recipes["Saliency"]
    return Choice(
        ensemble.n_segments,
        ensemble.compactness,
        recommended={
            method: Recommended("ensemble", _SIGNS[recipe.reduction], recipe.n_views > 1, recipe.negative_weight)
            for method, recipe in recipes.items()
        },
        **controls,
    )


_SMALL = _of("small", blur=6 / 32, guided_radius=8 / 32, guided_eps=0.01)
_LARGE = _of("large", blur=5 / 32, guided_radius=8 / 32, guided_eps=0.001)
