"""What tells whether a network is the one that explained photographs before: weights, modules, code or answers."""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel._hashes import fingerprint
from captum_superpixel._seeds import seeded
from captum_superpixel.models.classifying import classify
from captum_superpixel.models.loading import Function

__all__ = ["hash_file", "identify"]

_NOT_THEIRS = ("torch", "captum_superpixel")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_STEPS = 100
"""Answers count to so many parts of the largest: rounding, which differs from machine to machine, is far smaller."""


def hash_file(path: Path) -> str:
    """Hash the bytes of a file; empty where it cannot be read, which is said when it is to be explained."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def identify(model: nn.Module, specification: str, probe: Tensor) -> dict[str, Any]:
    """Name what makes a network this one, as :func:`fingerprint` takes it.

    Weights and buffers count, the modules, and the code of these and of the factory. Where a network does not show its
    weights, as a function or one around a program of another library, it is known by what it answers to noise.

    Args:
        model: The network.
        specification: The text of ``--model``.
        probe: ``(1, C, H, W)``, noise.
    """
    weights, complete = _hash_weights(model)
    return {
        "weights": weights,
        # Modules may hold functions, of which Python writes where they are in memory.
        "modules": hashlib.sha256(_ADDRESS.sub("", str(model)).encode(errors="replace")).hexdigest(),
        "code": _hash_code(model, specification),
        "answers": [] if complete else _round_answers(model, probe),
    }


def _hash_weights(model: nn.Module) -> tuple[dict[str, str], bool]:
    """Hash what a network holds by its names, and say whether that is all of it, as far as can be seen."""
    functions = any(isinstance(module, Function) for module in model.modules())
    # Networks of users may raise anything, and hold anything: objects without content, or tensors without bytes.
    try:
        state = dict(model.state_dict())
    except Exception:
        return {}, False
    hashes = {}
    for name, value in state.items():
        try:
            hashes[name] = fingerprint(value)
        except (TypeError, ValueError, RuntimeError):
            functions = True
    return hashes, bool(hashes) and not functions


def _hash_code(model: nn.Module, specification: str) -> dict[str, str]:
    """Hash the files of the factory and of the classes of the modules, but for those of torch and of this package."""
    modules = list(model.modules())
    names = {type(module).__module__ for module in modules} | {specification.partition(":")[0]}
    names |= {str(getattr(each.function, "__module__", "")) for each in modules if isinstance(each, Function)}
    known = {name: sys.modules.get(name) for name in names if name.partition(".")[0] not in _NOT_THEIRS}
    places = {name: getattr(module, "__file__", None) for name, module in known.items() if inspect.ismodule(module)}
    return {name: hash_file(Path(place)) for name, place in sorted(places.items()) if place}


def _round_answers(model: nn.Module, probe: Tensor) -> list[int]:
    """What the network answers, rounded; nothing where it answers only about what a task holds before it."""
    try:
        with seeded(0):
            answers = classify(model, probe, differentiable=False)[0].double().cpu()
    except InputError:
        return []
    largest = answers.abs().max().clamp(min=torch.finfo(torch.float64).tiny)
    found: list[int] = (_STEPS * answers / largest).round().long().tolist()
    return found
