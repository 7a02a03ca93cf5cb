"""Parts of a study: what is kept, and what of a damaged or foreign file is noticed and named."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from captum_superpixel.study.store import Store, StoreError, fingerprint

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


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "bit", "other pickle", "forged"])
def test_a_damaged_file_is_named(damage: str, store: Store) -> None:
    store.save("network-0", SETTINGS, {"weights": torch.arange(1000.0)})
    path = store.path("network-0")
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("no network")
    elif damage == "bit":  # of one weight, which PyTorch reads without complaint
        content[content.index(torch.tensor([500.0]).numpy().tobytes()) + 3] ^= 1
        path.write_bytes(content)
    elif damage == "other pickle":
        torch.save([1, 2, 3], path)
    else:
        torch.save({"made_with": json.loads(json.dumps(SETTINGS)), "content": {}, "hash": "0" * 16}, path)
    with pytest.raises(
        StoreError, match=r"is damaged or no part of a study .*: delete it to have it made again"
    ) as caught:
        store.load("network-0", SETTINGS)
    assert str(path) in str(caught.value)


def test_nothing_in_a_file_is_executed(store: Store, tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    store.folder.mkdir()
    torch.save({"made_with": SETTINGS, "content": {"x": Malicious()}, "hash": "0"}, store.path("network-0"))
    with pytest.raises(StoreError, match=r"network-0\.pt is damaged"):
        store.load("network-0", SETTINGS)
    assert not (tmp_path / "executed").exists()


def test_fingerprints_of_networks() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    same = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    same.load_state_dict(network.state_dict())
    original = fingerprint(network)
    assert fingerprint(same) == original
    same.state_dict()["0.weight"][0, 0] += 1e-6
    assert fingerprint(same) != original
    network.state_dict()["1.running_mean"][0] = 1
    assert fingerprint(network) != original


def test_fingerprints_of_tensors_depend_on_values_shape_and_dtype() -> None:
    tensor = torch.arange(6, dtype=torch.float32)
    others = [tensor.view(2, 3), tensor.double(), tensor.flip(0), tensor.int(), torch.zeros(0), torch.tensor(True)]
    assert len({fingerprint(each) for each in [tensor, *others]}) == 1 + len(others)
    assert fingerprint(tensor.view(2, 3).T.contiguous().T) == fingerprint(tensor.view(2, 3))  # not on the layout
    assert fingerprint(tensor.clone().requires_grad_()) == fingerprint(tensor)
    assert fingerprint(torch.ones(3, dtype=torch.bfloat16)) != fingerprint(torch.ones(3, dtype=torch.float16))
