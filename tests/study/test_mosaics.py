"""Mosaics in a study: planes whose maps are known, what is kept, chosen, described and refused, and a whole study."""

import dataclasses
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from captum_superpixel._store import Store, StoreError
from captum_superpixel.attr.methods import MethodSettings
from captum_superpixel.attr.pixel_maps import PixelMaps, attribute_views
from captum_superpixel.datasets import lay_out_mosaics
from captum_superpixel.masks import Grid
from captum_superpixel.study import mosaics
from captum_superpixel.study.acquiring import StudyNetwork
from captum_superpixel.study.context import Study
from captum_superpixel.study.groupings import Grouping
from captum_superpixel.study.markdown import to_markdown
from captum_superpixel.study.measurement import Key, Measurement
from captum_superpixel.study.metric_table import GRID_POINTING_GAME
from captum_superpixel.study.mosaics import MosaicChunk, check_mosaics, measure_mosaic_chunk, measure_mosaics
from captum_superpixel.study.protocol import Claim, Protocol
from captum_superpixel.study.rows import Row
from captum_superpixel.study.run import run_study
from captum_superpixel.study.settings import StudySettings
from captum_superpixel.study.smoothing import AnotherImage, CenteredGaussian, Pixels, Segments

CLASSES = 5
PROTOCOL = Protocol(
    MethodSettings(n_steps=2, signed=True),
    ("Saliency", "IntegratedGradients"),
    (
        Grouping("pixels"),
        Grouping("aligned", Segments((Grid(4),)), forms=(("magnitude", 1), ("evidence", 1), ("evidence", 2))),
        Grouping("whole", Segments((Grid(1),)), forms=(("magnitude", 1),)),
        Grouping("another", AnotherImage(Pixels()), roles=("null",), forms=(("magnitude", 1),)),
        Grouping("gaussian", CenteredGaussian(), roles=("null",), forms=(("magnitude", 1),)),
    ),
)


class Planes:
    """Images (N, classes, 8, 8) whose class has a plane of its own, 1 or, of every third image, 1/8; others are 0."""

    def __init__(self, count: int = 30, classes: int = CLASSES) -> None:
        self.labels = torch.arange(count) % classes
        self.classes = [str(number) for number in range(CLASSES)]

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Iterable[int] | Tensor) -> Tensor:
        places = torch.as_tensor(list(indices))
        height = torch.where(places % 3 == 0, 0.125, 1.0)
        planes = nn.functional.one_hot(self.labels[places], CLASSES) * height[:, None]
        return planes[:, :, None, None].expand(-1, -1, 8, 8).contiguous()


class Energy(nn.Module):
    """The mean square of each plane, times what its buffer says: the gradient of a class is 0 outside of its images."""

    def __init__(self, factor: float = 3.0) -> None:
        super().__init__()
        self.register_buffer("factor", torch.tensor(factor))

    def forward(self, images: Tensor) -> Tensor:
        return images.square().mean(dim=(2, 3)) * self.factor


@pytest.fixture
def planes_study(study_of: Callable[..., Study], tmp_path: Path) -> Callable[..., Study]:
    """A study of planes; its store is the same for all."""

    def make(images: Planes | None = None, **options: Any) -> Study:
        settings = StudySettings(mosaics=4, chunk_size=2, n_views=2).resolved()
        study = study_of(settings, store=Store(tmp_path / "parts"), protocol=PROTOCOL)
        data = dataclasses.replace(study.data, held_out=images or Planes())
        report = options.pop("report", study.report)
        settings = dataclasses.replace(settings, **options)
        return dataclasses.replace(study, settings=settings, data=data, report=report)

    return make


def shares(found: Measurement, method: str, grouping: str, sign: str, views: int = 1) -> list[float]:
    values: list[float] = found.values[Key(method, grouping, sign, GRID_POINTING_GAME, views=views)].tolist()
    return values


