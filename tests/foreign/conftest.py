"""Calls made on the CPU and on the simulated device, whose results are compared."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
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
elif os.environ["FOREIGN_DEVICE"] != "1":
    from foreign_device import NAME, SIMULATED, Case, DrawnOnTheCpu, foreign, without_float64

    # Counted is what the simulated device is asked for.
    collect_ignore = ["foreign_device.py", "test_launches.py"]
elif hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
    from foreign_device import NAME, SIMULATED, Case, DrawnOnTheCpu, foreign, without_float64

    # It makes itself known to torch, which takes that once: not to be imported anew for its doctests.
    collect_ignore = ["foreign_device.py"]
else:
    # Devices written in Python came with torch 2.10.
    collect_ignore_glob = ["*.py"]

mpl.use("Agg")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what to do to those who name a file here, which is collected although it is to be ignored."""
    here = Path(__file__).parent
    if "FOREIGN_DEVICE" not in os.environ and any(here in item.path.parents for item in items):
        raise pytest.UsageError("these tests need a device: FOREIGN_DEVICE=1 python -m pytest tests/foreign")


@pytest.fixture(params=[True, False], ids=["float64", "no float64"])
def has_float64(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether the device has float64, as CUDA has and MPS has not."""
    widest_float.cache_clear()
    if not SIMULATED and request.param != (widest_float(torch.device(NAME)) == torch.float64):
        pytest.skip(f"{NAME} is what it is")
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
            with contextlib.nullcontext() if SIMULATED else DrawnOnTheCpu():
                found = list(numbers_in(case(moved)))
        assert expected
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert one.device.type == ("cpu" if host else NAME)
            assert one.shape == other.shape
            assert one.is_floating_point() == other.is_floating_point()
            back = one.detach().cpu().to(other.dtype)
            if SIMULATED:
                torch.testing.assert_close(back, other.detach(), rtol=rounding, atol=rounding, equal_nan=True)
            else:
                assert_alike(back, other.detach())

    return compare


def assert_alike(found: Tensor, expected: Tensor) -> None:
    """Compare what a real device gives, which rounds in its own way, and where two are as near may take the other."""
    tolerance = {"rtol": 0.0, "atol": 0.0}
    if expected.is_floating_point():
        tolerance = {"rtol": 1e-3, "atol": 1e-4 * float(expected.nan_to_num(0, 0, 0).abs().max())}
    alike = torch.isclose(found, expected, equal_nan=True, **tolerance).double().mean()
    assert alike >= 0.99, f"{100 * alike:.2f} % alike: {found}, expected {expected}"


def seed_everything() -> None:
    """Seed what Captum draws from, torch and NumPy."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002


def moved(value: Tensor | nn.Module) -> Any:
    """Copy a tensor or a network to the device."""
    return copy.deepcopy(value).to(NAME) if isinstance(value, nn.Module) else foreign(value)


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
