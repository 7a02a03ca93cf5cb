"""``--reshape-transform``: from its text to the function that lays the output of a layer out."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import cast

from captum_superpixel._checks import InputError
from captum_superpixel.attr.given_layout import ReshapeTransform
from captum_superpixel.attr.methods import METHODS
from captum_superpixel.models.loading import import_named

__all__ = ["read_transform"]


def read_transform(options: Namespace, methods: Sequence[str]) -> ReshapeTransform | None:
    """Import the function that the user named; None if none was.

    Args:
        options: Of the command line.
        methods: The names of the methods, in ``METHODS``.

    Raises:
        InputError: If none of the methods looks at a layer, no layer was named, or there is no such function.
    """
    text = options.reshape_transform
    if text is None:
        return None
    subject = f"--reshape-transform {text}"
    if not any(METHODS[name].layer for name in methods):
        look = "looks" if len(methods) == 1 else "look"
        raise InputError(
            f"{subject} lays out the output of a layer, and {', '.join(methods)} {look} at none; leave it out, or use "
            "such as LayerGradCam."
        )
    if options.layer is None:
        raise InputError(
            f"{subject} is for the layer that --layer names: name one, or leave it out, for a layer that is found and "
            "laid out by itself."
        )
    module, _, name = text.partition(":")
    if not module or not name:
        raise InputError(
            f"{subject} names no function: write MODULE:FUNCTION, for example mynet:to_map for to_map(tokens) in "
            "mynet.py, which returns (N, C, h, w)."
        )
    function = import_named(module, name, subject)
    if isinstance(function, type) or not callable(function):
        raise InputError(
            f"{subject} is a {type(function).__name__}, no function from the output of a layer to (N, C, h, w)."
        )
    return cast(ReshapeTransform, function)
