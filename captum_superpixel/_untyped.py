"""Typed access to untyped libraries: the functions of SciPy, scikit-image and others that are called.

Each library is imported when one of its functions is called first: SciPy and scikit-image take a third of the time in
which all else that ``import captum_superpixel`` needs is imported, and most callers need few of their parts.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
ToLabels: TypeAlias = Callable[..., NDArray[np.integer]]
ToImage: TypeAlias = Callable[..., NDArray[np.floating]]
ToMask: TypeAlias = Callable[..., NDArray[np.bool_]]
Sparse: TypeAlias = Any


def _call(module: str, name: str, *arguments: Any, **options: Any) -> Any:
    return getattr(importlib.import_module(module), name)(*arguments, **options)


def _late(module: str, name: str) -> Any:
    """A function of a module that is imported when the function is called."""
    return partial(_call, module, name)


tabulate: Callable[..., str] = _late("tabulate", "tabulate")

felzenszwalb: ToLabels = _late("skimage.segmentation", "felzenszwalb")
find_contours: Callable[..., list[Floats]] = _late("skimage.measure", "find_contours")
find_boundaries: ToMask = _late("skimage.segmentation", "find_boundaries")
label: ToLabels = _late("skimage.measure", "label")
local_minima: ToMask = _late("skimage.morphology", "local_minima")
quickshift: ToLabels = _late("skimage.segmentation", "quickshift")
regular_grid: Callable[..., tuple[slice, ...]] = _late("skimage.util", "regular_grid")
slic: ToLabels = _late("skimage.segmentation", "slic")
watershed: ToLabels = _late("skimage.segmentation", "watershed")

gaussian: ToImage = _late("skimage.filters", "gaussian")
resize: ToImage = _late("skimage.transform", "resize")
rgb2gray: ToImage = _late("skimage.color", "rgb2gray")
rgb2lab: ToImage = _late("skimage.color", "rgb2lab")
sobel: ToImage = _late("skimage.filters", "sobel")

binary_dilation: ToMask = _late("scipy.ndimage", "binary_dilation")
distance_transform_edt: Callable[..., Any] = _late("scipy.ndimage", "distance_transform_edt")
find_objects: Callable[..., list[tuple[slice, slice]]] = _late("scipy.ndimage", "find_objects")
gaussian_filter: Callable[..., Floats] = _late("scipy.ndimage", "gaussian_filter")
map_coordinates: ToImage = _late("scipy.ndimage", "map_coordinates")
maximum_filter1d: Callable[..., NDArray[np.uint8]] = _late("scipy.ndimage", "maximum_filter1d")
zoom: ToImage = _late("scipy.ndimage", "zoom")

csc_array: Callable[..., Sparse] = _late("scipy.sparse", "csc_array")
csr_array: Callable[..., Sparse] = _late("scipy.sparse", "csr_array")
diags_array: Callable[..., Sparse] = _late("scipy.sparse", "diags_array")
splu: Callable[..., Any] = _late("scipy.sparse.linalg", "splu")

bootstrap: Callable[..., Any] = _late("scipy.stats", "bootstrap")
expit: Callable[..., Floats] = _late("scipy.special", "expit")
minimize: Callable[..., Any] = _late("scipy.optimize", "minimize")
rankdata: Callable[..., Floats] = _late("scipy.stats", "rankdata")


def progress_bar(*arguments: Any, **options: Any) -> Any:
    """A bar of tqdm's, which in notebooks without widgets warns as soon as it is imported: only if one is asked for."""
    from tqdm import auto

    bar: Any = auto.tqdm
    return bar(*arguments, **options)
