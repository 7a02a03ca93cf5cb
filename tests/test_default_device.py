"""What is made for tensors on the CPU is made there, whatever ``torch.set_default_device`` says."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from captum.attr import Saliency
from torch import nn

from captum_superpixel import OwenValues, metrics, perturbed_attributions, region_table
from captum_superpixel.masks import Grid, hierarchy
from captum_superpixel.models import small_cnn

IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
MAPS = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
MASK = Grid(9)(IMAGES)
LABELS = [1, 2]


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(2)


CALLS: dict[str, Callable[[nn.Module], Any]] = {
    "region_table": lambda net: str(region_table(MAPS, MASK)),
    "OwenValues": lambda net: OwenValues(net, Grid(9)).attribute(IMAGES, target=0, n_evaluations=20).tolist(),
    "hierarchy": lambda net: [level.tolist() for level in hierarchy(IMAGES, (2, 4), feature_mask=MASK)],
    "deletion": lambda net: metrics.deletion_auc(net, IMAGES, MAPS, LABELS, n_steps=3).tolist(),
    "road": lambda net: metrics.road(net, IMAGES, MAPS, LABELS, fractions=(0.2, 0.5)).score.tolist(),
    "mu_fidelity": lambda net: metrics.mu_fidelity(
        net, IMAGES, MAPS, LABELS, feature_mask=MASK, generator=seeded()
    ).tolist(),
    "null": lambda net: metrics.centered_gaussian(MAPS).tolist(),
    "perturbed_attributions": lambda net: perturbed_attributions(
        Saliency(net), net, IMAGES, target=0, strength=0.1, n_draws=2
    ).attributions.tolist(),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_give_the_same(name: str) -> None:
    """On ``meta`` nothing can be computed."""
    network = small_cnn(generator=torch.Generator().manual_seed(0)).eval()
    expected = CALLS[name](network)
    with torch.device("meta"):
        assert CALLS[name](network) == expected
