"""What a call must leave as it was: its inputs, their gradients, the network and its hooks, and global states."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@contextmanager
def all_untouched(
    tensors: Sequence[Any] = (), network: nn.Module | None = None, *, chance: bool = False
) -> Iterator[None]:
    """Compare before and after, also where the call raises.

    Args:
        tensors: What the call is given; anything but tensors and arrays is passed over.
        network: What it explains.
        chance: Whether the call may draw from the global generators, as Captum's samplers and what they import do.
    """
    before = _snapshot(tensors, network, chance)
    try:
        yield
    finally:
        after = _snapshot(tensors, network, chance)
        changed = [name for name in before if before[name] != after[name]]
        assert not changed, f"changed: {', '.join(changed)}"


def _snapshot(tensors: Sequence[Any], network: nn.Module | None, chance: bool) -> dict[str, object]:
    state: dict[str, object] = {
        "gradient mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "default dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "warning filters": list(warnings.filters),
        "NumPy's error state": np.geterr(),
    }
    if not chance:
        state["Python's random state"] = random.getstate()
        state["torch's random state"] = _bytes(torch.get_rng_state())
        numpys = np.random.get_state(legacy=False)  # noqa: NPY002  # the global one is what must not change
        state["NumPy's random state"] = (numpys["state"]["key"].tobytes(), numpys["state"]["pos"])
    for number, tensor in enumerate(tensors):
        if isinstance(tensor, Tensor):
            state |= {f"{part} of tensor {number}": value for part, value in _of_tensor(tensor).items()}
        elif isinstance(tensor, np.ndarray):
            state[f"array {number}"] = (tensor.dtype.str, tensor.shape, tensor.tobytes())
    if network is not None:
        for name, parameter in [*network.named_parameters(), *network.named_buffers()]:
            state |= {f"{part} of {name}": value for part, value in _of_tensor(parameter).items()}
        for name, module in network.named_modules():
            state[f"mode of {name}"] = module.training
            state[f"hooks of {name}"] = [list(getattr(module, hooks).values()) for hooks in _HOOKS]
    return state


def _of_tensor(tensor: Tensor) -> dict[str, object]:
    gradient = tensor.grad if tensor.is_leaf else None
    return {
        "values": _bytes(tensor),
        "layout": (tensor.dtype, tuple(tensor.shape), tensor.stride(), tensor.storage_offset()),
        "requires_grad": tensor.requires_grad,
        "gradient": None if gradient is None else _bytes(gradient),
        "hooks": len(tensor._backward_hooks or ()),
    }


def _bytes(tensor: Tensor) -> bytes:
    values = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    held: bytes = values.flatten().view(torch.uint8).numpy().tobytes()
    return held
