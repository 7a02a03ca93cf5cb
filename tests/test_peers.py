"""The comparisons with other libraries: what is missing is left out, and what is measured is what it is called."""

import importlib
import time

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")  # whose photographs the benchmarks take

import peers_segmentation
import peers_timing
from peers import SUBJECTS
from peers_insertion import NoNetwork, elements_at_once
from peers_kernelshap import _evaluate
from peers_timing import OURS, Case, find_peer, measure, missing_lines

from captum_superpixel.masks import Grid


def test_a_missing_library_is_left_out_with_a_line() -> None:
    assert find_peer("no_such_module", "such-a-package") is None
    assert find_peer("json", "none") is not None
    assert list(missing_lines()) == ["left out: such-a-package (No module named 'no_such_module')"]
    assert list(missing_lines()) == []


def test_every_subject_has_a_module_with_a_title() -> None:
    for subject in SUBJECTS:
        module = importlib.import_module(f"peers_{subject}")
        assert module.TITLE
        assert callable(module.rows if subject == "growth" else module.cases)


def test_the_ratio_is_that_of_the_other_to_ours() -> None:
    done: list[int] = []
    case = Case("work", {OURS: lambda: done.append(1), "other": lambda: sum(range(3000))})
    [[name, other, theirs, ours, ratio, *memory]] = measure(case, rounds=1, memory=False)
    assert (name, other, memory) == ("work", "other", ["–", "–"])
    assert ratio == pytest.approx(float(str(theirs)) / float(str(ours)), rel=0.1)
    assert done


@pytest.mark.parametrize(("long", "done"), [(10.0, 1 + 3), (0.001, 1)])
def test_calls_that_take_long_are_made_once_and_others_warm_up(
    long: float, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers_timing, "_LONG", long)
    calls: list[str] = []

    def work(name: str) -> None:
        calls.append(name)
        until = time.process_time() + 0.025
        while time.process_time() < until:
            pass

    list(measure(Case("work", {name: lambda name=name: work(name) for name in (OURS, "other")}), 3, memory=False))
    assert calls == [OURS, "other"] * done


@pytest.mark.parametrize("library", [None, object()])
def test_the_engine_by_torch_is_a_peer_where_there_is_machine_code(
    library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers_segmentation.compiled, "find_library", lambda: library)
    monkeypatch.setattr(peers_segmentation, "batch_of", lambda size, count: torch.rand(count, 3, size, size))
    names = list(next(peers_segmentation.cases(quick=True)).calls)
    assert names[0] == OURS
    assert ("Slic by torch" in names) == (library is not None)


def test_quantus_flips_whole_parts_of_an_image() -> None:
    assert [elements_at_once(side) for side in (32, 224)] == [128, 7168]


def test_coalitions_show_their_superpixels() -> None:
    image = torch.ones(1, 3, 16, 16)
    shown = _evaluate(NoNetwork(), image, Grid(4)(image), np.array([[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]]))
    np.testing.assert_allclose(shown, [1, 0.25, 0])
