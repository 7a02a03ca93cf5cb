"""CIELAB for batches of images, in operations that round the same way on every device and in every batch."""

from __future__ import annotations

import torch
from torch import Tensor

_LINEAR_LIMIT = 0.04045
_LINEAR_SLOPE = 1 / 12.92
_CURVE = (
    0.0008536746511087432,
    0.03530227689863235,
    0.486117232534511,
    0.8506424777818515,
    -0.7946919500801327,
    0.7408754685567618,
    -0.42440144591956785,
    0.10531343641581738,
)
"""((x + 0.055) / 1.055) ** 2.4 on [0.04045, 1] as a polynomial in x, whose error in lightness is below 0.0005."""

_WHITE = (0.95047, 1.0, 1.08883)
_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
"""From linear red, green and blue to X, Y and Z."""

_ROOT_LIMIT = 0.008856
_ROOT_SLOPE = 7.787
_THIRD_OF_EXPONENT = 709961077.0
"""What makes the bits of a float, divided by three, those of about its cube root."""


def rgb_to_lab(images: Tensor) -> Tensor:
    """Convert sRGB to CIELAB (D65), to within 0.02 of ``skimage.color.rgb2lab``.

    Args:
        images: Shape ``(N, 3, *spatial)``, float32, red, green and blue in [0, 1].

    Returns:
        Shape ``(N, 3, *spatial)``, float32: lightness from 0 to 100, and two axes of color, from about -108 to 99.

    Examples:
        >>> rgb_to_lab(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1)).round().flatten().tolist()
        [53.0, 80.0, 67.0]
    """
    return rgb_to_lab_(images.clone(), images.new_empty(3, *images.shape))


def rgb_to_lab_(images: Tensor, scratch: Tensor) -> Tensor:
    """Convert sRGB to CIELAB in place.

    Only additions, multiplications and divisions are used, which IEEE 754 rounds in one way. Powers have other last
    bits in the vectorized part of an array than in its tail, and so would depend on the batch.

    Args:
        images: Shape ``(N, 3, *spatial)``, float32, contiguous, in [0, 1]; overwritten by the result.
        scratch: Shape ``(3, N, 3, *spatial)``, overwritten. To allocate memory costs more than to compute with it.

    Returns:
        The images.
    """
    first, light, third = scratch.unbind(0)
    _linearize_(images, light, first)
    part = first[:, 0]
    for row, (weights, white) in enumerate(zip(_XYZ, _WHITE, strict=True)):
        channel = torch.mul(light[:, 0], weights[0] / white, out=images[:, row])
        for index in (1, 2):
            channel.add_(torch.mul(light[:, index], weights[index] / white, out=part))
    root = _compress_(images, first, light, third)
    x, y, z = root.unbind(1)
    torch.mul(y, 116, out=images[:, 0]).sub_(16)
    torch.sub(x, y, out=images[:, 1]).mul_(500)
    torch.sub(y, z, out=images[:, 2]).mul_(200)
    return images


def gray_to_lightness_(images: Tensor, scratch: Tensor) -> Tensor:
    """Convert gray in sRGB to lightness in place: the bits that :func:`rgb_to_lab_` gives three such channels.

    Args:
        images: Shape ``(N, 1, *spatial)``, float32, contiguous, in [0, 1]; overwritten by the result.
        scratch: Shape ``(3, N, 1, *spatial)``, overwritten.

    Returns:
        The images, from 0 to 100.
    """
    first, light, third = scratch.unbind(0)
    _linearize_(images, light, first)
    weights, white = _XYZ[1], _WHITE[1]
    torch.mul(light, weights[0] / white, out=images)
    for weight in weights[1:]:
        images.add_(torch.mul(light, weight / white, out=first))
    root = _compress_(images, first, light, third)
    return torch.mul(root, 116, out=images).sub_(16)


def _linearize_(values: Tensor, curve: Tensor, high: Tensor) -> None:
    """Write the linear light of sRGB values into ``curve``: below a limit a line, above it a power."""
    torch.clamp(values, min=_LINEAR_LIMIT, out=high)
    torch.mul(high, _CURVE[-1], out=curve)
    for coefficient in _CURVE[-2:0:-1]:
        curve.add_(coefficient).mul_(high)
    # Line and power meet at the limit, so the curve is their sum less their value there.
    low = values.clamp_(max=_LINEAR_LIMIT).mul_(_LINEAR_SLOPE)
    curve.add_(_CURVE[0] - _LINEAR_LIMIT * _LINEAR_SLOPE).add_(low)


def _compress_(values: Tensor, high: Tensor, spare: Tensor, root: Tensor) -> Tensor:
    """Write the cube root of values from 0 to 1, below a limit its tangent, into ``root`` and return it."""
    torch.clamp(values, min=_ROOT_LIMIT, out=high)
    spare.copy_(high.view(torch.int32)).mul_(1 / 3).add_(_THIRD_OF_EXPONENT)
    root.view(torch.int32).copy_(spare)
    # One step of Halley's method takes the error of that start from 3 % to 0.002 %.
    cube = torch.mul(root, root, out=spare).mul_(root)
    root.mul_(high.mul_(2).add_(cube)).div_(cube.mul_(3).add_(high).mul_(0.5))
    return root.add_(values.clamp_(max=_ROOT_LIMIT).sub_(_ROOT_LIMIT).mul_(_ROOT_SLOPE))
