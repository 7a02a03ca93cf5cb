"""The identity of generators: what could make other masks has another one, and what has none is refused."""

import dataclasses
import enum
import functools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from captum_superpixel.masks import Cached, Felzenszwalb, Grid, Precomputed, Slic
from captum_superpixel.masks._identity import identify


@dataclasses.dataclass(frozen=True)
class Given:
    """A generator whose repr says nothing of what it holds."""

    value: Any
    label: str = dataclasses.field(default="", compare=False)

    def __call__(self, inputs: Tensor) -> Tensor:
        return torch.as_tensor(self.value).expand(len(inputs), 1, *inputs.shape[2:]).clone()

    def __repr__(self) -> str:
        return "Given()"


class Pair(NamedTuple):
    first: Any
    second: Any


class Kind(enum.Enum):
    CELLS = 1
    EDGES = 2

    def __repr__(self) -> str:
        return "Kind"


@dataclasses.dataclass(frozen=True)
class Other:
    value: Any


def with_hole(*shape: int) -> np.ndarray[Any, Any]:
    """An array of which NumPy shows the corners alone."""
    array = np.zeros(shape, dtype=np.int64)
    array[tuple(side // 2 for side in shape)] = 1
    return array


LARGE, HOLE = np.zeros((64, 64), dtype=np.int64), with_hole(64, 64)


@pytest.mark.parametrize(
    ("one", "another"),
    [
        (LARGE, HOLE),
        (torch.from_numpy(LARGE), torch.from_numpy(HOLE)),
        (torch.zeros(3000), torch.zeros(3000).index_fill(0, torch.tensor(1500), 1)),
        ([LARGE], [HOLE]),
        ((1, {"a": LARGE}), (1, {"a": HOLE})),
        (Other(LARGE), Other(HOLE)),
        (Pair(1, LARGE), Pair(1, HOLE)),
        (Given(1), Given(2)),
        (Grid(4), Slic(4)),
        (Kind.CELLS, Kind.EDGES),
        (1, True),
        (1, 1.0),
        (1, "1"),
        ((1, 2), [1, 2]),
        (0.1, 0.1 + 1e-17 + 1e-16),
        (np.float32(0.1), np.float64(0.1)),
        (np.zeros(2, np.int32), np.zeros(1, np.int64)),
        (torch.zeros(2, 3), torch.zeros(3, 2)),
        ({1, 2}, {1, 3}),
        (Path("a"), "a"),
        (torch.float32, torch.float64),
    ],
)
def test_other_contents_another_identity(one: Any, another: Any) -> None:
    assert identify(Given(one)) != identify(Given(another))


@pytest.mark.parametrize(
    ("one", "another"),
    [
        (LARGE, LARGE.copy(order="F")),
        (torch.zeros(4, 6), torch.zeros(6, 4).T),
        ({"b", "a", "c"}, {"c", "b", "a"}),
        (Other([1, None, ...]), Other([1, None, ...])),
        (Pair(1, 2), Pair(1, 2)),
    ],
)
def test_equal_contents_are_the_same(one: Any, another: Any) -> None:
    assert identify(Given(one)) == identify(Given(another, label="left out, as in comparisons"))


def test_masks_of_others_are_not_taken_for_its_own(tmp_path: Path) -> None:
    images = torch.rand(1, 3, 64, 64)
    for make in (np.array, torch.tensor):
        for array in (LARGE, HOLE):
            assert torch.equal(Cached(Given(make(array)), tmp_path)(images)[0, 0], torch.as_tensor(array))


def test_an_array_that_is_changed_is_another(tmp_path: Path) -> None:
    images, array = torch.rand(1, 3, 64, 64), LARGE.copy()
    cached = Cached(Given(array), tmp_path)
    assert not cached(images).any()
    array[:] = HOLE
    assert torch.equal(cached(images)[0, 0], torch.from_numpy(HOLE))
    assert len(cached) == 1
    cached.clear()
    array[:] = LARGE
    assert len(cached) == 1


def made_in_a_function(count: int) -> Any:
    def segment(inputs: Tensor) -> Tensor:
        return Grid(count)(inputs)

    @dataclasses.dataclass(frozen=True)
    class Local:
        @torch.no_grad()
        def __call__(self, inputs: Tensor) -> Tensor:
            return segment(inputs)

    return Local()


def test_classes_of_one_name_are_told_apart_by_what_they_enclose() -> None:
    assert repr(made_in_a_function(4)) == repr(made_in_a_function(9))
    assert identify(made_in_a_function(4)) == identify(made_in_a_function(4))
    assert identify(made_in_a_function(4)) != identify(made_in_a_function(9))


CELL = """
@dataclasses.dataclass(frozen=True)
class FromCell:
    n: int = 4
    factor: ClassVar[int] = {factor}

    @property
    def rows(self):
        return self.n {operator} 2

    def __call__(self, inputs, least={least}):
        return Grid(max(least, self.rows * self.factor))(inputs)
"""


def run_cell(**changes: object) -> Any:
    names = {"dataclasses": dataclasses, "ClassVar": ClassVar, "Grid": Grid, "__name__": "__main__"}
    code = CELL.format(**{"factor": 2, "operator": "+", "least": 1, **changes})
    exec(compile(code, "<cell>", "exec"), names)
    return names["FromCell"]()  # type: ignore[operator]  # the class


@pytest.mark.parametrize("change", [{"factor": 3}, {"operator": "*"}, {"least": 2}])
def test_a_class_whose_code_was_edited_is_another(change: dict[str, object]) -> None:
    assert repr(run_cell()) == repr(run_cell(**change))
    assert identify(run_cell()) == identify(run_cell())
    assert identify(run_cell()) != identify(run_cell(**change))


def test_derived_classes_and_what_they_add() -> None:
    class Finer(Slic):
        def check_inputs(self, inputs: Tensor) -> None:
            super().check_inputs(inputs)

    finer, other = Finer(5), Finer(5)
    assert identify(finer) == identify(other)
    assert identify(finer)[-16:] != identify(Slic(5))[-16:]
    vars(other)["extra"] = 1
    assert identify(finer) != identify(other)


def test_a_cached_property_is_not_of_the_contents() -> None:
    @dataclasses.dataclass(frozen=True)
    class Lazy(Given):
        @functools.cached_property
        def total(self) -> int:
            return int(self.value.sum())

    lazy = Lazy(HOLE)
    before = identify(lazy)
    assert lazy.total == 1
    assert identify(lazy) == before


def test_other_processes_agree() -> None:
    """Hashes of strings differ between processes, and so does the order in sets."""
    code = (
        "import torch; from captum_superpixel.masks import *; from captum_superpixel.masks._identity import identify;"
        "print(identify(Felzenszwalb(denormalize=((0.1, 0.2, 0.3), torch.ones(3)))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == identify(Felzenszwalb(denormalize=((0.1, 0.2, 0.3), torch.ones(3))))


def test_names_are_short_enough_for_any_system() -> None:
    long = dataclasses.make_dataclass("N" * 300, [("n", int)], frozen=True)
    assert len(identify(long(1))) == 57


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda x: x, "Given.value is a function, which has no contents"),
        (functools.partial(max, 1), "Given.value is a partial,"),
        (nn.Conv2d(1, 1, 1), "Given.value is a Conv2d,"),
        ([1, object()], "Given.value[1] is a object,"),
        ({"net": nn.ReLU()}, "Given.value['net'] is a ReLU,"),
        (np.array([object()]), "Given.value is a ndarray,"),
        (np.ma.masked_array([1, 2], [0, 1]), "Given.value is a MaskedArray,"),
        (torch.eye(2).to_sparse(), "Given.value is a Tensor,"),
        (Other(re), "Given.value.value is a module,"),
        (Precomputed(torch.zeros(1, 1, 2, 2, dtype=torch.long)), "Given.value is a Precomputed,"),
    ],
)
def test_what_has_no_contents_is_refused(value: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=rf"^{re.escape(message)}.* omit directory, or let the field be"):
        Cached(Given(value), tmp_path)
    assert list(tmp_path.iterdir()) == []
    Cached(Given(value))


def test_the_advice_for_a_field_without_contents(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Versioned:
        segment: Callable[[Tensor], Tensor] = dataclasses.field(compare=False)
        version: str = ""

        def __call__(self, inputs: Tensor) -> Tensor:
            return self.segment(inputs)

    images = torch.rand(1, 3, 8, 8)
    for count in (4, 16):
        cached = Cached(Versioned(Grid(count), f"grid {count}"), tmp_path)
        assert torch.equal(cached(images), Grid(count)(images))
