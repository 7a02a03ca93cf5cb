"""Randomized models: networks that differ from a trained one in nothing but what it has learned."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from captum_superpixel._seeds import seeded
from captum_superpixel.models.initialization import initialize

__all__ = ["random_twin"]


def random_twin(
    model: nn.Module, inputs: Tensor, generator: torch.Generator | None = None, *, batch_size: int = 64
) -> nn.Module:
    """A randomized model: a copy of a network with all of its parameters drawn anew.

    Explanations of this twin show what a method finds in an image although the network knows nothing; scores are
    compared with them.

    Args:
        model: Any network; it is left as it was.
        inputs: (N, C, H, W), images as the network takes them, on its device, which the statistics of the twin's
            batch normalizations are taken from: at least 2 if there are such layers.
        generator: Where the randomness comes from; None means PyTorch's global generator. The same generator gives the
            same twin on every device.
        batch_size: Images per forward pass, at least 2.

    Returns:
        The twin, on the model's device and of its dtype, in evaluation mode.

    Raises:
        ValueError: If ``inputs`` is not (N, C, H, W) or holds too few images, or ``batch_size`` is below 2.

    Notes:
        Weights of convolutions and linear layers are drawn as
        :func:`~captum_superpixel.models.initialization.initialize` draws them, those of other layers by their own
        ``reset_parameters``. Where there is no such method, or it leaves a parameter as it was (the position embeddings
        of a transformer, the scales of a ConvNeXt), the parameter's values are shuffled: their distribution stays, what
        was learned goes. Statistics of batch normalizations are the averages over the forward passes, in which no other
        layer is in training mode: there is no dropout.

    References:
        Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018, https://arxiv.org/abs/1810.03292

    Examples:
        >>> import torch
        >>> from captum_superpixel.models import resnet20
        >>> images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        >>> twin = random_twin(resnet20().eval(), images, torch.Generator().manual_seed(1))
        >>> twin(images).shape
        torch.Size([8, 10])
    """
    twin = copy.deepcopy(model).eval()
    norms = [module for module in twin.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    _check(inputs, least=2 if norms else 0, batch_size=batch_size)
    generator = torch.default_generator if generator is None else generator
    seed = int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))
    device = next((tensor.device for tensor in twin.state_dict().values()), torch.device("cpu"))
    # Drawn on the CPU: every device has its own random numbers.
    twin.to("cpu")
    with seeded(seed), torch.no_grad():
        for module in twin.modules():
            _draw(module)
        initialize(twin)
    twin.to(device)
    _set_statistics(twin, norms, inputs, batch_size)
    return twin


def _check(inputs: Tensor, *, least: int, batch_size: int) -> None:
    if inputs.ndim != 4:
        raise ValueError(f"inputs has shape {tuple(inputs.shape)}; pass images of shape (N, C, H, W).")
    if len(inputs) < least:
        raise ValueError(
            f"inputs holds {len(inputs)} images; the batch normalizations of the network need at least {least}, better "
            "some hundreds, to take their statistics from."
        )
    if batch_size < 2:
        raise ValueError(f"batch_size={batch_size} must be at least 2: one image has no statistics.")


def _draw(module: nn.Module) -> None:
    """Draw the parameters that are ``module``'s own, not its children's."""
    own = list(module.parameters(recurse=False))
    learned = [parameter.clone() for parameter in own]
    # MultiheadAttention writes it with an underscore.
    reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    if own and callable(reset):
        reset()
    for parameter, values in zip(own, learned, strict=True):
        if torch.equal(parameter, values):
            parameter.copy_(values.flatten()[torch.randperm(values.numel())].view_as(values))


def _set_statistics(twin: nn.Module, norms: list[_BatchNorm], inputs: Tensor, batch_size: int) -> None:
    """Set what batch normalizations remember to the average over ``inputs``, in batches of nearly equal size."""
    # torch.optim.swa_utils.update_bn puts the whole network into training mode: dropout would change the statistics.
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the cumulative average
        norm.train()
    batches = min(-(-len(inputs) // batch_size), len(inputs) // 2)
    with torch.no_grad():
        for batch in inputs.detach().tensor_split(batches):
            twin(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    twin.eval()
