"""What Lime and KernelShap show the network of a coalition, at half of what it costs in Captum, to the bit."""

from __future__ import annotations

import copy
from typing import Any

import torch
from captum.attr import Attribution, Lime
from torch import Tensor

from captum_superpixel.attr._captum import default_from_interp_rep_transform

__all__ = ["quickened"]


def quickened(method: Attribution) -> Attribution:
    """Return a copy of Lime or KernelShap that shows the network the same in less time; other methods as they are.

    Where the network is small, most of the time of either method goes into this.
    """
    if not isinstance(method, Lime) or method.from_interp_rep_transform is not default_from_interp_rep_transform:
        return method
    quick = copy.copy(method)
    quick.from_interp_rep_transform = _show
    return quick


def _show(coalition: Tensor, inputs: Any, *, feature_mask: Any, baselines: Any, **_: object) -> Any:
    """Show the features of a coalition ``(1, K)``, and the baselines elsewhere."""
    if isinstance(feature_mask, Tensor):
        return _show_tensor(coalition, inputs, feature_mask, baselines)
    return tuple(_show_tensor(coalition, *each) for each in zip(inputs, feature_mask, baselines, strict=True))


def _show_tensor(coalition: Tensor, inputs: Tensor, mask: Tensor, baseline: Tensor | float) -> Tensor:
    # Captum indexes by the mask, which takes five times as long as index_select, and makes numbers of the result twice.
    present = coalition[0].bool().to(inputs.dtype).index_select(0, mask.reshape(-1)).view(mask.shape)
    shown, filled = present * inputs, present.logical_not().to(inputs.dtype) * baseline
    return shown.add_(filled) if torch.result_type(shown, filled) == shown.dtype else shown + filled
