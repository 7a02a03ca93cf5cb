"""Networks by the names that they have on a command line: Python code, files of programs, or ``transformers``."""

import re
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel._networks import acts_as_in_training, describe_error, guarded, logits_of_images
from captum_superpixel.models.checkpoints import load_weights
from captum_superpixel.models.programs import PROGRAM_SUFFIXES, Program, is_program, read_program
from captum_superpixel.models.transformers_classifier import Task, load_transformers, load_transformers_for

__all__ = ["Function", "as_logits", "import_named", "load_model"]

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def load_model(
    specification: str,
    weights: str | Path | None = None,
    *,
    task: Task = "classification",
    option: str = "--model",
    report: Callable[[str], object] | None = None,
) -> nn.Module:
    """Load a network.

    Args:
        specification: One of

            - ``MODULE:FACTORY``, imported from the current folder or from what is installed: the name of a network, or
              of a callable that returns one and needs no arguments. In place of a network it may return a program of
              TorchScript or ``torch.export``, or a function from images to logits, of which nothing is known;
            - a file of ``torch.export.save`` (``.pt2``) or ``torch.jit.save`` (``.pt``). Like importing a module, that
              runs code of whoever made it;
            - a folder that the ``save_pretrained`` of ``transformers`` wrote, read without any network access;
            - ORGANIZATION/NAME, an image classifier on the hub of ``transformers``.
        weights: For ``MODULE:FACTORY``, a file with its state dict: ``.safetensors``, or what ``torch.save`` wrote,
            read with ``weights_only=True``, also from a checkpoint that holds it among other things, and with other
            prefixes of its keys; see :func:`.load_weights`. None leaves the network as the factory made it.
        task: What the network does. Of other tasks than classification it returns what it returns, in whatever form.
        option: What to call the option that the user named the network with, in messages.
        report: Called with a line about whatever may surprise, such as parts of the weights that are not used; None
            for warnings.

    Returns:
        The network, in evaluation mode, float32, on the CPU. It returns logits as a tensor ``(N, classes)`` where the
        network as it was made returns objects with them, or ``(N,)``; see :func:`.logits_of_images`. One of
        ``transformers`` has the attributes ``labels`` and ``preprocessing``, as :func:`.load_transformers` describes
        them; one from a factory has them if the factory sets them.

    Raises:
        InputError: If the specification does not name a network, the import or the call fails, what comes out is no
            network, or the weights cannot be read or do not fit.

    Warns:
        UserWarning: Without ``report``, if weights were left out, or the network stays in training mode.

    Examples:
        >>> type(load_model("captum_superpixel.models.networks:small_cnn")).__name__
        'SmallCNN'
    """
    if specification and (Path(specification).is_dir() or _is_hub_name(specification)):
        if weights is not None:
            raise InputError(
                f"{option} {specification} is a model of transformers, which comes with its weights; leave out the "
                f"weights {weights}, or name the network as MODULE:FACTORY."
            )
        if task != "classification":
            return load_transformers_for(task, specification, option=option)
        return load_transformers(specification, option=option)
    subject = f"{option} {specification}"
    say = report or (lambda text: warnings.warn(text, UserWarning, stacklevel=3))
    path = Path(specification)
    if path.suffix.lower() in PROGRAM_SUFFIXES and path.is_file():
        if weights is not None:
            raise InputError(f"{subject} comes with its weights; leave out the weights {weights}.")
        model: nn.Module = read_program(path, subject=subject)
    else:
        model = _imported(specification, option, task)
    with guarded(f"{subject} cannot be brought to the CPU and float32"):
        model = model.to(device="cpu", dtype=torch.float32)
    if weights is not None:
        load_weights(model, Path(weights), subject=subject, report=report)
    with guarded(f"{subject} cannot be put into evaluation mode"):
        _evaluate(model, say)
    with guarded(f"{subject} takes no hook"):
        if task == "classification" and not isinstance(model, (Program, Function)):
            as_logits(model)
    return model


def as_logits(model: nn.Module) -> None:
    """Let a network return logits ``(N, classes)`` where it returns objects with them, or ``(N,)``; its layers stay."""
    if _logits_of not in model._forward_hooks.values():
        model.register_forward_hook(_logits_of)


