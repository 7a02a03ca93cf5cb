"""Images that a small network learns in seconds, a study of them, and a report of random values."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from captum_superpixel._store import Store
from captum_superpixel.cli import main
from captum_superpixel.study.context import Study
from captum_superpixel.study.data import load_data
from captum_superpixel.study.jobs import World
from captum_superpixel.study.measuring import Key, Measurement
from captum_superpixel.study.metric_table import METRICS
from captum_superpixel.study.protocol import SIGNS, make_protocol, standard_groupings
from captum_superpixel.study.results import Resamples, comparisons, records, verdicts
from captum_superpixel.study.settings import StudySettings

_CLASSES = ("blue", "green", "red")
_GROUPINGS = standard_groupings(12)


def write_squares(folder: Path, count: int, seed: int, size: int = 16) -> None:
    """Write pictures of a blue, a green or a red square on noise, in turn, one folder a class."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        pixels = rng.integers(0, 120, (size, size, 3), dtype=np.uint8)
        top, left = rng.integers(1, size - 8, 2)
        pixels[top : top + 7, left : left + 7, 2 - number % 3] = 250
        path = folder / _CLASSES[number % 3] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


@pytest.fixture(scope="session")
def squares() -> Callable[..., None]:
    """Write pictures of squares into a folder: the function above."""
    return write_squares


@pytest.fixture(scope="session")
def squares_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures to train on and 24 to explain, 16 pixels wide, in three classes; for reading only."""
    root = tmp_path_factory.mktemp("squares")
    write_squares(root / "train", 60, seed=1)
    write_squares(root / "val", 24, seed=2)
    return root


@pytest.fixture(scope="session")
def settings_of(squares_root: Path) -> Callable[..., StudySettings]:
    """Settings of a study of the squares by the small network, one epoch of training unless told otherwise."""

    def make(**options: Any) -> StudySettings:
        given = {"root": str(squares_root), "size": 16, "network": "small_cnn", "epochs": 1} | options
        return StudySettings(dataset="imagefolder", **given).resolved()

    return make


@pytest.fixture(scope="session")
def study_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Study]:
    """A study of some settings: alone, in silence, on the CPU, with an empty store, unless told otherwise."""

    load = cache(load_data)

    def make(settings: StudySettings, **options: Any) -> Study:
        given = {"device": torch.device("cpu"), "world": World(), "report": lambda _: None} | options
        data = given.pop("data", None) or load(settings)
        protocol = given.pop("protocol", None) or make_protocol(settings, data)
        store = given.pop("store", None) or Store(tmp_path_factory.mktemp("parts"))
        return Study(settings, data, protocol, store=store, **given)

    return make


@dataclass(frozen=True)
class TinyStudy:
    """A finished study; its folder is for reading only.

    Args:
        out: Its folder.
        arguments: Of the command line, without ``--out``.
        lines: What was printed.
    """

    out: Path
    arguments: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def report(self) -> dict[str, Any]:
        """What ``report.json`` holds."""
        report: dict[str, Any] = json.loads((self.out / "report.json").read_text(encoding="utf-8"))
        return report


@pytest.fixture(scope="session")
def tiny_study(squares_root: Path, tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    """Three networks, three methods, four images in two chunks, and MeGe, in a few seconds."""
    options = (
        f"--dataset imagefolder --root {squares_root} --network small_cnn --size 16 --epochs 6 --models 3 --mege 3"
    )
    options += " --images 4 --chunk 2 --fidelity-images 3 --road-images 1 --segments 8 --steps 2 --samples 2 --draws 1"
    arguments = ("study", *options.split())
    out = tmp_path_factory.mktemp("tiny-study") / "out"
    printed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *values, **_: printed.append(" ".join(map(str, values))))
        status = main([*arguments, "--out", str(out)])
    if status:
        raise RuntimeError("\n".join(printed))
    return TinyStudy(out, arguments, tuple(printed))


@pytest.fixture(scope="session")
def drawn_measurement() -> Measurement:
    """Random values of all metrics, two methods and twelve images."""
    generator = torch.Generator().manual_seed(0)
    values = {}
    for method in ("Saliency", "IntegratedGradients"):
        for grouping in _GROUPINGS:
            for sign in SIGNS:
                for metric, described in METRICS.items():
                    for kind in ("value", "permutation", "random_network") if described.has_nulls else ("value",):
                        drawn = torch.rand(12, generator=generator, dtype=torch.float64) - 0.5
                        values[Key(method, grouping.name, sign, metric, kind)] = drawn
    return Measurement(values, n_images=12)


@pytest.fixture(scope="session")
def drawn_report(drawn_measurement: Measurement) -> dict[str, Any]:
    """What a report of these values holds."""
    resamples = Resamples(drawn_measurement, 0)
    compared = comparisons(resamples, _GROUPINGS)
    return {
        "software": {"torch": "2.4.0"},
        "settings": {"fidelity_images": 100, "road_images": 8, "seed": 3},
        "dataset": {"name": "cifar10", "shape": [3, 32, 32], "explained_images": 12, "held_out_images": 500},
        "models": [
            {"name": "resnet20 1", "parameters": 272474, "train_images": 25000, "accuracy": 0.8765},
            {"name": "resnet20", "parameters": 10, "train_images": None, "accuracy": 0.5},
        ],
        "groupings": [
            {"name": name, "meaning": f"{name} in words | none", "averages": f"{name} | all", "mean_segments": 29.6}
            for name in [grouping.name for grouping in _GROUPINGS]
        ],
        "records": records(resamples, _GROUPINGS),
        "comparisons": compared,
        "verdicts": verdicts(compared, _GROUPINGS),
        "variance_by_size": [],
    }


@pytest.fixture
def result(drawn_report: dict[str, Any]) -> dict[str, Any]:
    """A report of its own for each test."""
    return copy.deepcopy(drawn_report)
