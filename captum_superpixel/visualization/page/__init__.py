"""The interactive page: one self-contained file on which an explanation is inspected region by region."""

from captum_superpixel.visualization.page.page import save_html

__all__ = ["save_html"]
