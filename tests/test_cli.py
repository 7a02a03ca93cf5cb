"""The dispatcher: which command runs, and how it ends."""

import argparse
import errno
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import captum_superpixel
from captum_superpixel import cli
from captum_superpixel._checks import InputError
from captum_superpixel._files import replacing
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

        monkeypatch.setattr(cli, "add_compile", add)
        monkeypatch.setitem(cli.SUMMARIES, "work", "work")
        monkeypatch.setitem(cli._ADDERS, "work", cli._ADDERS["compile"])

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


def test_a_process_that_is_asked_to_end_leaves_nothing_half_written(
    running: Callable[[Run], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def run(options: argparse.Namespace) -> None:
        with replacing(tmp_path / "map.npz") as temporary:
            temporary.write_text("half of a map")
            signal.raise_signal(signal.SIGTERM)

    running(run)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["work"]) == 143
    assert signal.getsignal(signal.SIGTERM) == before == signal.SIG_DFL
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == (
        "captum-superpixel: error: terminated; what was finished is kept, nothing is half-written.\n"
    )


def test_a_program_that_deals_with_sigterm_keeps_its_handler(running: Callable[[Run], None]) -> None:
    asked: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    try:
        running(lambda options: signal.raise_signal(signal.SIGTERM))
        assert main(["work"]) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert asked == [signal.SIGTERM]


def test_threads_run_commands_too(running: Callable[[Run], None]) -> None:
    running(lambda options: None)  # only the main thread may say what a signal does
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(main, ["work"]).result() == 0


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


ANSWERS = """
import contextlib, sys
from captum_superpixel.cli import main
for arguments in (["--help"], [], ["--version"], ["--bad"], ["bad"], ["explain", "--bad"], ["explain", "a.png"],
    ["explain", "a.png", "--model", "m:n", "--top", "0"], ["explain", "--help"], ["study", "--help"],
    ["study", "--rows", "some"], ["study", "--models", "2", "--checkpoint", "m:n"], ["demo", "--help"],
    ["compile", "--help"]):
    with contextlib.suppress(SystemExit):
        main(arguments)
print(*sys.modules, file=sys.stderr)
"""
LIBRARY = """
import sys
from captum_superpixel import *
print(*sys.modules, file=sys.stderr)
"""


def loaded_by(program: str) -> set[str]:
    """The modules that a program of its own has imported at its end."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


def test_what_is_wrong_and_help_are_said_without_waiting_for_pytorch() -> None:
    loaded = loaded_by(ANSWERS)
    assert {"captum_superpixel.explain.command", "captum_superpixel.study.command"} <= loaded
    assert not {"torch", "captum", "scipy", "skimage", "matplotlib", "PIL", "tqdm"} & loaded


def test_the_library_adds_little_to_captum() -> None:
    """What single functions work with is imported when they are called."""
    loaded = loaded_by(LIBRARY)
    assert "captum_superpixel.attr.xrai" in loaded
    assert not {"scipy", "skimage", "tabulate", "numba", "sklearn", "transformers", "datasets"} & loaded
    assert not {f"captum_superpixel.{room}" for room in ("visualization", "metrics", "explain", "study")} & loaded


def test_every_public_name_and_room_is_found() -> None:
    assert {*captum_superpixel.__all__, "masks", "metrics", "visualization"} <= set(dir(captum_superpixel))
    assert all(callable(getattr(captum_superpixel, name)) for name in captum_superpixel.__all__)
    assert captum_superpixel.metrics.ssim.__module__ == "captum_superpixel.metrics.stability"
    with pytest.raises(AttributeError, match=r"'captum_superpixel' has no attribute 'superpixels'"):
        captum_superpixel.superpixels  # noqa: B018


def test_runs_as_a_script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["captum-superpixel", "demo", "--out", "demo.jpg"])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(cli.__file__), run_name="__main__")
    assert capsys.readouterr().err == "captum-superpixel: error: --out demo.jpg does not end in .png.\n"
