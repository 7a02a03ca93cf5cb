"""Images that a small network learns in seconds, a study of them, and a report of random values."""

import copy
import json
import shutil
from collections.abc import Callable, Sequence
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
from captum_superpixel.study.claims import verdicts
from captum_superpixel.study.context import Study
from captum_superpixel.study.data import load_data
from captum_superpixel.study.jobs import World
from captum_superpixel.study.measurement import Key, Measurement
from captum_superpixel.study.metric_table import METRICS
from captum_superpixel.study.protocol import Claim, make_protocol
from captum_superpixel.study.results import Resamples, comparisons, records
from captum_superpixel.study.rows import MapSign, Row
from captum_superpixel.study.settings import StudySettings

_CLASSES = ("blue", "green", "red")
_SIGNS: tuple[MapSign, ...] = ("signed", "magnitude", "evidence")
_FULL = [*(Row("", sign) for sign in _SIGNS), Row("", "magnitude", 8), Row("", "evidence", 8)]
_MADE: dict[str, tuple[str, Sequence[Row]]] = {
    "another image": ("null map", [Row("", "magnitude", 8)]),
    "pixels": ("pixels", _FULL),
    "cells": ("control", _FULL[:2]),
    "cell ensemble": ("control", _FULL),
    "Slic": ("superpixels", _FULL[:2]),
    "Felzenszwalb": ("superpixels", _FULL[:2]),
    "ensemble": ("superpixels", _FULL),
    "blur": ("control", _FULL),
    "guided filter": ("control", _FULL),
    "wide blur": ("control", _FULL[1:2]),
    "centered Gaussian": ("null map", _FULL[1:2]),
}


@dataclass(frozen=True)
class Compared:
    """What a study of two methods compares and claims, as a protocol says it.

    Args:
        kinds: Of the groupings.
        rows: Those that are measured.
        compared: Pairs of them.
        claims: About them.
        recommended: By method.
    """

    kinds: dict[str, str]
    rows: tuple[Row, ...]
    compared: tuple[tuple[Row, Row], ...]
    claims: tuple[Claim, ...]
    recommended: dict[str, Row]


def _compared() -> Compared:
    kinds = {name: kind for name, (kind, _) in _MADE.items()}
    rows = [row._replace(grouping=name) for name, (_, made) in _MADE.items() for row in made]
    best = Row("ensemble", "evidence", 8)
    rivals = [Row("pixels", "magnitude"), Row("ensemble", "magnitude")]
    rivals += [best._replace(grouping=name) for name in ("blur", "guided filter", "cell ensemble")]
    nulls = [row for row in rows if kinds[row.grouping] == "null map"]
    claims = [
        *(Claim(Row("Slic", sign), Row(name, sign), "raw") for sign in _SIGNS[:2] for name in ("pixels", "cells")),
        *(Claim(Row(name, "signed"), Row("pixels", "signed"), "corrected") for name in ("Slic", "ensemble")),
        *(Claim(best, rival, "corrected") for rival in rivals),
        *(Claim(best, rival, "fidelity") for rival in (*nulls, *rivals)),
    ]
    candidates, others = (
        [row for row in rows if kinds[row.grouping] in of] for of in (("superpixels",), ("pixels", "control"))
    )
    pairs = [(row, rival) for row in candidates for rival in others if row[1:] == rival[1:]]
    pairs += [(claim.row, claim.rival) for claim in claims]
    recommended = {"Saliency": best, "IntegratedGradients": best}
    return Compared(kinds, tuple(rows), tuple(dict.fromkeys(pairs)), tuple(claims), recommended)


_COMPARED = _compared()


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
    """Three networks, two methods, four images in two chunks, and MeGe, in a few seconds."""
    options = (
        f"--dataset imagefolder --root {squares_root} --network small_cnn --size 16 --epochs 6 --models 3 --mege 3"
    )
    options += " --images 4 --chunk 2 --fidelity-images 3 --road-images 1 --segments 8 --steps 2 --samples 2 --draws 1"
    options += " --views 2 --auc-steps 4 --method Saliency --method SmoothGrad"
    return _run(("study", *options.split()), tmp_path_factory.mktemp("tiny-study") / "out")