def test_the_map_of_a_class_lies_in_its_cell() -> None:
    """By any method and sign; squares that meet the borders keep it there, one square spreads it over all cells."""
    classes = torch.tensor([[0, 1, 2, 3], [4, 3, 2, 1], [1, 0, 4, 2]])
    inputs = lay_out_mosaics(Planes().batch(classes.flatten() + 5).view(3, 4, CLASSES, 8, 8))
    cells = torch.tensor([1, 3, 3])
    found = measure_mosaic_chunk(PROTOCOL, Energy(), MosaicChunk(inputs, classes, cells, seed=3))
    assert set(found.values) == {
        Key(method, row.grouping, row.sign, GRID_POINTING_GAME, views=row.views)
        for method in PROTOCOL.methods
        for row in PROTOCOL.rows
    }
    for method in PROTOCOL.methods:
        assert shares(found, method, "pixels", "signed") == pytest.approx([1] * 3)
        assert shares(found, method, "aligned", "magnitude") == pytest.approx([1] * 3)
        assert shares(found, method, "aligned", "evidence") == pytest.approx([1] * 3)
        assert shares(found, method, "whole", "magnitude") == pytest.approx([1 / 4] * 3)
        # The next mosaic's map lies in that one's cell: the second's and the third's are the same one.
        assert shares(found, method, "another", "magnitude") == pytest.approx([0, 1, 0])
        assert shares(found, method, "gaussian", "magnitude") == pytest.approx([1 / 4] * 3)
    # Shifted views carry a plane beyond its border, and are brought back.
    assert min(shares(found, "Saliency", "aligned", "evidence", views=2)) > 0.8
    assert found.segments == {"pixels": 256, "aligned": 4, "whole": 1, "another": 256, "gaussian": 256}


def test_only_claimed_rows_are_measured_where_no_others_are_wanted() -> None:
    row, rival = Row("aligned", "magnitude"), Row("pixels", "magnitude")
    claimed = dataclasses.replace(PROTOCOL, claims=(Claim(row, rival, "fidelity", ("Saliency",)),), claimed_only=True)
    inputs = lay_out_mosaics(Planes().batch(torch.arange(8)).view(2, 4, CLASSES, 8, 8))
    chunk = MosaicChunk(inputs, Planes().labels[:8].view(2, 4), torch.tensor([0, 1]), seed=0)
    found = measure_mosaic_chunk(claimed, Energy(), chunk)
    assert [(key.method, key.grouping) for key in found.values] == [("Saliency", "pixels"), ("Saliency", "aligned")]


