"""The study as a whole: what it leaves, that nothing is lost when it is killed, and what it refuses to touch."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from captum_superpixel._files import read_signed
from captum_superpixel.cli import main
from captum_superpixel.datasets import image_folder
from captum_superpixel.datasets.preprocessing import IMAGENET, Preprocessing
from captum_superpixel.models.networks import small_cnn
from captum_superpixel.study import report as report_module
from captum_superpixel.study.groupings import standard_groupings
from captum_superpixel.study.metric_table import METRICS
from captum_superpixel.study.rows import Row
from captum_superpixel.study.run import run_study
from captum_superpixel.study.settings import StudySettings

METHODS = ("Saliency", "SmoothGrad")  # of the finished study
FIXED: dict[str, Any] = {
    "n_views": 2,
    "n_segments": 4,
    "n_steps": 2,
    "n_samples": 2,
    "draws": 1,
    "auc_steps": 2,
    "road_images": 0,
}


def without_seconds(out: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report.pop("seconds")["stages"]
    return report


@pytest.fixture
def copied(tiny_study: Any, tmp_path: Path) -> Path:
    """A copy of the finished study, to be changed."""
    return shutil.copytree(tiny_study.out, tmp_path / "copy")


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes seconds, and these tests do not look at what is drawn."""
    monkeypatch.setattr(report_module, "draw_maps", lambda *_: Figure(figsize=(1, 1)))
    for name in ("draw_stability", "draw_differences", "draw_sizes"):
        monkeypatch.setattr(report_module, name, lambda *_: None)


