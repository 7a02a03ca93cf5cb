"""Pixel maps of a method in all forms in which they are looked at: signed, as magnitudes, and as contributions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from captum_superpixel._seeds import seeded
from captum_superpixel.attr._captum import multiplies_by_inputs
from captum_superpixel.attr.contributions import detail
from captum_superpixel.attr.methods import METHODS, MethodSettings, Scene, attribute_pixels, make_method, method_options
from captum_superpixel.attr.view_tunnel import ViewTunnel

__all__ = ["PixelMaps", "attribute_views"]

_SPREAD = ("IntegratedGradients", "SmoothGrad", "SparsifiedSmoothGrad")
"""Methods whose steps or samples each see another view, at no more passes."""


class PixelMaps(NamedTuple):
    """Maps of a batch of images, each ``(N, C, H, W)``; all three are the same for a method without signs.

    Args:
        signed: With their signs.
        magnitude: Magnitudes, averaged over what the method averages over: views, or noisy copies.
        contributions: What the detail of each pixel adds to the output, as ``Contributions`` estimates it.
    """

    signed: Tensor
    magnitude: Tensor
    contributions: Tensor


def attribute_views(
    name: str, model: nn.Module, inputs: Tensor, targets: Tensor, settings: MethodSettings, seed: int, n_views: int = 1
) -> PixelMaps:
    """Explain the logits of the targets, averaged over views of each image by ``ViewTunnel``.

    With one view, the magnitudes are those of the map. With several, the magnitudes of what is averaged are averaged:
    of each view's map, or of each of SmoothGrad's samples. The steps of IntegratedGradients and the samples of
    SmoothGrad each see another view, which takes no more passes; the map of IntegratedGradients is one sum over its
    steps, whose magnitude is taken. Other methods take as many times the passes. The map of SparsifiedSmoothGrad, whose
    samples see views likewise, is of magnitudes; without signs there are no contributions, and it stands for all forms.

    Args:
        name: A method of ``METHODS`` that needs no layer.
        model: From images ``(N, C, H, W)`` to logits ``(N, classes)``, in evaluation mode.
        inputs: ``(N, C, H, W)``.
        targets: ``(N,)`` int64.
        settings: How much work is done; Saliency keeps its signs in any case.
        seed: Of everything random; the global generators are left as they were.
        n_views: How many views, the image as it is included.

    Raises:
        ValueError: If there is no such method, it needs a layer, or the images have fewer views.

    Examples:
        >>> linear = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, bias=False))
        >>> inputs, targets = torch.rand(1, 1, 4, 4), torch.tensor([1])
        >>> maps = attribute_views("Saliency", linear, inputs, targets, MethodSettings(), seed=0)
        >>> torch.equal(maps.magnitude, maps.signed.abs())
        True
    """
    settings = replace(settings, signed=True)
    if n_views == 1:
        signed = attribute_pixels(name, model, inputs, targets, settings, seed)
        magnitude = signed.abs()
    else:
        signed, magnitude = _over_views(name, model, inputs, targets, settings, seed, n_views)
    if not METHODS[name].signed:
        return PixelMaps(signed, signed, signed)
    has_inputs = multiplies_by_inputs(make_method(name, model))
    return PixelMaps(signed, magnitude, signed if has_inputs else signed * detail(inputs.detach()))


def _over_views(
    name: str, model: nn.Module, inputs: Tensor, targets: Tensor, settings: MethodSettings, seed: int, n_views: int
) -> tuple[Tensor, Tensor]:
    """Signed maps, and their magnitudes."""
    explained: Any = make_method(name, model)
    method: Any = ViewTunnel(explained)
    kept = _Gradients(explained.attribution_method if name == "SmoothGrad" else explained)
    # What divides its passes by itself takes all images at once, as in attribute_pixels.
    at_once = settings.images_at_once if name == "Saliency" else len(inputs)

    def explain(**changes: object) -> Tensor:
        maps = []
        with seeded(seed):
            for part, target in zip(torch.split(inputs, at_once), torch.split(targets, at_once), strict=True):
                leaf = part.detach().clone().requires_grad_()
                options = method_options(name, method, Scene(leaf, target, settings))
                if name == "Saliency":
                    options["views_per_batch"] = max(1, settings.images_at_once // len(leaf))
                options |= {"n_views": n_views, "spread": name in _SPREAD}
                maps.append(method.attribute(leaf, **options | changes).detach())
        return torch.cat(maps)

    if name == "IntegratedGradients" or not METHODS[name].signed:
        signed = explain()
        return signed, signed.abs()
    with kept.recorded():
        signed = explain()
    with kept.replayed():
        return signed, explain(abs=True) if name == "SmoothGrad" else explain(average="abs")


class _Gradients:
    """What a gradient method is given for gradients: computed once, and given again where the same calls follow.

    The average of what has signs and that of its magnitudes are of the same gradients, which are most of the work.
    """

    def __init__(self, method: Any) -> None:
        self._method = method
        self._kept: list[tuple[Tensor, ...]] = []

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Keep the gradients of the calls; methods that take none are left to compute their maps twice."""
        if not hasattr(self._method, "gradient_func"):
            yield
            return
        compute = self._method.gradient_func

        def keep(*args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
            self._kept.append(compute(*args, **kwargs))
            return self._kept[-1]

        with self._replaced(keep):
            yield

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Give the kept gradients to the same calls, in their order."""
        if not self._kept:
            yield
            return
        kept = iter(self._kept)
        with self._replaced(lambda *_, **__: next(kept)):
            yield

    @contextmanager
    def _replaced(self, function: Callable[..., tuple[Tensor, ...]]) -> Iterator[None]:
        compute, self._method.gradient_func = self._method.gradient_func, function
        try:
            yield
        finally:
            self._method.gradient_func = compute