@pytest.mark.parametrize(("layout", "at_once"), [("full", 4), ("scaled", 16)])
def test_larger_mosaics_are_explained_fewer_at_a_time(
    layout: str, at_once: int, planes_study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def noted(*given: Any) -> PixelMaps:
        seen.append(given[4].images_at_once)
        return attribute_views(*given)

    monkeypatch.setattr(mosaics, "attribute_views", noted)
    study = planes_study(mosaic_layout=layout)
    settings = dataclasses.replace(PROTOCOL.method_settings, images_at_once=16)
    protocol = dataclasses.replace(PROTOCOL, method_settings=settings)
    measure_mosaics(dataclasses.replace(study, protocol=protocol), Energy())
    assert set(seen) == {at_once}


@pytest.mark.parametrize(("layout", "shape"), [("full", [5, 16, 16]), ("scaled", [5, 8, 8])])
def test_a_study_plays_on_sure_images_and_says_so(
    planes_study: Callable[..., Study], layout: str, shape: list[int]
) -> None:
    """Of thirty images ten are faint: the surer half is among the twenty others, which are equally sure."""
    lines: list[str] = []
    study = planes_study(mosaics=12, chunk_size=5, mosaic_layout=layout, report=lines.append)
    made = measure_mosaics(study, Energy())
    assert made is not None
    for method in PROTOCOL.methods:
        assert shares(made.measurement, method, "pixels", "magnitude") == pytest.approx([1] * 12)
    another = shares(made.measurement, "Saliency", "another", "magnitude")
    assert set(np.round(another, 6)) == {0, 1}
    described = dict(made.described)
    # Alone, a class has a logit of 3 beside four of 0; in a mosaic each of four has 3/4 beside one of 0.
    alone, in_mosaic = np.exp(3) / (np.exp(3) + 4), np.exp(0.75) / (4 * np.exp(0.75) + 1)
    # Those that are equally sure differ by rounding.
    assert 15 <= described["pool"] <= 20
    assert described.pop("pool") == described.pop("images")
    assert described.pop("shape") == shape
    assert described.pop("least_confidence") == pytest.approx(alone)
    assert described.pop("confidence") == pytest.approx(alone)
    assert described.pop("probability") == pytest.approx(in_mosaic)
    assert described == {"count": 12, "side": 2, "layout": layout, "among_most_probable": 1}
    assert lines == [f"explained and measured {count} of 12 mosaics" for count in (5, 10, 12)]


def test_more_mosaics_are_added_to_those_that_are_there(planes_study: Callable[..., Study]) -> None:
    few = measure_mosaics(planes_study(), Energy())
    store = planes_study().store
    kept = {path: path.stat().st_mtime_ns for path in store.folder.iterdir()}
    assert {path.name for path in kept} == {"mosaic-confidences.pt", "mosaics-00000.pt", "mosaics-00002.pt"}
    # Neither the number of permutations nor of steps of a curve decides anything here.
    many = measure_mosaics(planes_study(mosaics=8, draws=7, auc_steps=3), Energy())
    assert few is not None
    assert many is not None
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert many.described["count"] == 8
    for key, values in few.measurement.values.items():
        assert torch.equal(many.measurement.values[key][:4], values)
        assert len(many.measurement.values[key]) == 8


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mosaic_layout": "scaled"}, r"layout='full' \(now 'scaled'\)"),
        ({"seed": 1}, r"seed=0 \(now 1\)"),
        ({"n_steps": 3}, r"n_steps=20 \(now 3\)"),
        ({"n_views": 5}, r"n_views=2 \(now 5\)"),
        ({"chunk_size": 3}, r"count=2 \(now 4\)"),
    ],
)
def test_mosaics_of_other_settings_are_not_taken_up(
    changes: dict[str, Any], named: str, planes_study: Callable[..., Study]
) -> None:
    measure_mosaics(planes_study(), Energy())
    with pytest.raises(StoreError, match=rf"mosaics-00000\.pt was made with other settings.*{named}"):
        measure_mosaics(planes_study(**changes), Energy())


def test_another_network_or_other_groupings_are_not_taken_up(planes_study: Callable[..., Study]) -> None:
    measure_mosaics(planes_study(), Energy())
    with pytest.raises(StoreError, match=r"mosaic-confidences\.pt was made with other settings, network="):
        measure_mosaics(planes_study(), Energy(2.0))
    fewer = dataclasses.replace(PROTOCOL, groupings=PROTOCOL.groupings[:1])
    with pytest.raises(StoreError, match=r"mosaics-00000\.pt was made with other settings, groupings="):
        measure_mosaics(dataclasses.replace(planes_study(), protocol=fewer), Energy())


def test_too_few_classes_are_refused(planes_study: Callable[..., Study]) -> None:
    with pytest.raises(ValueError, match=r"4 images of different classes, but the held-out images are of 3"):
        check_mosaics(planes_study(Planes(classes=3)), [])
    check_mosaics(planes_study(Planes(classes=3), mosaics=0), [])
    blind = nn.Sequential(Energy(), Last())
    with pytest.raises(ValueError, match=r"the 6 images that the first network is surest of are of 1: train longer"):
        measure_mosaics(planes_study(), blind)


