"""Stored parts: what is saved comes back, and what of a damaged or foreign file is noticed."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from captum_superpixel._files import write_signed
from captum_superpixel._store import Store, StoreError

SETTINGS = {"epochs": 3, "network": "small_cnn", "classes": ("a", "b"), "noise": 0.12, "size": None}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "parts")


def test_what_is_saved_comes_back(store: Store) -> None:
    weights = {"w": torch.randn(3, 4), "n": torch.tensor(7), "half": torch.ones(2, dtype=torch.bfloat16)}
    store.save("network-0", SETTINGS, {"weights": weights, "losses": [0.5, 0.25], "name": "first"})
    loaded = store.load("network-0", SETTINGS)
    assert loaded is not None
    assert {name: loaded[name] for name in ("losses", "name")} == {"losses": [0.5, 0.25], "name": "first"}
    for name, tensor in weights.items():
        assert loaded["weights"][name].dtype == tensor.dtype
        assert torch.equal(loaded["weights"][name], tensor)
    assert [path.name for path in store.folder.iterdir()] == ["network-0.pt"]


def test_what_was_never_saved_is_none(store: Store) -> None:
    assert store.load("network-0", SETTINGS) is None
    store.save("network-0", SETTINGS, {})
    assert store.load("network-1", SETTINGS) is None


def test_saving_again_replaces(store: Store) -> None:
    store.save("part", {"epochs": 3}, {"value": 1})
    store.save("part", {"epochs": 4}, {"value": 2})
    assert store.load("part", {"epochs": 4}) == {"value": 2}


def test_a_part_that_cannot_be_saved_leaves_the_old_one(store: Store) -> None:
    store.save("part", SETTINGS, {"value": 1})
    with pytest.raises(AttributeError, match="lambda"):
        store.save("part", SETTINGS, {"value": lambda: 2})
    assert store.load("part", SETTINGS) == {"value": 1}
    assert len(list(store.folder.iterdir())) == 1


def test_other_settings_are_named_with_both_values(store: Store) -> None:
    store.save("network-0", SETTINGS, {})
    wanted = {**SETTINGS, "epochs": 16, "classes": ["a", "c"]}
    shown = re.escape("classes=['a', 'b'] (now ['a', 'c']), epochs=3 (now 16): delete it")
    with pytest.raises(StoreError, match=shown) as caught:
        store.load("network-0", wanted)
    assert str(store.path("network-0")) in str(caught.value)


def test_other_settings_inside_of_others_are_named_alone(store: Store) -> None:
    made_with = {"data": "f00d", "settings": {f"option{i}": i for i in range(30)} | {"n_steps": 20}}
    store.save("images-00000", made_with, {})
    wanted = {"data": "f00d", "settings": {**made_with["settings"], "n_steps": 40}}  # type: ignore[dict-item]
    with pytest.raises(StoreError, match=r"other settings, settings\.n_steps=20 \(now 40\): delete"):
        store.load("images-00000", wanted)


def test_a_setting_that_is_new_is_named(store: Store) -> None:
    store.save("part", {"epochs": 3}, {})
    with pytest.raises(StoreError, match=r"settings, size=absent \(now None\): delete"):
        store.load("part", {"epochs": 3, "size": None})


def test_settings_are_compared_as_json(store: Store) -> None:
    """A tuple is a list, a path its name: what was read from a report is the same as what was given."""
    store.save("part", {"mean": (0.5, 0.25), "root": Path("images")}, {"value": 1})
    assert store.load("part", {"mean": [0.5, 0.25], "root": "images"}) == {"value": 1}


def test_tensors_among_the_settings_are_compared_by_all_of_their_values(store: Store) -> None:
    made_with = {"template": torch.zeros(5000)}
    store.save("part", made_with, {"value": 1})
    assert store.load("part", made_with) == {"value": 1}
    made_with["template"][2500] = 1
    with pytest.raises(StoreError, match=r"other settings, template\.tensor="):
        store.load("part", made_with)


def written(content: object) -> bytes:
    serialized = io.BytesIO()
    torch.save(content, serialized)
    return serialized.getvalue()


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "unsigned", "other pickle", "no part", "renamed"])
def test_a_damaged_or_foreign_file_is_named(damage: str, store: Store) -> None:
    store.save("network-0", SETTINGS, {"weights": torch.arange(1000.0)})
    path = store.path("network-0")
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("no network")
    elif damage == "unsigned":
        path.write_bytes(written({"made_with": json.loads(json.dumps(SETTINGS)), "content": {}}))
    elif damage == "other pickle":
        write_signed(path, written([1, 2, 3]))
    elif damage == "no part":
        write_signed(path, written({"made_with": json.loads(json.dumps(SETTINGS))}))
    else:
        store.save("network-1", SETTINGS, {"weights": torch.arange(1000.0)})
        store.path("network-1").replace(path)
    with pytest.raises(
        StoreError, match=r"is damaged or no stored part .*: delete it to have it made again$"
    ) as caught:
        store.load("network-0", SETTINGS)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("place", [0, 17, 31, 32, 33, 0.25, 0.5, 0.75, -1])
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_is_noticed_anywhere(place: float, bit: int, store: Store) -> None:
    """In the checksum, in the head of what it is of, in the settings and weights, and at the end."""
    store.save("network-0", SETTINGS, {"weights": torch.randn(500)})
    path = store.path("network-0")
    content = bytearray(path.read_bytes())
    content[int(place * len(content)) if isinstance(place, float) else place] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"network-0\.pt is damaged or no stored part \(ValueError\)"):
        store.load("network-0", SETTINGS)


def test_nothing_in_a_file_is_executed(store: Store, tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    store.folder.mkdir()
    write_signed(store.path("network-0"), written({"made_with": SETTINGS, "content": {"x": Malicious()}}))
    with pytest.raises(StoreError, match=r"network-0\.pt is damaged .*\(UnpicklingError\)"):
        store.load("network-0", SETTINGS)
    assert not (tmp_path / "executed").exists()
