"""How much work methods of attribution do, and in which units: what their users set, whichever they are."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MethodSettings"]


@dataclass(frozen=True)
class MethodSettings:
    """How much work a method does, and in which units.

    Args:
        n_steps: Steps of IntegratedGradients and of what else follows a path.
        n_samples: Noisy copies of each image for SmoothGrad and SparsifiedSmoothGrad, samples for GradientShap, orders
            of the segments for ShapleyValueSampling, coalitions for Lime and KernelShap, evaluations for OwenValues;
            None for 25, 25, 10, five per segment, but no fewer than 500, and four per segment, but no fewer than 400.
        noise: Standard deviation of the noise of SmoothGrad and SparsifiedSmoothGrad, in units of the network's input;
            None for 15 % of the range of the inputs, as the authors of SmoothGrad advise.
        baseline: What all pixels of IntegratedGradients' baseline are, in units of the network's input.
        images_at_once: How many images, steps, noisy copies and perturbations counted in, the network is given at once;
            never fewer than are explained together. GradientShap's samples, DeepLiftShap's baselines and DeepLift's
            one come on top.
        signed: Whether Saliency keeps the signs that Captum takes from it by default.

    References:
        Smilkov, Thorat, Kim, Viégas, Wattenberg, "SmoothGrad: removing noise by adding noise", 2017, arXiv:1706.03825.
        Sundararajan, Taly, Yan, "Axiomatic Attribution for Deep Networks", ICML 2017, arXiv:1703.01365.
    """

    n_steps: int = 50
    n_samples: int | None = None
    noise: float | None = None
    baseline: float = 0.0
    images_at_once: int = 16
    signed: bool = False