class Color(nn.Module):
    """The largest mean of blue, green and red over 6 by 6 pixels: knows the squares without any training."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((3,), 3.0))

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(images.relu() ** 2, 6, stride=1).amax((2, 3)).flip(1) * self.weight


def half_color() -> nn.Module:
    network = Color()
    network.weight.data /= 2
    return network


def test_what_a_study_leaves(tiny_study: Any) -> None:
    out = tiny_study.out
    assert sorted(path.name for path in out.iterdir()) == [
        "differences.png",
        "maps.png",
        "parts",
        "report.json",
        "report.md",
        "sizes.png",
        "stability.png",
    ]
    names = {path.name for path in (out / "parts").iterdir()}
    assert {"network-0.pt", "predictions-2.pt", "images-00002.pt", "fold-2.pt", "mege-SmoothGrad.pt"} <= names
    assert not [name for name in names if name.startswith(".")]
    assert tiny_study.lines[0] == "imagefolder: 60 training images, 24 held-out images, 3 classes"
    assert "training network 3 of 3: small_cnn, 20 images, 6 epochs" in tiny_study.lines
    assert "explained and measured 4 of 4 images" in tiny_study.lines
    assert tiny_study.lines[-1] == f"Wrote {out}"


def test_accuracies_are_those_of_the_kept_networks(tiny_study: Any, squares_root: Path) -> None:
    """Recomputed from the weights and the files, without any code of the study."""
    preprocessing = Preprocessing(16, IMAGENET.mean, IMAGENET.std)
    images = image_folder(squares_root / "val", preprocessing=preprocessing)
    report = without_seconds(tiny_study.out)
    assert [model["train_images"] for model in report["models"]] == [20, 20, 20]
    for number, model in enumerate(report["models"]):
        network = small_cnn(3)
        stored = torch.load(
            io.BytesIO(read_signed(tiny_study.out / "parts" / f"network-{number}.pt")), weights_only=True
        )
        network.load_state_dict(stored["content"]["weights"])
        with torch.no_grad():
            right = network.eval()(images.batch(range(24))).argmax(dim=1) == images.labels
        assert model["accuracy"] == pytest.approx(right.double().mean().item())
        assert len(model["losses"]) == 6


def test_every_method_row_and_metric_has_a_record(tiny_study: Any) -> None:
    report = without_seconds(tiny_study.out)
    found = [(r["method"], Row(r["grouping"], r["sign"], r["views"]), r["metric"]) for r in report["records"]]
    # The squares come without the truth about where they are.
    metrics = {name for name, metric in METRICS.items() if metric.family != "localization"}
    groupings = standard_groupings(8, n_views=2)
    assert [each["name"] for each in report["groupings"]] == [grouping.name for grouping in groupings]
    rows = [row for grouping in groupings for row in grouping.rows]
    nulls = {grouping.name for grouping in groupings if "null" in grouping.roles}
    assert set(found) == {
        (method, row, metric)
        for method, row, metric in product(METHODS, rows, metrics)
        if METRICS[metric].family != "stability" or row.grouping not in nulls
    }
    assert len(found) == len(set(found))
    for record in report["records"]:
        if "nulls" in record:
            assert set(record["nulls"]) == set(record["excess"]) == {"permutation", "random_network"}
            for null, value in record["nulls"].items():
                expected = None if value > 0.9 else pytest.approx((record["value"] - value) / (1 - value))
                assert record["excess"][null] == expected
    # Explained images, of which the first three are for curves and the first one is for ROAD.
    assert {metric: {r["n"] for r in report["records"] if r["metric"] == metric} for metric in metrics} == {
        metric: {1 if "road" in metric or metric == "irof" else 3 if described.family == "fidelity" else 4}
        for metric, described in METRICS.items()
        if described.family != "localization"
    }
    assert {(r["n"], r["method"]) for r in report["mege_reco"]} == {(6, method) for method in METHODS}
    assert len(report["variance_by_size"]) == 2 * 2 * 5
    assert None not in {record["predicted_ratio"] for record in report["variance_by_size"]}
    # Three pairs of networks of each row whose stability was measured, by the two similarities that are compared.
    of_ssim = [record for record in report["records"] if record["metric"] in ("ssim", "top_k_iou")]
    assert len(report["pairs"]) == 3 * len(of_ssim) > 0
    for place, record in enumerate(of_ssim):
        of_pairs = report["pairs"][3 * place : 3 * place + 3]
        assert record["value"] == pytest.approx(sum(pair["value"] for pair in of_pairs) / 3)
        assert record["nulls"]["random_network"] == pytest.approx(sum(pair["null"] for pair in of_pairs) / 3)


@pytest.mark.usefixtures("no_pictures")
def test_killed_and_taken_up(tiny_study: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "killed"
    shutil.copytree(tiny_study.out / "parts", out / "parts")
    for name in ("network-2", "predictions-2", "images-00000", "images-00002", "mege-SmoothGrad"):
        (out / "parts" / f"{name}.pt").unlink()
    command = [sys.executable, "-W", "error", "-m", "captum_superpixel.cli", *tiny_study.arguments, "--out", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while not (out / "parts" / "images-00000.pt").exists():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not (out / "report.json").exists()
    kept = (out / "parts" / "images-00000.pt").stat().st_mtime_ns
    # What a process leaves that is killed while it writes.
    (out / "parts" / ".images-00002.pt.1.tmp").write_bytes(b"half")

    assert main([*tiny_study.arguments, "--out", str(out)]) == 0
    assert "training network" not in capsys.readouterr().out
    assert (out / "parts" / "images-00000.pt").stat().st_mtime_ns == kept
    assert without_seconds(out) == without_seconds(tiny_study.out)


@pytest.mark.parametrize("name", ["network-1", "images-00002", "mege-Saliency"])
def test_a_damaged_part_is_named_and_left_alone(
    name: str, copied: Path, tiny_study: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    part = copied / "parts" / f"{name}.pt"
    part.write_bytes(part.read_bytes()[:-40])
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    assert main([*tiny_study.arguments, "--out", str(copied)]) == 2
    error = capsys.readouterr().err
    assert f"{part} is damaged" in error
    assert len(error.splitlines()) == 1
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("options", "part", "values"),
    [
        (["--seed", "7"], "network-0", "seed=0 (now 7)"),
        (["--epochs", "5"], "network-0", "epochs=6 (now 5)"),
        (["--steps", "3"], "images-00000", "n_steps=2 (now 3)"),
        (["--fidelity-images", "1"], "images-00000", "fidelity_mean_color_and_road_images=[2, 2, 1] (now [1, 1, 1])"),
        (["--mege", "4"], "fold-0", "folds=3 (now 4)"),
    ],
)
def test_a_part_of_other_settings_is_named_with_both_values(
    options: list[str], part: str, values: str, copied: Path, tiny_study: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (copied / "report.json").read_bytes()
    assert main([*tiny_study.arguments, *options, "--out", str(copied)]) == 2
    error = capsys.readouterr().err
    assert str(copied / "parts" / f"{part}.pt") in error
    assert values in error
    assert (copied / "report.json").read_bytes() == before


@pytest.mark.usefixtures("no_pictures")
def test_without_mege_the_finished_chunks_serve_again(
    copied: Path, tiny_study: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in (copied / "parts").glob("*e*-*.pt"):
        if part.name.startswith(("mege", "fold")):
            part.unlink()
    arguments = [argument for argument in tiny_study.arguments if argument not in ("--mege",)]
    arguments.pop(arguments.index("--models") + 2)
    assert main([*arguments, "--out", str(copied)]) == 0
    lines = capsys.readouterr().out
    assert "training" not in lines.partition("\n")[2]
    assert without_seconds(copied)["mege_reco"] == []
    assert without_seconds(copied)["records"] == without_seconds(tiny_study.out)["records"]


def supplied(squares_root: Path, *factories: Callable[[], nn.Module], **options: Any) -> StudySettings:
    names = tuple(f"squares_networks:{factory.__name__}" for factory in factories)
    return StudySettings(
        dataset="imagefolder", root=str(squares_root / "val"), size=16, checkpoints=names, images=2, **FIXED, **options
    )


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module to name the networks of this file by."""
    module = type(sys)("squares_networks")
    module.__dict__.update(Color=Color, half_color=half_color)
    monkeypatch.setitem(sys.modules, "squares_networks", module)


