"""Lines of letters from memory: those that matplotlib draws, wherever they begin, whatever was drawn before."""

from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.backends import backend_agg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from captum_superpixel._threads import ignored_warnings
from captum_superpixel.explain import letters
from captum_superpixel.explain.letters import Painter, paint

AGG: Any = backend_agg
DPI = 120
LINES = ["10:  0.835", "jagged, (fi) Åq", "n01443537_goldfish.jpg", "μ > 99.9 %…", "W"]


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    letters._draw_line.cache_clear()
    letters._measure_line.cache_clear()


def draw(kind: Any, text: str, prop: FontProperties, angle: int = 0, **looks: Any) -> npt.NDArray[np.int64]:
    renderer = kind(400, 400, DPI)
    context = renderer.new_gc()
    context.set_foreground(looks.get("color", "black"))
    if "alpha" in looks:
        context.set_alpha(looks["alpha"])
    with ignored_warnings(UserWarning):
        renderer.draw_text(context, 60, 350, text, prop, angle)
    return np.asarray(renderer.buffer_rgba()).astype(np.int64)


@pytest.mark.parametrize("text", LINES)
@pytest.mark.parametrize(("size", "weight"), [(9, "normal"), (7, "bold"), (12, "normal")])
@pytest.mark.parametrize("looks", [{}, {"color": "#08306b"}], ids=str)
def test_lines_are_those_of_matplotlib(text: str, size: float, weight: str, looks: dict[str, Any]) -> None:
    prop = FontProperties(size=size, weight=weight)
    theirs = draw(AGG.RendererAgg, text, prop, **looks)
    assert theirs[..., 3].any()
    for _ in range(2):
        assert np.abs(draw(Painter, text, prop, **looks) - theirs).max() <= 1
    measured = [kind(1, 1, DPI).get_text_width_height_descent(text, prop, False) for kind in (Painter, AGG.RendererAgg)]
    assert measured[0] == pytest.approx(measured[1])


@pytest.mark.parametrize(
    ("text", "angle", "looks", "settings"),
    [
        ("turned to the left, jg", 90, {}, {}),
        ("\N{CJK UNIFIED IDEOGRAPH-732B}.jpg", 0, {}, {}),
        ("slanting", 30, {}, {}),
        ("seen through", 0, {"alpha": 0.5}, {}),
        ("of a color that is seen through", 0, {"color": "#08306b40"}, {}),
        ("between pixels", 0, {}, {"text.hinting": "no_hinting"}),
        (" ", 0, {}, {}),
    ],
    ids=["turned", "letters that the font has not", "angle", "opacity", "see-through", "settings", "nothing"],
)
def test_lines_of_all_kinds_are_those_of_matplotlib(
    text: str, angle: int, looks: dict[str, Any], settings: dict[str, Any]
) -> None:
    prop = FontProperties(size=9)
    with mpl.rc_context(settings):
        theirs = draw(AGG.RendererAgg, text, prop, angle, **looks)
        for _ in range(2):
            assert np.abs(draw(Painter, text, prop, angle, **looks) - theirs).max() <= 1


def test_settings_and_fonts_that_change_later_are_not_mixed_up() -> None:
    prop = FontProperties(size=9)
    with mpl.rc_context({"font.sans-serif": ["DejaVu Serif"]}):
        other = draw(Painter, "a line", prop)
    usual = draw(Painter, "a line", prop)
    assert np.abs(other - usual).max() > 100
    prop.set_size(11)
    np.testing.assert_array_equal(draw(Painter, "a line", prop), draw(Painter, "a line", FontProperties(size=11)))
    assert np.abs(draw(Painter, "a line", prop) - usual).max() > 100


def test_lines_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prop = FontProperties(size=9)
    first = draw(Painter, "again", prop)
    drawn: list[str] = []
    original = AGG.RendererAgg.draw_text
    monkeypatch.setattr(
        AGG.RendererAgg,
        "draw_text",
        lambda self, gc, x, y, s, *rest: (drawn.append(s), original(self, gc, x, y, s, *rest)),
    )
    np.testing.assert_array_equal(draw(Painter, "again", prop), first)
    assert drawn == []
    draw(Painter, "again", FontProperties(size=10))
    draw(Painter, "again", prop, 90)
    draw(Painter, "other", prop)
    assert drawn == ["again", "again", "other"]


def test_figures_are_painted_as_matplotlib_does(tmp_path: Any) -> None:
    figure = Figure(figsize=(3, 2))
    axis = figure.add_subplot()
    axis.plot([1, 2, 4])
    axis.set(xlabel="along", ylabel="upwards", title="a line")
    canvas: Any = AGG.FigureCanvasAgg(figure)
    figure.set_dpi(DPI)
    canvas.draw()
    theirs = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    ours = paint(figure, DPI)
    assert (ours.shape, ours.dtype) == (theirs.shape, np.uint8)
    differences = np.abs(ours - theirs)
    assert differences.mean() < 2
    # All but letters.
    assert (differences.max(axis=-1) > 0).mean() < 0.03
