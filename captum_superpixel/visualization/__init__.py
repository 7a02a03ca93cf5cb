"""Pictures of explanations and their superpixels, to be used beside ``captum.attr.visualization``."""

from captum_superpixel.visualization.comparison import visualize_comparison
from captum_superpixel.visualization.images import to_image, to_map
from captum_superpixel.visualization.page import save_html
from captum_superpixel.visualization.stability import visualize_stability
from captum_superpixel.visualization.superpixels import visualize_superpixels
from captum_superpixel.visualization.top_regions import visualize_top_regions

__all__ = [
    "save_html",
    "to_image",
    "to_map",
    "visualize_comparison",
    "visualize_stability",
    "visualize_superpixels",
    "visualize_top_regions",
]
