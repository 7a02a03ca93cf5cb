"""The package as a program."""

import runpy
import subprocess
import sys

import pytest

import captum_superpixel


def test_the_package_is_a_program_and_says_its_name() -> None:
    made = subprocess.run([sys.executable, "-m", "captum_superpixel", "--version"], capture_output=True, text=True)

    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout == f"captum-superpixel {captum_superpixel.__version__}\n"


def test_its_status_is_that_of_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["captum_superpixel"])

    with pytest.raises(SystemExit) as ended:
        runpy.run_module("captum_superpixel", run_name="__main__")

    assert ended.value.code == 2
    assert "usage: captum-superpixel" in capsys.readouterr().out


def test_workers_that_import_it_run_nothing() -> None:
    assert "main" in runpy.run_module("captum_superpixel.__main__", run_name="__mp_main__")
