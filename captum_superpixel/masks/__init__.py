"""Mask generators: callables that segment images ``(N, C, *spatial)`` into feature masks ``(N, 1, *spatial)``."""

from captum_superpixel.masks.felzenszwalb import Felzenszwalb
from captum_superpixel.masks.grid import Grid
from captum_superpixel.masks.quickshift import Quickshift
from captum_superpixel.masks.skimage_slic import SkimageSlic
from captum_superpixel.masks.watershed import Watershed

__all__ = ["Felzenszwalb", "Grid", "Quickshift", "SkimageSlic", "Watershed"]
