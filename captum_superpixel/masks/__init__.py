"""Mask generators: callables that segment images ``(N, C, *spatial)`` into feature masks ``(N, 1, *spatial)``."""

from captum_superpixel.masks.cached import Cached
from captum_superpixel.masks.felzenszwalb import Felzenszwalb
from captum_superpixel.masks.grid import Grid
from captum_superpixel.masks.multiscale import multiscale
from captum_superpixel.masks.precomputed import Precomputed
from captum_superpixel.masks.proposals import from_proposals
from captum_superpixel.masks.quickshift import Quickshift
from captum_superpixel.masks.skimage_slic import SkimageSlic
from captum_superpixel.masks.slic import Slic
from captum_superpixel.masks.watershed import Watershed

__all__ = [
    "Cached",
    "Felzenszwalb",
    "Grid",
    "Precomputed",
    "Quickshift",
    "SkimageSlic",
    "Slic",
    "Watershed",
    "from_proposals",
    "multiscale",
]
