"""What networks bring along: objects as outputs, errors of many lines, and a training mode that was forgotten."""

from __future__ import annotations

import functools
import sys
import types
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import Module, MultiheadAttention
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from captum_superpixel._checks import InputError, one_line

__all__ = [
    "acts_as_in_training",
    "describe_error",
    "first_logits",
    "guarded",
    "logits_of_images",
    "networks_of",
    "program_cause",
    "unchanged_modes",
    "warn_caller",
    "warn_in_training_mode",
]

_OWN_PACKAGES = {"captum_superpixel", "captum", "torch"}


def first_logits(output: object) -> Tensor:
    """Return the logits of what a network returned.

    Args:
        output: A tensor; an object with ``logits``, such as the outputs of ``transformers``; a dictionary with
            ``"logits"``; or a tuple or list, of which the first member is one of these.

    Returns:
        The tensor as it stands there.

    Raises:
        ValueError: If there are none.

    Examples:
        >>> import torch
        >>> first_logits({"loss": None, "logits": torch.ones(2)}), first_logits((torch.zeros(2), "further"))
        (tensor([1., 1.]), tensor([0., 0.]))
    """
    found = output
    if not isinstance(output, Tensor):
        found = getattr(output, "logits", None)
        if found is None and isinstance(output, Mapping):
            found = output.get("logits")
        if found is None and isinstance(output, (tuple, list)) and output:
            return first_logits(output[0])
    if isinstance(found, Tensor):
        return found
    names = f" of {', '.join(map(repr, output))}" if isinstance(output, Mapping) else ""
    raise ValueError(
        f"the network returned an output of type {type(output).__name__}{names}, which has no tensor of logits: let "
        "it return a tensor, for example by a function of the inputs that takes it out of that output"
    )


def logits_of_images(output: object, count: int) -> object:
    """Bring what a network returned for a batch of images to a tensor of logits ``(N, classes)``, where it can be.

    Args:
        output: What :func:`first_logits` takes, or anything else, which stays as it is.
        count: N, the number of images. One output each may come as ``(N,)``; for a single image, as one number. What
            comes as ``(N, classes, 1, 1)``, from a network of convolutions alone, loses its places.

    Examples:
        >>> import torch
        >>> logits_of_images({"logits": torch.zeros(2, 3)}, 2).shape, logits_of_images(torch.zeros(2), 2).shape
        (torch.Size([2, 3]), torch.Size([2, 1]))
    """
    try:
        logits = first_logits(output)
    except ValueError:
        return output
    if logits.ndim > 2 and logits.shape[0] == count and set(logits.shape[2:]) == {1}:
        return logits.flatten(1)
    alone = logits.ndim == 0 and count == 1
    return logits.reshape(count, 1) if alone or logits.shape == (count,) else logits


def describe_error(error: BaseException, limit: int = 300) -> str:
    r"""Name an error's class and message in one line that is not too long.

    Of an error in TorchScript, whose message holds the program, what went wrong stands in the last line.

    Args:
        error: Any error.
        limit: How many letters of the message are kept.

    Examples:
        >>> describe_error(ValueError("two\nlines")), describe_error(KeyError("a" * 9), 5)
        ('ValueError: two lines', "KeyError: 'aaaa ...")
    """
    lines = str(error).strip().splitlines() or [""]
    name, text = type(error).__name__, one_line(error)
    if any("Traceback of TorchScript" in line for line in lines):
        name, _, text = lines[-1].partition(": ") if ": " in lines[-1] else (name, "", lines[-1])
    text = one_line(text, limit)
    return f"{name}: {text}" if text else name


def program_cause(error: BaseException) -> str | None:
    """Say that an exported program takes images of one shape alone, if that is why it failed; else None.

    Examples:
        >>> program_cause(AssertionError("Guard failed: x.size()[0] == 2")).partition(":")[0]
        'the network is a program of torch.export that does not take these inputs (Guard failed'
    """
    text = str(error)
    if not isinstance(error, AssertionError) or not text.startswith("Guard failed"):
        return None
    return (
        f"the network is a program of torch.export that does not take these inputs ({text}), and is called with "
        "batches of other sizes than that of the images: export it with dynamic_shapes that leave the size of the "
        "batch open, for example torch.export.export(network, (images,), dynamic_shapes=({0: torch.export.Dim.AUTO},))"
    )


