"""A device beside the CPU: a simulated one, whose tensors hold tensors of the CPU, and refuse what a GPU's refuse.

As on CUDA and MPS

- tensors of two devices do not mix, but for CPU tensors without dimensions in pointwise operations,
- no tensor becomes a NumPy array, and
- a generator of random numbers must be the device's;
- in ``without_float64()`` there is no float64, as there is none on MPS.

What is computed is what the CPU computes, so results can be compared bit for bit. ``counted()`` tells how many
operations a GPU would have been asked for, and how often the host would have waited for it.

The environment's ``FOREIGN_DEVICE`` names a real one instead, such as ``cuda``. There ``DrawnOnTheCpu`` gives it the
random numbers of the CPU, and results agree up to rounding.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

SIMULATED = os.environ.get("FOREIGN_DEVICE", "1") == "1"
"""Whether the device is the simulated one."""

NAME = "foreign" if SIMULATED else os.environ["FOREIGN_DEVICE"]
"""What torch calls the device."""

Move = Callable[[Any], Any]
"""Brings a tensor or a network to a device."""

Case = Callable[[Move], object]
"""A call to be made on several devices."""

_aten = torch.ops.aten

_READS = {
    _aten._local_scalar_dense.default: 1,
    _aten.equal.default: 1,
    _aten.is_nonzero.default: 1,
    _aten.nonzero.default: 1,
    _aten.masked_select.default: 1,
    _aten.bincount.default: 1,
    _aten.repeat_interleave.Tensor: 1,
    _aten._unique2.default: 1,
    _aten.unique_dim.default: 1,
    _aten.unique_consecutive.default: 1,
}
"""Operations after which the host waits: it needs a value of the result, or its shape, which depends on values."""

_ALLOCATIONS = {
    _aten.empty_like.default,
    _aten.new_empty.default,
    _aten.new_empty_strided.default,
    _aten.resize_.default,
}
"""Operations that compute nothing."""

_TAKES_CPU_SCALARS = {_aten.index_put_.default, _aten.index_put.default, _aten._index_put_impl_.default}
"""Operations beside the pointwise ones that take a CPU tensor without dimensions."""

_FACTORIES = (
    "empty.memory_format empty_strided arange arange.start arange.start_step full zeros ones eye eye.m linspace "
    "scalar_tensor rand randn randint randint.low randperm rand.generator randn.generator randint.generator "
    "randint.low_generator randperm.generator"
)


@dataclass
class Count:
    """What has been asked of the device.

    Attributes:
        launches: How often each operation was dispatched that a GPU has a kernel for, copies included. Views and
            allocations are none.
        reads: How often each operation was dispatched for which the host has to wait: numbers, copies to the CPU, and
            results whose shape depends on values, such as those of ``nonzero`` or of a mask in brackets.
        uploads: How often something was copied from the CPU.
    """

    launches: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    uploads: Counter[str] = field(default_factory=Counter)


_counts: list[Count] = []


@contextlib.contextmanager
def counted() -> Iterator[Count]:
    """Count what is asked of the device, from any thread."""
    count = Count()
    _counts.append(count)
    try:
        yield count
    finally:
        _counts.remove(count)


class _Abilities:
    """What the device can do."""

    float64 = True


@contextlib.contextmanager
def without_float64() -> Iterator[None]:
    """Refuse float64 for a while, as MPS does."""
    _Abilities.float64 = False
    try:
        yield
    finally:
        _Abilities.float64 = True


class ForeignTensor(Tensor):
    """A tensor on the simulated device.

    Attributes:
        held: What is in it, on the CPU.
    """

    held: Tensor

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor, device: torch.device) -> ForeignTensor:
        made: ForeignTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=device,
        )
        made.held = held
        return made

    def __repr__(self, **_: object) -> str:  # type: ignore[override]
        return f"foreign({self.held}, device={str(self.device)!r})"

    def data_ptr(self) -> int:
        """Say where it is in memory; two tensors are in the same place if what they hold is."""
        return self.held.data_ptr()

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) not in memo:
            copied: Tensor = ForeignTensor(self.held.clone(), self.device)
            if isinstance(self, torch.nn.Parameter):
                copied = torch.nn.Parameter(copied, self.requires_grad)
            memo[id(self)] = copied.requires_grad_(self.requires_grad)
        return memo[id(self)]

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _run(func, args, kwargs or {})


def foreign(value: Tensor) -> Tensor:
    """Copy a tensor to the device, as a leaf that requires gradients if the tensor does."""
    return value.detach().to(NAME).requires_grad_(value.requires_grad)


def _run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Do on the CPU what is asked, and wrap what comes out, unless it is wanted there."""
    leaves = tree_leaves((args, kwargs))
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    devices = {tensor.device for tensor in tensors if isinstance(tensor, ForeignTensor)}
    copies = func in (_aten._to_copy.default, _aten.copy_.default)
    if not copies:
        _refuse_mixture(func, tensors, devices)
        _refuse_generators(leaves)
    target = kwargs.get("device")
    device = torch.device(target) if target is not None else next(iter(devices))
    if func is _aten.copy_.default:
        device = args[0].device
    if device.type == NAME and device.index is None:
        device = torch.device(NAME, 0)
    _count(func, args, tensors, device)
    inner = tree_map(lambda leaf: leaf.held if isinstance(leaf, ForeignTensor) else leaf, (args, kwargs))
    if target is not None:
        inner[1]["device"] = torch.device("cpu")
    if kwargs.get("pin_memory"):
        inner[1]["pin_memory"] = False
    result = func(*inner[0], **inner[1])
    return _wrapped(func, result, tensors, device)