class Function(nn.Module):
    """A function from images to logits as a network, of which nothing is known but what it returns.

    Args:
        function: From images (N, C, H, W).
        task: Of other tasks than classification, what the function returns is left as it is.
    """

    def __init__(self, function: Callable[[Tensor], Any], task: Task = "classification") -> None:
        super().__init__()
        self.function = function
        self.task = task

    def forward(self, images: Tensor) -> Any:
        """Logits (N, classes) of images (N, C, H, W)."""
        output = self.function(images)
        return logits_of_images(output, len(images)) if self.task == "classification" else output


def _evaluate(model: nn.Module, say: Callable[[str], object]) -> None:
    """Put a network into evaluation mode; say so if it has layers that cannot be put there."""
    try:
        model.eval()
    except Exception:  # a part of it that cannot change its mode must not keep the others from it
        for module in model.modules():
            module.training = False
    layers = acts_as_in_training(model)
    if layers:
        say(
            f"the network stays in training mode, although eval() was called, and holds {', '.join(layers[:3])}: its "
            "outputs may depend on chance or on the other images of a batch"
        )


def _logits_of(_network: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
    """What a network returns, as logits (N, classes) where that can be: a forward hook, which leaves its layers be."""
    count = len(inputs[0]) if inputs and isinstance(inputs[0], Tensor) and inputs[0].ndim else 0
    return logits_of_images(output, count)


def _is_hub_name(specification: str) -> bool:
    return _HUB_NAME.fullmatch(specification) is not None and not Path(specification).exists()


def _imported(specification: str, option: str, task: Task) -> nn.Module:
    """The network ``MODULE:FACTORY``, as it was made."""
    module_name, _, factory_name = specification.partition(":")
    subject = f"{option} {specification}"
    if not module_name or not factory_name:
        if specification and Path(specification).is_file():
            raise InputError(
                f"{subject} is a file, but not of a program ({', '.join(PROGRAM_SUFFIXES)}); name the network as "
                "MODULE:FACTORY, and pass the file as its weights."
            )
        raise InputError(
            f"{subject} names no network: write MODULE:FACTORY, for example mynet:load for the function load() in "
            "mynet.py; or a folder of a transformers model; or ORGANIZATION/NAME of one on the hub."
        )
    named = import_named(module_name, factory_name, subject)
    made = named if isinstance(named, nn.Module) or is_program(named) else _called(named, factory_name, subject)
    if is_program(made):
        return Program(made)
    if isinstance(made, nn.Module):
        return made
    if callable(made) and not isinstance(made, type):
        return Function(made, task)
    raise InputError(f"{subject}: {factory_name}() returned a {type(made).__name__}, not a torch.nn.Module.")


def import_named(module_name: str, attributes: str, subject: str) -> object:
    """Import what has this name in a module of the current folder, or in an installed one.

    Args:
        module_name: As in an import statement.
        attributes: Its name there, with dots for what is inside of something.
        subject: What asks for it, at the beginning of messages.

    Raises:
        InputError: If the import fails, or there is no such name.
    """
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # A user's module may do anything when it is imported, and raise anything.
    try:
        found: object = import_module(module_name)
    except Exception as error:
        raise InputError(
            f"{subject}: importing {module_name!r} failed ({describe_error(error)}); name it as in an import "
            f"statement, and run the command where it can be imported (now in {folder})."
        ) from error
    try:
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except AttributeError as error:
        raise InputError(f"{subject}: {error}; check the name after the colon.") from error
    return found


def _called(factory: object, name: str, subject: str) -> object:
    """Call a factory, which may raise anything."""
    if not callable(factory):
        raise InputError(
            f"{subject} is a {type(factory).__name__}, neither a torch.nn.Module nor a callable that returns one."
        )
    try:
        return factory()
    except InputError as error:  # of a factory of ours, which says what to do
        raise InputError(f"{subject}: {error}") from error
    except Exception as error:
        raise InputError(
            f"{subject}: calling {name}() failed ({describe_error(error)}); it is called without arguments and must "
            "return a torch.nn.Module."
        ) from error
