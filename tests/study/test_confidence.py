"""A study that is asked how sure regions are: what it leaves, against its own parts, and how it is taken up again."""

import dataclasses
import io
import math
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from captum_superpixel._files import read_signed
from captum_superpixel._seeds import derive_seed
from captum_superpixel._store import Store
from captum_superpixel.cli import main
from captum_superpixel.datasets import image_folder
from captum_superpixel.datasets.preprocessing import IMAGENET, Preprocessing
from captum_superpixel.masks import Grid, Slic
from captum_superpixel.models.networks import small_cnn
from captum_superpixel.study import confidence, run
from captum_superpixel.study import report as report_module
from captum_superpixel.study.confidence import confidence_of_method, measure_confidence
from captum_superpixel.study.context import Study
from captum_superpixel.study.jobs import World
from captum_superpixel.study.predictors import DRAWN, OWN_TOP
from captum_superpixel.study.redrawing import Plan, Redrawing
from captum_superpixel.study.settings import StudySettings

NETWORKS, IMAGES = 3, 4


def part(study: Any, name: str) -> dict[str, Any]:
    stored = torch.load(io.BytesIO(read_signed(study.out / "parts" / f"{name}.pt")), weights_only=True)
    return dict(stored)


def test_what_a_study_leaves(sure_study: Any) -> None:
    report = sure_study.report
    found = report["confidence"]
    assert (found["images"], found["networks"], found["draws"], found["keep"]) == (IMAGES, NETWORKS, 12, 0.85)
    assert found["strengths"] == [
        part(sure_study, f"confidence-strength-{number}")["content"]["strength"] for number in range(NETWORKS)
    ]
    assert report["settings"]["confidence_images"] == IMAGES
    assert "training network" not in "".join(sure_study.lines)
    assert "perturbed Saliency on 4 of 4 images" in sure_study.lines
    assert "how sure regions are" in report["seconds"]["stages"]
    places = {(r["regions"], r["sign"], r["k"], r["which"], r["predictor"]) for r in found["records"]}
    assert len(places) == len(found["records"])
    assert {regions for regions, *_ in places} == {"Slic(8)", "ensemble"}
    asked = {predictor for regions, _, k, which, predictor in places if (regions, k, which) == ("Slic(8)", 3, OWN_TOP)}
    assert asked == {
        "draws of weights and views",
        "input noise alone",
        "standard errors within segments",
        "own score, by its margin",
        "own rank",
        "own margin and rank, fitted",
        "one more network",
    }
    covered = {(record["regions"], record["predictor"]) for record in found["coverage"]}
    assert covered == {
        *(("Slic(8)", DRAWN[kind]) for kind in ("joint", "noise", "errors")),
        *(("ensemble", DRAWN[kind]) for kind in ("joint", "noise")),
    }
    # Mean maps are those of the first chunk alone.
    assert {record["n"] for record in found["mean_maps"]} == {2}
    assert {record["map"] for record in found["top_regions"]} == {"own", "views", "noise", "joint"}
    parts = {path.stem for path in (sure_study.out / "parts").glob("confidence-*")}
    assert "confidence-draws-Saliency-views-0-0" in parts
    assert "confidence-draws-Saliency-views-0-2" not in parts
    assert "confidence-draws-Saliency-joint-twin-2-0" in parts


