"""Captum attributions averaged within superpixels."""

from captum_superpixel.attr.grouped import SuperpixelGrouped
from captum_superpixel.attr.xrai import XRAI
from captum_superpixel.ensemble_regions import ensemble_regions
from captum_superpixel.pooling import pool_segments, segment_scores
from captum_superpixel.regions import region_table, top_regions

__all__ = [
    "XRAI",
    "SuperpixelGrouped",
    "ensemble_regions",
    "pool_segments",
    "region_table",
    "segment_scores",
    "top_regions",
]
__version__ = "0.1.0"
