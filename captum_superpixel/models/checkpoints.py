"""State dicts in files, and networks that take them: found among other contents, fitted by their prefixes, loaded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel._networks import describe_error, guarded
from captum_superpixel.models.prefixes import fit_keys, is_averaged

__all__ = ["load_state_dict", "load_weights"]

_NESTED = ("state_dict", "model_state_dict", "model", "network", "net", "module", "params", "weights")
"""Under which keys state dicts lie, those of the network first; averages of it over its training come last."""


def load_weights(
    model: nn.Module, path: Path, *, subject: str = "The network", report: Callable[[str], object] | None = None
) -> None:
    """Load a state dict from a file into a network, in place; every parameter must be found.

    Keys of the file and the network may differ by prefixes, as a wrapper puts them before every key: ``module.``
    (DataParallel), ``_orig_mod.`` (torch.compile), ``model.`` (Lightning), ``ema.``. They are taken off, or put on.

    Args:
        model: The network.
        path: ``.safetensors``, or what ``torch.save`` wrote.
        subject: What to call the network in messages.
        report: Called with a line about what of the file was not used, and what of the network is not in it; None
            for a warning.

    Raises:
        InputError: If the file cannot be read, a parameter is missing or has another shape, there is one that the
            network does not have, or several parts of the file fit.

    Warns:
        UserWarning: If something was left out and there is no ``report``.
    """
    state = load_state_dict(path, subject=subject)
    with guarded(f"{subject} does not give its parameters"):
        own: dict[str, Tensor] = model.state_dict()
        buffers = {name for name, _ in model.named_buffers()}
    try:
        fitted = fit_keys(state, own, buffers)
    except ValueError as error:
        raise InputError(f"{subject}: the weights {path} fit in several ways: {error}.") from error
    faults = "; ".join(fitted.faults(state, own))
    if faults:
        raise InputError(
            f"{subject}: the weights {path} do not fit: {faults}. Pass the weights of this network, or the network "
            "that they belong to, with as many classes."
        )
    # What can still fail is the network's own doing, above all a hook on its state dict.
    try:
        model.load_state_dict({name: state[key] for name, key in fitted.names.items()}, strict=False)
    except Exception as error:
        raise InputError(f"{subject}: the weights {path} could not be loaded ({describe_error(error)}).") from error
    remarks = fitted.remarks()
    if remarks:
        text = f"the weights {path}: {remarks}"
        if report is None:
            warnings.warn(text, UserWarning, stacklevel=2)
        else:
            report(text)


def load_state_dict(path: Path, *, subject: str = "The network") -> dict[str, Tensor]:
    """Read a state dict from a file, on the CPU.

    Args:
        path: ``.safetensors``, or what ``torch.save`` wrote, read with ``weights_only=True``: the state dict itself, or
            one under a key such as "state_dict", "model_state_dict", "model" or "ema", also some levels down.
        subject: What to call the network in messages.

    Returns:
        Tensors by their keys, at least one.

    Raises:
        InputError: If the file is missing, cannot be read, or holds something else.
    """
    if not path.is_file():
        fault = "are no file" if path.exists() else "do not exist"
        raise InputError(f"{subject}: the weights {path} {fault}; pass a file with the network's state dict.")
    safetensors = path.suffix.lower() == ".safetensors"
    try:
        read: object = _read_safetensors(path) if safetensors else torch.load(path, "cpu", weights_only=True)
    except ImportError as error:
        raise InputError(
            f"{subject}: the weights {path} need the package safetensors ({error}): "
            'pip install "captum-superpixel[models]".'
        ) from error
    except Exception as error:  # damaged files fail in as many ways as there are bytes
        cause = str(error).split(". ")[0]
        raise InputError(
            f"{subject}: the weights {path} cannot be read ({type(error).__name__}: {cause}); pass a state dict in a "
            ".safetensors file, or written by torch.save(model.state_dict(), ...), with nothing but tensors in it."
        ) from error
    if isinstance(read, Mapping):
        read = _find(read)
    if not isinstance(read, Mapping) or not read:
        content = "nothing" if isinstance(read, Mapping) else f"a {type(read).__name__}"
        raise InputError(f"{subject}: the weights {path} hold {content}, not a state dict, which has tensors by name.")
    for key, value in read.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise InputError(
                f"{subject}: the weights {path} hold a {type(value).__name__} under {key!r}, so no state dict; save "
                'model.state_dict(), alone or under the key "state_dict".'
            )
    return dict(read)


def _find(read: Mapping[object, object]) -> Mapping[object, object]:
    """The state dict in what a file holds; what the file holds where there is none, for a message."""
    if _is_state(read):
        return read
    inner = {key: _find(value) for key, value in read.items() if isinstance(value, Mapping)}
    states = {str(key): value for key, value in inner.items() if _is_state(value)}
    known = [name for name in _NESTED if name in states]
    others = [name for name in states if is_averaged(name)]
    best = next(iter([*known, *others]), None)
    return read if best is None else states[best]


def _is_state(value: Mapping[object, object]) -> bool:
    return bool(value) and all(isinstance(key, str) and isinstance(part, Tensor) for key, part in value.items())


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)
