"""What options of ``explain`` are chosen from: names alone, so that options are read without waiting for PyTorch."""

from __future__ import annotations

__all__ = ["BASELINES", "DEFAULT_MASKS", "FORMATS", "TASKS"]

BASELINES = ("0", "mean", "blur", "segment-mean")
"""Of ``--baseline``."""
FORMATS = ("png", "html", "npz")
"""Of ``--format``."""
TASKS = ("classification", "segmentation", "detection", "similarity")
"""Of ``--task``."""
DEFAULT_MASKS = "slic:100"
"""The text of ``--masks`` where nobody wrote one."""
