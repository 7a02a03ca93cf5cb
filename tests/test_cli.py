"""The dispatcher: which command runs, and how it ends."""

import argparse
import errno
import runpy
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import captum_superpixel
from captum_superpixel import cli
from captum_superpixel._checks import InputError
from captum_superpixel.cli import main

Run = Callable[[argparse.Namespace], Any]


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    """Make a command "work --number N" of a function."""

    def make(run: Run) -> None:
        def add(commands: Any) -> None:
            parser = commands.add_parser("work")
            parser.add_argument("--number", type=int)
            parser.set_defaults(run=run)

        monkeypatch.setattr(cli, "add_demo", add)

    return make


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1)])
def test_a_command_gets_its_options_and_gives_the_status(
    returned: int | None, status: int, running: Callable[[Run], None]
) -> None:
    seen: list[int] = []

    def run(options: argparse.Namespace) -> int | None:
        seen.append(options.number)
        return returned

    running(run)
    assert main(["work", "--number", "7"]) == status
    assert seen == [7]


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (InputError("--number 7 is odd."), 2, "--number 7 is odd."),
        (KeyboardInterrupt(), 130, "interrupted; what was finished is kept, nothing is half-written."),
        (
            ImportError("No module named 'platformdirs'"),
            2,
            "No module named 'platformdirs'; this command needs: pip install \"captum-superpixel[demo]\"",
        ),
        (
            ImportError('the extra is missing: pip install "captum-superpixel[data]"'),
            2,
            'the extra is missing: pip install "captum-superpixel[data]"',
        ),
    ],
)
def test_errors_of_the_user_are_one_line(
    error: BaseException,
    status: int,
    said: str,
    running: Callable[[Run], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(options: argparse.Namespace) -> None:
        raise error

    running(run)
    assert main(["work"]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"captum-superpixel: error: {said}\n"


def test_a_full_disk_is_one_line(running: Callable[[Run], None], capsys: pytest.CaptureFixture[str]) -> None:
    def run(options: argparse.Namespace) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "out/parts\n.pt")

    running(run)
    assert main(["work"]) == 1
    assert capsys.readouterr().err == (
        "captum-superpixel: error: [Errno 28] No space left on device: 'out/parts\\n.pt'; what was finished is kept, "
        "nothing is half-written.\n"
    )


def test_errors_of_ours_are_shown_whole(running: Callable[[Run], None]) -> None:
    def run(options: argparse.Namespace) -> None:
        raise ValueError("a bug")

    running(run)
    with pytest.raises(ValueError, match="a bug"):
        main(["work"])


def test_a_reader_that_leaves_ends_it_quietly() -> None:
    program = (
        "import sys; from captum_superpixel import cli; from captum_superpixel.explain import demo; "
        "demo.run_demo = lambda *a, **k: [print('x' * 100_000, flush=True) for _ in range(9)]; "
        "sys.exit(cli.main(['demo']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.stdout.close()
        process.stdout = None
        _, said = process.communicate(timeout=120)
    assert process.returncode == 141
    assert said == ""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"captum-superpixel {captum_superpixel.__version__}\n"


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    said = capsys.readouterr().out
    for name in ("demo", "explain", "study"):
        assert f"\n    {name} " in said


def test_help_waits_for_no_more_than_the_library() -> None:
    """What the commands work with is imported when they run."""
    program = "import sys; import captum_superpixel.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"sklearn", "transformers", "datasets", "pandas", "platformdirs"}
    assert not heavy & set(loaded)
    assert not {"captum_superpixel.explain.run", "captum_superpixel.explain.demo"} & set(loaded)


def test_runs_as_a_script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["captum-superpixel", "demo", "--out", "demo.jpg"])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(cli.__file__), run_name="__main__")
    assert capsys.readouterr().err == "captum-superpixel: error: --out demo.jpg does not end in .png.\n"
