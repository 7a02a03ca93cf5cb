"""What options of ``explain`` are chosen from: names alone, so that options are read without waiting for PyTorch.

The tables that hold what has these names, and so need PyTorch, are in ``attr.methods``, ``masks`` and elsewhere; a test
holds the names to them.
"""

from __future__ import annotations

__all__ = [
    "BASELINES",
    "CANCELLING",
    "COUNTED_MASKS",
    "DEFAULT_MASKS",
    "FORMATS",
    "NEGATIVE_WEIGHT",
    "OTHER_MASKS",
    "STAYS_TOP",
    "STEPS",
    "TAKERS",
    "TASKS",
    "TOP",
]

BASELINES = ("0", "mean", "blur", "segment-mean")
"""Of ``--baseline``."""
FORMATS = ("png", "html", "npz")
"""Of ``--format``."""
TASKS = ("classification", "segmentation", "detection", "similarity")
"""Of ``--task``."""
DEFAULT_MASKS = "slic:100"
"""The text of ``--masks`` where nobody wrote one."""
COUNTED_MASKS = ("slic", "skimage_slic", "watershed", "grid")
"""Of ``--masks``: those that are told how many segments to make."""
OTHER_MASKS = ("multiscale", "felzenszwalb", "quickshift")
"""Those that are not."""
CANCELLING = ("SmoothGrad", "GuidedBackprop", "Deconvolution", "GuidedGradCam")
"""Methods that are averaged by magnitude, because the signs of their maps cancel within a superpixel."""
TAKERS = {
    "steps": ("IntegratedGradients", "XRAI", "LayerIntegratedGradients", "LayerConductance", "InternalInfluence"),
    "samples": (
        *("SmoothGrad", "SparsifiedSmoothGrad", "GradientShap", "ShapleyValueSampling", "OwenValues", "Lime"),
        *("KernelShap", "LayerGradientShap"),
    ),
    "baseline": (
        *("IntegratedGradients", "DeepLift", "XRAI", "Occlusion", "FeatureAblation", "ShapleyValueSampling"),
        *("ShapleyValues", "OwenValues", "Lime", "KernelShap", "LayerIntegratedGradients", "LayerConductance"),
        *("InternalInfluence", "LayerDeepLift"),
    ),
}
"""The options that not every method takes, and the methods whose maps depend on each."""
STEPS = 50
"""Of ``--steps``, where nobody says how many."""
NEGATIVE_WEIGHT = 0.5
"""What speaks against counts so much in evidence, unless the user says otherwise."""
TOP = 3
"""Regions among which ``--confidence`` says how likely each stays."""
STAYS_TOP = (
    "80 % means that about 8 of 10 such regions were again among the top 3 in an independently trained network; "
    "it says nothing about faithfulness (expected calibration error for the top 3, by mean magnitudes: .03 to .08 on "
    "CIFAR-10, and .03 to .13 on ImageNet, where more regions stayed than was said)"
)
"""What ``--confidence`` adds means, and what it does not."""
