"""Chunks: which images are in them, how they are put together, and which settings decide what is kept of them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import nn

from captum_superpixel._seeds import derive_seed
from captum_superpixel._store import StoreError
from captum_superpixel.attr.methods import MethodSettings
from captum_superpixel.masks import Grid
from captum_superpixel.study import measuring
from captum_superpixel.study.context import Study
from captum_superpixel.study.groupings import Grouping
from captum_superpixel.study.measurement import Chunk, Key, Measurement
from captum_superpixel.study.measuring import measure_chunks, measuring_settings
from captum_superpixel.study.protocol import Protocol
from captum_superpixel.study.settings import StudySettings
from captum_superpixel.study.smoothing import Blur


def test_join() -> None:
    key, rare = Key("m", "g", "signed", "ssim"), Key("m", "g", "signed", "road")
    first = Measurement({key: torch.tensor([1.0, 2, 3]), rare: torch.tensor([9.0])}, {"a": 1.0}, {"g": 10.0}, 3)
    second = Measurement({key: torch.tensor([4.0])}, {"a": 2.0, "b": 5.0}, {"g": 30.0}, 1)
    whole = Measurement.join([first, second])
    assert whole.values[key].tolist() == [1, 2, 3, 4]
    assert whole.values[rare].tolist() == [9]
    assert dict(whole.seconds) == {"a": 3.0, "b": 5.0}
    assert whole.segments == {"g": 15.0}
    assert whole.n_images == 4
    assert first.values[key].tolist() == [1, 2, 3]


def test_time_is_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.5, 10.0, 12.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    result = Measurement()
    with result.timed("work"):
        pass
    with pytest.raises(ValueError, match="broken"), result.timed("work"):
        raise ValueError("broken")
    assert result.seconds["work"] == 3.5


def test_packed_and_unpacked() -> None:
    key = Key("m", "g", "signed", "ssim", "permutation")
    measured = Measurement({key: torch.tensor([0.25, 0.5], dtype=torch.float64)}, {"a": 1.5}, {"g": 10.0}, 2)
    again = Measurement.unpacked(measured.packed())
    assert list(again.values) == [key]
    assert torch.equal(again.values[key], measured.values[key])
    assert (again.seconds, again.segments, again.n_images) == ({"a": 1.5}, {"g": 10.0}, 2)


def test_chunks_hold_the_chosen_images(
    settings_of: Callable[..., StudySettings],
    study_of: Callable[..., Study],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In their order, with the first of them for curves and ROAD, and each chunk with a seed of its own."""
    seen: list[Chunk] = []

    def noted(_: Protocol, __: Sequence[nn.Module], ___: Sequence[nn.Module], chunk: Chunk) -> Measurement:
        seen.append(chunk)
        key = Key("Saliency", "pixels", "signed", "road")
        return Measurement({key: chunk.targets.double()}, {}, {}, len(chunk.inputs))

    monkeypatch.setattr(measuring, "measure", noted)
    lines: list[str] = []
    settings = settings_of(images=6, chunk_size=2, fidelity_images=3, mean_color_images=2, road_images=1)
    study = study_of(settings, report=lines.append)
    chosen = [7, 3, 11, 0, 20, 4]
    measured = measure_chunks(study, [], [], chosen)
    held_out = study.data.held_out
    assert torch.equal(torch.cat([chunk.inputs for chunk in seen]), held_out.batch(chosen))
    assert torch.cat([chunk.targets for chunk in seen]).tolist() == held_out.labels[chosen].tolist()
    counts = [(len(chunk.inputs), chunk.fidelity, chunk.mean_color, chunk.road) for chunk in seen]
    assert counts == [(2, 2, 2, 1), (2, 1, 0, 0), (2, 0, 0, 0)]
    assert [chunk.seed for chunk in seen] == [derive_seed(0, "images", start) for start in (0, 2, 4)]
    assert (measured.n_images, *(len(values) for values in measured.values.values())) == (6, 6)
    assert lines == [f"explained and measured {count} of 6 images" for count in (2, 4, 6)]
    measure_chunks(study, [], [], chosen)
    assert len(seen) == 3
    # A single image that is left over would have no other one beside it.
    seen.clear()
    lines.clear()
    again = study_of(settings, report=lines.append, data=study.data)
    assert measure_chunks(again, [], [], chosen[:5]).n_images == 5
    assert [(len(chunk.inputs), chunk.fidelity, chunk.road) for chunk in seen] == [(2, 2, 1), (3, 1, 0)]
    assert torch.equal(seen[1].inputs, held_out.batch(chosen[2:5]))
    assert lines == [f"explained and measured {count} of 5 images" for count in (2, 5)]


def test_what_decides_figures(settings_of: Callable[..., StudySettings]) -> None:
    settings = settings_of()
    changed: dict[str, Any] = {"images": 3, "epochs": 9, "folds": 3, "roar": True, "root": "elsewhere"}
    assert measuring_settings(settings) == measuring_settings(dataclasses.replace(settings, **changed))
    plain = dataclasses.replace(settings, mean=(0.1,) * 3, std=(0.1,) * 3)
    changed = {"seed": 1, "n_steps": 3, "noise": 0.5, "draws": 7, "mean": (0.0,) * 3, "std": (1.0,) * 3}
    for name, value in changed.items():
        assert measuring_settings(plain) != measuring_settings(dataclasses.replace(plain, **{name: value})), name


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"methods": ("SmoothGrad",)}, r"methods="),
        ({"negative_weights": {"Saliency": 0.25}}, r"negative_weights\.Saliency=absent \(now 0\.25\)"),
        ({"regions": Grid(5)}, r"regions='Watershed\(n_segments=30\)' \(now 'Grid\(n_segments=5\)'\)"),
        ({"groupings": (Grouping("blur", Blur(0.1001)),)}, r"groupings="),
        ({"groupings": (Grouping("blur", Blur(0.1), forms=(("signed", 1),)),)}, r"rows="),
        ({"groupings": (Grouping("blur", Blur(0.1), forms=(("signed", 3), ("magnitude", 1))),)}, r"rows="),
    ],
)
def test_parts_of_another_protocol_are_not_taken_up(
    changes: dict[str, Any],
    named: str,
    settings_of: Callable[..., StudySettings],
    study_of: Callable[..., Study],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measuring, "measure", lambda *given: Measurement(n_images=len(given[-1].inputs)))
    protocol = Protocol(MethodSettings(), ("Saliency",), (Grouping("blur", Blur(0.1)),))
    study = study_of(settings_of(images=2, chunk_size=2), protocol=protocol)
    measure_chunks(study, [], [], [3, 4])
    changed = dataclasses.replace(study, protocol=dataclasses.replace(protocol, **changes))
    with pytest.raises(StoreError, match=rf"images-00000\.pt was made with other settings.*{named}"):
        measure_chunks(changed, [], [], [3, 4])
    views = dataclasses.replace(study, settings=dataclasses.replace(study.settings, n_views=5))
    with pytest.raises(StoreError, match=r"n_views=8 \(now 5\)"):
        measure_chunks(views, [], [], [3, 4])
