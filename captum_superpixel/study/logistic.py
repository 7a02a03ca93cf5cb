"""Logistic regression, fitted to other images than those that it is asked about."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from captum_superpixel._untyped import Floats, expit, minimize

__all__ = ["fitted"]

_FOLDS = 5
_RIDGE = 1e-6
"""Keeps the weights finite where the outcomes are told without a mistake."""


def fitted(features: Tensor, happened: Tensor, images: Tensor) -> Tensor:
    """Make probabilities by a logistic regression that was fitted to other images, in five parts of them.

    Args:
        features: ``(P, F)``, what is known of each case.
        happened: ``(P,)`` bool.
        images: ``(P,)`` int64, in which image.

    Returns:
        ``(P,)`` float64.
    """
    parts = (torch.unique(images, return_inverse=True)[1] % _FOLDS).numpy()
    known, outcomes = features.double().numpy(), happened.double().numpy()
    found = np.full(len(known), outcomes.mean())
    for part in np.unique(parts):
        here = parts == part
        # Of a single image there are no others to be fitted to: the base rate is all that is left.
        if not here.all():
            found[here] = _logistic(known[~here], outcomes[~here], known[here])
    return torch.from_numpy(found)


def _logistic(features: Floats, happened: Floats, asked: Floats) -> Floats:
    """Fit to features (P, F) and outcomes (P,), and give the probabilities of others (Q, F)."""
    center, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread == 0] = 1
    design, wanted = (np.column_stack([np.ones(len(each)), (each - center) / spread]) for each in (features, asked))

    def loss(weights: Floats) -> tuple[Any, Floats]:
        logits = design @ weights
        value = (np.logaddexp(0, logits) - happened * logits).mean() + _RIDGE * weights @ weights / 2
        return value, design.T @ (expit(logits) - happened) / len(design) + _RIDGE * weights

    weights = minimize(loss, np.zeros(design.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-7}).x
    probabilities: Floats = expit(wanted @ weights)
    return probabilities
