"""What Captum calls ``attr``: attribution methods that know superpixels."""

from captum_superpixel.attr.grouped import SuperpixelGrouped
from captum_superpixel.attr.xrai import XRAI

__all__ = ["XRAI", "SuperpixelGrouped"]
