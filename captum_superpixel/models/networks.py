"""Networks for the demonstration, the study and the benchmarks, built so that every Captum method works on them."""

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from captum_superpixel.models.initialization import initialize, make_initialized
from captum_superpixel.models.squeezenet import SqueezeNet, squeezenet1_0

__all__ = [
    "BasicBlock",
    "CifarResNet",
    "PaddedShortcut",
    "ResNet",
    "SmallCNN",
    "SqueezeNet",
    "cifar_resnet",
    "initialize",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "small_cnn",
    "squeezenet1_0",
]


class SmallCNN(nn.Module):
    """Five convolutions and a linear layer, for color images of 16 to 96 pixels.

    Maps images ``(N, 3, H, W)`` to logits ``(N, num_classes)``. Every ReLU is a module of its own and none works in
    place: DeepLift, LRP and GuidedBackprop hook modules, and give wrong values where one is called twice.

    Args:
        num_classes: Number of logits.
        width: Channels of the first convolution; the later ones have two, four and six times as many.

    Examples:
        >>> import torch
        >>> SmallCNN()(torch.zeros(2, 3, 48, 48)).shape
        torch.Size([2, 10])
    """

    def __init__(self, num_classes: int = 10, width: int = 16) -> None:
        super().__init__()
        self.features = nn.Sequential(
            # 4x4 at stride 2 covers all pixels equally often; 3x3 would print a checkerboard on every gradient.
            nn.Conv2d(3, width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            *_convolution(width, 2 * width),
            nn.AvgPool2d(2),
            *_convolution(2 * width, 4 * width),
            *_convolution(4 * width, 4 * width),
            nn.AvgPool2d(2),
            *_convolution(4 * width, 6 * width),
            nn.AdaptiveAvgPool2d(2),
        )
        self.classifier = nn.Linear(4 * 6 * width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of images (N, 3, H, W)."""
        logits: Tensor = self.classifier(torch.flatten(self.features(images), 1))
        return logits


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut past them.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        stride: Stride of the first convolution.
        downsample: What the shortcut does to the input; None leaves it as it is.
    """

    def __init__(
        self, channels_in: int, channels_out: int, stride: int = 1, downsample: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu1 = _convolution(channels_in, channels_out, stride=stride)
        self.conv2, self.bn2, self.relu2 = _convolution(channels_out, channels_out)
        self.downsample = nn.Identity() if downsample is None else downsample

    def forward(self, x: Tensor) -> Tensor:
        """Activations (N, channels_out, H / stride, W / stride) of activations (N, channels_in, H, W)."""
        residual = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        activations: Tensor = self.relu2(residual + self.downsample(x))
        return activations


class ResNet(nn.Module):
    """A residual network of basic blocks in the ImageNet layout, its parameters named as torchvision names them.

    Maps images ``(N, 3, H, W)`` to logits ``(N, num_classes)``.

    Args:
        blocks: Number of blocks in each stage; every stage but the first halves the resolution.
        widths: Channels of each stage.
        num_classes: Number of logits.

    References:
        He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, https://doi.org/10.1109/CVPR.2016.90
    """

    def __init__(
        self,
        blocks: Sequence[int] = (2, 2, 2, 2),
        widths: Sequence[int] = (64, 128, 256, 512),
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = [f"layer{number}" for number in range(1, len(blocks) + 1)]
        for name, stage in zip(self.stages, _stages(blocks, widths, _projection), strict=True):
            self.add_module(name, stage)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of images (N, 3, H, W)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for name in self.stages:
            x = self.get_submodule(name)(x)
        logits: Tensor = self.fc(torch.flatten(self.avgpool(x), 1))
        return logits


class CifarResNet(nn.Module):
    """A residual network of basic blocks for images of 32 pixels, with shortcuts that have no parameters.

    Maps images ``(N, 3, H, W)`` to logits ``(N, num_classes)``. Parameters are named ``conv1``, ``bn1``,
    ``layer1.0.conv1`` to ``layer3.8.bn2`` and ``linear``, as in the state dicts that are most widely shared
    (https://github.com/akamaster/pytorch_resnet_cifar10).

    Args:
        depth: Number of layers with weights, 6n + 2 for n blocks in each of the three stages: 20, 32, 44, 56 and 110
            in the paper.
        num_classes: Number of logits.

    Raises:
        ValueError: If ``depth`` is not 6n + 2 with n of at least 1.

    References:
        He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2,
        https://arxiv.org/abs/1512.03385
    """

    def __init__(self, depth: int = 20, num_classes: int = 10) -> None:
        if depth < 8 or depth % 6 != 2:
            raise ValueError(
                f"depth={depth} is not the depth of a CIFAR ResNet; it must be 6n + 2, such as 20, 32, 44, 56 or 110."
            )
        super().__init__()
        count, widths = depth // 6, (16, 32, 64)
        self.conv1, self.bn1, self.relu = _convolution(3, widths[0])
        self.layer1, self.layer2, self.layer3 = _stages((count, count, count), widths, PaddedShortcut.between)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(widths[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of images (N, 3, H, W)."""
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(torch.flatten(self.avgpool(x), 1))
        return logits


class PaddedShortcut(nn.Module):
    """A shortcut without parameters, option A of He et al.: every ``stride``-th pixel, and more channels, of zeros.

    Args:
        before: Channels of zeros in front.
        after: Channels of zeros at the end.
        stride: Which pixels to take.
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.before, self.after, self.stride = before, after, stride

    @classmethod
    def between(cls, channels_in: int, channels_out: int, stride: int) -> "PaddedShortcut | None":
        """The shortcut that adds as many channels before as after; None where the shapes are equal."""
        if stride == 1 and channels_in == channels_out:
            return None
        before = (channels_out - channels_in) // 2
        return cls(before, channels_out - channels_in - before, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Activations (N, before + C + after, H / stride, W / stride) of activations (N, C, H, W)."""
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after))


def small_cnn(num_classes: int = 10, *, generator: torch.Generator | None = None) -> SmallCNN:
    """A :class:`SmallCNN` with weights drawn from ``generator`` (None: from PyTorch's global one).

    Examples:
        >>> import torch
        >>> first, second = (small_cnn(generator=torch.Generator().manual_seed(0)) for _ in range(2))
        >>> torch.equal(first.classifier.weight, second.classifier.weight)
        True
    """
    return make_initialized(lambda: SmallCNN(num_classes), generator)


def resnet18(num_classes: int = 1000, *, generator: torch.Generator | None = None) -> ResNet:
    """An untrained ResNet-18 with weights drawn from ``generator`` (None: from PyTorch's global one)."""
    return make_initialized(lambda: ResNet((2, 2, 2, 2), (64, 128, 256, 512), num_classes), generator)


def cifar_resnet(depth: int = 20, num_classes: int = 10, *, generator: torch.Generator | None = None) -> CifarResNet:
    """An untrained :class:`CifarResNet` with weights drawn from ``generator`` (None: from PyTorch's global one).

    Raises:
        ValueError: If ``depth`` is not 6n + 2 with n of at least 1.

    Examples:
        >>> import torch
        >>> cifar_resnet(20)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    return make_initialized(lambda: CifarResNet(depth, num_classes), generator)


def resnet20(num_classes: int = 10, *, generator: torch.Generator | None = None) -> CifarResNet:
    """The CIFAR ResNet of 20 layers, 270,000 parameters: :func:`cifar_resnet` of depth 20."""
    return cifar_resnet(20, num_classes, generator=generator)


def resnet32(num_classes: int = 10, *, generator: torch.Generator | None = None) -> CifarResNet:
    """The CIFAR ResNet of 32 layers, 460,000 parameters: :func:`cifar_resnet` of depth 32."""
    return cifar_resnet(32, num_classes, generator=generator)


def resnet44(num_classes: int = 10, *, generator: torch.Generator | None = None) -> CifarResNet:
    """The CIFAR ResNet of 44 layers, 660,000 parameters: :func:`cifar_resnet` of depth 44."""
    return cifar_resnet(44, num_classes, generator=generator)


def resnet56(num_classes: int = 10, *, generator: torch.Generator | None = None) -> CifarResNet:
    """The CIFAR ResNet of 56 layers, 850,000 parameters: :func:`cifar_resnet` of depth 56."""
    return cifar_resnet(56, num_classes, generator=generator)


def _stages(
    blocks: Sequence[int], widths: Sequence[int], shortcut: Callable[[int, int, int], nn.Module | None]
) -> Iterator[nn.Sequential]:
    """Stages of ``blocks`` basic blocks each, of which every one but the first halves the resolution."""
    channels = widths[0]
    for number, (count, width) in enumerate(zip(blocks, widths, strict=True)):
        stage = nn.Sequential()
        for position in range(count):
            stride = 2 if number > 0 and position == 0 else 1
            stage.append(BasicBlock(channels, width, stride, shortcut(channels, width, stride)))
            channels = width
        yield stage


def _convolution(channels_in: int, channels_out: int, stride: int = 1) -> tuple[nn.Conv2d, nn.BatchNorm2d, nn.ReLU]:
    return (
        nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


def _projection(channels_in: int, channels_out: int, stride: int) -> nn.Module | None:
    """A 1x1 convolution where the shapes differ: option B of He et al."""
    if stride == 1 and channels_in == channels_out:
        return None
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False), nn.BatchNorm2d(channels_out)
    )
