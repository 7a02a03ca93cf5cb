"""Training and evaluation of image classifiers, all randomness passed in, and the recipes of the study's networks."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from captum_superpixel._checks import checked_integer, checked_number, checked_share
from captum_superpixel._seeds import seeded
from captum_superpixel._untyped import progress_bar
from captum_superpixel.models import networks

__all__ = [
    "RECIPES",
    "Augmentation",
    "TrainingRecipe",
    "accuracy",
    "length",
    "predict",
    "random_shift",
    "shift_and_flip",
    "train",
]

Augmentation: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]


def random_shift(images: Tensor, generator: torch.Generator, limit: int = 4) -> Tensor:
    """Shift each image by up to ``limit`` pixels along both axes, the border mirrored.

    Args:
        images: (N, C, H, W), H and W above ``limit``.
        generator: Where the shifts come from, a generator on the CPU.
        limit: Largest shift in pixels, at least 0.

    Returns:
        (N, C, H, W).

    Examples:
        >>> import torch
        >>> image = torch.tensor([[[[0.0, 1.0, 2.0, 3.0]] * 2]])
        >>> random_shift(image, torch.Generator().manual_seed(0), limit=0).equal(image)
        True
    """
    count, channels, height, width = images.shape
    padded = functional.pad(images, (limit, limit, limit, limit), mode="reflect")
    shifts = torch.randint(2 * limit + 1, (2, count, 1), generator=generator).to(images.device)
    rows = shifts[0] + torch.arange(height, device=images.device)
    columns = shifts[1] + torch.arange(width, device=images.device)
    number = torch.arange(count, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return padded[number, channel, rows[:, None, :, None], columns[:, None, None, :]]


def shift_and_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift images (N, C, H, W) by up to 4 pixels, and flip each with probability 1/2.

    Examples:
        >>> import torch
        >>> shift_and_flip(torch.rand(2, 3, 32, 32), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3, 32, 32])
    """
    mirrored = torch.rand(len(images), generator=generator).to(images.device) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
    return random_shift(images, generator)


@dataclass(frozen=True)
class TrainingRecipe:
    """A network of the study and how it is trained; the defaults are those of :func:`train` too.

    Args:
        make: From the number of classes and a generator to an untrained network.
        batch_size: Images per step.
        lr: Largest learning rate of the cycle.
        weight_decay: Weight decay.
        label_smoothing: Label smoothing, from 0 to 1.
        augment: What is done to each batch.
    """

    make: Callable[[int, torch.Generator], nn.Module]
    batch_size: int = 64
    lr: float = 0.15
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    augment: Augmentation | None = random_shift

    @property
    def options(self) -> dict[str, Any]:
        """How :func:`train` is called."""
        return {name: value for name, value in vars(self).items() if name != "make"}

    def describe(self) -> dict[str, Any]:
        """What decides the training, as JSON can hold it."""
        return self.options | {"augment": None if self.augment is None else self.augment.__name__}


def train(
    model: nn.Module,
    dataset: Dataset[tuple[Tensor, int]],
    *,
    epochs: int,
    batch_size: int = TrainingRecipe.batch_size,
    lr: float = TrainingRecipe.lr,
    weight_decay: float = TrainingRecipe.weight_decay,
    label_smoothing: float = TrainingRecipe.label_smoothing,
    augment: Augmentation | None = TrainingRecipe.augment,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    progress: bool = True,
) -> list[float]:
    """Train a classifier in place, by SGD with Nesterov momentum and one cycle of the learning rate.

    The defaults, those of :class:`TrainingRecipe`, suit :class:`~captum_superpixel.models.networks.SmallCNN` on
    :class:`~captum_superpixel.datasets.DigitsOnPhotographs`.

    Args:
        model: From images (N, C, H, W) to logits (N, classes); left in evaluation mode.
        dataset: Of images (C, H, W) and labels; its length must be known and above 0.
        epochs: Passes over the data, at least 1.
        batch_size: Images per step, at least 1.
        lr: Largest learning rate, above 0.
        weight_decay: Weight decay, at least 0.
        label_smoothing: Label smoothing, from 0 to 1.
        augment: Called with each batch and the generator; None leaves the images as they are.
        generator: A generator on the CPU, from which come the order, the augmentation and what the model draws
            (dropout), the global generators being left as they were. None means PyTorch's global one.
        device: Where to train; the model is moved there. None means where it is.
        progress: Whether to show a bar.

    Returns:
        The mean loss of every epoch.

    Raises:
        TypeError: If a number is not a number.
        ValueError: If a number is outside of its range or the data set is empty.

    References:
        Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates", 2018,
        https://arxiv.org/abs/1708.07120

    Examples:
        >>> import torch
        >>> from captum_superpixel.datasets import DigitsOnPhotographs
        >>> from captum_superpixel.models.networks import small_cnn
        >>> generator = torch.Generator().manual_seed(0)
        >>> model = small_cnn(generator=generator)
        >>> losses = train(
        ...     model, DigitsOnPhotographs(size=24, length=20), epochs=2, generator=generator, progress=False
        ... )
        >>> len(losses)
        2
    """
    checked_integer("epochs", epochs)
    checked_integer("batch_size", batch_size)
    checked_number("lr", lr, exclusive=True)
    checked_number("weight_decay", weight_decay)
    checked_share("label_smoothing", label_smoothing)
    if length(dataset) == 0:
        raise ValueError("The data set has no images; give one with at least one.")
    generator = torch.default_generator if generator is None else generator
    device = _device(model) if device is None else torch.device(device)
    # With channels last, training on a CPU takes a quarter of the time.
    model.to(device=device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # torch types no memory_format without a dtype
    loader = DataLoader(dataset, batch_size, shuffle=True, generator=generator)
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum=0.9, nesterov=True, weight_decay=weight_decay)
    # Of fewer than four steps, PyTorch's cycle has the end only, at a rate of almost 0.
    steps = max(4, epochs * len(loader))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    criterion = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
    losses = []
    with ExitStack() as stack:
        if generator is not torch.default_generator:
            # The model's dropout draws from the global generators, and can be given no other.
            stack.enter_context(seeded(int(torch.randint(2**62, (), generator=generator))))
        bar = None
        if progress:
            bar = stack.enter_context(progress_bar(total=epochs * len(loader), desc="training", unit="batch"))
        for _ in range(epochs):
            total = 0.0
            for images, labels in loader:
                images, labels = images.to(device), labels.to(device)
                if augment is not None:
                    images = augment(images, generator)
                loss = criterion(model(images.contiguous(memory_format=torch.channels_last)), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.item() * len(labels)
                if bar is not None:
                    bar.update()
            losses.append(total / length(dataset))
            if bar is not None:
                bar.set_postfix(loss=f"{losses[-1]:.3f}")
    model.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]  # as above
    return losses


