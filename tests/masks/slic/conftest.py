"""What the tests of the compiled engine share: machine code, compiled once."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from captum_superpixel.masks.slic import slic as slic_module
from captum_superpixel.masks.slic.compiled import engine
from captum_superpixel.masks.slic.compiled.loading import Library, describe_machine


@pytest.fixture
def nothing_found_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that has not looked for machine code yet, and an empty cache folder."""
    monkeypatch.setattr(engine._Engine, "looked_for", False)
    monkeypatch.setattr(engine._Engine, "library", None)
    monkeypatch.delenv("CAPTUM_SUPERPIXEL_ENGINE", raising=False)
    folder = str(tmp_path / "cache")
    monkeypatch.setitem(sys.modules, "platformdirs", SimpleNamespace(user_cache_dir=lambda _: folder))


@pytest.fixture(scope="session")
def code() -> bytes:
    """Machine code, compiled once for all tests."""
    pytest.importorskip("numba")
    building: Any = importlib.import_module("captum_superpixel.masks.slic.compiled.building")
    made: bytes = building.build(describe_machine()[0])
    return made


@pytest.fixture(scope="session")
def library(code: bytes) -> Library:
    return Library(code)


@pytest.fixture
def ready(code: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes no time."""
    building: Any = importlib.import_module("captum_superpixel.masks.slic.compiled.building")
    monkeypatch.setattr(building, "build", lambda machine: code)


@pytest.fixture
def in_use(nothing_found_out: None, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled engine serves, and torch's steps are out of reach."""
    monkeypatch.setattr(engine._Engine, "looked_for", True)
    monkeypatch.setattr(engine._Engine, "library", library)
    monkeypatch.setattr(slic_module, "segment_pixels", None)
