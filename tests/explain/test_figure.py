"""Pictures of explanations: the same whatever the user's settings of matplotlib, and of photographs of any shape."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from captum_superpixel.cli import main
from captum_superpixel.explain.letters import _draw_line

COMMAND = ["explain", "cat.png", "--model", "explain_net:load", "--masks", "grid:4", "--method", "Saliency"]


@pytest.mark.parametrize(
    "settings",
    [{"figure.constrained_layout.use": True}, {"figure.autolayout": True}, {"image.origin": "lower"}],
    ids=lambda each: next(iter(each)),
)
def test_the_picture_is_the_same_whatever_the_user_has_set(settings: dict[str, object]) -> None:
    command = [*COMMAND, "--size", "16"]
    assert main([*command, "--out", "usual.png"]) == 0
    with mpl.rc_context(settings):
        assert main([*command, "--out", "set.png"]) == 0
    assert Path("set.png").read_bytes() == Path("usual.png").read_bytes()


def test_there_may_be_no_room_for_a_letter_above_a_photograph() -> None:
    assert main([*COMMAND, "--size", "900x3", "--out", "narrow.png"]) == 0
    assert Path("narrow.png").is_file()


def explain_all(names: list[str], out: str, *options: str) -> dict[str, bytes]:
    """The pictures of photographs that are explained one after the other."""
    Path(out).mkdir()
    for number, name in enumerate(names):
        pixels = np.random.default_rng(99 if name == "last.png" else number).integers(0, 256, (24, 20, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(Path(out) / name)
    # One by one, so that not even rounding depends on the others.
    arguments = ["--size", "32", "--batch-size", "1", "--out", f"{out}-explained", *options]
    assert main(["explain", out, *COMMAND[2:], *arguments]) == 0
    return {path.name: path.read_bytes() for path in Path(f"{out}-explained").glob("*.png")}


@pytest.mark.parametrize("options", [[], ["--workers", "1"]], ids=["in turn", "by a worker"])
def test_the_bytes_of_a_picture_do_not_depend_on_those_before(options: list[str]) -> None:
    """Though letters are remembered, and matplotlib turns its fonts as it draws names whose letters they have not."""
    _draw_line.cache_clear()
    (alone,) = explain_all(["last.png"], "alone").values()
    others = ["0 long name of a photograph.png", "1 \N{CJK UNIFIED IDEOGRAPH-732B}.png", "2.png"]
    after = explain_all([*others, "last.png"], "several", *options)
    assert len(after) == 4
    assert after["last.png"] == alone
    assert len(set(after.values())) == 4
