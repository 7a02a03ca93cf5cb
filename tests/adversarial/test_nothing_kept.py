"""No call keeps its batch alive: neither the method afterwards, nor the network, nor a cache of the module."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from captum.attr import FeatureAblation, IntegratedGradients, LayerGradCam, NoiseTunnel, Saliency
from torch import Tensor, nn

from captum_superpixel import (
    XRAI,
    Contributions,
    OwenValues,
    SuperpixelGrouped,
    ViewTunnel,
    metrics,
    perturbed_attributions,
    pool_segments,
    recommended,
    region_table,
    top_regions,
)
from captum_superpixel.masks import GENERATORS, Cached, Grid, PatchAligned, Precomputed, Slic, hierarchy, segment_trees

pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor:UserWarning")

NETWORK = nn.Sequential(
    nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)
).eval()
MASK = torch.arange(144).view(1, 1, 12, 12) // 40

# Objects that stay, as a user's do between two batches.
GROUPED = SuperpixelGrouped(IntegratedGradients(NETWORK), [Slic(4), Grid(9)])
PRECOMPUTED = Precomputed(MASK)
CACHED = Cached(Slic(4))
METHODS: dict[str, Any] = {
    "grouped": GROUPED,
    "tunnel inside": SuperpixelGrouped(NoiseTunnel(Saliency(NETWORK)), Slic(4)),
    "tunnel outside": NoiseTunnel(SuperpixelGrouped(Saliency(NETWORK), Slic(4))),
    "layer": SuperpixelGrouped(LayerGradCam(NETWORK, NETWORK[0]), Slic(4)),
    "perturbing": SuperpixelGrouped(FeatureAblation(NETWORK), Grid(4)),
    "contributions": Contributions(Saliency(NETWORK)),
    "views": ViewTunnel(Saliency(NETWORK)),
    "XRAI": XRAI(Saliency(NETWORK), Slic(4)),
    "Owen": OwenValues(NETWORK, Slic(4)),
    "recommended": recommended(Saliency(NETWORK)),
}
CALLS: dict[str, Callable[[Tensor], object]] = {
    **{name: lambda x, method=method: method.attribute(x, target=1) for name, method in METHODS.items()},
    **{
        f"masks by {name}": lambda x, make=make: [one(x) for one in _as_list(make())]
        for name, make in GENERATORS.items()
    },
    "cached": lambda x: CACHED(x),
    "patches": lambda x: PatchAligned(Grid(4), 4)(x),
    "levels": lambda x: hierarchy(x, (2, 4)),
    "trees": lambda x: segment_trees(x, mask_generator=Grid(4)),
    "precomputed": lambda x: Precomputed.from_images(x, MASK.expand(2, -1, -1, -1))(x),
    "pooled": lambda x: pool_segments(x, MASK),
    "table": lambda x: region_table(x, MASK),
    "first regions": lambda x: top_regions(x, MASK, k=2),
    "draws": lambda x: perturbed_attributions(Saliency(NETWORK), NETWORK, x, target=1, n_draws=2, strength=0.01),
    "insertion": lambda x: metrics.insertion_auc(NETWORK, x, x, 1, n_steps=2),
    "road": lambda x: metrics.road(NETWORK, x, x, 1, fractions=(0.5,)),
    "similarity": lambda x: metrics.ssim(x, x),
    "refused": lambda x: _refused(x),
}


def _as_list(made: Any) -> list[Any]:
    return [
        generator
        if generator.__class__.__name__ not in ("Slic", "SkimageSlic", "Watershed", "Grid")
        else type(generator)(4)
        for generator in (made if isinstance(made, list) else [made])
    ]


def _refused(images: Tensor) -> None:
    with pytest.raises(ValueError, match=r"does not fit"):
        GROUPED.attribute(images, target=1, feature_mask=MASK[..., :5])


@pytest.mark.parametrize("name", CALLS)
def test_the_images_of_a_call_are_freed_when_the_caller_lets_them_go(name: str) -> None:
    images = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    storage = weakref.ref(images.untyped_storage())
    images_alive = weakref.ref(images)
    result = CALLS[name](images)
    del images, result
    if images_alive() is not None or storage() is not None:
        gc.collect()  # takes long, and most results hold no cycles
    assert images_alive() is None
    assert storage() is None


def test_this_notices_a_batch_that_is_kept() -> None:
    kept: list[Tensor] = []
    CALLS["kept"] = lambda x: kept.append(x.detach())
    with pytest.raises(AssertionError, match=r"is None"):
        test_the_images_of_a_call_are_freed_when_the_caller_lets_them_go("kept")
