"""Attribution methods of a network whose parameters are perturbed, while the network itself is left untouched."""

from __future__ import annotations

import copy
import functools
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from captum.attr import Attribution
from torch import Tensor
from torch.nn import Module
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

__all__ = ["PerturbedMethod"]

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class PerturbedMethod:
    """A method whose network can be given other weights, again and again, without a change of the network.

    It is a copy of the method, with a copy of the network and of what else refers to its layers. So other threads go on
    with the network as it is, and no interrupt leaves anything behind. Where a copy would not do, because a function
    stands between the method and the network, or the network cannot be copied, it is the method itself: the operations
    of torch that this thread calls inside of :meth:`active` are then given perturbed tensors for the parameters.

    Args:
        method: Any attribution method.
        network: What it explains, or a part of that; its parameters are the ones that are perturbed.
        may_copy: Whether a copy may be made, where one is possible.

    Attributes:
        method: What explains the perturbed network, inside of :meth:`active`.
        network: The network as it is.
        is_copy: Whether the method is a copy.

    Raises:
        TypeError: If ``network`` is not a module.
        ValueError: If it has no parameters that can be perturbed, is not initialized yet, or cannot be copied and has
            a part in TorchScript, whose operations are not seen.
    """

    def __init__(self, method: Attribution, network: Module, *, may_copy: bool = True) -> None:
        _check_network(network)
        self.network = network
        copied = _copy(method, network) if may_copy else None
        self.is_copy = copied is not None
        if copied is None:
            _check_scripted(network)
        if copied is None:
            self.method, twins = method, [_clone(one) for one in _tensors(network)]
        else:
            self.method, twins = copied[0], list(_tensors(copied[1]))
        self._pairs = _tie(list(_tensors(network)), twins)
        replaced = {id(one): twin for one, twin in zip(_tensors(network), twins, strict=True)}
        self._mode = _Replacing(replaced) if copied is None else None
        self._perturbed = {id(parameter) for parameter in network.parameters() if _is_perturbed(parameter)}

    @torch.no_grad()
    def perturb(self, strength: float, generator: torch.Generator) -> None:
        """Multiply every parameter of the network, as it is itself, by N(1, strength^2), elementwise.

        Buffers, and parameters of integers, become what they are in the network.

        Args:
            strength: Standard deviation of the factors; 0 for the network as it is.
            generator: Where the factors are drawn from, on its own device.
        """
        for original, twin in self._pairs:
            if id(original) not in self._perturbed:
                twin.copy_(original)
                continue
            # Half precision has too few digits for factors near 1.
            dtype = torch.promote_types(original.real.dtype if original.is_complex() else original.dtype, torch.float32)
            noise = torch.randn(original.shape, generator=generator, device=generator.device, dtype=dtype)
            factors = noise.mul_(strength).add_(1).to(original.device)
            twin.copy_(original * factors)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Where ``method`` explains the perturbed network, in this thread alone."""
        if self._mode is None:
            yield
            return
        with _attributes_kept(self.network), self._mode:
            yield

    @contextmanager
    def watched(self) -> Iterator[_Watching]:
        """Say afterwards whether the network as it is was used inside, as by a function that a copy shares with it."""
        with _Watching(_tensors(self.network)) as watching:
            yield watching


class _Watching(TorchFunctionMode):
    """Notes whether torch's operations are called with one of some tensors."""

    def __init__(self, tensors: Iterator[Tensor]) -> None:
        super().__init__()
        self._watched = {id(tensor) for tensor in tensors}
        self.seen = False

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.seen = self.seen or self._holds((args, list((kwargs or {}).values())))
        return func(*args, **(kwargs or {}))

    def _holds(self, value: object) -> bool:
        if isinstance(value, Tensor):
            return id(value) in self._watched
        return isinstance(value, tuple | list) and any(map(self._holds, value))


