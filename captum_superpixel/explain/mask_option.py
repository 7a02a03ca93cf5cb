"""``--masks``: from its text to the segments of a photograph, made by a generator, by several, or read from a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from captum_superpixel._arrays import parse_array
from captum_superpixel._checks import InputError
from captum_superpixel.attr import segment_images
from captum_superpixel.attr.recipes import Recipe
from captum_superpixel.datasets.photographs import Report
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.masks import GENERATORS, PatchAligned, is_counted, multiscale

__all__ = ["Segmenter", "parse_masks", "recommended_masks"]

"""``--masks`` where neither it nor a recommendation is asked for."""

_DEFAULT_COUNT = 100


@dataclass(frozen=True)
class Segmenter:
    """Segments photographs as the user asked.

    Attributes:
        text: What the user wrote.
        source: One or several mask generators, or ids ``(H, W)`` int64 from a file.
        preprocessing: How photographs become inputs.
    """

    text: str
    source: Callable[[Tensor], Tensor] | list[Callable[[Tensor], Tensor]] | npt.NDArray[np.int64]
    preprocessing: Preprocessing

    def __call__(self, inputs: Tensor, photograph_size: tuple[int, int], report: Report | None = None) -> list[Tensor]:
        """Segment one photograph.

        Args:
            inputs: ``(1, 3, H, W)``, what the network is given.
            photograph_size: Height and width of the photograph.
            report: Called with a remark where segments of a file do not reach the inputs.

        Returns:
            Ids ``(1, 1, H, W)`` int64 on the device of the inputs, one mask per member of an ensemble.

        Raises:
            InputError: If ids from a file are neither of the size of the inputs nor of that of the photograph.
        """
        if isinstance(self.source, np.ndarray):
            fitted = self._fit(self.source, photograph_size)
            if report is not None and fitted is not self.source:
                before, after = (len(np.unique(ids)) for ids in (self.source, fitted))
                if after < before:
                    report(
                        f"has {before - after} of the {before} segments of --masks {self.text} outside the network's "
                        "input, or too small for it"
                    )
            return [torch.from_numpy(fitted)[None, None].to(inputs.device)]
        return segment_images(self.source, inputs)

    def segment(
        self, inputs: Tensor, photograph_sizes: Sequence[tuple[int, int]], reports: Sequence[Report]
    ) -> list[Tensor]:
        """Segment a batch of photographs, each as it would be alone.

        Args:
            inputs: ``(N, 3, H, W)``, what the network is given.
            photograph_sizes: Height and width of each.
            reports: Called with the remarks on each.

        Returns:
            Ids ``(N, 1, H, W)`` int64, one mask per member of an ensemble.

        Raises:
            InputError: If ids from a file do not fit one of them.
        """
        if not isinstance(self.source, np.ndarray):
            # A generator may return one mask for all.
            return [mask.expand(len(inputs), -1, -1, -1) for mask in segment_images(self.source, inputs)]
        each = zip(torch.split(inputs, 1), photograph_sizes, reports, strict=True)
        return [torch.cat([self(*one)[0] for one in each])]

    def _fit(self, ids: npt.NDArray[np.int64], photograph_size: tuple[int, int]) -> npt.NDArray[np.int64]:
        height, width = self.preprocessing.shape
        if ids.shape == (height, width):
            return ids
        if ids.shape != photograph_size:
            turned = ids.shape == photograph_size[::-1]
            why = " (turned, perhaps by its EXIF orientation: turn the mask as well)" if turned else ""
            raise InputError(
                f"--masks {self.text} holds {ids.shape[0]} x {ids.shape[1]} ids (height x width), but the photograph "
                f"has {photograph_size[0]} x {photograph_size[1]} pixels{why} and the network's input {height} x "
                f"{width}: make the mask of either size."
            )
        # Pillow has no int64, so the places in the list of ids are resized in their stead.
        names, places = np.unique(ids, return_inverse=True)
        image = Image.fromarray(places.reshape(ids.shape).astype(np.int32))
        image = self.preprocessing.resized(image, Image.Resampling.NEAREST)
        fitted: npt.NDArray[np.int64] = names[np.asarray(image)]
        return fitted


def parse_masks(text: str, preprocessing: Preprocessing) -> Segmenter:
    """Read the text of ``--masks``.

    Args:
        text: A name of ``masks.GENERATORS``, with ``:N`` segments where it is told how many to make (100 by default),
            and with ``@P`` for segments of whole patches of P x P pixels; or a file ``*.npy`` of ids (H, W).
        preprocessing: How photographs become inputs.

    Raises:
        InputError: If it is none of these, there are more segments than pixels or patches, patches do not divide the
            network's input, or the file holds no ids.

    Examples:
        >>> from captum_superpixel.datasets.preprocessing import CIFAR10
        >>> parse_masks("grid:16", CIFAR10).source
        Grid(n_segments=16, denormalize=((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        >>> parse_masks("slic:20@4", CIFAR10).source.patch_size
        (4, 4)
    """
    if text.lower().endswith(".npy"):
        return Segmenter(text, _read_ids(text), preprocessing)
    asked, at, side = text.partition("@")
    name, colon, count = asked.partition(":")
    name = name.lower().replace("-", "_")
    settings = _settings(preprocessing)
    if name not in GENERATORS:
        choices = ", ".join(f"{known}:N" if is_counted(known) else known for known in GENERATORS)
        raise InputError(f"--masks {text} names no mask generator; choose one of {choices}, or a file .npy.")
    height, width = preprocessing.shape
    patch = _patch(text, side, height, width) if at else (1, 1)
    most, what = height // patch[0] * (width // patch[1]), "patches" if at else "pixels"
    if not is_counted(name):
        if colon:
            raise InputError(f"--masks {text}: {name} finds the number of segments itself; write {name}.")
        generator = GENERATORS[name](**settings)
        largest = max((each.n_segments for each in generator), default=0) if isinstance(generator, list) else 0
        if largest > most:
            raise InputError(
                f"--masks {text}: {name} has up to {largest} segments, and the network's input {most} {what}; write "
                "such as slic:N."
            )
        return Segmenter(text, _aligned(generator, patch), preprocessing)
    number = int(count) if count.isdecimal() else 0 if colon else _DEFAULT_COUNT
    if not 1 <= number <= most:
        raise InputError(
            f"--masks {text}: write {name}:N{f'@{side}' if at else ''} with N from 1 to {most}, the {what} of the "
            "network's input."
        )
    return Segmenter(text, _aligned(GENERATORS[name](number, **settings), patch), preprocessing)


def _patch(text: str, side: str, of_height: int, of_width: int) -> tuple[int, int]:
    """Height and width of the patches of an input, from what stands behind the @."""
    sides = side.lower().split("x")
    if len(sides) > 2 or not all(one.isdecimal() and int(one) for one in sides):
        raise InputError(f"--masks {text}: write @16 for patches of 16 x 16 pixels, or @16x8 for height x width.")
    height, width = int(sides[0]), int(sides[-1])
    if of_height % height or of_width % width:
        raise InputError(
            f"--masks {text}: patches of {height} x {width} pixels do not divide the network's input of {of_height} x "
            f"{of_width}: pass the patch size of the network, or another --size."
        )
    return height, width


def _aligned(generators: Any, patch: tuple[int, int]) -> Any:
    """Let a generator, or each of a list, make segments of whole patches."""
    if patch == (1, 1):
        return generators
    if isinstance(generators, list):
        return [PatchAligned(generator, patch) for generator in generators]
    return PatchAligned(generators, patch)


def recommended_masks(recipe: Recipe, preprocessing: Preprocessing) -> Segmenter:
    """Make the ensemble of a recipe, whose text names what differs from ``--masks multiscale``.

    Examples:
        >>> from captum_superpixel.datasets.preprocessing import CIFAR10
        >>> [recommended_masks(recipe, CIFAR10).text for recipe in (Recipe(), Recipe(n_segments=(9, 25)))]
        ['multiscale', 'multiscale of 9, 25 superpixels at compactness 5, 15']
    """
    generators: Any = multiscale(recipe.n_segments, recipe.compactness, **_settings(preprocessing))
    text = "multiscale"
    if generators != multiscale(**_settings(preprocessing)):
        text += f" of {', '.join(map(str, recipe.n_segments))} superpixels"
        text += f" at compactness {', '.join(f'{weight:g}' for weight in recipe.compactness)}"
    return Segmenter(text, generators, preprocessing)


def _settings(preprocessing: Preprocessing) -> dict[str, Any]:
    """What every generator is told of the preprocessing."""
    settings: dict[str, Any] = {"denormalize": preprocessing.denormalize}
    if preprocessing.channel_order != "gray":  # one channel has no order
        settings["channel_order"] = preprocessing.channel_order
    return settings


def _read_ids(text: str) -> npt.NDArray[np.int64]:
    path = Path(text)
    if not path.is_file():
        raise InputError(f"--masks {text} {'is no file' if path.exists() else 'does not exist'}; pass ids (H, W).")
    # Damaged files fail in as many ways as there are bytes.
    try:
        ids = parse_array(path.read_bytes())
    except Exception as error:
        raise InputError(
            f"--masks {text} cannot be read ({type(error).__name__}: {error}); write it by np.save, as integers (H, W)."
        ) from error
    if ids.dtype.kind not in "iu":
        what = f"an array of {ids.dtype}"
        raise InputError(f"--masks {text} holds {what}; segment ids are integers: ids.astype(np.int64).")
    while ids.ndim > 2 and ids.shape[0] == 1:
        ids = ids[0]
    if ids.ndim != 2 or not ids.size:
        raise InputError(f"--masks {text} is of shape {ids.shape}; pass one id per pixel, (H, W).")
    if ids.min() < 0 or ids.max() > np.iinfo(np.int64).max:
        wrong = ids.min() if ids.min() < 0 else ids.max()
        raise InputError(f"--masks {text} holds the id {wrong}; ids are from 0 to 2**63 - 1.")
    checked: npt.NDArray[np.int64] = ids.astype(np.int64)
    return checked
