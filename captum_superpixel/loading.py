"""A network and a photograph of the user's, from how they are named on a command line to tensors."""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

__all__ = ["InputError", "choose_target", "load_image", "load_model"]


class InputError(ValueError):
    """What the user passed cannot be used; the message is one line that says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def load_model(specification: str) -> nn.Module:
    """Import a network named ``MODULE:FACTORY``, from the current folder or from what is installed.

    Args:
        specification: Module and name, with a colon between; the name is of a network or of a callable that returns
            one and needs no arguments.

    Returns:
        The network, in evaluation mode, float32, on the CPU.

    Raises:
        InputError: If there is no colon, the import or the call fails, or what comes out is no ``torch.nn.Module``.

    Examples:
        >>> type(load_model("captum_superpixel.study.networks:small_cnn")).__name__
        'SmallCNN'
    """
    module_name, _, factory_name = specification.partition(":")
    if not module_name or not factory_name:
        raise InputError(
            f"--model {specification} names no network: write MODULE:FACTORY, for example mynet:load for the function "
            "load() in mynet.py."
        )
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # Whatever the user's module does on import or in the call may raise whatever it likes.
    try:
        made: object = import_module(module_name)
    except Exception as error:
        raise InputError(
            f"--model {specification}: importing {module_name!r} failed ({type(error).__name__}: {error}); name it as "
            f"in an import statement, and run the command where it can be imported (now in {folder})."
        ) from error
    try:
        for attribute in factory_name.split("."):
            made = getattr(made, attribute)
    except AttributeError as error:
        raise InputError(f"--model {specification}: {error}; check the name after the colon.") from error
    if not isinstance(made, nn.Module):
        if not callable(made):
            raise InputError(
                f"--model {specification} is a {type(made).__name__}, neither a torch.nn.Module nor a callable that "
                "returns one."
            )
        try:
            made = made()
        except Exception as error:
            raise InputError(
                f"--model {specification}: calling {factory_name}() failed ({type(error).__name__}: {error}); it is "
                "called without arguments and must return a torch.nn.Module."
            ) from error
    if not isinstance(made, nn.Module):
        raise InputError(
            f"--model {specification}: {factory_name}() returned a {type(made).__name__}, not a torch.nn.Module."
        )
    return made.to(device="cpu", dtype=torch.float32).eval()


def load_image(path: Path, size: int, mean: Sequence[float], std: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Read a photograph, cut the largest square out of its middle, and scale it to what a network takes.

    Args:
        path: File in any format that Pillow reads.
        size: Height and width of the result in pixels.
        mean: Mean of red, green and blue, for pixels in [0, 1].
        std: Their standard deviations, above 0.

    Returns:
        The pixels (1, 3, size, size) float32 in [0, 1]; and the input of the network, (pixels - mean) / std.

    Raises:
        InputError: If the file is missing or no picture.
    """
    if not path.is_file():
        raise InputError(f"--image {path} {'is no file' if path.exists() else 'does not exist'}; pass a photograph.")
    # Decoders meet broken files with a dozen kinds of exception.
    try:
        with Image.open(path) as opened:
            photograph = ImageOps.fit(ImageOps.exif_transpose(opened).convert("RGB"), (size, size))
    except Exception as error:
        raise InputError(
            f"--image {path} is no picture that Pillow can read ({type(error).__name__}: {error}); pass a JPEG or PNG."
        ) from error
    pixels = torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None].float() / 255
    centre, spread = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std))
    return pixels, (pixels - centre) / spread


def choose_target(model: nn.Module, inputs: Tensor, target: int | None) -> tuple[int, int]:
    """Check that a network classifies one image, and settle the class to explain.

    Args:
        model: From images (1, 3, H, W) to logits (1, classes).
        inputs: (1, 3, H, W).
        target: Class to explain, 0 to classes - 1; None for the predicted one.

    Returns:
        The target and the prediction.

    Raises:
        InputError: If the network fails on the inputs, its output is not (1, classes) or has no gradient, or there is
            no such target.
    """
    shape = tuple(inputs.shape)
    try:
        logits: object = model(inputs.clone().requires_grad_())
    except Exception as error:
        raise InputError(
            f"The network failed on an input of shape {shape} ({type(error).__name__}: {error}); it must take float32 "
            "images of this shape; --size sets their height and width."
        ) from error
    if not isinstance(logits, Tensor):
        raise InputError(
            f"The network returned a {type(logits).__name__} for an input of shape {shape}; it must return a tensor of "
            "shape (1, classes). Wrap it in a module that does."
        )
    if logits.ndim != 2 or logits.shape[0] != 1 or logits.shape[1] == 0:
        raise InputError(
            f"The network returned a tensor of shape {tuple(logits.shape)} for an input of shape {shape}; it must "
            "return one of shape (1, classes)."
        )
    if not torch.isfinite(logits).all():
        raise InputError(
            f"The network returned NaN or infinite values for an input of shape {shape}; check its weights."
        )
    if not logits.requires_grad:
        raise InputError(
            "The network's output has no gradient with respect to its input; its forward must be differentiable, "
            "without torch.no_grad or detach."
        )
    classes = logits.shape[1]
    if target is not None and not 0 <= target < classes:
        raise InputError(f"--target {target} is no class of this network; it has classes 0 to {classes - 1}.")
    prediction = int(logits.argmax())
    return (prediction if target is None else target), prediction
