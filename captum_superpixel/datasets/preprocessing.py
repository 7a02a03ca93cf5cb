"""From a photograph to what a network takes: size, scale, mean, standard deviation and order of the channels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from captum_superpixel._checks import checked_choice, checked_integer, checked_number
from captum_superpixel.datasets.photographs import PhotographWarning, to_rgb

__all__ = ["CIFAR10", "IMAGENET", "Preprocessing"]

Statistics: TypeAlias = tuple[float, ...]

_LUMA = (19595, 38470, 7471)
"""What red, green and blue are to the luma, in units of 2**-16, as Pillow has them."""


@dataclass(frozen=True)
class Preprocessing:
    """What a network wants done to a photograph: ``input = (pixels * scale - mean) / std``, pixels from 0 to 255.

    Equal settings are equal and hash alike, whether the size was given as one number or two.

    Args:
        size: Height and width of the input in pixels, at least 1: one number for a square, or ``(height, width)``.
        mean: A number, or one for each channel, **in the units of pixels * scale and in the order of the network's
            channels**: of blue, green and red with ``channel_order="bgr"``, of one with ``"gray"``.
        std: As ``mean``; above 0.
        scale: What pixels are multiplied by, above 0: 1/255 for a network that was trained on [0, 1] (torchvision,
            transformers), 1 for one trained on 0 to 255 (Caffe).
        channel_order: The order of the network's channels, ``"rgb"`` or ``"bgr"``; or ``"gray"`` for a network with one
            channel, which is given the luma of a photograph (ITU-R BT.601, as Pillow's mode L).
        resize: ``"crop"`` cuts the largest rectangle of the input's aspect out of the middle and resizes that;
            ``"stretch"`` resizes the whole photograph and distorts it. Both with Pillow's antialiased bilinear filter;
            a photograph that has the size already keeps its pixels.

    Attributes:
        size: ``(height, width)``.
        mean: A number for each channel.
        std: Likewise.

    Raises:
        TypeError: If a number is not a number, or the size not one or two integers.
        ValueError: If a number is out of its range or not finite, there is neither one of them nor one for each
            channel, or there is no such choice.

    Examples:
        >>> from PIL import Image
        >>> photograph = Image.new("RGB", (640, 480), (255, 0, 51))
        >>> half = Preprocessing(size=4, mean=0.5, std=0.5)
        >>> half(photograph)[:, 0, 0]
        tensor([ 1.0000, -1.0000, -0.6000])

        SqueezeNet as Caffe trained it: blue, green, red, from 0 to 255, minus the mean.

        >>> caffe = Preprocessing(size=227, mean=(104, 117, 123), std=1, scale=1, channel_order="bgr")
        >>> caffe(photograph)[:, 0, 0]
        tensor([ -53., -117.,  132.])
        >>> caffe.to_pixels(caffe(photograph)[None])[0, :, 0, 0]
        tensor([1.0000, 0.0000, 0.2000])
    """

    size: int | tuple[int, int]
    mean: float | Sequence[float]
    std: float | Sequence[float]
    scale: float = 1 / 255
    channel_order: Literal["rgb", "bgr", "gray"] = "rgb"
    resize: Literal["crop", "stretch"] = "crop"

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", _checked_size(self.size))
        checked_choice("channel_order", self.channel_order, ("rgb", "bgr", "gray"))
        object.__setattr__(self, "mean", _checked_statistics("mean", self.mean, self.channels, minimum=-math.inf))
        object.__setattr__(self, "std", _checked_statistics("std", self.std, self.channels, minimum=0.0))
        object.__setattr__(self, "scale", checked_number("scale", self.scale, exclusive=True))
        checked_choice("resize", self.resize, ("crop", "stretch"))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the input."""
        return cast(tuple[int, int], self.size)

    @property
    def channels(self) -> int:
        """How many channels the input has, 1 or 3."""
        return 1 if self.channel_order == "gray" else 3

    @property
    def denormalize(self) -> tuple[Statistics, Statistics]:
        """``(mean, std)`` for mask generators and plots: ``input * std + mean`` is the photograph in [0, 1].

        In the order of the network's channels, as ``captum_superpixel.masks`` takes it together with
        ``channel_order`` unless that is "gray". For a scale of 1/255 these are ``mean`` and ``std``, for a scale of 1
        both divided by 255.

        Examples:
            >>> from captum_superpixel.masks import Slic
            >>> caffe = Preprocessing(227, mean=51, std=1, scale=1, channel_order="bgr")
            >>> caffe.denormalize[0]
            (0.2, 0.2, 0.2)
            >>> generator = Slic(denormalize=caffe.denormalize, channel_order=caffe.channel_order)
        """
        white = 255 * self.scale
        mean, std = self._statistics()
        return tuple(value / white for value in mean), tuple(value / white for value in std)

    def replaced(self, **given: Any) -> Preprocessing:
        """What the network wants, corrected by what the caller knows better.

        Args:
            given: Any of the arguments of :class:`Preprocessing`; None leaves the value as it is.

        Returns:
            The corrected preprocessing. With another ``channel_order``, a mean and a standard deviation that are not
            given are put into that order: they belong to colors. From colors to gray, and back, they are averaged.

        Raises:
            TypeError: If there is no such argument, or a value is of the wrong type.
            ValueError: If a value is out of its range, or ``scale`` is given without ``mean`` and ``std``, which are in
                its units.

        Examples:
            >>> IMAGENET.replaced(size=64, mean=None, channel_order="bgr").mean
            (0.406, 0.456, 0.485)
        """
        given = {name: value for name, value in given.items() if value is not None}
        if "scale" in given and not {"mean", "std"} <= given.keys():
            raise ValueError(f"scale={given['scale']!r} changes the units of mean and std: pass mean and std too")
        mean, std = self._statistics()
        order = given.get("channel_order", self.channel_order)
        if "gray" in (order, self.channel_order):
            mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
        elif order != self.channel_order:
            mean, std = mean[::-1], std[::-1]
        return replace(self, **{"mean": mean, "std": std} | given)

    def describe(self) -> str:
        """Say in two indented lines what is done to a photograph.

        Examples:
            >>> print(Preprocessing((48, 64), mean=(104, 117, 123), std=1, scale=1, channel_order="bgr").describe())
              cropped to 48 x 64, BGR
              (pixels * 1 - (104, 117, 123)) / (1, 1, 1)
        """
        height, width = self.shape
        mean, std = (", ".join(f"{value:.4g}" for value in values) for values in self._statistics())
        order = self.channel_order if self.channel_order == "gray" else self.channel_order.upper()
        return (
            f"  {'cropped' if self.resize == 'crop' else 'stretched'} to {height} x {width}, {order}\n"
            f"  (pixels * {self.scale:.4g} - ({mean})) / ({std})"
        )

    def __call__(self, image: Image.Image) -> Tensor:
        """Turn a photograph into an input.

        Args:
            image: A Pillow image of any size and mode; see :meth:`fit`.

        Returns:
            ``(C, height, width)`` float32, C channels as ``channels`` says.

        Raises:
            TypeError: If it is not a Pillow image.
            ValueError: If its pixels have no known range (mode F).
        """
        return self.from_uint8(self.fit(image)[None])[0]

    def fit(self, image: Image.Image) -> Tensor:
        """Bring a photograph to the size of the input and to red, green and blue, but do not normalize it.

        Orientation and color are settled by :func:`~captum_superpixel.datasets.photographs.to_rgb`.

        Args:
            image: A Pillow image of any size and mode.

        Returns:
            ``(3, height, width)`` uint8, red first, whatever ``channel_order``; with "gray" three equal channels.

        Warns:
            PhotographWarning: If it has gray values of more than 8 bits that are clipped or use a sliver of their
                range.

        Raises:
            TypeError: If it is not a Pillow image.
            ValueError: If its pixels have no known range (mode F).
        """
        remarks: list[str] = []
        image = to_rgb(image, report=remarks.append)
        if remarks:
            warnings.warn(f"the image {'; it '.join(remarks)}", PhotographWarning, stacklevel=2)
        fitted = self.resized(image)
        if self.channel_order == "gray":
            fitted = fitted.convert("L").convert("RGB")
        return torch.from_numpy(np.array(fitted)).permute(2, 0, 1).contiguous()

    def resized(self, image: Image.Image, resample: Image.Resampling = Image.Resampling.BILINEAR) -> Image.Image:
        """Bring an image of any mode to the size of the input, cropped or stretched as ``resize`` says.

        Args:
            image: A Pillow image.
            resample: Pillow's filter; masks of ids need ``NEAREST``.
        """
        height, width = self.shape
        if self.resize == "crop":
            return ImageOps.fit(image, (width, height), method=resample)
        return image.resize((width, height), resample=resample)

    def fit_box(self, box: Sequence[float], size: Sequence[int]) -> tuple[float, float, float, float]:
        """Say where a box of a photograph is in the input.

        Args:
            box: ``(left, top, right, bottom)`` in pixels of the photograph.
            size: Height and width of the photograph.

        Returns:
            The same in pixels of the input; what was cropped away lies outside of the input.

        Examples:
            >>> Preprocessing(100, 0, 1).fit_box((50, 0, 150, 200), (200, 300))
            (0.0, 0.0, 50.0, 100.0)
        """
        height, width = self.shape
        down, across = height / size[0], width / size[1]
        if self.resize == "crop":
            down = across = max(down, across)
        top, left = (down * size[0] - height) / 2, (across * size[1] - width) / 2
        return box[0] * across - left, box[1] * down - top, box[2] * across - left, box[3] * down - top

    def from_uint8(self, pixels: Tensor) -> Tensor:
        """Normalize pixels; their size stays.

        Args:
            pixels: ``(N, 3, H, W)`` uint8, red first.

        Returns:
            ``(N, C, H, W)`` float32 on the same device, in the order of the network's channels.

        Raises:
            TypeError: If they are not a uint8 tensor.
            ValueError: If they are not a batch with three channels.
        """
        _check_batch("pixels", pixels, 3)
        if pixels.dtype != torch.uint8:
            raise TypeError(f"pixels must be uint8, from 0 to 255, but have dtype {pixels.dtype}: convert them first")
        mean, std = (pixels.new_tensor(values, dtype=torch.float32).view(-1, 1, 1) for values in self._statistics())
        ordered = pixels.flip(1) if self.channel_order == "bgr" else pixels
        if self.channel_order == "gray":
            weights = pixels.new_tensor(_LUMA, dtype=torch.int32).view(3, 1, 1)
            ordered = (pixels.int() * weights).sum(dim=1, keepdim=True).add_(1 << 15) >> 16
        return ordered.float().mul_(self.scale).sub_(mean).div_(std)

    def to_pixels(self, inputs: Tensor) -> Tensor:
        """Undo the normalization, for plots.

        Args:
            inputs: ``(N, C, H, W)`` of any real dtype, as ``from_uint8`` returns them.

        Returns:
            ``(N, 3, H, W)`` float32 on the same device, red first, clipped to [0, 1], without gradient; of one channel
            three equal ones.

        Raises:
            TypeError: If they are not a tensor.
            ValueError: If they are not a batch with as many channels as ``channels`` says.
        """
        _check_batch("inputs", inputs, self.channels)
        mean, std = (inputs.new_tensor(value, dtype=torch.float32).view(-1, 1, 1) for value in self.denormalize)
        pixels = inputs.detach().float().mul(std).add_(mean).clamp_(0, 1)
        if self.channels == 1:
            return pixels.repeat(1, 3, 1, 1)
        return pixels.flip(1) if self.channel_order == "bgr" else pixels

    def _statistics(self) -> tuple[Statistics, Statistics]:
        """The fields mean and std, which hold a number for each channel since they were checked."""
        return cast(Statistics, self.mean), cast(Statistics, self.std)


def _checked_size(value: object) -> tuple[int, int]:
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"size must be one number or (height, width), but {value!r} was passed")
        return checked_integer("the height in size", value[0]), checked_integer("the width in size", value[1])
    side = checked_integer("size", value)
    return side, side


