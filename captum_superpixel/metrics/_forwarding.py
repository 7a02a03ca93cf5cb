"""What the fidelity metrics share: the checks of their arguments, and a model's scores with bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, TypeAlias

import torch
from torch import Tensor

from captum_superpixel._float64 import widen
from captum_superpixel._networks import first_logits, program_cause, warn_in_training_mode
from captum_superpixel._untyped import progress_bar
from captum_superpixel.metrics._maps import IMAGES, VOLUMES, add_channels, check_channels_first, check_maps

__all__ = ["Target", "check_images", "check_scores", "forward_scores"]

Target: TypeAlias = int | tuple[int, ...] | Sequence[int] | Sequence[tuple[int, ...]] | Tensor | None


def check_images(name: str, images: object, *, volumes: bool = False) -> Tensor:
    """Return images ``(N, C, H, W)``, detached, if they are finite and floating-point.

    Args:
        name: What they are called in messages.
        images: What the caller passed.
        volumes: Whether volumes ``(N, C, D, H, W)`` may be passed as well.

    Returns:
        The same tensor, detached.

    Raises:
        TypeError: If they are not a floating-point tensor.
        ValueError: If they have another shape, seem to have their channels last, hold nothing, or a value of theirs is
            NaN or infinite.
    """
    checked = check_maps(name, images, IMAGES, *([VOLUMES] if volumes else []))
    if not checked.is_floating_point():
        raise TypeError(f"{name} has dtype {checked.dtype}, which cannot hold a mean: pass {name}.float()")
    if checked.ndim == 4:
        check_channels_first(name, checked.shape)
    return checked


def check_scores(attributions: object, inputs: Tensor) -> Tensor:
    """Return the score of each pixel: the attributions of the inputs, summed with their signs over the channels.

    Args:
        attributions: What the caller passed as attributions ``(N, 1 or C, *spatial)``.
        inputs: Checked images ``(N, C, *spatial)``.

    Returns:
        ``(N, *spatial)`` float64, where float64 exists, on the device of the inputs.

    Raises:
        TypeError: If the attributions are not a tensor of real numbers.
        ValueError: If they do not fit the inputs, or hold NaN or infinite scores.
    """
    scores = check_maps("attributions", attributions, VOLUMES if inputs.ndim == 5 else IMAGES)
    count, channels, *size = inputs.shape
    if scores.shape[0] != count or scores.shape[1] not in (1, channels) or list(scores.shape[2:]) != size:
        raise ValueError(
            f"attributions of shape {tuple(scores.shape)} do not fit inputs of shape {tuple(inputs.shape)}: pass one "
            f"map per image, of shape ({count}, 1 or {channels}, {', '.join(map(str, size))})"
        )
    return add_channels(widen(scores.to(inputs.device)))


def forward_scores(
    forward_func: Callable[..., Any],
    perturb: Callable[[Tensor], Tensor],
    owners: Tensor,
    count: int,
    *,
    target: Target,
    additional_forward_args: object,
    softmax: bool,
    batch_size: int,
    show_progress: bool,
    description: str,
) -> Tensor:
    """Score E perturbed images, of which at most ``batch_size`` exist at a time, without gradients.

    Args:
        forward_func: The model, from images ``(B, C, H, W)`` and the further arguments to outputs ``(B, …)``.
        perturb: From row numbers ``(B,)`` int64 in 0 … E-1 to the perturbed images ``(B, C, H, W)`` of these rows.
        owners: Of each row the number of the image that it perturbs, ``(E,)`` int64 on the CPU.
        count: Number of images, N.
        target: What to select of the outputs, as in Captum: one int for all images, N ints as a list or tensor, or,
            for outputs of several dimensions, a tuple or N tuples; None for outputs of one number per image.
        additional_forward_args: None, one further argument or a tuple of them. Tensors of N entries go along with
            their images, all else is passed on as it is.
        softmax: Whether to take the softmax over dimension 1 of the outputs first.
        batch_size: Largest number of images per call, positive.
        show_progress: Whether to show a bar.
        description: What the bar is called.

    Returns:
        ``(E,)`` float64, where float64 exists.

    Raises:
        TypeError: If the target is of an unknown kind.
        ValueError: If the target does not fit the images or the outputs.
    """
    indices = _target_indices(target, count)
    if indices is None and softmax:
        raise ValueError("target=None names no class for the softmax: pass a target, or softmax=False")
    if additional_forward_args is None:
        additional_forward_args = ()
    elif not isinstance(additional_forward_args, tuple):
        additional_forward_args = (additional_forward_args,)
    warn_in_training_mode(forward_func)
    scores = []
    wanted = progress_bar(total=len(owners), desc=description, unit="image") if show_progress else nullcontext()
    with torch.no_grad(), wanted as bar:
        for rows in torch.split(torch.arange(len(owners), device="cpu"), batch_size):
            images = owners[rows]
            further = (_of_images(argument, images, count) for argument in additional_forward_args)
            try:
                output = forward_func(perturb(rows), *further)
            except AssertionError as error:
                if cause := program_cause(error):
                    raise ValueError(cause) from error
                raise
            chosen = None if indices is None else indices[images]
            scores.append(_select(output, chosen, len(rows), softmax))
            if bar is not None:
                bar.update(len(rows))
    return torch.cat(scores)


def _target_indices(target: Target, count: int) -> Tensor | None:
    """The target as D indices per image, ``(N, D)`` int64 on the CPU."""
    if target is None:
        return None
    indices = target.detach().cpu() if isinstance(target, Tensor) else None
    if indices is None:
        try:
            indices = torch.tensor(target, device="cpu")
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"target={target!r} is no target: pass an int, a list of ints or a tensor (N,)") from error
    if indices.is_floating_point() or indices.is_complex() or indices.dtype == torch.bool or indices.numel() == 0:
        raise TypeError(f"target={target!r} is of dtype {indices.dtype}: pass the numbers of classes, as integers")
    if isinstance(target, tuple):
        indices = indices.reshape(1, -1)
    elif indices.ndim < 2:
        indices = indices.reshape(-1, 1)
    shared = len(indices) == 1 and not isinstance(target, list)
    if indices.ndim != 2 or (len(indices) != count and not shared):
        raise ValueError(
            f"target of shape {tuple(torch.as_tensor(target).shape)} does not fit {count} images: pass one int for "
            f"all, or {count} of them"
        )
    return indices.long().expand(count, -1)


def _of_images(argument: object, images: Tensor, count: int) -> object:
    if isinstance(argument, Tensor) and argument.ndim > 0 and argument.shape[0] == count:
        return argument[images.to(argument.device)]
    return argument


def _select(returned: object, indices: Tensor | None, count: int, softmax: bool) -> Tensor:
    """One score ``(B,)`` for each of the outputs ``(B, …)``."""
    output = first_logits(returned)
    if output.ndim == 0 or output.shape[0] != count:
        raise ValueError(
            f"forward_func returned an output of shape {tuple(output.shape)} for {count} images: let it return a "
            f"tensor ({count}, …)"
        )
    shape = tuple(output.shape)
    values = widen(output)
    if indices is None:
        if values.numel() != count:
            raise ValueError(f"target=None selects nothing of outputs of shape {shape}: pass a target")
        return values.reshape(count)
    if indices.shape[1] != len(shape) - 1:
        raise ValueError(
            f"forward_func returned outputs of shape {shape}, of which {indices.shape[1]} target indices per image "
            f"select no single score: pass {len(shape) - 1} of them" + (" (target=None)" if len(shape) == 1 else "")
        )
    outside = ((indices < 0) | (indices >= indices.new_tensor(shape[1:]))).any(dim=1)
    if outside.any():
        worst = tuple(indices[outside][0].tolist())
        raise ValueError(f"target {', '.join(map(str, worst))} lies outside of the model's outputs of shape {shape}")
    if softmax:
        if shape[1] == 1:
            raise ValueError(
                f"the softmax over outputs of shape {shape} is 1 whatever the model says: pass softmax=False, and a "
                "forward_func that applies the sigmoid if its output is a logit"
            )
        values = values.softmax(dim=1)
    places = indices.to(values.device)
    return values[(torch.arange(count, device=values.device), *places.T)]
