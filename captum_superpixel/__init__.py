"""Captum attributions averaged within superpixels.

What is named here is imported when it is first used, so that the command line can answer without waiting for PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from captum_superpixel import attr as attr
    from captum_superpixel import datasets as datasets
    from captum_superpixel import feature_masks as feature_masks
    from captum_superpixel import masks as masks
    from captum_superpixel import metrics as metrics
    from captum_superpixel import models as models
    from captum_superpixel import pooling as pooling
    from captum_superpixel import regions as regions
    from captum_superpixel import visualization as visualization
    from captum_superpixel.attr.contributions import Contributions
    from captum_superpixel.attr.grouped import SuperpixelGrouped
    from captum_superpixel.attr.image_mask_input import to_image_mask_input
    from captum_superpixel.attr.owen import OwenValues
    from captum_superpixel.attr.perturbed import PerturbedAttributions, perturbed_attributions
    from captum_superpixel.attr.recommended import recommended
    from captum_superpixel.attr.sparsified_smooth_grad import SparsifiedSmoothGrad
    from captum_superpixel.attr.view_tunnel import ViewTunnel
    from captum_superpixel.attr.xrai import XRAI
    from captum_superpixel.pooling import pool_segments, segment_scores
    from captum_superpixel.regions import ensemble_regions, region_table, top_regions

__all__ = [
    "XRAI",
    "Contributions",
    "OwenValues",
    "PerturbedAttributions",
    "SparsifiedSmoothGrad",
    "SuperpixelGrouped",
    "ViewTunnel",
    "ensemble_regions",
    "perturbed_attributions",
    "pool_segments",
    "recommended",
    "region_table",
    "segment_scores",
    "to_image_mask_input",
    "top_regions",
]
__version__ = "1.0.0"

_HOMES = {
    **dict.fromkeys(__all__, "captum_superpixel.attr"),
    **dict.fromkeys(("ensemble_regions", "region_table", "top_regions"), "captum_superpixel.regions"),
    **dict.fromkeys(("pool_segments", "segment_scores"), "captum_superpixel.pooling"),
}
_ROOMS = ("attr", "datasets", "feature_masks", "masks", "metrics", "models", "pooling", "regions", "visualization")


if not TYPE_CHECKING:  # type checkers would take any name for one of this package

    def __getattr__(name: str) -> Any:
        if name in _ROOMS:
            return importlib.import_module(f"captum_superpixel.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
        return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