class _Replacing(TorchFunctionMode):
    """Gives torch's operations other tensors than those that they are called with.

    The gradients that autograd computes are those of the operations, and so of the other tensors, but for functions of
    a user's own (``torch.autograd.Function``) that keep a parameter for their backward pass, and for checkpoints, which
    compute once more while no operation is called. Nothing of TorchScript is seen.
    """

    def __init__(self, replaced: dict[int, Tensor]) -> None:
        super().__init__()
        self._replaced = replaced

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = {name: self._swap(value) for name, value in (kwargs or {}).items()}
        return func(*map(self._swap, args), **named)

    def _swap(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._replaced.get(id(value), value)
        return type(value)(map(self._swap, value)) if type(value) in (tuple, list) else value


def _check_network(network: object) -> None:
    if not isinstance(network, Module):
        raise TypeError(
            f"model must be the torch.nn.Module whose parameters are perturbed, but is a {type(network).__name__}: a "
            "function without parameters cannot be perturbed; pass the network that it calls"
        )
    name = type(network).__name__
    if any(is_lazy(parameter) for parameter in network.parameters()):
        raise ValueError(f"the parameters of {name} are not initialized yet: run it once before, model(inputs)")
    if not any(_is_perturbed(parameter) for parameter in network.parameters()):
        raise ValueError(
            f"{name} has no parameters that could be perturbed: pass a network with parameters of floating point "
            "numbers, neither quantized nor of integers"
        )


def _check_scripted(network: Module) -> None:
    """Raise ValueError if parameters of a network that is not copied are in TorchScript, which calls unseen."""
    scripted = [part for part in network.modules() if isinstance(part, torch.jit.ScriptModule)]
    if any(next(part.parameters(), None) is not None for part in scripted):
        raise ValueError(
            f"{type(network).__name__} has parameters in TorchScript, which cannot be perturbed where the network is "
            "not copied with the method: make the method of the network itself, without a function in between"
        )


def _is_perturbed(parameter: Tensor) -> bool:
    # Numbers of 8 bits are quantized, whatever torch calls them.
    whole = parameter.is_floating_point() or parameter.is_complex()
    return whole and parameter.dtype.itemsize > 1 and parameter.numel() > 0


def _tensors(network: Module) -> Iterator[Tensor]:
    """Parameters and buffers, each once, in an order that a copy has too."""
    yield from network.parameters()
    yield from network.buffers()


def _clone(tensor: Tensor) -> Tensor:
    # Captum's layer methods need activations that have gradients, which they have from the parameters.
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)


@torch.no_grad()
def _tie(originals: list[Tensor], twins: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Let the twins of tensors that share their memory share it too, and return the pairs of which each has its own."""
    pairs: dict[object, tuple[Tensor, Tensor]] = {}
    for original, twin in zip(originals, twins, strict=True):
        place = (original.data_ptr(), original.shape, original.stride(), original.dtype)
        first = pairs.setdefault(place if original.numel() else id(original), (original, twin))
        if first[1] is not twin:
            twin.data = first[1].data
    return list(pairs.values())


@contextmanager
def _attributes_kept(network: Module) -> Iterator[None]:
    """Put back the tensors that a network exchanges for others when it is called, as old weight_norm does."""
    kept = [
        (module, {name: value for name, value in vars(module).items() if isinstance(value, Tensor)})
        for module in network.modules()
    ]
    buffers = [(module._buffers, dict(module._buffers)) for module in network.modules()]
    try:
        yield
    finally:
        for module, tensors in kept:
            vars(module).update(tensors)
        for held, before in buffers:
            held.update(before)


def _copy(method: Attribution, network: Module) -> tuple[Attribution, Module] | None:
    """Copy a method together with its network; None unless all that the copy explains is the copied network."""
    if isinstance(_unwrapped(method.forward_func), types.FunctionType):
        return None
    memo: dict[int, Any] = {}
    try:
        copied = copy.deepcopy(method, memo)
    except torch.OutOfMemoryError:
        raise
    except Exception:  # a network may hold anything, such as locks, that cannot be copied
        return None
    twin = memo.get(id(network))
    if not isinstance(twin, Module):
        return None
    pairs = zip(network.modules(), twin.modules(), strict=True)
    return None if any(_shares_functions(one, other) for one, other in pairs) else (copied, twin)


def _shares_functions(module: Module, copied: Module) -> bool:
    """Whether a copied module has a function that knows a module: functions are not copied with what they know."""
    held = {id(value) for value in _held(copied)}
    return any(id(value) in held and _knows_module(value) for value in _held(module))


def _held(module: Module) -> Iterator[object]:
    yield from vars(module).values()
    for name in _HOOKS:
        yield from vars(module).get(name, {}).values()


def _knows_module(value: object) -> bool:
    function = _unwrapped(value)
    if not isinstance(function, types.FunctionType):
        return False
    found: list[object] = [function.__globals__.get(name) for name in function.__code__.co_names]
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # a variable that has no value yet
            continue
    return any(isinstance(getattr(one, "__self__", one), Module) for one in found)


def _unwrapped(function: object) -> object:
    while isinstance(function, functools.partial):
        function = function.func
    return function
