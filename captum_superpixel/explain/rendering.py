"""Figures as PNG files, cut to what is drawn: everything once, and pictures in a fraction of matplotlib's time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.transforms import IdentityTransform
from PIL import Image

from captum_superpixel._files import replacing
from captum_superpixel._threads import ignored_warnings
from captum_superpixel.explain.compositing import Picture, resize
from captum_superpixel.explain.letters import paint
from captum_superpixel.explain.png import save_png

__all__ = ["DPI", "MARGIN", "draw_pixels", "save_figure"]

DPI = 120
MARGIN = 0.1
"""Inches around what is drawn."""


def save_figure(figure: Figure, path: Path) -> None:
    """Lay a figure out, cut it to what is drawn and write it as PNG, whole or not at all.

    Args:
        figure: What to write.
        path: The file.

    Raises:
        OSError: If it cannot be written.
    """
    pixels = _render(figure)
    with replacing(path) as temporary:
        save_png(pixels, temporary, DPI)


def draw_pixels(figure: Figure) -> npt.NDArray[np.uint8]:
    """Draw a figure as it is laid out: ``(H, W, 3)``."""
    with ExitStack() as restored:
        figure.set_dpi(DPI)
        for axis in figure.axes:
            restored.enter_context(_flattened(axis))
        return paint(figure, DPI)


def _render(figure: Figure) -> npt.NDArray[np.uint8]:
    """Draw a figure, which is laid out then and keeps its layout.

    ``Figure.savefig`` would draw everything once more to see where it comes to lie.
    """
    # Names may have letters that matplotlib's font has not; boxes stand for them.
    with ignored_warnings(UserWarning):
        canvas: Any = FigureCanvasAgg(figure)
        figure.set_dpi(DPI)
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)
            figure.set_layout_engine("none")
        drawn = figure.get_tightbbox(canvas.get_renderer())
        width, height = canvas.get_width_height()
        if drawn.x0 < 0 or drawn.y0 < 0 or drawn.x1 * DPI > width or drawn.y1 * DPI > height:
            # Something reaches beyond the figure, such as a title of wide letters.
            return _widened(figure)
        pixels = Image.fromarray(draw_pixels(figure))
    (left, bottom), (right, top) = np.round(drawn.padded(MARGIN).get_points() * DPI).astype(int).tolist()
    cut_out = Image.new("RGB", (right - left, top - bottom), "white")
    cut_out.paste(pixels, (-left, top - height))
    return np.asarray(cut_out)


def _widened(figure: Figure) -> npt.NDArray[np.uint8]:
    """Draw a figure with all that reaches beyond it."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI, bbox_inches="tight", pad_inches=MARGIN)
    return np.asarray(Image.open(content).convert("RGB"))


@contextmanager
def _flattened(axis: Axes) -> Iterator[None]:
    """Show, instead of the pictures that fill an axis, one of the size that they are drawn in.

    Matplotlib resamples each in float64, which took half of the time of drawing.
    """
    axis.apply_aspect()
    frame = axis.get_window_extent()
    left, bottom, right, top = (round(edge) for edge in frame.extents)
    images = sorted((image for image in axis.images if image.get_visible()), key=Artist.get_zorder)
    if not images or right <= left or top <= bottom or not all(_fills(image, axis) for image in images):
        yield
        return
    layers = [_resized(image, (right - left, top - bottom)) for image in images]
    whole = layers[0]
    for layer in layers[1:]:
        whole.alpha_composite(layer)
    picture = axis.add_artist(Picture(np.asarray(whole), IdentityTransform(), left, bottom))
    picture.set_zorder(images[0].get_zorder())
    for image in images:
        image.set_visible(False)
    try:
        yield
    finally:
        picture.remove()
        for image in images:
            image.set_visible(True)


def _fills(image: AxesImage, axis: Axes) -> bool:
    """Whether an image lies in all of an axis, upright and as opaque as its pixels say."""
    left, right, bottom, top = image.get_extent()
    (low, high), (down, up) = axis.get_xlim(), axis.get_ylim()
    return (
        (left, right, bottom, top) == (low, high, down, up)
        and left < right
        and image.origin == "upper"
        and image.get_alpha() is None
    )


def _resized(image: AxesImage, size: tuple[int, int]) -> Image.Image:
    """Draw an image in ``size``, width and height in pixels."""
    array: Any = image.get_array()
    pixels = Image.fromarray(image.to_rgba(array, bytes=True)).convert("RGBA")
    return resize(pixels, size, sharp=image.get_interpolation() == "nearest")
