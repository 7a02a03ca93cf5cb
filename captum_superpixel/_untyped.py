"""Typed access to untyped libraries: the functions of SciPy, scikit-image and others that are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import scipy.ndimage
import scipy.optimize
import scipy.sparse
import scipy.sparse.linalg
import scipy.special
import scipy.stats
import skimage.color
import skimage.filters
import skimage.measure
import skimage.morphology
import skimage.segmentation
import skimage.transform
import skimage.util
import tabulate as tabulate_library
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
ToLabels: TypeAlias = Callable[..., NDArray[np.integer]]
ToImage: TypeAlias = Callable[..., NDArray[np.floating]]
ToMask: TypeAlias = Callable[..., NDArray[np.bool_]]
Sparse: TypeAlias = Any
ndimage: Any = scipy.ndimage
stats: Any = scipy.stats

tabulate: Callable[..., str] = tabulate_library.tabulate

felzenszwalb: ToLabels = skimage.segmentation.felzenszwalb
find_boundaries: ToMask = skimage.segmentation.find_boundaries
label: ToLabels = skimage.measure.label
local_minima: ToMask = skimage.morphology.local_minima
quickshift: ToLabels = skimage.segmentation.quickshift
regular_grid: Callable[..., tuple[slice, ...]] = skimage.util.regular_grid
slic: ToLabels = skimage.segmentation.slic
watershed: ToLabels = skimage.segmentation.watershed

gaussian: ToImage = skimage.filters.gaussian
resize: ToImage = skimage.transform.resize
rgb2gray: ToImage = skimage.color.rgb2gray
rgb2lab: ToImage = skimage.color.rgb2lab
sobel: ToImage = skimage.filters.sobel

binary_dilation: ToMask = ndimage.binary_dilation
distance_transform_edt: Callable[..., Floats] = ndimage.distance_transform_edt
find_objects: Callable[..., list[tuple[slice, slice]]] = ndimage.find_objects
gaussian_filter: Callable[..., Floats] = ndimage.gaussian_filter
map_coordinates: ToImage = ndimage.map_coordinates
maximum_filter1d: Callable[..., NDArray[np.uint8]] = ndimage.maximum_filter1d
zoom: ToImage = ndimage.zoom

csc_array: Callable[..., Sparse] = scipy.sparse.csc_array
csr_array: Callable[..., Sparse] = scipy.sparse.csr_array
diags_array: Callable[..., Sparse] = scipy.sparse.diags_array
splu: Callable[..., Any] = scipy.sparse.linalg.splu

bootstrap: Callable[..., Any] = stats.bootstrap
expit: Callable[..., Floats] = scipy.special.expit
minimize: Callable[..., Any] = scipy.optimize.minimize
rankdata: Callable[..., Floats] = stats.rankdata


def progress_bar(*arguments: Any, **options: Any) -> Any:
    """A bar of tqdm's, which in notebooks without widgets warns as soon as it is imported: only if one is asked for."""
    from tqdm import auto

    bar: Any = auto.tqdm
    return bar(*arguments, **options)