class Last(nn.Module):
    """Takes every image for one of the last class."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits + 100 * torch.arange(CLASSES)


def test_a_network_that_is_never_right_has_no_mosaics(
    planes_study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = planes_study()
    monkeypatch.setattr(mosaics, "_confidences", lambda *_: torch.zeros(len(study.data.held_out)).double())
    with pytest.raises(ValueError, match="but the 0 images that the first network is surest of are of 0: train longer"):
        measure_mosaics(study, nn.Flatten())


def test_a_network_that_takes_one_size_only_is_told_of_scaled_mosaics(planes_study: Callable[..., Study]) -> None:
    fixed = nn.Sequential(nn.Flatten(), nn.Linear(CLASSES * 64, CLASSES))
    network = StudyNetwork(fixed, "fixed")
    with pytest.raises(ValueError, match=r"fixed fails on an input of shape \(1, 5, 16, 16\).*16 x 16.*“scaled”"):
        check_mosaics(planes_study(), [network])
    check_mosaics(planes_study(mosaic_layout="scaled"), [network])
    check_mosaics(planes_study(), [StudyNetwork(Energy(), "any size"), network])


def test_the_report_says_how_mosaics_were_made(result: dict[str, Any]) -> None:
    made = {
        "count": 60,
        "side": 2,
        "layout": "full",
        "shape": [3, 64, 64],
        "pool": 200,
        "images": 120,
        "least_confidence": 0.75,
        "confidence": 0.875,
        "probability": 0.1875,
        "among_most_probable": 0.66,
    }
    text = to_markdown(result | {"mosaics": made})
    for told in (
        "on 60 mosaics (3x64x64) of 2 x 2 held-out images of different classes, each image at its full size: 120 "
        "images out of the 200 that",
        "a probability of 0.750 or more when they stand alone (on average 0.875), each in 2.0 mosaics on average; the "
        "intervals",
        "has a probability of 0.188 on average, and 66% of them are among the four most probable ones",
        "by chance 0.250",
    ):
        assert text.count(told) == 1, told
    once = to_markdown(result | {"mosaics": made | {"images": 240, "layout": "scaled"}})
    assert "each image scaled to a cell: 240 images" in once
    assert "too narrow. In a mosaic" not in once
    assert "mosaics (" not in to_markdown(result)


CORNERS = torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, 1]])


class Corners(nn.Module):
    """Tells squares that are red, green, blue or white: four corners of the cube of colors, equally far apart."""

    def __init__(self) -> None:
        super().__init__()
        self.corners = nn.Parameter(CORNERS[:, :, None, None])

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.conv2d(nn.functional.avg_pool2d(images, 6, stride=1), self.corners).amax(dim=(2, 3))


def test_a_whole_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)("corner_networks")
    module.__dict__.update(Corners=Corners)
    monkeypatch.setitem(sys.modules, "corner_networks", module)
    rng = np.random.default_rng(0)
    for number in range(16):
        pixels = rng.integers(100, 156, (16, 16, 3), dtype=np.uint8)
        pixels[4:11, 4:11] = (CORNERS[number % 4].numpy() + 1) * 127
        path = tmp_path / "images" / "abcd"[number % 4] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    settings = StudySettings(
        dataset="imagefolder",
        root=str(tmp_path / "images"),
        size=16,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        checkpoints=("corner_networks:Corners",),
        methods=("Saliency",),
        images=2,
        fidelity_images=0,
        n_segments=8,
        n_views=2,
        mosaics=4,
    )
    report = run_study(settings, tmp_path / "out")
    assert report is not None
    found = {
        (record["grouping"], record["sign"], record["views"]): record
        for record in report["records"]
        if record["metric"] == GRID_POINTING_GAME
    }
    assert {record["family"] for record in found.values()} == {"localization"}
    assert {record["n"] for record in found.values()} == {4}
    assert len(found) == len({tuple(record.items())[1:4] for record in report["records"]})
    assert found["centered Gaussian", "magnitude", 1]["value"] == pytest.approx(0.25)
    # Each window that decides for a color lies on its square.
    assert found["pixels", "magnitude", 1]["value"] == 1
    assert 0.6 < found["Slic", "magnitude", 1]["value"] <= 1
    assert report["mosaics"]["among_most_probable"] == 1
    compared = [record for record in report["comparisons"] if record["metric"] == GRID_POINTING_GAME]
    assert {record["n"] for record in compared} == {4}
    assert "mosaics" in report["seconds"]["stages"]
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"### grid pointing game \(higher is better\)\n\n(.+?)\n\n", text, re.DOTALL)
    assert len(section.splitlines()) == 2 + len(found)
    assert re.search(r"\| pixels +\| magnitude +\| 1 +\| 1\.000 \[1\.000, 1\.000\]", section)
