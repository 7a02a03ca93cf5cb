"""What panels show, for those who draw it otherwise than matplotlib's axes do, and how these would lay it out."""

from captum_superpixel.visualization._color_bar import BAR_GAP, BAR_SIZE, BAR_TRIANGLE, ColorBar
from captum_superpixel.visualization._described import describe_superpixels
from captum_superpixel.visualization._described_top import describe_top_regions
from captum_superpixel.visualization._figures import HATCH, NOTE
from captum_superpixel.visualization._layers import Layer
from captum_superpixel.visualization._panel import Panel
from captum_superpixel.visualization._score_list import (
    COLUMN_GAP,
    HANDLE,
    HANDLE_HEIGHT,
    HANDLE_PAD,
    HEADING_SIZE,
    LIST_APART,
    LIST_BELOW,
    LIST_PAD,
    Listing,
)

__all__ = [
    "BAR_GAP",
    "BAR_SIZE",
    "BAR_TRIANGLE",
    "COLUMN_GAP",
    "HANDLE",
    "HANDLE_HEIGHT",
    "HANDLE_PAD",
    "HATCH",
    "HEADING_SIZE",
    "LIST_APART",
    "LIST_BELOW",
    "LIST_PAD",
    "NOTE",
    "ColorBar",
    "Layer",
    "Listing",
    "Panel",
    "describe_superpixels",
    "describe_top_regions",
]
