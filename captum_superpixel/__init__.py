"""Captum attributions averaged within super-pixels."""

from captum_superpixel.grouped import SuperpixelGrouped
from captum_superpixel.pooling import pool_segments, segment_scores

__all__ = ["SuperpixelGrouped", "pool_segments", "segment_scores"]
__version__ = "0.1.0"
