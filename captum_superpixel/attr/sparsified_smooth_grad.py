"""SparsifiedSmoothGrad: how often each element is among the largest gradients of noisy copies of the image."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from captum.attr import GradientAttribution, NoiseTunnel, Saliency
from torch import Tensor

from captum_superpixel._checks import checked_integer, checked_number, checked_share
from captum_superpixel.attr._captum import log_usage
from captum_superpixel.attr._wrapper import as_tensors

__all__ = ["SparsifiedSmoothGrad", "relative_noise", "sparsify"]

_NOISE = 0.15
"""Standard deviation of the noise unless the caller says otherwise, in parts of the range of an input."""


class SparsifiedSmoothGrad(GradientAttribution):
    """Averages sparse gradients of noisy copies: of each copy the largest tenth of the magnitudes become 1, others 0.

    The map has no signs: an element's value, from 0 to 1, is the share of the noisy copies in which its gradient is
    among the largest. As no copy counts for more than 1 anywhere, a small change of the image can change the ranking of
    the elements only so much, for which its authors give a bound.

    It is a ``NoiseTunnel`` of such maps, and draws its noise as Captum does, from PyTorch's global generator.

    Args:
        forward_func: The network, or any function that is explained.

    Notes:
        Elements that tie with the last one of the largest are all among them, and elements whose gradient is 0 never
        are. Several inputs are sparsified each by itself.

        ``saturation`` is the authors' relaxed form, of which the default is the limit: below the largest ones, down to
        the last that is kept, a copy's values fall linearly with the magnitude. What the code of Zhang and Farnia has
        under the name of SparsifiedSmoothGrad is the relaxed form, ``sparsity=0.1, saturation=0.01``, of 256 copies
        whose noise is a tenth of the range of the image.

    References:
        Levine, Singla, Feizi, "Certifiably Robust Interpretation in Deep Learning", 2019, arXiv:1905.12105.
        Zhang, Farnia, "MoreauGrad: Sparse and Robust Interpretation of Neural Networks via Moreau Envelope", ICCV 2023,
        arXiv:2302.05294.

    Examples:
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 1, bias=False))
        >>> network[1].weight.data = torch.tensor([[0.1, -3.0, 2.0, 0.0]])
        >>> images = torch.rand(1, 1, 2, 2)
        >>> SparsifiedSmoothGrad(network).attribute(images, target=0, sparsity=0.5)
        tensor([[[[0., 1.],
                  [1., 0.]]]])
        >>> SparsifiedSmoothGrad(network).attribute(images, target=0, sparsity=0.75, saturation=0.5)
        tensor([[[[0.0500, 1.0000],
                  [1.0000, 0.0000]]]])
    """

    def __init__(self, forward_func: Callable[..., Any]) -> None:
        super().__init__(forward_func)

    @log_usage
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        target: Any = None,
        additional_forward_args: Any = None,
        n_samples: int = 25,
        stdevs: float | tuple[float, ...] | None = None,
        sparsity: float = 0.1,
        saturation: float | None = None,
        samples_per_batch: int | None = None,
    ) -> Any:
        """Attribute to each element the share of noisy copies in which its gradient is among the largest.

        Args:
            inputs: Images ``(N, C, H, W)``, or any input ``(N, *)``, or a tuple of them.
            target: Which output is explained, as for ``captum.attr.Saliency``.
            additional_forward_args: Further arguments of the network, likewise.
            n_samples: How many noisy copies of each image are averaged.
            stdevs: Standard deviation of the noise, in units of the inputs, one for all inputs or a tuple with one for
                each; None for 15 % of the range of each input, over all of its batch.
            sparsity: Share of the elements of an input, over all of its channels, that are kept of each copy, above 0
                and at most 1; at least one element is.
            saturation: Share of the elements that become 1, above 0 and at most ``sparsity``; what is kept beside them
                is the magnitude, divided by the least of those. None for ``sparsity``: all that is kept becomes 1.
            samples_per_batch: How many copies of each image the network is given at once; None for all.

        Returns:
            Maps of the shape of the inputs, from 0 to 1; a tuple for a tuple.

        Raises:
            TypeError: If the inputs are not tensors of floating-point numbers, or an argument is of another type.
            ValueError: If a number is out of its range, or there are not as many ``stdevs`` as inputs.
        """
        tensors = as_tensors(inputs)
        if wrong := [tensor.dtype for tensor in tensors if not tensor.is_floating_point()]:
            raise TypeError(f"inputs have dtype {wrong[0]}, which has no gradients: pass inputs.float()")
        n_samples = checked_integer("n_samples", n_samples)
        at_once = n_samples if samples_per_batch is None else checked_integer("samples_per_batch", samples_per_batch)
        tunnel = NoiseTunnel(_SparseSaliency(self.forward_func, *_checked_shares(sparsity, saturation)))
        return tunnel.attribute(
            inputs,
            nt_type="smoothgrad",
            nt_samples=n_samples,
            nt_samples_batch_size=at_once,
            stdevs=_checked_stdevs(stdevs, tensors),
            target=target,
            additional_forward_args=additional_forward_args,
        )

    @classmethod
    def get_name(cls) -> str:
        """Readable name of the class, as Captum's progress bars show it."""
        return "Sparsified SmoothGrad"


