"""What Captum calls ``attr``: attribution methods that know superpixels, and the functions that they are made of."""

from captum_superpixel.attr.grouped import SuperpixelGrouped
from captum_superpixel.attr.grouping import group_maps, lay_over, segment_images
from captum_superpixel.attr.xrai import XRAI

__all__ = ["XRAI", "SuperpixelGrouped", "group_maps", "lay_over", "segment_images"]
