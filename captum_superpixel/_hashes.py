"""Hashes of tensors, networks and settings: what tells whether two are the same."""

from __future__ import annotations

import hashlib
import json

import torch
from torch import Tensor, nn

__all__ = ["fingerprint", "hash_tensor"]


def hash_tensor(tensor: Tensor) -> str:
    """Hash the values, dtype and shape of a tensor on any device: 64 hexadecimal digits of SHA-256.

    Examples:
        >>> hash_tensor(torch.zeros(2, 3)) == hash_tensor(torch.zeros(3, 2))
        False
    """
    header = f"{tensor.dtype} {tuple(tensor.shape)} ".encode()
    content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    return hashlib.sha256(header + content.tobytes()).hexdigest()


def fingerprint(value: object) -> str:
    """A hash of a tensor, of a network's weights and buffers, or of anything that JSON can hold: 16 hexadecimal digits.

    Examples:
        >>> fingerprint({"epochs": 3, "seed": 0}) == fingerprint({"seed": 0, "epochs": 3})
        True
    """
    if isinstance(value, Tensor):
        return hash_tensor(value)[:16]
    if isinstance(value, nn.Module):
        parts = (f"{name} {fingerprint(tensor)} " for name, tensor in sorted(value.state_dict().items()))
        return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