class _SparseSaliency(Saliency):
    """The gradient of each example as it is, sparsified."""

    def __init__(self, forward_func: Callable[..., Any], sparsity: float, saturation: float) -> None:
        super().__init__(forward_func)
        self.sparsity, self.saturation = sparsity, saturation

    @log_usage
    def attribute(self, inputs: Any, target: Any = None, additional_forward_args: Any = None) -> Any:
        gradients = super().attribute(inputs, target, abs=False, additional_forward_args=additional_forward_args)
        if isinstance(gradients, tuple):
            return tuple(sparsify(each, self.sparsity, self.saturation) for each in gradients)
        return sparsify(gradients, self.sparsity, self.saturation)


def sparsify(gradients: Tensor, sparsity: float, saturation: float) -> Tensor:
    """Bring magnitudes of gradients to [0, 1], and keep the largest ones alone.

    Args:
        gradients: ``(N, *)``, each example of which is sparsified by itself.
        sparsity: Share of an example's elements that are kept, above 0 and at most 1.
        saturation: Share of them that become 1, above 0 and at most ``sparsity``.

    Returns:
        ``(N, *)``, NaN where gradients are.

    Examples:
        >>> sparsify(torch.tensor([[4.0, -8.0, 1.0, 2.0]]), sparsity=0.75, saturation=0.25)
        tensor([[0.5000, 1.0000, 0.0000, 0.2500]])
    """
    magnitudes = gradients.abs().flatten(1)
    kept, full = (max(1, math.floor(share * magnitudes.shape[1] + 1e-9)) for share in (sparsity, saturation))
    largest = magnitudes.topk(kept, dim=1).values
    shares = (magnitudes / largest[:, full - 1 : full]).clamp(max=1)
    # Where fewer gradients than that are not 0, the others are equal, and none of them is a large one.
    is_kept = (magnitudes >= largest[:, -1:]) & (magnitudes > 0)
    # A product with 0, which leaves NaN to be seen.
    return torch.where(is_kept, shares, 0 * magnitudes).view_as(gradients)


def relative_noise(inputs: Tensor) -> float:
    """The standard deviation of the noise where nothing is said: 15 % of the range of the inputs.

    Examples:
        >>> relative_noise(torch.tensor([-1.0, 3.0]))
        0.6
    """
    least, largest = inputs.detach().aminmax()
    return _NOISE * float(largest - least)


def _checked_shares(sparsity: object, saturation: object) -> tuple[float, float]:
    kept = checked_share("sparsity", sparsity, exclusive=True)
    full = kept if saturation is None else checked_share("saturation", saturation, exclusive=True)
    if full > kept:
        raise ValueError(
            f"saturation={full:g} is above sparsity={kept:g}: what becomes 1 is a part of what is kept, so pass "
            "at most the latter, or None for as much"
        )
    return kept, full


def _checked_stdevs(stdevs: object, inputs: tuple[Tensor, ...]) -> tuple[float, ...]:
    """One standard deviation for each input."""
    if stdevs is None:
        return tuple(map(relative_noise, inputs))
    if not isinstance(stdevs, tuple):
        return (checked_number("stdevs", stdevs),) * len(inputs)
    if len(stdevs) != len(inputs):
        raise ValueError(f"{len(stdevs)} stdevs for {len(inputs)} inputs: pass a number, or one for each of them")
    return tuple(checked_number("stdevs", each) for each in stdevs)
