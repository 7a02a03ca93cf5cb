"""Networks as programs, of TorchScript and ``torch.export``: read from files, and called as modules are."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel._networks import describe_error, logits_of_images
from captum_superpixel._threads import ignored_warnings

__all__ = ["PROGRAM_SUFFIXES", "Program", "is_program", "read_program"]

_EXPORTED = ".pt2"
PROGRAM_SUFFIXES = (_EXPORTED, ".pt", ".pth", ".ts", ".jit", ".torchscript")
"""How the names of files with programs end."""


class Program(nn.Module):
    """A program of TorchScript or ``torch.export`` as a network, from images (N, C, H, W) to logits (N, classes).

    A program that takes batches of one size alone is given batches of that size, one after the other; the last is
    filled up with copies of its last image. Its layers are not shown: neither kind of program lets them be hooked.

    Args:
        network: A ``ScriptModule``, an ``ExportedProgram``, or what the ``module()`` of one returns.

    Attributes:
        kind: ``"TorchScript"`` or ``"torch.export"``.
        shape: Of the images ``(N, C, H, W)`` that an exported program takes, None for what it leaves open.
        batch_size: How many images it takes at once; None for any number, as far as is known.
    """

    def __init__(self, network: object) -> None:
        super().__init__()
        if isinstance(network, torch.export.ExportedProgram):
            network = network.module()
        if not isinstance(network, nn.Module):
            raise TypeError(f"network must be a program of TorchScript or torch.export, not a {type(network).__name__}")
        self.network = network
        self.kind = "TorchScript" if isinstance(network, torch.jit.ScriptModule) else "torch.export"
        self.shape = _shape_of_images(network)
        self.batch_size = self.shape[0]

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W)."""
        if self.batch_size is None:
            try:
                return self._call(images)
            # A program that was recorded with one image may raise anything, or return rows of its own number, for more.
            except Exception:
                if len(images) == 1:
                    raise
            logits = torch.cat([self._call(image) for image in torch.split(images, 1)])
            self.batch_size = 1
            return logits
        if len(images) == self.batch_size:
            return self._call(images)
        missing = -len(images) % self.batch_size
        filled = torch.cat([images, images[-1:].expand(missing, -1, -1, -1)]) if missing else images
        return torch.cat([self._call(part) for part in torch.split(filled, self.batch_size)])[: len(images)]

    def train(self, mode: bool = True) -> Program:
        """Set the mode, where the program knows one: that of an exported program was settled when it was made."""
        self.training = mode
        if self.kind == "TorchScript":
            self.network.train(mode)
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Program:
        """Set whether the parameters are given gradients, which TorchScript has no method of its own for."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def _call(self, images: Tensor) -> Tensor:
        logits = logits_of_images(self.network(images), len(images))
        if not isinstance(logits, Tensor) or len(logits) != len(images):
            raise ValueError(f"the program takes no batch of {len(images)} images")
        return logits


def is_program(network: object) -> bool:
    """Whether this is a program of TorchScript or ``torch.export``, or the module of one."""
    exported = isinstance(network, torch.fx.GraphModule) and any(
        node.op == "call_function" and str(node.target).startswith("aten.") for node in network.graph.nodes
    )
    return exported or isinstance(network, (torch.jit.ScriptModule, torch.export.ExportedProgram))


def read_program(path: Path, *, subject: str) -> Program:
    """Read a program from a file, on the CPU.

    Like the import of a module, this trusts whoever wrote the file: a program is code.

    Args:
        path: ``.pt2``, as ``torch.export.save`` writes it; else a file of ``torch.jit.save``.
        subject: What to call the network in messages.

    Raises:
        InputError: If it holds no program, or one that cannot be read.
    """
    try:
        with _quietly():
            exported = path.suffix.lower() == _EXPORTED
            read: Any = torch.export.load if exported else partial(torch.jit.load, map_location="cpu")
            return Program(read(path))
    except Exception as error:  # damaged files fail in as many ways as there are bytes
        kind = "torch.export.save" if path.suffix.lower() == _EXPORTED else "torch.jit.save"
        raise InputError(
            f"{subject} holds no program as {kind} writes it ({describe_error(error, 120)}); if it holds a state dict, "
            "name the network as MODULE:FACTORY and pass the file as its weights."
        ) from error


def _shape_of_images(network: nn.Module) -> tuple[int | None, ...]:
    """What an exported program says of the shape of its first input; nothing is said by others."""
    for node in network.graph.nodes if isinstance(network, torch.fx.GraphModule) else ():
        value = node.meta.get("val") if node.op == "placeholder" else None
        if isinstance(value, Tensor) and value.ndim == 4:
            return tuple(size if isinstance(size, int) else None for size in value.shape)
    return (None,) * 4


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep back what torch says about files of others on its own: that TorchScript grows old, and why it failed."""
    disabled = logging.root.manager.disable
    with ignored_warnings(Warning):
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(disabled)
