"""Everything that decides the figures of a study, checked before any work is done, and without PyTorch.

The networks themselves are in ``study.training``; a test holds their names here to them.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from captum_superpixel._checks import checked_choice, checked_integer, checked_number

__all__ = [
    "DATASETS",
    "METHOD_NAMES",
    "MOSAIC_LAYOUTS",
    "NETWORKS",
    "N_VIEWS",
    "POSSIBLE_METHODS",
    "TOPS",
    "StudySettings",
    "describe_default",
]

METHOD_NAMES = ("Saliency", "IntegratedGradients", "SmoothGrad")
"""The methods that are measured unless the study says otherwise."""

POSSIBLE_METHODS = (*METHOD_NAMES, "SparsifiedSmoothGrad")

Dataset = Literal["digits", "cifar10", "imagefolder"]
DATASETS: tuple[Dataset, ...] = ("digits", "cifar10", "imagefolder")

MOSAIC_LAYOUTS = ("full", "scaled")

NETWORKS = ("small_cnn", "resnet20", "resnet32", "resnet44", "resnet56", "resnet18", "squeezenet1_0")
"""What is trained, of ``study.training.RECIPES``."""
N_VIEWS = 8
"""Views of each image that maps are averaged over, unless the study says otherwise."""

TOPS = (3, 5)
"""How many regions are on top where it is asked how sure a region is: of a single one the probability is overconfident,
and is not given."""

_DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {
        "network": "small_cnn",
        "epochs": 16,
        "images": 200,
        "fidelity_images": 100,
        "road_images": 25,
        "n_segments": 30,
        "chunk_size": 50,
    },
    "cifar10": {
        "network": "resnet20",
        "epochs": 15,
        "images": 1000,
        "fidelity_images": 300,
        "road_images": 60,
        "n_segments": 30,
        "chunk_size": 50,
    },
    "imagefolder": {
        "network": "resnet18",
        "epochs": 30,
        "images": 500,
        "fidelity_images": 100,
        "road_images": 20,
        "n_segments": 100,
        "chunk_size": 10,
    },
}
_FOR_ALL: dict[str, Any] = {"draws": 2, "methods": METHOD_NAMES, "n_views": N_VIEWS}
_QUICK: dict[str, Any] = {"epochs": 8, "images": 40, "fidelity_images": 12, "road_images": 4, "draws": 1}
_AT_LEAST = {
    "models": 1,
    "epochs": 1,
    "train_images": 1,
    "images": 2,
    "fidelity_images": 0,
    "mean_color_images": 0,
    "road_images": 0,
    "n_segments": 1,
    "n_views": 1,
    "n_steps": 1,
    "n_samples": 1,
    "draws": 0,
    "auc_steps": 1,
    "chunk_size": 2,
    "mosaics": 0,
    "seed": 0,
    "folds": 0,
    "confidence_images": 0,
    "mean_map_images": 0,
}


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """What is studied and how; None means the data set's default, which :meth:`resolved` fills in.

    Args:
        dataset: ``"digits"`` (the embedded ``DigitsOnPhotographs``), ``"cifar10"`` or ``"imagefolder"``.
        root: Folder of the data; for ``"digits"`` there is none.
        classes: File with a class's folder name in each line, for ``"imagefolder"``.
        network: What is trained: a name in :data:`~captum_superpixel.study.training.RECIPES`.
        checkpoints: Trained networks, in place of training: transformers folders, or ``module:factory``.
        weights: For each checkpoint a file with its state dict, or None.
        models: How many networks are trained, each on its own part of the training images.
        seed: Of the parts, the weights, the training, the noise and the bootstrap.
        epochs: Passes over the training images.
        train_images: How many training images all networks share; None for all.
        images: How many held-out images are explained, of those that all networks classify correctly.
        fidelity_images: How many of them the insertion and the deletion curve are measured on.
        mean_color_images: How many of them these curves are measured on with the mean color in place of the blur too;
            None for as many.
        road_images: How many of them ROAD is measured on.
        rows: ``"all"``, or ``"claimed"`` for those alone that a claim is about: a study of large images is then several
            times as fast.
        methods: Those of :data:`POSSIBLE_METHODS` that are measured; None for :data:`METHOD_NAMES`.
        n_segments: Segments of ``Slic``, and cells.
        n_views: Views of each image that maps are averaged over, beside the maps of the image as it is; 1 leaves them
            out.
        n_steps: Steps of IntegratedGradients.
        n_samples: Noisy copies for SmoothGrad and SparsifiedSmoothGrad.
        noise: Standard deviation of their noise, for pixels in [0, 1].
        draws: Permutations for the permutation null.
        auc_steps: Steps of the insertion and the deletion curve.
        chunk_size: Images that are explained and measured together, and held in memory with all of their maps; at
            least two, each of which is held against another's map.
        mosaics: How many mosaics of held-out images the first network explains for the grid pointing game, each for
            one of its classes; 0 leaves them out.
        mosaic_layout: Whether the images of a mosaic keep their size (``"full"``), or are scaled to its cells
            (``"scaled"``), so that it is no larger than an image.
        folds: Folds for MeGe and ReCo, at least 3; 0 leaves them out.
        confidence_images: On how many of the images the probability that a region stays among the top k of another
            network is held against what the other networks show; 0 leaves it out.
        mean_map_images: On how many of these, in whole chunks, the mean map of the draws is compared with maps of as
            many passes; 0 leaves it out.
        roar: Whether networks are retrained on images without their most relevant pixels.
        quick: Whether defaults are chosen for a first look, not for figures to rely on.
        size: Height and width that images are brought to; None for the data set's or the checkpoint's.
        mean: Of the preprocessing, for each channel; None likewise.
        std: Of the preprocessing, for each channel; None likewise.
        scale: What pixels from 0 to 255 are multiplied with before ``mean`` and ``std``; None likewise.
        channel_order: ``"rgb"`` or ``"bgr"``; None likewise.
        on_unreadable: Whether an image that cannot be read ends the study (``"raise"``) or is left out (``"skip"``).

    Raises:
        TypeError: If a count is not an integer, or the noise not a number.
        ValueError: If a value is out of its range, or two contradict each other.
    """

    dataset: Dataset = "digits"
    root: str | None = None
    classes: str | None = None
    network: str | None = None
    checkpoints: tuple[str, ...] = ()
    weights: tuple[str | None, ...] = ()
    models: int = 2
    seed: int = 0
    epochs: int | None = None
    train_images: int | None = None
    images: int | None = None
    fidelity_images: int | None = None
    mean_color_images: int | None = None
    road_images: int | None = None
    rows: Literal["all", "claimed"] = "all"
    methods: tuple[str, ...] | None = None
    n_segments: int | None = None
    n_views: int | None = None
    n_steps: int = 20
    n_samples: int = 20
    noise: float = 0.12
    draws: int | None = None
    auc_steps: int = 20
    chunk_size: int | None = None
    mosaics: int = 0
    mosaic_layout: Literal["full", "scaled"] = "full"
    folds: int = 0
    confidence_images: int = 0
    mean_map_images: int = 0
    roar: bool = False
    quick: bool = False
    size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    scale: float | None = None
    channel_order: Literal["rgb", "bgr"] | None = None
    on_unreadable: Literal["raise", "skip"] = "raise"

    def __post_init__(self) -> None:
        checked_choice("dataset", self.dataset, DATASETS)
        checked_choice("rows", self.rows, ("all", "claimed"))
        for name, least in _AT_LEAST.items():
            if getattr(self, name) is not None:
                checked_integer(name, getattr(self, name), minimum=least)
        if self.mosaics == 1:
            raise ValueError("mosaics=1: each is held against another one's map; ask for at least 2, or for 0")
        checked_choice("mosaic_layout", self.mosaic_layout, MOSAIC_LAYOUTS)
        checked_number("noise", self.noise, exclusive=True)
        if self.network is not None:
            checked_choice("network", self.network, NETWORKS)
        if self.methods is not None:
            _check_methods(self.methods)
        if self.dataset == "digits":
            of_files = {"root": self.root, "classes": self.classes, **self.preprocessing}
            for name in (name for name, value in of_files.items() if value is not None):
                raise ValueError(f"{name} is about files, but the digits are embedded: leave it out")
        elif self.root is None:
            raise ValueError(f"dataset={self.dataset!r} needs a root: the folder that holds it")
        if self.classes is not None and self.dataset != "imagefolder":
            raise ValueError(f"classes names the folders of an imagefolder; {self.dataset!r} has none: leave it out")
        if self.weights and len(self.weights) != len(self.checkpoints):
            raise ValueError(
                f"{len(self.weights)} weights for {len(self.checkpoints)} checkpoints: give each checkpoint its own"
            )
        if self.checkpoints:
            for name in ("network", "epochs", "train_images"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} is about training, but checkpoints are trained already: leave it out")
            if self.folds or self.roar:
                raise ValueError("MeGe and ROAR train networks of their own: leave out the checkpoints")
        if self.folds in (1, 2):
            raise ValueError(f"folds={self.folds}: MeGe compares networks trained on at least 3 folds; 0 leaves it out")
        self._check_confidence()
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean without std, or std without mean: give both, one value per channel")

    def _check_confidence(self) -> None:
        if self.mean_map_images and not self.confidence_images:
            raise ValueError(
                f"mean_map_images={self.mean_map_images}, but the draws whose mean is meant are those of "
                "confidence_images, which is 0: ask for both"
            )
        if not self.confidence_images:
            return
        if (len(self.checkpoints) or self.models) < 2:
            raise ValueError(
                f"confidence_images={self.confidence_images} with one network: what is said of its regions is held "
                "against other networks; train at least 2, better 4, or give as many checkpoints, or leave the "
                "confidence out"
            )
        if self.n_segments is not None and self.n_segments <= max(TOPS):
            raise ValueError(
                f"n_segments={self.n_segments}, but which {max(TOPS)} regions are on top is asked for "
                f"confidence_images: take at least {max(TOPS) + 1} segments"
            )

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What the user says of the preprocessing, as :meth:`Preprocessing.replaced` takes it: None where nothing."""
        return {name: getattr(self, name) for name in ("size", "mean", "std", "scale", "channel_order")}

    def resolved(self) -> "StudySettings":
        """Fill in the defaults of the data set.

        Examples:
            >>> StudySettings().resolved().images
            200
            >>> StudySettings(quick=True, images=80).resolved().images
            80
        """
        defaults = _FOR_ALL | _DEFAULTS[self.dataset] | (_QUICK if self.quick else {})
        if self.checkpoints:
            defaults = {name: value for name, value in defaults.items() if name not in ("network", "epochs")}
        missing = {name: value for name, value in defaults.items() if getattr(self, name) is None}
        filled = dataclasses.replace(self, **missing)
        images = filled.images or 0
        confidence_images = min(filled.confidence_images, images)
        fidelity_images = min(filled.fidelity_images or 0, images)
        wanted = fidelity_images if filled.mean_color_images is None else filled.mean_color_images
        return dataclasses.replace(
            filled,
            methods=tuple(name for name in POSSIBLE_METHODS if name in (filled.methods or ())),
            models=len(self.checkpoints) or self.models,
            fidelity_images=fidelity_images,
            mean_color_images=min(wanted, fidelity_images),
            road_images=min(filled.road_images or 0, images),
            confidence_images=confidence_images,
            mean_map_images=min(filled.mean_map_images, confidence_images),
        )


def _check_methods(methods: tuple[str, ...]) -> None:
    """Raise ValueError unless these are some of the methods, each once."""
    for name in methods:
        checked_choice("method", name, POSSIBLE_METHODS)
    if not methods or len(set(methods)) < len(methods):
        raise ValueError(f"methods={methods} must name at least one method, and each once; leave it out for the usual")


def describe_default(name: str) -> str:
    """Say in a few words what a setting is where nobody gives it.

    Args:
        name: Of a field of :class:`StudySettings`.

    Examples:
        >>> describe_default("n_segments"), describe_default("draws"), describe_default("noise")
        ('default: 30; imagefolder 100', 'default: 2; 1 with --quick', 'default: 0.12')
    """
    of = {dataset: (_FOR_ALL | _DEFAULTS[dataset]).get(name, getattr(StudySettings, name)) for dataset in DATASETS}
    first = of[DATASETS[0]]
    parts = [f"{first}", *(f"{dataset} {value}" for dataset, value in of.items() if value != first)]
    return "default: " + "; ".join(parts + ([f"{_QUICK[name]} with --quick"] if name in _QUICK else []))
