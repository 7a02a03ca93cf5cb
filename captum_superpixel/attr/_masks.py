"""Which masks a call groups by: from generators or the caller, one, a tuple for the inputs, or a list as ensemble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from captum_superpixel.feature_masks import MaskLike, check_feature_mask, make_disjoint
from captum_superpixel.masks.base import ImageMaskGenerator, segment_with_all

MaskGenerator: TypeAlias = Callable[[Tensor], Tensor]
Generators: TypeAlias = MaskGenerator | Sequence["MaskGenerator | Sequence[MaskGenerator | None] | None"]
FeatureMask: TypeAlias = MaskLike | Sequence["MaskLike | Sequence[MaskLike | None] | None"]

Member: TypeAlias = tuple[Tensor | None, ...]
"""One segmentation of all the inputs: a mask per input, or None for an input that is left as it is."""


def check_generators(generators: object) -> None:
    """Raise TypeError or ValueError unless this is a generator, a tuple or list of them, or a nesting of the two."""
    if isinstance(generators, type):
        raise TypeError(
            f"mask_generator is the class {generators.__name__}: pass an instance, for example {generators.__name__}()"
        )
    if isinstance(generators, (list, tuple)):
        if not generators or all(item is None for item in generators):
            raise ValueError(f"mask_generator={generators!r} holds no generator")
        for item in generators:
            if item is not None or isinstance(generators, list):
                check_generators(item)
    elif not callable(generators):
        raise TypeError(
            f"mask_generator must be a callable from an (N, C, *spatial) tensor to an (N, 1, *spatial) int64 mask, but "
            f"a {type(generators).__name__} was passed; masks that exist already go to attribute(…, feature_mask=…)"
        )


def is_ensemble(generators: object) -> bool:
    """Whether generators are a list, by themselves or for one of several inputs."""
    if isinstance(generators, tuple):
        return any(isinstance(item, list) for item in generators)
    return isinstance(generators, list)


def generate(generators: Generators, inputs: tuple[Tensor, ...]) -> list[Member]:
    """Segment the inputs of a call.

    Args:
        generators: A generator for every input, a tuple of them (None leaves an input as it is), or a list as ensemble.
        inputs: Tensors of shape ``(N, C, *spatial)``.

    Returns:
        One tuple of masks per member of the ensemble, with ids that the inputs of an image do not share.

    Raises:
        TypeError: If a generator does not return a tensor of integers.
        ValueError: If the numbers of generators and inputs differ, or a mask does not fit its input.
    """
    members = _members(generators, len(inputs), "mask generator", spread=True)
    columns = [
        _segment(list(column), tensor) for column, tensor in zip(zip(*members, strict=True), inputs, strict=True)
    ]
    segmentations = [tuple(column[index] for column in columns) for index in range(len(members))]
    return [make_disjoint(member) if len(member) > 1 else member for member in segmentations]


def read(feature_mask: object, inputs: tuple[Tensor, ...]) -> list[Member]:
    """Validate a caller's masks.

    Args:
        feature_mask: A mask, a tuple of masks (None leaves an input as it is), or a list of either as ensemble.
        inputs: The tensors that the masks are for.

    Returns:
        One tuple of int64 masks per member of the ensemble.

    Raises:
        TypeError: If a mask is not a tensor or array of integers.
        ValueError: If the numbers of masks and inputs differ, or a mask does not fit its input.
    """
    members = _members(feature_mask, len(inputs), "feature mask", spread=False)
    return [
        tuple(
            None if mask is None else check_feature_mask(mask, tensor.shape).to(tensor.device)
            for mask, tensor in zip(member, inputs, strict=True)
        )
        for member in members
    ]


def _members(spec: object, count: int, what: str, *, spread: bool) -> list[tuple[object, ...]]:
    """Bring a single item, a tuple, a list, or a nesting of these to a list of tuples of ``count`` items."""
    if isinstance(spec, list):
        if not spec:
            raise ValueError(f"an empty list of {what}s was passed: an ensemble needs at least one")
        if any(isinstance(item, list) for item in spec):
            raise ValueError(f"a list of lists of {what}s was passed: an ensemble is one flat list")
        if any(item is None for item in spec):
            raise ValueError(f"None stands in a list of {what}s: it belongs into a tuple, for an input to leave alone")
        return [member for item in spec for member in _members(item, count, what, spread=spread)]
    if not isinstance(spec, tuple):
        spec = (spec,) * count if spread else (spec,)
    if len(spec) != count:
        raise ValueError(f"{len(spec)} {what}(s) for {count} input(s): pass a tuple with one for each, or None")
    if all(item is None for item in spec):
        raise ValueError(f"no {what} for any input: at least one must not be None")
    sizes = {len(item) for item in spec if isinstance(item, list)}
    if not sizes:
        return [spec]
    if len(sizes) > 1 or 0 in sizes:
        raise ValueError(f"lists of {sorted(sizes)} {what}s for the inputs: they must be of one length, and not empty")
    return [tuple(item[i] if isinstance(item, list) else item for item in spec) for i in range(sizes.pop())]


def _segment(generators: Sequence[object], tensor: Tensor) -> list[Tensor | None]:
    """Segment one input with every generator of an ensemble: each different one once, ours sharing what they can."""
    different = list({id(generator): generator for generator in generators if generator is not None}.values())
    ours = [generator for generator in different if isinstance(generator, ImageMaskGenerator)]
    masks = dict(zip(map(id, ours), segment_with_all(ours, tensor), strict=True)) if len(ours) > 1 else {}
    for generator in different:
        if id(generator) not in masks and callable(generator):
            with torch.no_grad():
                masks[id(generator)] = generator(tensor.detach())
    checked = {id(generator): _check_made(masks[id(generator)], tensor, generator) for generator in different}
    return [checked.get(id(generator)) for generator in generators]


def _check_made(mask: object, tensor: Tensor, generator: object) -> Tensor:
    """Validate the mask that a generator returned: unlike a caller's, it must be there, for one image or for all."""
    name = f"the mask that {generator!r} returned"
    checked = check_feature_mask(mask, tensor.shape, name=name).to(tensor.device)
    if checked.shape[0] not in (1, tensor.shape[0]):
        raise ValueError(
            f"{name} is of shape {tuple(checked.shape)} for a batch of {tensor.shape[0]} images: it must hold one each"
        )
    return checked
