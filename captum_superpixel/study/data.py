"""What a study is made on: training images in disjoint parts, held-out images, and how both reach the network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset

from captum_superpixel._hashes import fingerprint
from captum_superpixel._seeds import derive_seed
from captum_superpixel.datasets import DigitsOnPhotographs, LabelledImages, cifar10, image_folder
from captum_superpixel.datasets.preprocessing import CIFAR10, IMAGENET, Preprocessing
from captum_superpixel.masks.base import Statistic
from captum_superpixel.study.settings import StudySettings

__all__ = ["StudyData", "StudyImages", "disjoint_parts", "load_data"]

StudyImages: TypeAlias = DigitsOnPhotographs | LabelledImages
"""Images with labels that can be had in batches."""

_HELD_OUT_FOLDERS = ("val", "validation", "test")
_HELD_OUT_SHARE = 0.2
_SAMPLE = 16
_DIGITS_FOR_EACH_NETWORK = 4000


@dataclass(frozen=True)
class StudyData:
    """The images of a study.

    Attributes:
        name: Of the data set.
        train: Images to train on; None where networks exist already.
        held_out: Images to explain, which no network was trained on.
        classes: Names of the classes, in the order of the labels.
        object_masks: (N, 1, H, W) bool for all held-out images, or None where the truth is not known.
        preprocessing: From pixels to the inputs of the networks.
        baseline: Of IntegratedGradients, in units of the input.
        in_order: Whether consecutive parts of the training images are as different as can be (else they are drawn).
        origins: (N,) int64, what each training image shows, which two parts must not share; None where no two images
            show the same.
        skipped: Files that could not be read.
    """

    name: str
    train: StudyImages | None
    held_out: StudyImages
    classes: tuple[str, ...]
    object_masks: Tensor | None
    preprocessing: Preprocessing
    baseline: float = 0.0
    in_order: bool = False
    origins: Tensor | None = None
    skipped: tuple[str, ...] = ()

    @property
    def denormalize(self) -> tuple[Statistic, Statistic]:
        """(mean, std), with which inputs become pixels in [0, 1], as mask generators take it.

        Where inputs are pixels already it is one number for all channels: the generators describe themselves by it.
        """
        mean, std = self.preprocessing.denormalize
        return (0.0, 1.0) if (set(mean), set(std)) == ({0.0}, {1.0}) else (mean, std)

    @property
    def channel_order(self) -> Literal["rgb", "bgr"]:
        """The order of the inputs' channels, as mask generators take it; one gray channel has none."""
        return "bgr" if self.preprocessing.channel_order == "bgr" else "rgb"

    def noise(self, pixel_noise: float) -> float:
        """A standard deviation for pixels in [0, 1] in units of the input, the same for all channels."""
        std = torch.as_tensor(self.preprocessing.denormalize[1], dtype=torch.float64)
        return pixel_noise / std.mean().item()

    def fingerprint(self) -> str:
        """A hash of the held-out labels and of a sample of the held-out images."""
        return _fingerprint(self.held_out)

    def train_fingerprint(self) -> str:
        """A hash of the training labels and of a sample of the training images; empty where there are none."""
        return "" if self.train is None else _fingerprint(self.train)


def _fingerprint(images: StudyImages) -> str:
    sample = torch.linspace(0, len(images) - 1, min(_SAMPLE, len(images))).long().tolist()
    return fingerprint([fingerprint(images.labels), fingerprint(images.batch(sample))])


def load_data(settings: StudySettings, preprocessing: Preprocessing | None = None) -> StudyData:
    """Find and check the data of a study.

    Args:
        settings: The study's.
        preprocessing: What user-supplied networks expect; the settings' own values come before it.

    Raises:
        ValueError: If there is too little data, of one class only, or none that can be read.
    """
    if settings.dataset == "digits":
        return _digits(settings)
    own = preprocessing or (CIFAR10 if settings.dataset == "cifar10" else IMAGENET)
    data = _from_files(settings, own.replaced(**settings.preprocessing))
    for what, images in (("training", data.train), ("held-out", data.held_out)):
        if images is not None and data.train is not None and len(torch.unique(images.labels)) < 2:
            raise ValueError(
                f"the {what} images of {settings.root} are of one class only: a classifier needs two or more"
            )
    return data


