"""The device to work on: found by its name, tried once, and shared fairly among processes."""

import pytest
import torch

from captum_superpixel._checks import InputError
from captum_superpixel.models.device import choose_device


def test_the_cpu_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == choose_device(None, local_rank=3) == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "local_rank", "expected"),
    [(None, 0, "cuda:0"), (None, 3, "cuda:1"), ("cuda", 2, "cuda:0"), ("cuda:1", 2, "cuda:1"), ("cpu", 1, "cpu")],
)
def test_processes_of_a_machine_take_its_gpus_in_turn(
    name: str | None, local_rank: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two GPUs, which are not there: what would be put on them is noted."""
    used = []
    zeros = torch.zeros

    def noted(size: int, device: torch.device) -> torch.Tensor:
        used.append(device)
        return zeros(size)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch, "zeros", noted)
    assert choose_device(name, local_rank) == torch.device(expected)
    assert used == [torch.device(expected)]


@pytest.mark.parametrize("name", ["tpu9", "cuda:99", "meta", ""])
def test_devices_that_cannot_be_used(name: str) -> None:
    with pytest.raises(InputError, match=f"^device '{name}' cannot be used .*; pass cpu, cuda") as caught:
        choose_device(name)
    assert len(str(caught.value)) < 400


def test_a_gpu_of_which_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch, "zeros", fails)
    with pytest.raises(InputError, match=r"device 'cuda:0' cannot be used \(AssertionError\)"):
        choose_device("cuda")
