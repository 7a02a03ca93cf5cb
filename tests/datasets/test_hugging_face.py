"""What Hugging Face datasets leaves behind after reading: no connection, no file at home, no changed setting."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from captum_superpixel.datasets import cifar10, image_folder

datasets = pytest.importorskip("datasets")

READ = """
import socket, sys
tried = []
def refuse(*arguments, **options):
    tried.append(arguments)
    raise OSError("no network in this test")
socket.socket.connect = socket.getaddrinfo = refuse
from captum_superpixel.datasets import cifar10, image_folder
assert "datasets" not in sys.modules, "an optional package was imported before it was needed"
print(len(cifar10(sys.argv[1])), len(image_folder(sys.argv[1])), tried)
"""


@pytest.fixture
def root(pixels: Tensor, encode: Callable[..., bytes], write_parquet: Callable[..., Path]) -> Path:
    """A root that both readers can read."""
    path = write_parquet("data/train.parquet", [encode(image) for image in pixels], [0] * 12)
    (path.parent / "class").mkdir()
    (path.parent / "class" / "a.png").write_bytes(encode(pixels[0]))
    return path.parent


def test_a_fresh_process_leaves_no_trace(root: Path, tmp_path: Path) -> None:
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()
    plots = tmp_path / "matplotlib"  # which Captum imports, and which has a cache of its own
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))}
    made = subprocess.run(
        [sys.executable, "-W", "error", "-c", READ, str(root)],
        env=kept | {"HOME": str(home), "USERPROFILE": str(home), "TMPDIR": str(scratch), "MPLCONFIGDIR": str(plots)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (made.stdout, made.stderr) == ("12 1 []\n", "")
    assert list(home.rglob("*")) == []
    assert list(scratch.rglob("*")) == []


def test_online_settings_send_nothing_and_stay(
    root: Path, monkeypatch: pytest.MonkeyPatch, no_network: list[object]
) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", True)
    datasets.utils.enable_progress_bars()
    before = datasets.utils.logging.get_verbosity()
    cifar10(root)
    image_folder(root)
    with pytest.raises(ValueError, match="no 'test' split"):
        cifar10(root, "test")
    assert no_network == []
    assert datasets.config.HF_HUB_OFFLINE is False
    assert datasets.config.HF_UPDATE_DOWNLOAD_COUNTS is True
    assert not datasets.utils.are_progress_bars_disabled()
    assert datasets.utils.logging.get_verbosity() == before


def test_the_refusal_would_notice_a_connection(root: Path, no_network: list[object], tmp_path: Path) -> None:
    """Without our settings, load_dataset asks the hub even for local files."""
    if not hasattr(datasets.load, "increase_load_count"):
        pytest.skip("this version of datasets counts no downloads")
    pattern = str(root / "*.parquet")
    with pytest.MonkeyPatch.context() as context:
        context.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        context.setattr(datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", True)
        datasets.load_dataset("parquet", data_files=pattern, streaming=True, cache_dir=str(tmp_path / "cache"))
    assert len(no_network) > 0
