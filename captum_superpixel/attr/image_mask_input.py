"""Superpixels and proposals as the features of Captum's attribution methods for vision-language models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from captum.attr import ImageMaskInput
from numpy.typing import NDArray
from PIL import Image, ImageMode
from torch import Tensor

from captum_superpixel._checks import checked_integer, listed
from captum_superpixel.attr._masks import MaskGenerator, check_generators, generate
from captum_superpixel.feature_masks import MaskLike, as_integers
from captum_superpixel.masks.proposals import stack_proposals

__all__ = ["to_image_mask_input"]

Proposal: TypeAlias = Tensor | NDArray[np.bool_] | Mapping[str, Any]
ImageMask: TypeAlias = MaskGenerator | MaskLike | Sequence[MaskGenerator | MaskLike] | Sequence[Proposal]

_UNITS = (((0.0,), (1.0,)), None)
"""The values of ``denormalize`` that leave a picture in [0, 1] as it is."""


def to_image_mask_input(
    image: Image.Image,
    mask: ImageMask,
    *,
    baseline: tuple[int, int, int] = (255, 255, 255),
    processor_fn: Callable[[Image.Image], Any] | None = None,
) -> ImageMaskInput:
    """Make the segments of an image the features that ``captum.attr.LLMAttribution`` removes from a model's input.

    One segmentation becomes the ``mask`` of the ``ImageMaskInput``. Several, such as ``multiscale()``, and proposals
    become its ``mask_list``: features that may overlap. A pixel is then removed with any feature that it lies in, and
    Captum's pictures show the sum over its features. Pixels that no proposal holds are never removed;
    ``from_proposals`` makes a mask of proposals in which they are a segment of their own.

    Args:
        image: The picture, of H x W pixels, as it is handed to the processor; one in gray, with a palette or with
            transparency is converted to RGB. It is not turned as its EXIF orientation says.
        mask: What the features are:

            - a mask generator, which is called with the picture as ``(1, 3, H, W)``, float32 in [0, 1];
            - segment ids ``(H, W)``, ``(1, H, W)`` or ``(1, 1, H, W)``, any non-negative integers, as tensor or array;
            - a list of these, generators of this package sharing what they can;
            - proposals: boolean masks ``(P, H, W)`` as a tensor, an array or a list, or the list of dictionaries with
              the key ``"segmentation"`` that SAM returns.
        baseline: The red, green and blue, each from 0 to 255, that removed pixels get.
        processor_fn: From a picture to what the model takes, as Captum calls it; None for the picture itself.

    Returns:
        The input for ``LLMAttribution.attribute``, with one feature per segment (in ascending order of the ids) or
        proposal. Its masks are on the CPU, where the picture is.

    Raises:
        TypeError: If the image is not a Pillow image, a mask is neither of integers nor of booleans, or the baseline
            is not of integers.
        ValueError: If the image has more than 8 bits, a mask is of another size or holds several images or negative
            ids, a proposal is empty, a generator undoes a normalization, or the baseline is out of its range.

    Notes:
        ``LLMAttribution`` needs ``use_cached_outputs=False`` with Transformers from version 5 on: otherwise Captum 0.9
        asks these models for the inputs of a later token, which leave the picture out, and all attributions are zero.

    Examples:
        >>> picture = Image.new("RGB", (4, 2))
        >>> made = to_image_mask_input(picture, torch.tensor([[0, 0, 7, 7], [0, 0, 7, 7]]))
        >>> made.values
        ['image_feature_0', 'image_feature_7']
        >>> np.array(made.to_model_input(torch.tensor([[1, 0]])))[..., 0]
        array([[  0,   0, 255, 255],
               [  0,   0, 255, 255]], dtype=uint8)
        >>> from captum_superpixel.masks import Grid
        >>> to_image_mask_input(picture, [Grid(1), Grid(2)]).n_itp_features
        3
    """
    picture = _checked_image(image)
    options: dict[str, Any] = {"baseline": _checked_baseline(baseline)}
    if processor_fn is not None:
        options["processor_fn"] = processor_fn
    if isinstance(mask, (list, tuple)) and any(map(_is_segmentation, mask)):
        segmentations = _segmentations(mask, picture, [f"mask[{index}]" for index in range(len(mask))])
        features = [ids == number for ids in segmentations for number in torch.unique(ids)]
        return ImageMaskInput(picture, mask_list=features, **options)
    if isinstance(mask, (list, tuple)) or (_is_boolean(mask) and mask.ndim > 2):  # type: ignore[union-attr]  # an array
        return ImageMaskInput(picture, mask_list=_proposals(mask, picture), **options)
    (segmentation,) = _segmentations([mask], picture, ["mask"])
    return ImageMaskInput(picture, segmentation, **options)


def _checked_image(image: object) -> Image.Image:
    """Return the picture in mode RGB."""
    if not isinstance(image, Image.Image):
        shape = getattr(image, "shape", None)
        what = f"a {type(image).__name__}" + ("" if shape is None else f" of shape {tuple(shape)}")
        raise TypeError(
            f"image must be one Pillow image, which Captum removes parts from, but {what} was passed: make an "
            "ImageMaskInput for each image of a batch, and a Pillow image of an array (H, W, 3) of uint8 by "
            "PIL.Image.fromarray(array)"
        )
    if image.mode == "RGB":
        return image
    if ImageMode.getmode(image.mode).typestr not in ("|b1", "|u1"):
        raise ValueError(
            f"the image has mode {image.mode}, of more than 8 bits, but Captum removes pixels of 8: bring it to these "
            "by captum_superpixel.datasets.photographs.to_rgb(image)"
        )
    # Pillow warns where transparency goes from a palette to RGB at once.
    return (image.convert("RGBA") if "transparency" in image.info else image).convert("RGB")


def _checked_baseline(baseline: object) -> tuple[int, ...]:
    if not isinstance(baseline, (tuple, list)) or len(baseline) != 3:
        raise ValueError(f"baseline={baseline!r} is no color: pass its (red, green, blue), each from 0 to 255")
    return tuple(checked_integer("each value of baseline", value, minimum=0, maximum=255) for value in baseline)


def _is_boolean(mask: object) -> bool:
    return isinstance(mask, (Tensor, np.ndarray)) and mask.dtype in (torch.bool, np.bool_)


def _is_segmentation(item: object) -> bool:
    """Whether an item of a list is a generator, or ids: anything but a proposal."""
    return callable(item) or (isinstance(item, (Tensor, np.ndarray)) and not _is_boolean(item))


def _segmentations(sources: Sequence[object], picture: Image.Image, names: Sequence[str]) -> list[Tensor]:
    """Segment ids ``(H, W)`` on the CPU for each generator or mask, of which the generators run together."""
    generators: list[Any] = [source for source in sources if callable(source)]
    pixels = torch.from_numpy(np.array(picture)).movedim(-1, 0)[None] / 255
    for generator in generators:
        check_generators(generator)
        _check_shown_as_it_is(generator)
    made = iter(generate(generators, (pixels,)) if generators else ())
    return [
        _checked_ids(next(made)[0] if callable(source) else source, picture, name)
        for source, name in zip(sources, names, strict=True)
    ]


def _check_shown_as_it_is(generator: Any) -> None:
    """Raise ValueError if a generator, or one inside of it (of a cache), takes the picture for a network's input."""
    inner = generator
    while callable(getattr(inner, "generator", None)):
        inner = inner.generator
    for name, allowed in (("denormalize", _UNITS), ("channel_order", ("rgb",))):
        value = getattr(inner, name, allowed[0])
        if value not in allowed:
            raise ValueError(
                f"{generator!r} expects images as a network takes them, but the picture itself is segmented, RGB in "
                f"[0, 1]: leave out {name}={value!r}"
            )