def _wrapped(func: Any, result: Any, tensors: list[Tensor], device: torch.device) -> Any:
    """Wrap results, of which those that were written to are the ones that were passed."""
    passed = {id(tensor.held if isinstance(tensor, ForeignTensor) else tensor): tensor for tensor in tensors}

    def wrap(value: object) -> object:
        if not isinstance(value, Tensor):
            return value
        given = passed.get(id(value))
        if given is not None:
            if given.shape != value.shape or given.stride() != value.stride():
                raise NotImplementedError(f"the simulated device cannot reshape a tensor in place, as {func} does")
            return given
        if device.type != NAME:
            return value
        if not _Abilities.float64 and value.dtype in (torch.float64, torch.complex128):
            raise TypeError(f"the simulated device has no {value.dtype} now, as MPS has none")
        return ForeignTensor(value, device)

    return tree_map(wrap, result)


def _refuse_mixture(func: Any, tensors: list[Tensor], devices: set[torch.device]) -> None:
    """Raise RuntimeError if tensors of two devices are to be combined."""
    takes_scalars = torch.Tag.pointwise in func.tags or func in _TAKES_CPU_SCALARS
    # A tensor that a Python number has become is no tensor of the CPU.
    others = [
        tensor
        for tensor in tensors
        if not isinstance(tensor, ForeignTensor) and not (takes_scalars and tensor.ndim == 0)
    ]
    if others or len(devices) > 1:
        found = sorted(map(str, devices | {tensor.device for tensor in others}))
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, but found {' and '.join(found)}")


def _refuse_generators(leaves: list[Any]) -> None:
    if any(isinstance(leaf, torch.Generator) for leaf in leaves):
        raise RuntimeError(f"expected a {NAME!r} device type for generator but found 'cpu'")


def _count(func: Any, args: tuple[Any, ...], tensors: list[Tensor], device: torch.device) -> None:
    if not _counts:
        return
    name = str(func).removeprefix("aten.")
    from_cpu = func in (_aten._to_copy.default, _aten.copy_.default) and not isinstance(tensors[-1], ForeignTensor)
    reads = func in _READS or device.type == "cpu" or _brackets_with_mask(func, args)
    for count in _counts:
        if from_cpu:
            count.uploads[name] += 1
        if reads:
            count.reads[name] += 1
        if not (func.is_view or func in _ALLOCATIONS):
            count.launches[name] += 1


def _brackets_with_mask(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether an operation has a mask in brackets, of which the true places have to be counted first."""
    if func not in (_aten.index.Tensor, _aten.index_put_.default, _aten.index_put.default):
        return False
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])


def _factory(func: Any) -> Callable[..., Tensor]:
    """Make an operation that creates tensors create them on the device."""

    def create(*args: Any, device: torch.device | None = None, **kwargs: Any) -> Tensor:
        _refuse_generators([*args, *kwargs.values()])
        kwargs.pop("pin_memory", None)
        if device is None or device.index is None:
            device = torch.device(NAME, 0)
        if not func.name().startswith("aten::empty"):
            _count(func, args, [], device)
        return _wrapped(func, func(*args, device=torch.device("cpu"), **kwargs), [], device)

    return create


def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    """Copy between devices where torch does not ask the tensors' own type, as in ``torch.tensor``."""
    _count(_aten.copy_.default, (target, source), [target, source], target.device)
    held = [one.held if isinstance(one, ForeignTensor) else one for one in (target, source)]
    held[0].copy_(held[1])
    return target


def _register() -> torch.library.Library:
    """Make the device known to torch; to be called once in a process."""
    backend_registration._setup_privateuseone_for_python_backend(NAME)
    library = torch.library.Library("aten", "IMPL", "PrivateUse1")
    for name in _FACTORIES.split():
        operation, _, overload = name.partition(".")
        func = getattr(getattr(_aten, operation), overload or "default")
        library.impl(name, _factory(func), dispatch_key="PrivateUse1")
    library.impl("_copy_from", _copy_from, dispatch_key="PrivateUse1")
    return library


class DrawnOnTheCpu(TorchDispatchMode):
    """Let what a real device draws be drawn on the CPU, whose random numbers are others for the same seed."""

    def __torch_dispatch__(self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        target = kwargs.get("device")
        given, options = tree_map(lambda leaf: leaf.cpu() if isinstance(leaf, Tensor) else leaf, (args, kwargs))
        if target is not None:
            options["device"] = torch.device("cpu")
        drawn = func(*given, **options)
        if func.name().partition(".")[0].endswith("_"):
            return args[0].copy_(drawn)
        devices = [leaf.device for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        device = target or (devices[0] if devices else torch.device("cpu"))
        return tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, drawn)


if SIMULATED:
    _LIBRARY = _register()