def predict(model: nn.Module, dataset: Dataset[tuple[Tensor, int]], *, batch_size: int = 256) -> tuple[Tensor, Tensor]:
    """Predicted and true classes of a data set, the model in evaluation mode.

    Args:
        model: From images (N, C, H, W) to logits (N, classes); its mode is restored afterwards.
        dataset: Of images (C, H, W) and labels; its length must be known and above 0.
        batch_size: Images at a time.

    Returns:
        Predictions (N,) int64 and labels (N,) int64, on the CPU.

    Raises:
        ValueError: If the data set is empty.
    """
    if length(dataset) == 0:
        raise ValueError("The data set has no images; give one with at least one.")
    device = _device(model)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    predictions, labels = [], []
    with torch.no_grad():
        for images, targets in DataLoader(dataset, batch_size, generator=torch.Generator()):
            predictions.append(model(images.to(device)).argmax(dim=1).cpu())
            labels.append(targets.cpu())
    for module, mode in modes:
        module.training = mode
    return torch.cat(predictions), torch.cat(labels)


def accuracy(model: nn.Module, dataset: Dataset[tuple[Tensor, int]], *, batch_size: int = 256) -> float:
    """Fraction of a data set, 0 to 1, that a model classifies correctly; arguments as for :func:`predict`.

    Examples:
        >>> from torch import nn
        >>> from captum_superpixel.datasets import DigitsOnPhotographs
        >>> blind = nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 10)).requires_grad_(False)
        >>> for parameter in blind.parameters():
        ...     _ = parameter.zero_()
        >>> round(accuracy(blind, DigitsOnPhotographs("test", length=50)), 2)
        0.1
    """
    predictions, labels = predict(model, dataset, batch_size=batch_size)
    return (predictions == labels).double().mean().item()


def length(dataset: Dataset[tuple[Tensor, int]]) -> int:
    """Number of images; PyTorch types no length for a data set."""
    count: int = len(dataset)  # type: ignore[arg-type]  # as said above
    return count


def _device(model: nn.Module) -> torch.device:
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def _named(make: Callable[..., nn.Module]) -> Callable[[int, torch.Generator], nn.Module]:
    return lambda num_classes, generator: make(num_classes, generator=generator)


RECIPES: dict[str, TrainingRecipe] = {
    "small_cnn": TrainingRecipe(_named(networks.small_cnn)),
    **{
        f"resnet{depth}": TrainingRecipe(
            _named(getattr(networks, f"resnet{depth}")),
            batch_size=128,
            lr=0.4,
            label_smoothing=0.0,
            augment=shift_and_flip,
        )
        for depth in (20, 32, 44, 56)
    },
    "resnet18": TrainingRecipe(_named(networks.resnet18), lr=0.1, augment=shift_and_flip),
    "squeezenet1_0": TrainingRecipe(_named(networks.squeezenet1_0), lr=0.04, weight_decay=2e-4, augment=shift_and_flip),
}
"""By name; the ResNets of depth 20 to 56 are those for CIFAR."""
