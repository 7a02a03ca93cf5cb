"""Superpixels of whole patches: how much they explain, beside the majority of a segmentation of pixels in each patch.

Usage: python tests/benchmarks/patches.py FOLDER [--count 24]

Reads the first photographs of a folder by name, cuts out their middle at 224 pixels, and prints a line for each size of
patches and number of segments: the share of the variance of the CIELAB colors that the segments' means explain, and of
the majority the number of segments and of connected components too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from segment_quality import explained_variation
from skimage.color import rgb2lab
from skimage.measure import label
from torch import Tensor

from captum_superpixel.masks import Grid, PatchAligned, SkimageSlic, Slic, Watershed

SIDE = 224
PIXELS = {"denormalize": (0.0, 1 / 255)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=24)
    options = parser.parse_args()
    files = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in (".jpeg", ".jpg", ".png"))
    pictures = [ImageOps.fit(Image.open(path).convert("RGB"), (SIDE, SIDE)) for path in files[: options.count]]
    images = torch.stack([torch.from_numpy(np.array(picture)).movedim(-1, 0) for picture in pictures]).float()
    colors = [rgb2lab(np.asarray(picture)) for picture in pictures]

    def explained(masks: Tensor) -> str:
        pairs = zip(masks[:, 0].numpy(), colors, strict=True)
        return f"{np.mean([explained_variation(mask, lab) for mask, lab in pairs]):.3f}"

    print(
        "patches | segments | each patch | Slic | SkimageSlic | Watershed | Grid | majority | its segments | components"
    )
    for patch in (14, 16):
        for count in (25, 50, 100):
            made = (Slic(count, **PIXELS), SkimageSlic(count, **PIXELS), Watershed(count, **PIXELS), Grid(count))
            aligned = [explained(PatchAligned(generator, patch)(images)) for generator in made]
            majority = majority_of_patches(made[0](images), patch)
            segments = np.mean([len(mask.unique()) for mask in majority])
            components = np.mean([label(mask[0].numpy(), connectivity=1, background=-1).max() for mask in majority])
            every = explained(Grid((SIDE // patch) ** 2)(images))
            row = (patch, count, every, *aligned, explained(majority), f"{segments:.1f}", f"{components:.1f}")
            print(" | ".join(map(str, row)), flush=True)


def majority_of_patches(masks: Tensor, patch: int) -> Tensor:
    """Give each patch of masks ``(N, 1, H, W)`` the id that most of its pixels have."""
    patches = masks.unfold(2, patch, patch).unfold(3, patch, patch).flatten(4)
    return patches.mode(dim=4).values.repeat_interleave(patch, dim=2).repeat_interleave(patch, dim=3)


if __name__ == "__main__":
    main()
