"""The study's metrics: those of :mod:`captum_superpixel.metrics` by name, and how the report presents each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from torch import Tensor

from captum_superpixel.metrics import LOCALIZATION, SIMILARITIES
from captum_superpixel.study.complexity import COMPLEXITY
from captum_superpixel.study.fidelity import FIDELITY

__all__ = [
    "GRID_POINTING_GAME",
    "MAX_NULL",
    "METRICS",
    "NULLS",
    "PERMUTATION",
    "RANDOM_NETWORK",
    "Metric",
    "functions",
    "make_metrics",
]

Family: TypeAlias = Literal["stability", "fidelity", "localization", "complexity"]
PERMUTATION, RANDOM_NETWORK = NULLS = ("permutation", "random_network")
GRID_POINTING_GAME = "grid_pointing_game"
"""The metric that is measured on mosaics of the images, not on the images that are explained."""
MAX_NULL = 0.9
"""Above this mean null no excess is reported: what is left of 1 is divided by, and would enlarge noise tenfold."""
PerImage: TypeAlias = Callable[..., Tensor]


@dataclass(frozen=True)
class Metric:
    """One of the study's metrics: a value per image for every method, grouping and sign.

    Args:
        title: What the tables call it.
        family: What it is about.
        function: From two batches of maps (stability), from maps and masks of objects (localization), or from maps
            (complexity), to ``(N,)``; None where it is computed otherwise.
        higher_is_better: Whether a higher value is the better one; None where neither is.
        compared: Whether differences between rows are reported with an interval of their own.
        claimed: Whether the study's claims are about it.
        printed: Whether it has a table; ``report.json`` holds it in any case.
        meaning: What it is, in a line of the report.
    """

    title: str
    family: Family
    function: PerImage | None = None
    higher_is_better: bool | None = True
    compared: bool = False
    claimed: bool = False
    printed: bool = True
    meaning: str = ""

    @property
    def direction(self) -> str:
        """Which way is better, as the report writes it."""
        if self.higher_is_better is None:
            return "neither higher nor lower is better"
        return f"{'higher' if self.higher_is_better else 'lower'} is better"

    @property
    def has_nulls(self) -> bool:
        """Whether it is a similarity of two maps, which stands beside its nulls."""
        return self.family == "stability" and self.function is not None


# In the order of the report's tables. A metric that is not here stands behind these, and its title is its name.
_PRESENTATION: dict[str, dict[str, Any]] = {
    "ssim": {
        "title": "SSIM",
        "compared": True,
        "claimed": True,
        "meaning": "structural similarity of the magnitudes of two networks' maps",
    },
    "top_k_iou": {
        "title": "top-10 % IoU",
        "compared": True,
        "claimed": True,
        "meaning": "the 10 % strongest pixels of two networks' maps: those in both over those in either",
    },
    "top_k_intersection": {
        "title": "top-10 % intersection",
        "meaning": "the share of the 10 % strongest pixels that both maps have",
    },
    "cosine_similarity": {
        "title": "cosine (signed)",
        "meaning": "cosine of the angle between two networks' maps, signs included",
    },
    "rank_correlation": {"meaning": "Spearman's correlation of the magnitudes of two networks' maps"},
    "across_model_variance": {
        "title": "variance over models",
        "higher_is_better": False,
        "meaning": "variance of the map over all networks, relative to the energy of the mean map; it has no null",
    },
    "insertion_auc": {
        "title": "insertion",
        "compared": True,
        "claimed": True,
        "meaning": "mean probability of the class while pixels are inserted into a blurred image, strongest first",
    },
    "deletion_auc": {
        "title": "deletion",
        "higher_is_better": False,
        "compared": True,
        "meaning": "mean probability of the class while pixels are blurred, strongest first",
    },
    "insertion_minus_deletion": {
        "title": "insertion − deletion",
        "compared": True,
        "claimed": True,
        "meaning": "the difference of the two",
    },
    "insertion_minus_deletion_mean_color": {
        "title": "insertion − deletion, mean color",
        "compared": True,
        "claimed": True,
        "meaning": "that difference where pixels take the mean color of the image in place of its blur",
    },
    "insertion_auc_mean_color": {"title": "insertion, mean color", "printed": False},
    "deletion_auc_mean_color": {"title": "deletion, mean color", "higher_is_better": False, "printed": False},
    "road": {
        "title": "ROAD",
        "compared": True,
        "meaning": "probability of the class with the weakest pixels imputed, minus that with the strongest imputed",
    },
    "road_most_relevant_first": {"title": "ROAD, most relevant first", "higher_is_better": False, "printed": False},
    "road_least_relevant_first": {"title": "ROAD, least relevant first", "printed": False},
    "mu_fidelity": {
        "title": "muFidelity",
        "compared": True,
        "meaning": "correlation, over random sets of superpixels, of what the map gives them and of what the class's "
        "logit loses when they are blurred",
    },
    "irof": {
        "title": "IROF",
        "compared": True,
        "meaning": "the share of the class's probability that is lost, on average, while superpixels take the mean "
        "color, strongest first",
    },
    "pointing_game": {"meaning": "the share of images whose strongest pixel lies on the object"},
    "relevance_mass_accuracy": {
        "title": "mass accuracy",
        "meaning": "the share of the scores' sum that lies on the object",
    },
    "relevance_rank_accuracy": {
        "title": "rank accuracy",
        "compared": True,
        "meaning": "the share of the strongest pixels, as many as the object has, that lie on it",
    },
    GRID_POINTING_GAME: {
        "compared": True,
        "meaning": "of mosaics of images, the share of the scores' positive sum that lies in the image whose class is "
        "explained",
    },
    "entropy": {
        "meaning": "over how much of the image the map is spread: the entropy of its pixels' shares of the magnitude, "
        "in nats, at most the logarithm of their number",
    },
    "effective_regions": {
        "meaning": "of how many numbers the map consists: the fewest groups of pixels of equal magnitude that hold 90 "
        "% of it",
    },
}


def make_metrics(
    similarities: Mapping[str, PerImage] = SIMILARITIES,
    localization: Mapping[str, PerImage] = LOCALIZATION,
    complexity: Mapping[str, PerImage] = COMPLEXITY,
) -> dict[str, Metric]:
    """All metrics of the study: the similarities, the variance over models, fidelity, localization and complexity.

    Args:
        similarities: Functions of two batches of maps, by name.
        localization: Functions of maps and of masks of objects, by name.
        complexity: Functions of maps, by name.

    Examples:
        >>> def inner_product(maps_a, maps_b):
        ...     return (maps_a * maps_b).flatten(1).sum(dim=1)
        >>> make_metrics({**SIMILARITIES, "inner_product": inner_product})["inner_product"].title
        'inner product'
    """
    families: dict[Family, dict[str, PerImage | None]] = {
        "stability": {**similarities, "across_model_variance": None},
        "fidelity": {name: None for measure in FIDELITY.values() for name in measure.metrics},
        "localization": {**localization, GRID_POINTING_GAME: None},
        "complexity": dict(complexity),
    }
    found = {
        name: Metric(
            family=family,
            function=function,
            **{"title": name.replace("_", " "), "higher_is_better": None if family == "complexity" else True}
            | _PRESENTATION.get(name, {}),
        )
        for family, members in families.items()
        for name, function in members.items()
    }
    return {name: found[name] for name in (*_PRESENTATION, *(name for name in found if name not in _PRESENTATION))}


METRICS: dict[str, Metric] = make_metrics()
"""The study's metrics by their names in ``report.json``, in the order of the tables' columns."""


def functions(family: Family) -> dict[str, PerImage]:
    """The functions of a family's metrics by name, without those that are computed otherwise."""
    return {
        name: metric.function
        for name, metric in METRICS.items()
        if metric.family == family and metric.function is not None
    }
