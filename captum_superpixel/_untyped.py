"""The functions of scikit-image that the generators call, with the types that it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import skimage.color
import skimage.filters
import skimage.measure
import skimage.morphology
import skimage.segmentation
import skimage.transform
import skimage.util
from numpy.typing import NDArray

ToLabels: TypeAlias = Callable[..., NDArray[np.integer]]
ToImage: TypeAlias = Callable[..., NDArray[np.floating]]

felzenszwalb: ToLabels = skimage.segmentation.felzenszwalb
label: ToLabels = skimage.measure.label
local_minima: Callable[..., NDArray[np.bool_]] = skimage.morphology.local_minima
quickshift: ToLabels = skimage.segmentation.quickshift
regular_grid: Callable[..., tuple[slice, ...]] = skimage.util.regular_grid
slic: ToLabels = skimage.segmentation.slic
watershed: ToLabels = skimage.segmentation.watershed

gaussian: ToImage = skimage.filters.gaussian
resize: ToImage = skimage.transform.resize
rgb2lab: ToImage = skimage.color.rgb2lab
sobel: ToImage = skimage.filters.sobel