@pytest.mark.usefixtures("networks")
def test_one_supplied_network_gives_fidelity_and_complexity_only(squares_root: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    result = run_study(
        supplied(squares_root, Color, fidelity_images=2, methods=("Saliency",)), tmp_path / "out", report=lines.append
    )
    assert result is not None
    assert lines[1] == "squares_networks:Color: 100.0% of 24 held-out images right"
    assert {record["family"] for record in result["records"]} == {"fidelity", "complexity"}
    assert result["models"][0]["train_images"] is None
    assert result["dataset"]["train_images"] is None
    pictures = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert pictures == {"maps.png", "differences.png"}
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "One network (squares_networks:Color) explains two images" in text
    assert set(re.findall(r"\]\((.+)\)$", text, re.MULTILINE)) == pictures


@pytest.mark.usefixtures("networks", "no_pictures")
def test_networks_that_differ_by_a_factor_are_perfectly_stable(squares_root: Path, tmp_path: Path) -> None:
    """Logits half as large have gradients half as large, and all metrics of stability pass over a factor."""
    methods = ("Saliency", "IntegratedGradients")
    settings = supplied(squares_root, Color, half_color, fidelity_images=0, methods=methods)
    result = run_study(settings, tmp_path / "out")
    assert result is not None
    assert result["settings"]["models"] == 2
    values = {(r["method"], r["metric"]): r["value"] for r in result["records"] if r["grouping"] == "Slic"}
    for metric in ("ssim", "top_k_intersection", "cosine_similarity", "rank_correlation"):
        for method in methods:
            assert values[method, metric] == pytest.approx(1, abs=1e-5), metric


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 16, "n_segments": 257}, "n_segments=257, but an image .* has only 256 pixels"),
        ({"size": 10}, "the images are too small to be compared .*10 x 10 pixels.*: choose a larger size"),
    ],
)
def test_images_too_small_are_refused_before_any_training(
    options: dict[str, Any], message: str, squares_root: Path, tmp_path: Path
) -> None:
    settings = StudySettings(
        dataset="imagefolder", root=str(squares_root), network="small_cnn", epochs=1, **FIXED | options
    )
    lines: list[str] = []
    with pytest.raises(ValueError, match=message):
        run_study(settings, tmp_path / "out", report=lines.append)
    assert not lines
