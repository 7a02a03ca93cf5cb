"""The interactive page: one self-contained file to look into an explanation, region by region."""

from captum_superpixel.visualization.page.page import save_html

__all__ = ["save_html"]
