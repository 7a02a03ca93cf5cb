"""How strongly a network's parameters can be perturbed until its predictions change as often as is wanted."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["find_strength", "n_search_draws"]

_LARGEST, _SMALLEST = 100.0, 1e-6
_FIRST = 0.05
_RATIO = 1.05
"""How far apart the strengths are, at most, between which the one that is looked for lies."""
_MOST_DRAWS, _FEWEST_DRAWS = 20, 6
_PREDICTIONS = 128
"""As many predictions are enough: the share of .85 is then known to .03."""


def n_search_draws(n_images: int, keep: float) -> int:
    """How many draws of the parameters are looked at, each with all images.

    Args:
        n_images: How many images there are.
        keep: The share of predictions that are to be kept, between 0 and 1.

    Examples:
        >>> n_search_draws(1, 0.85), n_search_draws(16, 0.85), n_search_draws(1, 0.99)
        (20, 8, 99)
    """
    rarer = min(keep, 1 - keep)
    draws = max(_FEWEST_DRAWS, min(_MOST_DRAWS, math.ceil(_PREDICTIONS / n_images)))
    return max(draws, math.ceil((round(1 / rarer, 6) - 1) / n_images))


def find_strength(lost: Callable[[float, int], int], n_draws: int, n_images: int, keep: float) -> float:
    """Find by bisection the strength at which a share of predictions is kept.

    The same draws are looked at with each strength, so that the number of predictions that change goes up with it but
    for rare returns.

    Args:
        lost: From a strength, and the number of a draw, to how many images are predicted otherwise than without any.
            Of strength 0 it says how many the views change.
        n_draws: How many draws there are.
        n_images: How many images.
        keep: The share of predictions that are to be kept, between 0 and 1.

    Returns:
        A strength from ``1e-6`` to 100 at which about that share is kept; 5 % above it, fewer are.

    Raises:
        ValueError: If there is none.

    Examples:
        >>> thresholds = [0.1, 0.2, 0.3, 0.4]  # the strength at which each of four draws changes the prediction
        >>> found = find_strength(lambda strength, draw: int(strength > thresholds[draw]), 4, 1, keep=0.6)
        >>> 0.2 / 1.05 <= found <= 0.2
        True
    """
    total = n_draws * n_images
    # Of T thresholds in order, the k-th is expected to be at the share k / (T + 1) of their distribution.
    allowed = min(total - 1, max(0, round((1 - keep) * (total + 1)) - 1))

    def holds(strength: float) -> bool:
        changed = 0
        for draw in range(n_draws):
            changed += lost(strength, draw)
            if changed > allowed:
                return False
        return True

    if not holds(0.0):
        share = 1 - sum(lost(0.0, draw) for draw in range(n_draws)) / total
        raise ValueError(
            f"no strength keeps the predicted class in keep={keep:g} of the draws: the views alone keep it in "
            f"{share:.2f}, so the network is not sure of these images; pass the strength that was found with other, or "
            "more, images as strength=, a lower keep=, flip=False where mirrored images are of another class, a "
            "smaller max_shift=, or views=False"
        )
    low, high = _bracket(holds, keep)
    while high / low > _RATIO:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _bracket(holds: Callable[[float], bool], keep: float) -> tuple[float, float]:
    """Find a strength that keeps enough predictions, and twice that, which does not."""
    strength = _FIRST
    if holds(strength):
        while holds(2 * strength):
            strength *= 2
            if strength > _LARGEST:
                raise ValueError(
                    f"every strength up to {_LARGEST:g} keeps the predicted class in keep={keep:g} of the draws, as of "
                    "a network that always predicts the same class, or of one output that is always above 0: pass a "
                    "higher keep=, or strength= itself"
                )
        return strength, 2 * strength
    while not holds(strength / 2):
        strength /= 2
        if strength < _SMALLEST:
            raise ValueError(
                f"no strength down to {_SMALLEST:g} keeps the predicted class in keep={keep:g} of the draws: the "
                "network decides these images by next to nothing; pass the strength that was found with other images "
                "as strength=, or a lower keep="
            )
    return strength / 2, strength
