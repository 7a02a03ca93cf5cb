"""ROAD beside pytorch-grad-cam; that of Quantus (0.6.0) fails for images with three channels."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from peers_insertion import NoNetwork, find_grad_cam, make_inputs, targets_of_grad_cam
from peers_timing import OURS, Call, Case

from captum_superpixel.metrics import road

TITLE = "ROAD at nine fractions, of a network that costs nothing"

_PERCENTAGES = tuple(range(10, 100, 10))
_SIZES = ((32, 8), (96, 2), (224, 1))


def cases(quick: bool) -> Iterator[Case]:
    """Impute pixels in both orders."""
    grad_cam = find_grad_cam()
    network = NoNetwork().eval()
    for side, count in _SIZES[: 1 if quick else None]:
        images, maps, targets = make_inputs(count, side)
        fractions = [percentage / 100 for percentage in _PERCENTAGES]
        calls: dict[str, Call] = {OURS: partial(road, network, images, maps, targets, fractions=fractions)}
        if grad_cam is not None:
            combined = grad_cam.ROADCombined(list(_PERCENTAGES))
            wanted = targets_of_grad_cam(targets)
            calls["pytorch-grad-cam"] = partial(combined, images, maps[:, 0].numpy(), wanted, network)
        yield Case(f"{count} of {side} x {side}", calls)
