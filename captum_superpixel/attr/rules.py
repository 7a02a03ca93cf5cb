"""Rules of layer-wise relevance propagation, which Captum gives to a network's layers, and leaves where it fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from captum.attr import LRP, Attribution, LayerLRP
from torch.nn import Module

__all__ = ["MissingRuleError", "rules_kept"]


class MissingRuleError(ValueError):
    """A layer has no rule; the message says which, and what to do."""


@contextmanager
def rules_kept(method: Attribution) -> Iterator[None]:
    """Take away the rules that a call of LRP gave to layers before it failed: Captum's next call would fail by them.

    Args:
        method: The method that is called, no wrapper of it; of other methods than LRP nothing is done.

    Raises:
        MissingRuleError: If a layer has none.
    """
    before = _rules_of(method)
    try:
        yield
    except Exception as error:  # any failure leaves rules behind
        for module in _rules_of(method) - before:
            del module.rule
        found = re.search(r"Module of type <class '(?:.*\.)?(\w+)'> has no rule", str(error))
        if not isinstance(error, TypeError) or found is None:
            raise
        raise MissingRuleError(
            f"there is no rule for the layer {found[1]}: give such layers one where it is right for them, layer.rule = "
            "EpsilonRule() from captum.attr._utils.lrp_rules, or use another method, such as IntegratedGradients"
        ) from error


def _rules_of(method: Attribution) -> set[Module]:
    """The layers that have a rule; none for other methods."""
    if not isinstance(method, (LRP, LayerLRP)):
        return set()
    return {module for module in method.model.modules() if hasattr(module, "rule")}
