"""The options of ``demo`` and ``explain``: which are refused before anything is loaded, and what the help names."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from captum_superpixel.attr.methods import METHODS
from captum_superpixel.cli import main
from captum_superpixel.explain import demo
from captum_superpixel.masks import GENERATORS, is_counted

Files = Callable[[], list[str]]
Captured = pytest.CaptureFixture[str]


def help_of(command: str, capsys: Captured) -> str:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--epochs", "0"], "--epochs: '0' is not an integer from 1 to 1000"),
        (["demo", "--seed", "-1"], "--seed: '-1' is not an integer from 0"),
        (["demo", "--image", "cat.png"], "unrecognized arguments: --image"),
        (["explain", "cat.png"], "the following arguments are required: --model"),
        (["explain", "cat.png", "--model", "net", "--size", "0"], "'0' is no size"),
        (["explain", "cat.png", "--model", "net", "--size", "12x"], "'12x' is no size: write 224, or 240x320"),
        (["explain", "cat.png", "--model", "net", "--top", "0"], "'0' is not an integer from 1 to 10000"),
        (["explain", "cat.png", "--model", "net", "--seed", "-1"], "'-1' is not an integer from 0"),
        (["explain", "cat.png", "--model", "net", "--format", "gif"], "invalid choice: 'gif'"),
        (["explain", "cat.png", "--model", "net", "--reduction", "median"], "invalid choice: 'median'"),
    ],
)
def test_options_that_make_no_sense(arguments: list[str], message: str, capsys: Captured, files: Files) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert message in capsys.readouterr().err
    assert files() == []


def test_help_has_examples_and_all_methods_and_masks(capsys: Captured) -> None:
    shown = help_of("explain", capsys)
    assert shown.count("  captum-superpixel explain ") >= 5
    assert [name for name in METHODS if not re.search(rf"\b{name}\b", shown)] == []
    assert [name for name in GENERATORS if not re.search(rf"\b{name}{':N' * is_counted(name)}\b", shown)] == []
    assert max(map(len, shown.splitlines())) <= 120


def test_the_defaults_of_the_demonstration_are_in_its_help(capsys: Captured) -> None:
    shown = help_of("demo", capsys)
    for part in ("(default: demo.png)", "(default: 0)", "(default: 12)", "  captum-superpixel demo --out digits.png"):
        assert part in shown


def test_the_demonstration_gets_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[object, ...]] = []

    def run_demo(out: Path, *, seed: int, epochs: int, retrain: bool, report: object) -> None:
        seen.append((out, seed, epochs, retrain, report))

    monkeypatch.setattr(demo, "run_demo", run_demo)
    assert main(["demo"]) == 0
    assert main(["demo", "--out", "digits.png", "--seed", "3", "--epochs", "5", "--retrain"]) == 0
    assert seen == [(Path("demo.png"), 0, 12, False, print), (Path("digits.png"), 3, 5, True, print)]
