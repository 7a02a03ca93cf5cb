"""Figures are drawn without a screen."""

from collections.abc import Callable

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

mpl.use("Agg")


@pytest.fixture
def colorbar() -> Callable[[Figure], Axes]:
    """Find the only color bar of a figure."""

    def find(figure: Figure) -> Axes:
        (axis,) = (axis for axis in figure.axes if axis.get_label() == "<colorbar>")
        return axis

    return find
