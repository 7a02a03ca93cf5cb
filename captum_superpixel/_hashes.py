"""Hashes of tensors, networks and settings: what tells whether two are the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["as_json", "fingerprint", "hash_tensor"]


def hash_tensor(tensor: Tensor) -> str:
    """Hash the values, dtype and shape of a tensor on any device: 64 hexadecimal digits of SHA-256.

    Examples:
        >>> hash_tensor(torch.zeros(2, 3)) == hash_tensor(torch.zeros(3, 2))
        False
    """
    header = f"{tensor.dtype} {tuple(tensor.shape)} ".encode()
    # A copy, since a single element counts as contiguous whatever its stride, and its bytes cannot be viewed then.
    values = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    content = values.flatten().view(torch.uint8).numpy()
    return hashlib.sha256(header + content.tobytes()).hexdigest()


def fingerprint(value: object) -> str:
    """A hash of a tensor, of a network's weights and buffers, or of anything that JSON can hold: 16 hexadecimal digits.

    Within dictionaries and lists there may be what :func:`as_json` knows.

    Raises:
        TypeError: If there is something else.

    Examples:
        >>> fingerprint({"epochs": 3, "seed": 0}) == fingerprint({"seed": 0, "epochs": 3})
        True
    """
    if isinstance(value, Tensor):
        return hash_tensor(value)[:16]
    if isinstance(value, nn.Module):
        parts = (f"{name} {fingerprint(tensor)} " for name, tensor in sorted(value.state_dict().items()))
        return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=as_json).encode()).hexdigest()[:16]


def as_json(value: object) -> Any:
    """What stands in JSON for a path, a tensor, an array, a device or a dtype: ``default=`` of :func:`json.dumps`.

    Never what ``str`` makes of a value: that leaves out the middle of an array, and holds the address of most objects.

    Raises:
        TypeError: If it is anything else.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return {"array": [str(value.dtype), list(value.shape), hashlib.sha256(value.tobytes()).hexdigest()]}
    if isinstance(value, Tensor):
        return {"tensor": hash_tensor(value)}
    if isinstance(value, PurePath | torch.device | torch.dtype):
        return str(value)
    raise TypeError(f"a {type(value).__name__} has no contents to be known by: {value!r}")
