"""Networks by the names that they have on a command line: Python code with a state dict, or ``transformers``."""

import re
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from captum_superpixel._checks import InputError, listed
from captum_superpixel.models.transformers_classifier import load_transformers

__all__ = ["load_model", "load_state_dict", "load_weights"]

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_NESTED = ("state_dict", "model_state_dict", "model")


def load_model(specification: str, weights: str | Path | None = None, *, option: str = "--model") -> nn.Module:
    """Load a network.

    Args:
        specification: One of

            - ``MODULE:FACTORY``, imported from the current folder or from what is installed: the name of a network, or
              of a callable that returns one and needs no arguments;
            - a folder that the ``save_pretrained`` of ``transformers`` wrote, read without any network access;
            - ORGANIZATION/NAME, an image classifier on the hub of ``transformers``.
        weights: For ``MODULE:FACTORY``, a file with its state dict: ``.safetensors``, or what ``torch.save`` wrote,
            read with ``weights_only=True``. It may lie under the key "state_dict", "model_state_dict" or "model" and
            have the "module." of ``DataParallel`` before every key. None leaves the network as the factory made it.
        option: What to call the option that the user named the network with, in messages.

    Returns:
        The network, in evaluation mode, float32, on the CPU. One of ``transformers`` has the attributes ``labels`` and
        ``preprocessing``, as :func:`.load_transformers` describes them; one from a factory has them if the factory
        sets them.

    Raises:
        InputError: If the specification does not name a network, the import or the call fails, what comes out is not a
            ``torch.nn.Module``, or the weights cannot be read or do not fit.

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
        return load_transformers(specification, option=option)
    model = _imported(specification, option).to(device="cpu", dtype=torch.float32)
    if weights is not None:
        load_weights(model, Path(weights), subject=f"{option} {specification}")
    return model.eval()


def load_weights(model: nn.Module, path: Path, *, subject: str = "The network") -> None:
    """Load a state dict from a file into a network, in place; all of it must fit.

    Args:
        model: The network.
        path: ``.safetensors``, or what ``torch.save`` wrote.
        subject: What to call the network in messages.

    Raises:
        InputError: If the file cannot be read, a parameter is missing or has another shape, or there is one that
            the network does not have.
    """
    state = load_state_dict(path, subject=subject)
    own = model.state_dict()
    if all(key.startswith("module.") for key in state) and not all(key.startswith("module.") for key in own):
        state = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    # How many batches a normalization has seen matters to training alone, and older files do not say.
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in own]
    misshapen = [
        f"{key} is {tuple(state[key].shape)} in the file and {tuple(tensor.shape)} in the network"
        for key, tensor in own.items()
        if key in state and isinstance(tensor, Tensor) and not is_lazy(tensor) and state[key].shape != tensor.shape
    ]
    if missing or unexpected or misshapen:
        faults = [
            _fault("parameters of the network are not in the file", missing, len(own)),
            _fault("entries of the file are not in the network", unexpected, len(state)),
            _fault("have another shape", misshapen, len(own)),
        ]
        raise InputError(
            f"{subject}: the weights {path} do not fit: {'; '.join(filter(None, faults))}. Pass the weights of this "
            "network, or the network that they belong to, with as many classes."
        )
    # What can still fail is the network's own doing, above all a hook on its state dict.
    try:
        model.load_state_dict(state, strict=False)
    except Exception as error:
        raise InputError(
            f"{subject}: the weights {path} could not be loaded ({type(error).__name__}: {error})."
        ) from error


def load_state_dict(path: Path, *, subject: str = "The network") -> dict[str, Tensor]:
    """Read a state dict from a file, on the CPU.

    Args:
        path: ``.safetensors``, or what ``torch.save`` wrote, with the state dict itself or under "state_dict",
            "model_state_dict" or "model".
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
    # Damaged files fail in as many ways as there are bytes.
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
        read = next((read[key] for key in _NESTED if isinstance(read.get(key), Mapping)), read)
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


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def _fault(what: str, names: list[str], total: int) -> str:
    return f"{len(names)} of {total} {what} ({listed(names, 3)})" if names else ""


def _is_hub_name(specification: str) -> bool:
    return _HUB_NAME.fullmatch(specification) is not None and not Path(specification).exists()


def _imported(specification: str, option: str) -> nn.Module:
    """The network ``MODULE:FACTORY``, as it was made."""
    module_name, _, factory_name = specification.partition(":")
    if not module_name or not factory_name:
        given = f"{option} {specification}"
        if specification and Path(specification).is_file():
            raise InputError(
                f"{given} is a file; name the network as MODULE:FACTORY, and pass the file as its weights."
            )
        raise InputError(
            f"{given} names no network: write MODULE:FACTORY, for example mynet:load for the function load() in "
            "mynet.py; or a folder of a transformers model; or ORGANIZATION/NAME of one on the hub."
        )
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # A user's module may do anything when it is imported or called, and raise anything.
    try:
        made: object = import_module(module_name)
    except Exception as error:
        raise InputError(
            f"{option} {specification}: importing {module_name!r} failed ({type(error).__name__}: {error}); name it as "
            f"in an import statement, and run the command where it can be imported (now in {folder})."
        ) from error
    try:
        for attribute in factory_name.split("."):
            made = getattr(made, attribute)
    except AttributeError as error:
        raise InputError(f"{option} {specification}: {error}; check the name after the colon.") from error
    if not isinstance(made, nn.Module):
        if not callable(made):
            raise InputError(
                f"{option} {specification} is a {type(made).__name__}, neither a torch.nn.Module nor a callable that "
                "returns one."
            )
        try:
            made = made()
        except Exception as error:
            raise InputError(
                f"{option} {specification}: calling {factory_name}() failed ({type(error).__name__}: {error}); it is "
                "called without arguments and must return a torch.nn.Module."
            ) from error
    if not isinstance(made, nn.Module):
        raise InputError(
            f"{option} {specification}: {factory_name}() returned a {type(made).__name__}, not a torch.nn.Module."
        )
    return made
