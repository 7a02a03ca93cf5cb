"""Pictures of explanations: the same whatever the user's settings of matplotlib, and of photographs of any shape."""

from pathlib import Path

import matplotlib as mpl
import pytest

from captum_superpixel.cli import main

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
