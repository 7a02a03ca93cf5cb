"""The command ``explain`` on another device: it finds what it finds on the CPU."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_device import NAME, SIMULATED, DrawnOnTheCpu, counted
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from captum_superpixel.cli import main

OPTIONS = {
    "saliency, with confidence": ["--method", "Saliency", "--confidence"],
    "recommended": ["--recommended"],
    "a layer": ["--method", "LayerGradCam", "--layer", "features.0"],
    "perturbations": ["--method", "FeatureAblation", "--masks", "slic:9"],
}


def explained(folder: Path, device: str, options: list[str]) -> dict[str, NDArray[np.generic]]:
    photograph, out = folder / "cat.png", folder / f"{device}.npz"
    Image.fromarray(data.chelsea()[20:212:4, 100:292:4]).save(photograph)
    torch.manual_seed(0)
    command = ["explain", str(photograph), "--model", "captum_superpixel.models.networks:small_cnn", "--size", "32"]
    assert main([*command, "--device", device, "--out", str(out), *options]) == 0
    with np.load(out) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_explanations(options: list[str], tmp_path: Path) -> None:
    expected = explained(tmp_path, "cpu", options)
    with contextlib.nullcontext() if SIMULATED else DrawnOnTheCpu(), counted() as count:
        found = explained(tmp_path, NAME, options)
    assert count.launches or not SIMULATED
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(found[name], array, rtol=1e-3, atol=1e-4 * np.abs(array).max())
        else:
            np.testing.assert_array_equal(found[name], array)
