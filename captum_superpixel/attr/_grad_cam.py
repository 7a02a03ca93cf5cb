"""Grad-CAM of a layer that is laid out before its channels are weighed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from captum.attr import Attribution, LayerGradCam
from torch import Tensor
from torch.nn import Module

from captum_superpixel.attr._captum import gradients_and_values, log_usage

__all__ = ["LaidOutGradCam", "is_grad_cam"]


class LaidOutGradCam(LayerGradCam):
    """Grad-CAM of a layer whose output and gradient are laid out as ``(N, C, h, w)`` before anything is averaged."""

    def __init__(self, method: LayerGradCam, lay_out: Callable[[Tensor], Tensor]) -> None:
        super().__init__(method.forward_func, cast(Module, method.layer), method.device_ids)
        self._lay_out = lay_out

    @log_usage
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        target: Any = None,
        additional_forward_args: object = None,
        attribute_to_layer_input: bool = False,
        relu_attributions: bool = False,
        attr_dim_summation: bool = True,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """See ``LayerGradCam``."""
        maps = []
        for gradient, value in gradients_and_values(
            self, inputs, target, additional_forward_args, attribute_to_layer_input, grad_kwargs
        ):
            gradient, value = self._lay_out(gradient), self._lay_out(value)
            places = tuple(range(2, gradient.dim()))
            weights = gradient.mean(dim=places, keepdim=True) if places else gradient
            scaled = weights * value
            map_ = scaled.sum(dim=1, keepdim=True) if attr_dim_summation else scaled
            maps.append(map_.relu() if relu_attributions else map_)
        return maps[0] if len(maps) == 1 else tuple(maps)


def is_grad_cam(method: Attribution) -> bool:
    """Whether a method is Captum's Grad-CAM; a subclass may compute its maps by itself."""
    return isinstance(method, LayerGradCam) and type(method).attribute is LayerGradCam.attribute
