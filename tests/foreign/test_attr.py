"""Attributions on another device: the maps of the CPU, on the device of the images."""

from collections.abc import Callable

import pytest
import torch
from captum.attr import (
    FeatureAblation,
    GradientShap,
    InputXGradient,
    IntegratedGradients,
    KernelShap,
    LayerGradCam,
    Lime,
    NoiseTunnel,
    Occlusion,
    Saliency,
    ShapleyValueSampling,
)
from foreign_device import Case
from torch import Tensor, nn

from captum_superpixel import (
    XRAI,
    Contributions,
    OwenValues,
    SparsifiedSmoothGrad,
    SuperpixelGrouped,
    ViewTunnel,
    perturbed_attributions,
    recommended,
)
from captum_superpixel.masks import Grid, Slic, Watershed, multiscale

Check = Callable[..., None]


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        layers = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(36, 5)
        return nn.Sequential(*layers).eval()


IMAGES = torch.rand(2, 3, 16, 12, generator=torch.Generator().manual_seed(5)).requires_grad_()
MASKS = Grid(6)(IMAGES)
ROUNDING = 2e-6
"""Of sums in float32, off the CPU."""


def grouped(method: Callable[[nn.Module], object], **options: object) -> Case:
    """Call a method of Captum grouped by the cells of one mask, on the device alone."""
    return lambda on: SuperpixelGrouped(method(on(network())), Grid(6)).attribute(  # type: ignore[arg-type]
        on(IMAGES), target=1, **options
    )


CASES: dict[str, Case] = {
    "Saliency": grouped(Saliency),
    "InputXGradient": grouped(InputXGradient),
    "IntegratedGradients": grouped(IntegratedGradients, n_steps=4),
    "IntegratedGradients, delta": grouped(IntegratedGradients, n_steps=4, return_convergence_delta=True),
    "NoiseTunnel": grouped(lambda net: NoiseTunnel(Saliency(net)), nt_samples=3, stdevs=0.1),
    "GradientShap": lambda on: SuperpixelGrouped(GradientShap(on(network())), Grid(6)).attribute(
        on(IMAGES), baselines=on(torch.zeros(2, 3, 16, 12)), target=1, n_samples=2
    ),
    "Occlusion": grouped(Occlusion, sliding_window_shapes=(3, 4, 4), strides=(3, 4, 4)),
    "FeatureAblation": grouped(FeatureAblation),
    "ShapleyValueSampling": grouped(ShapleyValueSampling, n_samples=2),
    "KernelShap": grouped(KernelShap, n_samples=20),
    "Lime": grouped(Lime, n_samples=20),
    "LayerGradCam": lambda on: [
        SuperpixelGrouped(LayerGradCam(net, net[0]), Grid(6)).attribute(on(IMAGES), target=1) for net in [on(network())]
    ],
    "Slic": lambda on: SuperpixelGrouped(Saliency(on(network())), Slic(6)).attribute(on(IMAGES), target=1),
    "an ensemble": lambda on: SuperpixelGrouped(Saliency(on(network())), [*multiscale()[:2], Watershed(5)]).attribute(
        on(IMAGES), target=1
    ),
    "masks of the CPU": grouped(Saliency, feature_mask=MASKS),
    "an array": grouped(FeatureAblation, feature_mask=MASKS.numpy()),
    "targets": lambda on: SuperpixelGrouped(Saliency(on(network())), Grid(6)).attribute(
        on(IMAGES), target=on(torch.tensor([1, 3]))
    ),
    "evidence": lambda on: SuperpixelGrouped(
        Contributions(Saliency(on(network()))), Grid(6), reduction="evidence"
    ).attribute(on(IMAGES), target=1, abs=False),
    "Contributions": lambda on: Contributions(Saliency(on(network()))).attribute(on(IMAGES), target=1),
    "Contributions, mean": lambda on: Contributions(Saliency(on(network())), 0.3).attribute(on(IMAGES), target=1),
    "ViewTunnel": lambda on: ViewTunnel(Saliency(on(network()))).attribute(on(IMAGES), target=1, n_views=4),
    "ViewTunnel, a batch": lambda on: ViewTunnel(Saliency(on(network()))).attribute(
        on(IMAGES), target=1, n_views=4, views_per_batch=4, average="abs"
    ),
    "ViewTunnel, spread": lambda on: ViewTunnel(IntegratedGradients(on(network()))).attribute(
        on(IMAGES), target=1, n_views=2, spread=True, n_steps=4
    ),
    "SparsifiedSmoothGrad": lambda on: SparsifiedSmoothGrad(on(network())).attribute(
        on(IMAGES), target=1, n_samples=3, stdevs=0.1
    ),
    "recommended": lambda on: recommended(IntegratedGradients(on(network()))).attribute(
        on(IMAGES), target=1, n_steps=8
    ),
    "OwenValues": lambda on: OwenValues(on(network()), Grid(6)).attribute(on(IMAGES), target=1, n_evaluations=20),
    "OwenValues, baselines": lambda on: OwenValues(on(network()), Slic(6)).attribute(
        on(IMAGES), on(torch.full((2, 3, 16, 12), 0.5)), target=on(torch.tensor([1, 3])), n_evaluations=20
    ),
    "XRAI": lambda on: XRAI(IntegratedGradients(on(network())), min_pixel_diff=5).attribute(
        on(IMAGES), target=1, n_steps=4
    ),
    "XRAI of a network": lambda on: XRAI(on(network()), Slic(6), algorithm="fast").attribute(
        on(IMAGES), target=1, n_steps=4
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_attributions(case: Case, check: Check) -> None:
    check(case, rounding=ROUNDING)


@pytest.mark.parametrize("views", [True, False])
def test_perturbed_attributions(views: bool, check: Check) -> None:
    def draw(on: Callable[[object], object]) -> Tensor:
        net = on(network())
        found = perturbed_attributions(
            Saliency(net),  # type: ignore[arg-type]
            net,  # type: ignore[arg-type]
            on(IMAGES),  # type: ignore[arg-type]
            target=1,
            n_draws=8,
            views=views,
            generator=torch.Generator().manual_seed(0),
        )
        return found.attributions

    check(draw, rounding=ROUNDING)
