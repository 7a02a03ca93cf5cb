"""Hashes: equal for equal values, on any layout, and different for anything that differs."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from captum_superpixel._hashes import fingerprint, hash_tensor


def test_the_hash_is_that_of_the_dtype_the_shape_and_the_bytes() -> None:
    tensor = torch.tensor([[1.0, 2.0]])
    expected = hashlib.sha256(b"torch.float32 (1, 2) " + tensor.numpy().tobytes()).hexdigest()
    assert hash_tensor(tensor) == expected
    assert fingerprint(tensor) == expected[:16]


def test_layout_and_gradients_do_not_matter() -> None:
    images = torch.rand(2, 3, 4, 5)
    expected = hash_tensor(images)
    assert hash_tensor(images.contiguous(memory_format=torch.channels_last)) == expected
    assert hash_tensor(images.clone().requires_grad_()) == expected
    assert hash_tensor(torch.stack([images, images], dim=-1)[..., 0]) == expected
    one = torch.arange(2.0).view(1, 1, 1, 2)
    assert hash_tensor(one[..., ::2]) == hash_tensor(one[..., :1].clone())


def test_anything_else_does() -> None:
    zeros = torch.zeros(2, 3)
    others = [zeros.T, zeros[None], zeros.double(), zeros.int(), zeros + 1e-30, -zeros]
    assert len({hash_tensor(tensor) for tensor in (zeros, *others)}) == 7


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.bfloat16, torch.complex64])
def test_any_dtype(dtype: torch.dtype) -> None:
    assert hash_tensor(torch.ones(3, dtype=dtype)) != hash_tensor(torch.zeros(3, dtype=dtype))


def test_networks_by_their_weights_and_buffers() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    expected = fingerprint(network)
    assert fingerprint(network.eval()) == expected
    with torch.no_grad():
        network[1].running_mean += 1
    changed = fingerprint(network)
    assert changed != expected
    assert fingerprint(nn.Sequential(network)) != changed  # the same tensors under other names


def test_settings_whatever_their_order() -> None:
    assert fingerprint({"seed": 0, "epochs": 3}) == fingerprint({"epochs": 3, "seed": 0})
    assert fingerprint({"seed": 0, "epochs": 3}) != fingerprint({"seed": 3, "epochs": 0})
    assert fingerprint([1, 2]) != fingerprint([2, 1])


def with_one_at(place: int) -> torch.Tensor:
    return torch.zeros(3000, dtype=torch.int64).index_fill(0, torch.tensor(place), 1)


def test_settings_by_the_contents_of_what_is_in_them() -> None:
    """The text of a large tensor or array leaves out its middle."""
    for make in (lambda place: with_one_at(place), lambda place: with_one_at(place).numpy()):
        first, second = ({"mean": [make(place)]} for place in (1500, 1501))
        assert str(first) == str(second)
        assert fingerprint(first) == fingerprint({"mean": [make(1500)]})
        assert fingerprint(first) != fingerprint(second)
    assert fingerprint({"n": np.int64(3)}) == fingerprint({"n": 3})
    assert fingerprint({"path": Path("a/b")}) == fingerprint({"path": "a/b"})
    assert fingerprint({"dtype": torch.float16}) != fingerprint({"dtype": torch.float32})


@pytest.mark.parametrize("value", [object(), {1, 2}, len, np.array([{}])])
def test_what_has_no_contents_is_no_setting(value: object) -> None:
    with pytest.raises(TypeError, match=rf"a {type(value).__name__} has no contents to be known by"):
        fingerprint({"setting": value})
