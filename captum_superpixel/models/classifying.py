"""A network and a photograph of the user's, from how they are named on a command line to tensors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel.models.loading import load_model

__all__ = ["InputError", "choose_target", "load_image", "load_model"]


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
