"""The benchmark on BSDS500: its measures on drawn arrays, and a run on a data set of one image."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat
from skimage.io import imsave

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
HALVES = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


quality = load("segment_quality")


def test_what_leaks_counts_in_both_regions() -> None:
    corner = np.array([[0, 0, 0, 1], [0, 0, 0, 0]])
    # Of the right half 3 pixels are in region 0 and 1 is not, and 1 is in region 1 and 3 are not.
    assert quality.contingency(HALVES, corner).tolist() == [[4, 0], [3, 1]]
    assert quality.undersegmentation_error(HALVES, corner) == (1 + 1) / 8
    assert quality.achievable_accuracy(HALVES, corner) == (4 + 3) / 8


def test_of_a_region_inside_a_segment_the_smaller_part_leaks() -> None:
    most = np.array([[0, 1, 1, 1], [0, 1, 1, 1]])
    assert quality.undersegmentation_error(np.zeros_like(most), most) == (2 + 2) / 8
    assert quality.undersegmentation_error(most, np.zeros_like(most)) == 0


def test_segments_that_keep_to_regions_lose_nothing() -> None:
    pixels = np.arange(8).reshape(2, 4)
    assert quality.undersegmentation_error(pixels, HALVES) == 0
    assert quality.achievable_accuracy(pixels, HALVES) == 1


def test_a_boundary_is_one_pixel_wide() -> None:
    labels = np.array([[0, 0, 1], [0, 0, 1], [2, 2, 2]])
    assert quality.boundaries(labels).astype(int).tolist() == [[0, 1, 0], [1, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize(("tolerance", "share"), [(0, 0.0), (1, 0.5), (2, 0.5), (3, 1.0)])
def test_the_tolerance_counts_rows_and_columns(tolerance: int, share: float) -> None:
    marked = np.array([[1, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]], dtype=bool)
    others = np.array([[0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0]], dtype=bool)
    if tolerance == 3:
        others[1, 2] = True
    assert quality.share_near(marked, others, tolerance) == share
    assert quality.share_near(np.zeros_like(marked), others, tolerance) == 1
    assert quality.share_near(marked, np.zeros_like(others), tolerance) == 0


def test_explained_variation_is_what_remains_of_the_variance() -> None:
    rng = np.random.default_rng(0)
    colors, segments = rng.random((6, 7, 3)), rng.integers(4, size=(6, 7))
    rest = sum(np.square(colors[segments == one] - colors[segments == one].mean(axis=0)).sum() for one in range(4))
    total = np.square(colors - colors.mean(axis=(0, 1))).sum()
    assert quality.explained_variation(segments, colors) == pytest.approx(1 - rest / total)
    assert quality.explained_variation(np.zeros_like(segments), colors) == pytest.approx(0)
    assert quality.explained_variation(np.arange(42).reshape(6, 7), colors) == pytest.approx(1)


def test_compactness_weighs_segments_by_size() -> None:
    # A square of 4 pixels with 8 sides, and a rectangle of 8 with 12.
    labels = np.array([[0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]])
    assert quality.compactness(labels) == pytest.approx((4 * 4 * np.pi * 4 / 8**2 + 8 * 4 * np.pi * 8 / 12**2) / 12)


def test_numbers_may_be_unused() -> None:
    sparse = HALVES * 3
    colors = np.random.default_rng(0).random((2, 4, 3))
    corner = np.array([[0, 0, 0, 1], [0, 0, 0, 0]])
    for measure in (quality.undersegmentation_error, quality.achievable_accuracy):
        assert measure(sparse, corner * 2) == measure(HALVES, corner)
    assert quality.compactness(sparse) == quality.compactness(HALVES)
    assert quality.explained_variation(sparse, colors) == quality.explained_variation(HALVES, colors)


@pytest.fixture
def bsds(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("other_engines", "segment_quality"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return load("bsds")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A photograph of two halves, drawn by one person as it is and by another as one region."""
    for name in ("images", "groundTruth"):
        (tmp_path / name / "test").mkdir(parents=True)
    halves = np.zeros((32, 48), dtype=np.uint8)
    halves[:, 24:] = 1
    imsave(tmp_path / "images" / "test" / "7.jpg", np.repeat(halves[..., None] * 200, 3, axis=2))
    drawn = np.empty((1, 2), dtype=object)
    drawn[0, 0] = {"Segmentation": halves + 1}
    drawn[0, 1] = {"Segmentation": np.ones_like(halves)}
    savemat(tmp_path / "groundTruth" / "test" / "7.mat", {"groundTruth": drawn})
    return tmp_path


def test_a_run_prints_its_table_and_is_resumed(
    bsds: Any, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(bsds.OPTIONAL, "fast-slic", bsds.OPTIONAL["fast-slic"]._replace(module="no_such_module"))
    command = ["--root", str(root), "--segments", "6", "--engines", "Slic", "Grid", "fast-slic", "--out", str(root)]
    bsds.main(command)
    printed = capsys.readouterr().out
    assert "fast-slic is left out: it needs the package fast-slic" in printed
    rows = {line.split("|")[1].strip(): line.split("|")[2:-2] for line in printed.splitlines() if "|" in line}
    # Two rows of three cells, of which those in the middle lie in both halves; in the other drawing nothing can leak.
    grid = [cell.strip() for cell in rows["Grid"]]
    assert grid[0] == "6"
    assert grid[3:5] == [".167", ".917"]
    assert "fast-slic" not in rows
    assert (root / "curves-test.png").stat().st_size > 0
    monkeypatch.setattr(bsds, "Photograph", None)
    bsds.main(command)
    assert capsys.readouterr().out == printed


def test_a_folder_without_images_is_an_error(bsds: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        bsds.main(["--root", str(tmp_path), "--engines", "Grid", "--out", str(tmp_path)])
    assert f"no images in {tmp_path / 'images' / 'test'}" in capsys.readouterr().err
