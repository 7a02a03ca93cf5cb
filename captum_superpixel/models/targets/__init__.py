"""Targets other than a class: what of a network's output is explained, as one number for each image."""

from captum_superpixel.models.targets.detection import Detection, DetectionTarget, list_detections
from captum_superpixel.models.targets.outputs import OutputsTarget
from captum_superpixel.models.targets.segmentation import SegmentationTarget, predict_categories, predicted_region
from captum_superpixel.models.targets.similarity import SimilarityTarget, embed_images, embed_texts

__all__ = [
    "Detection",
    "DetectionTarget",
    "OutputsTarget",
    "SegmentationTarget",
    "SimilarityTarget",
    "embed_images",
    "embed_texts",
    "list_detections",
    "predict_categories",
    "predicted_region",
]