def _checked_ids(mask: object, picture: Image.Image, name: str) -> Tensor:
    """Return a mask as int64 ``(H, W)`` on the CPU."""
    if _is_boolean(mask):
        raise TypeError(
            f"{name} is one boolean mask {tuple(mask.shape)}: pass {name}[None] for that one feature, or "  # type: ignore[attr-defined]  # an array
            f"{name} * 1 for two, inside and outside"
        )
    ids = as_integers(mask, name).detach().cpu()
    size = picture.size[::-1]
    if tuple(ids.shape) not in (size, (1, *size), (1, 1, *size)):
        raise ValueError(
            f"{name} of shape {tuple(ids.shape)} was passed for an image of {size[0]} rows and {size[1]} columns: pass "
            f"one id per pixel, of shape {size}{_size_hint(tuple(ids.shape), size)}"
        )
    if int(ids.min()) < 0:
        raise ValueError(
            f"{name} holds the negative id {int(ids.min())}, but segment ids must be 0 or larger: shift them, for "
            f"example by {name} - {name}.min()"
        )
    return ids.reshape(size)


def _size_hint(shape: tuple[int, ...], size: tuple[int, int]) -> str:
    """What may be behind a mask of another size."""
    if shape == size[::-1]:
        return "; Pillow's size is (width, height), so this one may have to be transposed"
    if len(shape) > 2 and shape[-2:] == size:
        return "; several masks of an image are a list, and each image of a batch has a call of its own"
    return ""


def _proposals(masks: Any, picture: Image.Image) -> list[Tensor]:
    """Boolean masks ``(H, W)`` on the CPU, none of them empty."""
    stack = stack_proposals(masks).cpu()
    size = picture.size[::-1]
    if stack.dim() == 4 and len(stack) == 1:
        stack = stack[0]
    if tuple(stack.shape[1:]) != size:
        raise ValueError(
            f"proposals of shape {tuple(stack.shape)} were passed for an image of {size[0]} rows and {size[1]} "
            f"columns: pass (P, {size[0]}, {size[1]}){_size_hint(tuple(stack.shape[-2:]), size)}"
        )
    empty = (~stack.flatten(1).any(dim=1)).nonzero().flatten().tolist()
    if empty:
        raise ValueError(
            f"{len(empty)} of {len(stack)} proposals (index {listed(empty)}) hold no pixel, so there is nothing to "
            "remove: leave them out"
        )
    return list(stack)
