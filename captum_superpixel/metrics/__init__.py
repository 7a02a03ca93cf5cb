"""Stability, fidelity, localization and complexity of maps, nulls for these, and the calibration of probabilities."""

from captum_superpixel.metrics.across_models import MegeReco, across_model_variance, mege_reco
from captum_superpixel.metrics.bootstrap import bootstrap_mean
from captum_superpixel.metrics.calibration import (
    ReliabilityCurve,
    auroc,
    brier_skill,
    expected_calibration_error,
    interval_coverage,
    reliability_curve,
)
from captum_superpixel.metrics.complexity import effective_regions, entropy
from captum_superpixel.metrics.fidelity import Curve, deletion_auc, deletion_curve, insertion_auc, insertion_curve
from captum_superpixel.metrics.irof import irof
from captum_superpixel.metrics.localization import (
    LOCALIZATION,
    grid_pointing_game,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
)
from captum_superpixel.metrics.mu_fidelity import mu_fidelity
from captum_superpixel.metrics.null import (
    NullCorrected,
    against_null,
    excess,
    null_corrected,
    paired_difference,
    permute_pixels,
)
from captum_superpixel.metrics.null_maps import another_image, centered_gaussian, shuffled
from captum_superpixel.metrics.road import Road, noisy_linear_imputation, road
from captum_superpixel.metrics.stability import (
    SIMILARITIES,
    cosine_similarity,
    rank_correlation,
    ssim,
    top_k_intersection,
    top_k_iou,
)

__all__ = [
    "LOCALIZATION",
    "SIMILARITIES",
    "Curve",
    "MegeReco",
    "NullCorrected",
    "ReliabilityCurve",
    "Road",
    "across_model_variance",
    "against_null",
    "another_image",
    "auroc",
    "bootstrap_mean",
    "brier_skill",
    "centered_gaussian",
    "cosine_similarity",
    "deletion_auc",
    "deletion_curve",
    "effective_regions",
    "entropy",
    "excess",
    "expected_calibration_error",
    "grid_pointing_game",
    "insertion_auc",
    "insertion_curve",
    "interval_coverage",
    "irof",
    "mege_reco",
    "mu_fidelity",
    "noisy_linear_imputation",
    "null_corrected",
    "paired_difference",
    "permute_pixels",
    "pointing_game",
    "rank_correlation",
    "relevance_mass_accuracy",
    "relevance_rank_accuracy",
    "reliability_curve",
    "road",
    "shuffled",
    "ssim",
    "top_k_intersection",
    "top_k_iou",
]
