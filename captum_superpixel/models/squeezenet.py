"""SqueezeNet 1.0, a network for ImageNet whose weights are small enough to be kept beside an example."""

import torch
from torch import Tensor, nn

from captum_superpixel.models.initialization import make_initialized

__all__ = ["Fire", "SqueezeNet", "squeezenet1_0"]


class Fire(nn.Module):
    """A 1x1 convolution to few channels, then a 1x1 and a 3x3 convolution side by side.

    Args:
        channels_in: Channels of the input.
        squeezed: Channels in between.
        expanded: Channels of each of the two convolutions at the end; the output has twice as many.
    """

    def __init__(self, channels_in: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels_in, squeezed, 1)
        self.squeeze_activation = nn.ReLU()
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand1x1_activation = nn.ReLU()
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.expand3x3_activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Activations (N, 2 * expanded, H, W) of activations (N, channels_in, H, W)."""
        x = self.squeeze_activation(self.squeeze(x))
        both = (self.expand1x1_activation(self.expand1x1(x)), self.expand3x3_activation(self.expand3x3(x)))
        return torch.cat(both, 1)


class SqueezeNet(nn.Module):
    """SqueezeNet 1.0, its parameters named as torchvision names them.

    Maps images ``(N, 3, H, W)``, H and W at least 21, to logits ``(N, num_classes)``. Every ReLU is a module of its
    own and none works in place.

    Args:
        num_classes: Number of logits.
        classifier_padding: Padding of the last convolution, a 1x1: 0 in torchvision; 1 in the authors' own network
            for Caffe, whose weights expect the border of zeros.

    References:
        Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size", 2016,
        https://arxiv.org/abs/1602.07360
    """

    def __init__(self, num_classes: int = 1000, classifier_padding: int = 0) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 96, 7, stride=2),
            nn.ReLU(),
            _pool(),
            Fire(96, 16, 64),
            Fire(128, 16, 64),
            Fire(128, 32, 128),
            _pool(),
            Fire(256, 32, 128),
            Fire(256, 48, 192),
            Fire(384, 48, 192),
            Fire(384, 64, 256),
            _pool(),
            Fire(512, 64, 256),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Conv2d(512, num_classes, 1, padding=classifier_padding),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of images (N, 3, H, W)."""
        return torch.flatten(self.classifier(self.features(images)), 1)


def squeezenet1_0(
    num_classes: int = 1000, *, classifier_padding: int = 0, generator: torch.Generator | None = None
) -> SqueezeNet:
    """An untrained SqueezeNet 1.0 with weights drawn from ``generator`` (None: from PyTorch's global one).

    Examples:
        >>> import torch
        >>> squeezenet1_0(num_classes=20)(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 20])
    """
    return make_initialized(lambda: SqueezeNet(num_classes, classifier_padding), generator)


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)
