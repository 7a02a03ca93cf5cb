"""Seeds that depend on what they are for alone, and the global generators seeded for a while."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["check_generator", "derive_seed", "remember_generators", "seeded"]


def check_generator(generator: object) -> torch.Generator:
    """Return the generator, or a fresh one seeded with 0 for None; TypeError for anything else."""
    if generator is None:
        return torch.Generator().manual_seed(0)
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"generator={generator!r} is not a torch.Generator: pass torch.Generator().manual_seed(…)")
    return generator


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A seed of 62 bits for one purpose of many, which does not depend on what was drawn before.

    Args:
        seed: The seed of the whole.
        purpose: What the seed is for.

    Examples:
        >>> derive_seed(0, "training", 1) == derive_seed(0, "training", 1)
        True
        >>> derive_seed(0, "training", 1) == derive_seed(0, "training", 2)
        False
    """
    digest = hashlib.sha256(json.dumps([seed, *purpose]).encode()).digest()
    return int.from_bytes(digest[:8]) >> 2


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed PyTorch's and NumPy's global generators for a while, and leave them as they were.

    Captum's NoiseTunnel, Lime and Shapley methods draw from these, and so do dropout and ``reset_parameters``: none of
    them can be given a generator of its own.

    Examples:
        >>> with seeded(3):
        ...     first = torch.rand(2)
        >>> with seeded(3):
        ...     bool((torch.rand(2) == first).all())
        True
    """
    # NumPy's legacy generator is the one that networks and methods of others draw from: hence NPY002, here and below.
    kept = np.random.get_state()  # noqa: NPY002
    # torch.manual_seed seeds every GPU, also those that are not worked on.
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(kept)  # noqa: NPY002


def remember_generators() -> Callable[[], None]:
    """Note where PyTorch's and NumPy's global generators stand, and return a function that brings them back there.

    Examples:
        >>> bring_back = remember_generators()
        >>> first = torch.rand(2)
        >>> bring_back()
        >>> bool((torch.rand(2) == first).all())
        True
    """
    kept, state = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    # Asking for the state of a GPU that nobody uses would start it.
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]  # untyped in torch

    def bring_back() -> None:
        np.random.set_state(kept)  # noqa: NPY002
        torch.set_rng_state(state)
        if devices:
            torch.cuda.set_rng_state_all(devices)

    return bring_back