def _run(arguments: tuple[str, ...], out: Path) -> TinyStudy:
    printed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *values, **_: printed.append(" ".join(map(str, values))))
        status = main([*arguments, "--out", str(out)])
    if status:
        raise RuntimeError("\n".join(printed))
    return TinyStudy(out, arguments, tuple(printed))


@pytest.fixture(scope="session")
def sure_study(tiny_study: TinyStudy, tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    """The same networks, asked how sure regions are by one method, and for mean maps on the first chunk."""
    out = tmp_path_factory.mktemp("sure-study") / "out"
    (out / "parts").mkdir(parents=True)
    for part in (tiny_study.out / "parts").glob("*[ks]-?.pt"):
        shutil.copy(part, out / "parts")
    options = " ".join(tiny_study.arguments).replace(" --mege 3", "").replace(" --method SmoothGrad", "")
    options += " --rows claimed --fidelity-images 0 --road-images 0 --confidence 4 --mean-maps 2"
    return _run(tuple(options.split()), out)


@pytest.fixture(scope="session")
def drawn() -> Compared:
    """What the study of random values compares and claims."""
    return _COMPARED


@pytest.fixture(scope="session")
def drawn_measurement() -> Measurement:
    """Random values of all metrics, two methods and twelve images; null maps have no stability."""
    generator = torch.Generator().manual_seed(0)
    values = {}
    for method in _COMPARED.recommended:
        for row in _COMPARED.rows:
            for metric, described in METRICS.items():
                if described.family == "stability" and _COMPARED.kinds[row.grouping] == "null map":
                    continue
                for kind in ("value", "permutation", "random_network") if described.has_nulls else ("value",):
                    drawn = torch.rand(12, generator=generator, dtype=torch.float64) - 0.5
                    values[Key(method, row.grouping, row.sign, metric, kind, row.views)] = drawn
    return Measurement(values, n_images=12)


@pytest.fixture(scope="session")
def found_in() -> Callable[[Measurement], dict[str, Any]]:
    """Records, comparisons and verdicts of such a measurement."""

    def find(measurement: Measurement) -> dict[str, Any]:
        resamples = Resamples(measurement, 0)
        return {
            "records": records(resamples, _COMPARED.rows),
            "comparisons": comparisons(resamples, _COMPARED.compared),
            "verdicts": verdicts(resamples, _COMPARED.claims),
        }

    return find


@pytest.fixture(scope="session")
def drawn_report(drawn_measurement: Measurement, found_in: Callable[[Measurement], dict[str, Any]]) -> dict[str, Any]:
    """What a report of these values holds."""
    return {
        "software": {"torch": "2.4.0"},
        "settings": {"fidelity_images": 100, "road_images": 8, "seed": 3},
        "dataset": {"name": "cifar10", "shape": [3, 32, 32], "explained_images": 12, "held_out_images": 500},
        "models": [
            {"name": "resnet20 1", "parameters": 272474, "train_images": 25000, "accuracy": 0.8765},
            {"name": "resnet20", "parameters": 10, "train_images": None, "accuracy": 0.5},
        ],
        "groupings": [
            {
                "name": name,
                "kind": kind,
                "meaning": f"{name} in words | none",
                "averages": f"{name} | all",
                "mean_segments": 29.6,
            }
            for name, kind in _COMPARED.kinds.items()
        ],
        "recommended": {method: row._asdict() for method, row in _COMPARED.recommended.items()},
        "negative_weights": dict.fromkeys(_COMPARED.recommended, 0.5),
        **found_in(drawn_measurement),
        "variance_by_size": [],
    }


@pytest.fixture
def result(drawn_report: dict[str, Any]) -> dict[str, Any]:
    """A report of its own for each test."""
    return copy.deepcopy(drawn_report)
