"""The device to work on, from its name on a command line."""

from __future__ import annotations

import torch

from captum_superpixel._checks import InputError

__all__ = ["choose_device"]


def choose_device(name: str | None = None, local_rank: int = 0) -> torch.device:
    """Find a device and check that it works.

    Args:
        name: What PyTorch calls it. ``"cuda"`` gives each process of a machine a GPU in turn; None does so too, and
            gives the CPU where there is no GPU.
        local_rank: This process among those of its machine, from 0.

    Raises:
        InputError: If there is no such device, or it cannot be used.

    Examples:
        >>> choose_device("cpu")
        device(type='cpu')
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    # A missing device fails only when it is used, and each kind in its own way: by its name, its driver, its backend.
    try:
        if name == "cuda":
            name = f"cuda:{local_rank % max(1, torch.cuda.device_count())}"
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except Exception as error:  # each backend has errors of its own, down to AssertionError where it was not compiled
        cause = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"device {name!r} cannot be used ({cause}); pass cpu, cuda or cuda:0, or leave it out."
        ) from error
    return device