def _checked_statistics(name: str, value: object, channels: int, *, minimum: float) -> Statistics:
    """Return one number, or one for each channel, as as many floats as there are channels, above ``minimum``."""
    if isinstance(value, (Tensor, np.ndarray)):
        value = value.tolist()
    members = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    if len(members) not in (1, channels):
        wanted = "one number for the one gray channel" if channels == 1 else "one number or three, one for each channel"
        raise ValueError(f"{name} must be {wanted}, but {value!r} was passed")
    numbers = tuple(checked_number(name, member, minimum=minimum, exclusive=True) for member in members)
    return numbers * channels if len(numbers) == 1 else numbers


def _check_batch(name: str, tensor: object, channels: int) -> None:
    wanted = f"(N, {channels}, H, W)"
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a tensor of shape {wanted}, but a {type(tensor).__name__} was passed")
    if tensor.ndim != 4 or tensor.shape[1] != channels:
        shape, hint = tuple(tensor.shape), ""
        if len(shape) == 3 and channels in (shape[0], shape[2]):
            hint = (
                f": bring a single image to it by {name}{'[None]' if shape[0] == channels else '.movedim(-1, 0)[None]'}"
            )
        elif len(shape) == 4 and shape[3] == channels:
            hint = f": bring the channels to the front by {name}.movedim(-1, 1)"
        raise ValueError(f"{name} must have shape {wanted}, but have {tuple(tensor.shape)}{hint}")


IMAGENET = Preprocessing(size=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""What the ImageNet networks of torchvision were trained on."""

CIFAR10 = Preprocessing(size=32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""CIFAR's 32 pixels with ImageNet's statistics, which its public networks and ours are trained with."""
