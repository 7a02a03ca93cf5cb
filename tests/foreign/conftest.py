"""Calls made on the CPU and on the simulated device, whose results are compared."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils import backend_registration

from captum_superpixel._float64 import widest_float

if "FOREIGN_DEVICE" not in os.environ:
    # Once torch knows the device, all of its process is changed, from the generators that it forks to what it takes for
    # the accelerator: tests/test_foreign_device.py runs the tests here in a process of their own.
    collect_ignore_glob = ["*.py"]
elif hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
    from foreign_device import Case, foreign, without_float64

    # It makes itself known to torch, which takes that once: not to be imported anew for its doctests.
    collect_ignore = ["foreign_device.py"]
else:
    # Devices written in Python came with torch 2.10.
    collect_ignore_glob = ["*.py"]

mpl.use("Agg")


@pytest.fixture(params=[True, False], ids=["float64", "no float64"])
def has_float64(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether the device has float64, as CUDA has and MPS has not."""
    widest_float.cache_clear()
    with contextlib.nullcontext() if request.param else without_float64():
        yield request.param
    widest_float.cache_clear()


@pytest.fixture
def check(has_float64: bool) -> Callable[..., None]:
    """Make a call on both, and compare: bit for bit unless ``rounding`` is given; ``host`` says that it ends there."""

    def compare(case: Case, *, host: bool = False, rounding: float = 0) -> None:
        with torch.random.fork_rng(devices=[]):
            seed_everything()
            expected = list(numbers_in(case(copy.deepcopy)))
            seed_everything()
            found = list(numbers_in(case(moved)))
        assert expected
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert one.device.type == ("cpu" if host else "foreign")
            assert one.shape == other.shape
            assert one.is_floating_point() == other.is_floating_point()
            back = one.detach().cpu().to(other.dtype)
            torch.testing.assert_close(back, other.detach(), rtol=rounding, atol=rounding, equal_nan=True)

    return compare


def seed_everything() -> None:
    """Seed what Captum draws from, torch and NumPy."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002


def moved(value: Tensor | nn.Module) -> Any:
    """Copy a tensor or a network to the device."""
    return copy.deepcopy(value).to("foreign") if isinstance(value, nn.Module) else foreign(value)


def numbers_in(result: Any) -> Iterator[Tensor]:
    """Find all tensors in a result, and make tensors of its numbers."""
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, bool | int | float | np.ndarray | np.generic):
        yield torch.as_tensor(result)
    elif dataclasses.is_dataclass(result) and not isinstance(result, type):
        for field in dataclasses.fields(result):
            yield from numbers_in(getattr(result, field.name))
    elif isinstance(result, Mapping):
        yield from numbers_in(list(result.values()))
    elif isinstance(result, list | tuple):
        for member in result:
            yield from numbers_in(member)
