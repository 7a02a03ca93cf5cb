"""Networks that users bring and small ones of our own; their randomized models are made by ``models.random_twin``."""

from captum_superpixel.models.checkpoints import load_weights
from captum_superpixel.models.loading import load_model
from captum_superpixel.models.networks import (
    cifar_resnet,
    resnet18,
    resnet20,
    resnet32,
    resnet44,
    resnet56,
    small_cnn,
    squeezenet1_0,
)

__all__ = [
    "cifar_resnet",
    "load_model",
    "load_weights",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "small_cnn",
    "squeezenet1_0",
]
