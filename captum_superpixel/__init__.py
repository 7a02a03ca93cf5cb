"""Captum attributions averaged within superpixels."""

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
__version__ = "0.1.0"
