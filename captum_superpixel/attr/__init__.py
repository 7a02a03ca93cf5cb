"""What Captum calls ``attr``: attribution methods that know superpixels, and the functions that they are made of."""

from captum_superpixel.attr.contributions import Contributions
from captum_superpixel.attr.grouped import SuperpixelGrouped
from captum_superpixel.attr.grouping import group_maps, lay_over, segment_images
from captum_superpixel.attr.image_mask_input import to_image_mask_input
from captum_superpixel.attr.owen import OwenValues
from captum_superpixel.attr.perturbed import PerturbedAttributions, perturbed_attributions
from captum_superpixel.attr.recommended import recommended
from captum_superpixel.attr.sparsified_smooth_grad import SparsifiedSmoothGrad
from captum_superpixel.attr.view_tunnel import ViewTunnel
from captum_superpixel.attr.xrai import XRAI

__all__ = [
    "XRAI",
    "Contributions",
    "OwenValues",
    "PerturbedAttributions",
    "SparsifiedSmoothGrad",
    "SuperpixelGrouped",
    "ViewTunnel",
    "group_maps",
    "lay_over",
    "perturbed_attributions",
    "recommended",
    "segment_images",
    "to_image_mask_input",
]
