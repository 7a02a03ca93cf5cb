"""Superpixels of other libraries, each for one image on one thread.

None of these libraries is needed: those that are not installed are left out. ``pip install --no-deps --target DIR
opencv-contrib-python-headless simpleitk`` puts two of them aside, and ``PYTHONPATH=DIR`` finds them there.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab
from skimage.segmentation import slic

Labels = NDArray[np.integer]
OneImage = Callable[[NDArray[Any], int], Labels]
"""From an image ``(H, W, 3)`` in [0, 1] and the number of segments asked for to labels ``(H, W)``."""


class OptionalEngine(NamedTuple):
    """An engine, and the module and the package without which it cannot run."""

    module: str
    package: str
    segment: OneImage


def find_module(name: str) -> ModuleType | None:
    """Import an optional module."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def is_installed(engine: OptionalEngine) -> bool:
    """Tell whether an engine can run here."""
    return find_module(engine.module) is not None


def side_of(image: NDArray[Any], n_segments: int) -> int:
    """Say how many pixels wide segments are, for libraries that ask for that."""
    return max(1, round((image.shape[0] * image.shape[1] / n_segments) ** 0.5))


def opencv(kind: str, image: NDArray[Any], n_segments: int) -> Labels:
    """Segment by OpenCV: SEEDS, SLIC, SLICO or LSC, with their segments made connected where there is a way.

    On eight validation images of BSDS500 SEEDS was better on blurred RGB than in CIELAB or HSV (undersegmentation error
    .106, .129 and .110), and the others lost recall by the blur that OpenCV's documentation advises.
    """
    cv2: Any = importlib.import_module("cv2")
    cv2.setNumThreads(1)
    pixels = (image * 255).round().astype(np.uint8)
    if kind == "SEEDS":
        engine = cv2.ximgproc.createSuperpixelSEEDS(pixels.shape[1], pixels.shape[0], 3, n_segments, 4)
        engine.iterate(cv2.GaussianBlur(pixels, (3, 3), 0), 10)
    else:
        pixels, side = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB), side_of(image, n_segments)
        engine = (
            cv2.ximgproc.createSuperpixelLSC(pixels, side)
            if kind == "LSC"
            else cv2.ximgproc.createSuperpixelSLIC(pixels, getattr(cv2.ximgproc, kind), side)
        )
        engine.iterate(10)
        engine.enforceLabelConnectivity()
    labels: Labels = engine.getLabels()
    return labels


def simpleitk(image: NDArray[Any], n_segments: int) -> Labels:
    """Segment by the SLIC of SimpleITK."""
    sitk: Any = importlib.import_module("SimpleITK")
    engine = sitk.SLICImageFilter()
    engine.SetNumberOfThreads(1)
    engine.SetSuperGridSize([side_of(image, n_segments)] * 2)
    engine.SetSpatialProximityWeight(10)
    engine.SetMaximumNumberOfIterations(10)
    pixels = sitk.GetImageFromArray(rgb2lab(image).astype(np.float32), isVector=True)
    labels: Labels = sitk.GetArrayFromImage(engine.Execute(pixels)).astype(np.int64)
    return labels


def fast_slic(image: NDArray[Any], n_segments: int) -> Labels:
    """Segment by fast-slic."""
    module: Any = importlib.import_module("fast_slic.avx2")
    engine = module.SlicAvx2(num_components=n_segments, compactness=10, num_threads=1)
    labels: Labels = engine.iterate(np.ascontiguousarray((image * 255).round().astype(np.uint8)))
    return labels


def scikit_image(image: NDArray[Any], n_segments: int, *, zero: bool = False) -> Labels:
    """Segment by scikit-image's SLIC as it comes, or its SLIC-zero."""
    labels: Labels = slic(image, n_segments, slic_zero=zero, start_label=0)
    return labels


OPTIONAL = {
    **{
        f"OpenCV {kind}": OptionalEngine("cv2.ximgproc", "opencv-contrib-python-headless", partial(opencv, kind))
        for kind in ("SEEDS", "SLIC", "SLICO", "LSC")
    },
    "SimpleITK SLIC": OptionalEngine("SimpleITK", "simpleitk", simpleitk),
    "fast-slic": OptionalEngine("fast_slic.avx2", "fast-slic", fast_slic),
}