@contextmanager
def guarded(doing: str) -> Iterator[None]:
    """Turn whatever a user's network raises into an InputError that says what was being done.

    Args:
        doing: The beginning of the message.

    Examples:
        >>> with guarded("The network cannot be moved"):
        ...     raise KeyError("device")
        Traceback (most recent call last):
        captum_superpixel._checks.InputError: The network cannot be moved (KeyError: 'device').
    """
    try:
        yield
    except (InputError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a user's network may raise anything, whatever it is asked for
        raise InputError(f"{doing} ({describe_error(error)}).") from error


def acts_as_in_training(network: Module) -> list[str]:
    """Name the classes of the layers that act in another way than in evaluation, each once."""
    return list({_name_of(module): None for module in network.modules() if _trains(module)})


@contextmanager
def unchanged_modes(forward_func: object) -> Iterator[None]:
    """Leave the modes of all modules of a network as they are, and raise ValueError if its calls changed one.

    Explanations of a network that begins to train after its first call are of two networks.

    Args:
        forward_func: What the calls inside explain.

    Raises:
        ValueError: If a module was left in another mode, and nothing else was raised.
    """
    modes = [(module, module.training) for network in networks_of(forward_func) for module in network.modules()]

    def restore() -> list[str]:
        changed = [(module, training) for module, training in modes if module.training != training]
        for module, training in changed:
            module.training = training
        return [type(module).__name__ for module, _ in changed]

    try:
        yield
    except BaseException:
        restore()
        raise
    if changed := restore():
        raise ValueError(
            f"the network changes its own mode when it is called ({', '.join(dict.fromkeys(changed))}), so that "
            "further calls act otherwise than the first: take train() and eval() out of its forward, and call eval() "
            "before. The modes are as they were; statistics of batch normalization may have moved"
        )


def warn_in_training_mode(forward_func: object) -> None:
    """Warn where a network in training mode holds layers that act differently in it, as BatchNorm and Dropout do.

    Args:
        forward_func: A network, its bound method, or a function that has networks among its variables.
    """
    for network in networks_of(forward_func):
        layers = acts_as_in_training(network)
        if layers:
            warn_caller(
                f"the network {_name_of(network)} is in training mode and holds {', '.join(layers[:3])}: its "
                "outputs depend on chance or on the other images of the batch, and calls may change its running "
                "statistics; call network.eval() first"
            )
            return


def networks_of(function: object) -> Iterator[Module]:
    """Yield the networks that a forward function is, is bound to, or has among its variables."""
    if isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, Module):
        yield function
    elif isinstance(function, types.MethodType):
        yield from networks_of(function.__self__ if isinstance(function.__self__, Module) else None)
    elif isinstance(function, types.FunctionType):
        for cell in function.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:  # a variable that has no value yet
                continue
            yield from [value] if isinstance(value, Module) else []
        named = (function.__globals__.get(name) for name in function.__code__.co_names)
        yield from (value for value in named if isinstance(value, Module))


def _trains(module: Module) -> bool:
    """Whether a layer by itself acts in another way than in evaluation."""
    if not module.training:
        return False
    name = _name_of(module)
    if isinstance(module, _NormBase) or name.startswith(("BatchNorm", "SyncBatchNorm")):
        return bool(getattr(module, "track_running_stats", True))
    if isinstance(module, MultiheadAttention):
        return bool(module.dropout > 0)
    if isinstance(module, _DropoutNd) or "Dropout" in name or name.endswith(("DropPath", "StochasticDepth")):
        return getattr(module, "p", getattr(module, "drop_prob", None)) not in (0, 0.0)
    return False


def _name_of(module: Module) -> str:
    """Name of the class, of TorchScript's modules that of the class that they were made from."""
    return str(getattr(module, "original_name", type(module).__name__))


def warn_caller(message: str) -> None:
    """Warn at the line outside of this package, Captum and torch that led here."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None:
        frame, level = frame.f_back, level + 1
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _OWN_PACKAGES:
            break
    warnings.warn(message, UserWarning, stacklevel=level)