def disjoint_parts(data: StudyData, count: int, settings: StudySettings) -> list[Dataset[tuple[Tensor, int]]]:
    """Divide the training images into parts of equal size, none of which shares an image, or its origin, with another.

    Raises:
        ValueError: If there are fewer images than parts.
    """
    train = data.train
    if train is None:
        raise ValueError(f"{data.name} was loaded without training images: leave out the checkpoints to train")
    total = len(train) if settings.train_images is None else min(settings.train_images, len(train))
    if total < 2 * count:
        raise ValueError(f"{total} training images for {count} networks: each needs at least two of its own")
    if data.in_order:
        order = torch.arange(total)
    else:
        generator = torch.Generator().manual_seed(derive_seed(settings.seed, "parts"))
        order = torch.randperm(len(train), generator=generator)[:total]
    order = order[: total // count * count]
    number = torch.arange(count).repeat_interleave(total // count)
    if data.origins is not None:
        origins = data.origins[order]
        first = torch.full((int(origins.max()) + 1,), count).scatter_reduce_(0, origins, number, "amin")
        own = first[origins] == number
        order, number = order[own], number[own]
    size = int(torch.bincount(number, minlength=count).min())
    if size < 2:
        raise ValueError(f"{total} training images for {count} networks show too few things: each needs two of its own")
    return [Subset(train, order[number == part][:size].tolist()) for part in range(count)]


def _digits(settings: StudySettings) -> StudyData:
    train = None
    if not settings.checkpoints:
        length = settings.train_images or (_DIGITS_FOR_EACH_NETWORK * settings.models)
        train = DigitsOnPhotographs("train", length=length, seed=settings.seed)
    # Twice as many as are explained, since only what all networks classify correctly is.
    length = max(500, 2 * (settings.images or 0))
    test = DigitsOnPhotographs("test", length=length, seed=settings.seed)
    return StudyData(
        name="DigitsOnPhotographs",
        train=train,
        held_out=test,
        classes=tuple("0123456789"),
        object_masks=test.object_masks,
        preprocessing=Preprocessing(test.images.shape[-1], mean=0, std=1, scale=1 / 255),
        baseline=0.5,
        in_order=True,
        origins=None if train is None else train.digit_indices,
    )


def _from_files(settings: StudySettings, preprocessing: Preprocessing) -> StudyData:
    root = Path(settings.root or "")
    options: dict[str, Any] = {"preprocessing": preprocessing, "on_unreadable": settings.on_unreadable}
    train: LabelledImages | None = None
    if settings.dataset == "cifar10":
        held_out = cifar10(root, "test", **options)
        if not settings.checkpoints:
            train = cifar10(root, "train", **options)
    else:
        train, held_out = _folders(root, settings, options | {"classes": settings.classes})
    if train is not None and list(train.classes) != list(held_out.classes):
        raise ValueError(
            f"the training folders of {root} are other classes than the held-out ones: pass a file of all classes"
        )
    if settings.dataset == "imagefolder":
        # In the order of the folders the first images would be of one class, and the next classes its relatives.
        generator = torch.Generator().manual_seed(derive_seed(settings.seed, "order"))
        held_out = held_out.subset(torch.randperm(len(held_out), generator=generator).tolist())
    parts = [held_out] if train is None else [train, held_out]
    return StudyData(
        name=str(settings.dataset),
        train=train,
        held_out=held_out,
        classes=tuple(held_out.classes),
        object_masks=None,
        preprocessing=preprocessing,
        skipped=tuple(dict.fromkeys(name for part in parts for name in part.skipped)),
    )


def _folders(
    root: Path, settings: StudySettings, options: dict[str, Any]
) -> tuple[LabelledImages | None, LabelledImages]:
    """Training and held-out images: as the folders divide them, or else as the seed does."""
    held_out_folder = next((root / name for name in _HELD_OUT_FOLDERS if (root / name).is_dir()), None)
    if held_out_folder is not None:
        held_out = image_folder(held_out_folder, **options)
        return None if settings.checkpoints else image_folder(root / "train", **options), held_out
    images = image_folder(root, **options)
    return (None, images) if settings.checkpoints else _divided(images, settings.seed)


def _divided(images: LabelledImages, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """Training and held-out images, a fifth of every class, at least one where a class has two."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "held out"))
    held_out: list[int] = []
    train: list[int] = []
    for label in torch.unique(images.labels):
        found = torch.nonzero(images.labels == label).flatten()
        members: list[int] = found[torch.randperm(len(found), generator=generator)].tolist()
        count = max(1, round(_HELD_OUT_SHARE * len(members))) if len(members) > 1 else 0
        held_out += members[:count]
        train += members[count:]
    if not held_out:
        raise ValueError(f"{len(images)} images, no class with two: none can be held out")
    return images.subset(sorted(train)), images.subset(sorted(held_out))
