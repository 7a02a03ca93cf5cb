"""The compiled engine serves only where it was asked for, and is compiled once."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from captum_superpixel import cli
from captum_superpixel.masks import Slic, compile_engine, describe_engine
from captum_superpixel.masks.slic._segmenting import AtOnce, Setting, segment_pixels
from captum_superpixel.masks.slic._shared_pixels import SharedPixels
from captum_superpixel.masks.slic.compiled import engine

COMPILED = "compiled, but torch for masks of valid pixels"

pytestmark = pytest.mark.usefixtures("nothing_found_out")

Noise = Callable[..., Tensor]

needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="Numba is not installed")


def by_torch(settings: list[Setting], images: Tensor) -> list[Tensor]:
    return segment_pixels(settings, SharedPixels(images), AtOnce(110_000, 220_000))


def test_nothing_is_compiled_unasked(monkeypatch: pytest.MonkeyPatch, noise: Noise) -> None:
    monkeypatch.setitem(sys.modules, "captum_superpixel.masks.slic.compiled.building", None)
    Slic(20)(noise(1, 3, 16, 16))
    assert engine._Engine.library is None


@needs_numba
def test_torch_is_the_engine_until_the_other_is_compiled() -> None:
    assert describe_engine() == "torch: the compiled one is made by: captum-superpixel compile"


@pytest.mark.usefixtures("ready")
def test_what_is_compiled_is_kept_for_later_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = compile_engine()
    assert path is not None
    assert path.parent == tmp_path / "cache"
    assert describe_engine() == f"{COMPILED}: {path}"
    monkeypatch.setattr(engine._Engine, "looked_for", False)
    monkeypatch.setattr(engine._Engine, "library", None)
    assert describe_engine() == f"{COMPILED}: {path}"
    monkeypatch.setattr(engine._Engine, "looked_for", False)
    monkeypatch.setenv("CAPTUM_SUPERPIXEL_ENGINE", "torch")
    assert describe_engine() == "torch: the environment variable CAPTUM_SUPERPIXEL_ENGINE is torch"


@pytest.mark.usefixtures("ready")
def test_a_damaged_file_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    path = compile_engine()
    assert path is not None
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    monkeypatch.setattr(engine._Engine, "looked_for", False)
    assert describe_engine().startswith("torch: the compiled one could not be loaded (the checksum of ")


@pytest.mark.usefixtures("ready")
def test_the_command_says_where_it_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compile"]) == 0
    assert f"kept in {tmp_path / 'cache'}" in capsys.readouterr().out


@pytest.mark.usefixtures("ready")
def test_the_command_compiles_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compile"]) == 0
    building: Any = importlib.import_module("captum_superpixel.masks.slic.compiled.building")
    built: list[object] = []
    build = building.build
    monkeypatch.setattr(building, "build", lambda machine: built.append(machine) or build(machine))
    for looked_for in (True, False):
        monkeypatch.setattr(engine._Engine, "looked_for", looked_for)
        capsys.readouterr()
        assert cli.main(["compile"]) == 0
        assert "compiled for this computer already" in capsys.readouterr().out
    assert not built
    assert cli.main(["compile", "--force"]) == 0
    assert "already" not in capsys.readouterr().out
    assert len(built) == 1


@pytest.mark.usefixtures("ready")
def test_without_a_place_to_keep_it_it_serves_this_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert cli.main(["compile"]) == 1
    assert "the cache folder cannot be written to" in capsys.readouterr().err
    assert describe_engine() == f"{COMPILED}: not kept"


@pytest.mark.usefixtures("ready")
def test_what_gives_other_masks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "segment_images", lambda library, settings, images: by_torch(settings, images.flip(-1)))
    with pytest.raises(RuntimeError, match=r"gives other masks than torch on this computer"):
        compile_engine()
    assert describe_engine().startswith("torch: ")


@pytest.mark.parametrize("missing", ["numba", "llvmlite.binding"])
def test_without_numba(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], noise: Noise
) -> None:
    """Masks are made all the same, and the command says what to install."""
    monkeypatch.setitem(sys.modules, missing, None)
    images = noise(2, 3, 20, 20)
    expected = by_torch([Setting(20, 5, (1.0, 1.0), 10.0)], images)[0]
    assert torch.equal(Slic(20, denormalize=(0.0, 1.0))(images)[:, 0], expected)
    assert describe_engine().startswith("torch: the compiled one ")
    assert cli.main(["compile"]) == 2
    error = capsys.readouterr().err
    assert missing.partition(".")[0] in error or "llvmlite" in error
    assert 'the compiled engine of Slic needs pip install "captum-superpixel[fast]"' in error