@pytest.mark.parametrize("k", [3, 5])
def test_figures_are_those_of_the_kept_maps_and_draws(sure_study: Any, squares_root: Path, k: int) -> None:
    """Recomputed by loops from what was kept and the pictures."""
    preprocessing = Preprocessing(16, IMAGENET.mean, IMAGENET.std)
    images = image_folder(squares_root / "val", preprocessing=preprocessing)
    order = part(sure_study, "confidence-strength-0")["made_with"]["images"]
    shuffled = torch.randperm(24, generator=torch.Generator().manual_seed(derive_seed(0, "order"))).tolist()
    masks = Slic(8, denormalize=preprocessing.denormalize)(images.batch([shuffled[place] for place in order]))
    maps = [
        torch.cat([part(sure_study, f"confidence-maps-Saliency-{i}-{start}")["content"]["maps"] for start in (0, 2)])
        for i in range(NETWORKS)
    ]
    labels, magnitudes = masks[:, 0].numpy(), [each.abs().mean(dim=1).double().numpy() for each in maps]

    def scores_in(network: int, image: int) -> np.ndarray:
        sums = np.bincount(labels[image].ravel(), magnitudes[network][image].ravel())
        means: np.ndarray = sums / np.bincount(labels[image].ravel())
        return means

    said, happened, held = [], [], []
    for i, j in permutations(range(NETWORKS), 2):
        for image in range(IMAGES):
            start = 2 * (image // 2)
            content = part(sure_study, f"confidence-draws-Saliency-joint-{i}-{start}")["content"]
            draws = content["scores"]["Slic(8) magnitude"][:, image - start].numpy()
            draws = draws[:, ~np.isnan(draws).any(axis=0)]
            z = (draws - draws.mean(axis=1, keepdims=True)) / draws.std(axis=1, keepdims=True)
            own, other = scores_in(i, image), scores_in(j, image)
            for region in np.argsort(-own)[:k]:
                distances = z[:, region] - np.sort(np.delete(z, region, axis=1), axis=1)[:, -k]
                said.append(1 / (1 + math.exp(-distances.mean() / math.sqrt(distances.var(ddof=1) + 0.01))))
                happened.append(region in np.argsort(-other)[:k])
            half = 1.96 * math.sqrt(2) * z.std(axis=0, ddof=1)
            gaps = (other - other.mean()) / other.std() - (own - own.mean()) / own.std()
            held += (np.abs(gaps) <= half).tolist()
    found = sure_study.report["confidence"]
    (record,) = (
        record
        for record in found["records"]
        if (record["regions"], record["k"], record["which"], record["predictor"])
        == ("Slic(8)", k, OWN_TOP, DRAWN["joint"])
    )
    assert record["n"] == len(said)
    assert record["base_rate"] == pytest.approx(np.mean(happened))
    assert record["auroc"]["value"] == pytest.approx(roc_auc_score(happened, said), abs=1e-6)
    gaps = np.bincount([min(int(10 * p), 9) for p in said], np.array(said) - happened, 10)
    assert record["calibration_error"]["value"] == pytest.approx(np.abs(gaps).sum() / len(said), abs=1e-6)
    (coverage,) = (r for r in found["coverage"] if (r["regions"], r["predictor"]) == ("Slic(8)", DRAWN["joint"]))
    assert coverage["held"]["value"] == pytest.approx(np.mean(held))


def test_the_report_tells_it(sure_study: Any) -> None:
    text = (sure_study.out / "report.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"\n## How sure a region is\n(.+?)\n## ", text, re.DOTALL)
    assert "Each of three networks was in turn a user's own: 12 draws of `perturbed_attributions`" in section
    assert re.search(r"!\[Share of the own top regions .{80,}\]\(reliability\.png\)", section)
    for heading in ("What else could be asked", "Intervals that say 95 %", "The mean map of the draws"):
        assert f"\n### {heading}\n" in section
    found = sure_study.report["confidence"]
    said = [record for record in found["records"] if record["predictor"] == DRAWN["joint"]]
    assert len(re.findall(r"^\| Saliency +\| (?:Slic\(8\)|ensemble) +\| [35] ", section, re.MULTILINE)) == len(said)
    with Image.open(sure_study.out / "reliability.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "write_report", lambda *_: None)
    monkeypatch.setattr(run, "write_report", lambda *_: None)


@pytest.mark.usefixtures("no_pictures")
def test_taken_up_again_it_is_the_same(
    sure_study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One part is missing: it alone is made again, and the figures are those of the undisturbed study."""
    parts = tmp_path / "out" / "parts"
    parts.mkdir(parents=True)
    for path in (sure_study.out / "parts").iterdir():
        (parts / path.name).write_bytes(path.read_bytes())
    (parts / "confidence-draws-Saliency-joint-1-2.pt").unlink()
    made: list[str] = []
    perturb = Redrawing._perturbed

    def noted(redrawing: Redrawing, chunk: Any, kind: str, number: int, *, twin: bool) -> Tensor:
        made.append(f"{kind}-{number}-{chunk.start}")
        return perturb(redrawing, chunk, kind, number, twin=twin)

    monkeypatch.setattr(Redrawing, "_perturbed", noted)
    found: list[Any] = []

    def kept(*arguments: Any) -> Any:
        found.append(measure_confidence(*arguments))
        return found[-1]

    monkeypatch.setattr(run, "measure_confidence", kept)
    assert main([*sure_study.arguments, "--out", str(tmp_path / "out")]) == 0
    assert made == ["joint-1-2"]
    expected = sure_study.report["confidence"]
    assert report_module._finite(found[0]) == expected


class Side(World):
    """One of two processes that are threads here, and tell one another what they tell over a network elsewhere."""

    def __init__(self, rank: int, slots: list[Any], barrier: threading.Barrier) -> None:
        super().__init__(rank, 2, rank)
        self.__dict__.update(slots=slots, barrier=barrier)

    def exchange(self, value: Any) -> list[Any]:
        self.__dict__["slots"][self.rank] = value
        self.__dict__["barrier"].wait(timeout=120)
        told = list(self.__dict__["slots"])
        self.__dict__["barrier"].wait(timeout=120)
        return told

    def broadcast(self, value: Any, source: int = 0) -> Any:
        return self.exchange(value)[source]

    def gather(self, value: Any) -> list[Any]:
        told = self.exchange(value)
        return told if self.first else []


def test_two_processes_find_what_one_finds(
    settings_of: Callable[..., StudySettings],
    study_of: Callable[..., Study],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """They share the parts, and the first of them alone has the figures."""
    monkeypatch.setattr(Redrawing, "_find_strengths", lambda redrawing: [0.1] * len(redrawing.networks))
    study = study_of(settings_of())
    plan = Plan(range(4), range(4), segments=(8,), members=(Grid(4), Grid(9)), chunk_size=2, draws=2)

    def measured(world: World, folder: str) -> dict[str, Any]:
        networks: list[nn.Module] = [
            small_cnn(3, generator=torch.Generator().manual_seed(seed)).eval().requires_grad_(False) for seed in (0, 1)
        ]
        of = dataclasses.replace(study, world=world, store=Store(tmp_path / folder))
        return confidence_of_method(Redrawing(of, networks, networks, plan), "Saliency", ("joint",), mean_maps=2)

    alone = measured(World(), "alone")
    slots, barrier = [None, None], threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        sides = [pool.submit(measured, Side(rank, slots, barrier), "shared") for rank in (0, 1)]
        first, second = (side.result() for side in sides)
    assert second == {"records": [], "coverage": [], "mean_maps": [], "top_regions": []}
    assert len(first["mean_maps"]) == 12
    # Parts that a process made are those of the other, up to the places that numbers are kept at.
    assert report_module.to_json(first) == report_module.to_json(alone)


def test_the_plan_of_a_study(
    settings_of: Callable[..., StudySettings], study_of: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its segmentations, and Slic(30) where it has more segments; digits are not mirrored."""
    plans: list[Plan] = []

    def noted(_: Study, __: Any, ___: Any, plan: Plan) -> Any:
        plans.append(plan)
        raise InterruptedError("planned")

    monkeypatch.setattr(confidence, "Redrawing", noted)
    chosen = list(range(60))
    for options in ({"n_segments": 8}, {"n_segments": 100}, {"n_segments": 30, "chunk_size": 7}):
        study = study_of(settings_of(confidence_images=40, images=60, **options))
        with pytest.raises(InterruptedError, match="planned"):
            measure_confidence(study, [], [], chosen)
    assert [plan.segments for plan in plans] == [(8,), (30, 100), (30,)]
    assert [list(plan.images) for plan in plans] == [chosen[:40]] * 3
    assert [list(plan.typical) for plan in plans] == [chosen[:32]] * 3
    assert plans[2].chunk_size == 7
    assert plans[0].flip
    assert len(plans[0].members) > 1
    digits: Any = SimpleNamespace(
        settings=StudySettings(confidence_images=4, images=8).resolved(), protocol=study.protocol
    )
    with pytest.raises(InterruptedError, match="planned"):
        measure_confidence(digits, [nn.Identity()], [], chosen)
    assert not plans[-1].flip
