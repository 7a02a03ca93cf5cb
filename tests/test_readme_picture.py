"""The script that draws the README's picture, with another network."""

import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[1] / "tutorials" / "readme_picture.py"


def test_draws_the_maps_of_any_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cat.png"
    model = ("--model", "captum_superpixel.models.networks:small_cnn", "--size", "32")
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *model, "--out", str(out)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert "class" in capsys.readouterr().out
    with Image.open(out) as picture:
        colours = picture.convert("RGB").getcolors(2**24)
    assert colours is not None
    assert len(colours) == 256
    assert [path.name for path in tmp_path.iterdir()] == ["cat.png"]
