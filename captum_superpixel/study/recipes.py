"""The networks that the study trains, each with the training that suits it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from captum_superpixel.models import networks
from captum_superpixel.study.training import Augmentation, random_shift

__all__ = ["RECIPES", "Recipe", "shift_and_flip"]


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained.

    Attributes:
        make: From the number of classes and a generator to an untrained network.
        batch_size: Images a step.
        lr: Largest learning rate of the cycle.
        weight_decay: Weight decay.
        label_smoothing: Probability given away to all classes alike.
        augment: What is done to each batch.
    """

    make: Callable[[int, torch.Generator], nn.Module]
    batch_size: int = 64
    lr: float = 0.15
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    augment: Augmentation | None = random_shift

    def describe(self) -> dict[str, Any]:
        """What decides the training, as JSON can hold it."""
        settings: dict[str, Any] = {
            name: getattr(self, name) for name in ("batch_size", "lr", "weight_decay", "label_smoothing")
        }
        return settings | {"augment": None if self.augment is None else self.augment.__name__}


def shift_and_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift images (N, C, H, W) by up to 4 pixels, and mirror every second one, on average.

    Examples:
        >>> import torch
        >>> shift_and_flip(torch.rand(2, 3, 32, 32), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3, 32, 32])
    """
    mirrored = torch.rand(len(images), generator=generator).to(images.device) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
    return random_shift(images, generator)


def _named(make: Callable[..., nn.Module]) -> Callable[[int, torch.Generator], nn.Module]:
    return lambda num_classes, generator: make(num_classes, generator=generator)


RECIPES: dict[str, Recipe] = {
    "small_cnn": Recipe(_named(networks.small_cnn)),
    **{
        f"resnet{depth}": Recipe(
            _named(getattr(networks, f"resnet{depth}")),
            batch_size=128,
            lr=0.4,
            label_smoothing=0.0,
            augment=shift_and_flip,
        )
        for depth in (20, 32, 44, 56)
    },
    "resnet18": Recipe(_named(networks.resnet18), lr=0.1, augment=shift_and_flip),
    "squeezenet1_0": Recipe(_named(networks.squeezenet1_0), lr=0.04, weight_decay=2e-4, augment=shift_and_flip),
}
"""By name; the ResNets of depth 20 to 56 are those for CIFAR."""
