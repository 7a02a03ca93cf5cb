"""Naming a network: Python code with and without a state dict, and what the errors say."""

import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel.models.loading import load_model, load_state_dict, load_weights

MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 4)
    def forward(self, x):
        return self.linear(x.mean((2, 3)))

    @classmethod
    def light(cls):
        return cls().bfloat16()

ready = Net()
number = 7

def table():
    return {"weights": 1}

def fails():
    raise OSError("no weights\\nanywhere")

def needs(path):
    return Net()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a module of the user's, whose name no other test has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [path for path in sys.path if path])
    for name in ("users_net", "users_broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "users_net.py").write_text(MODULE)
    (tmp_path / "users_broken.py").write_text("import users_net\nusers_net.nothing\n")
    return tmp_path


@pytest.mark.parametrize("name", ["Net", "ready", "Net.light"])
def test_networks_are_found_in_the_current_folder(name: str) -> None:
    model = load_model(f"users_net:{name}")
    assert type(model).__name__ == "Net"
    assert not model.training
    assert model(torch.zeros(1, 3, 2, 2)).dtype == torch.float32


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("users_net", "--model users_net names no network: write MODULE:FACTORY"),
        (":Net", "--model :Net names no network"),
        ("users_net:", "--model users_net: names no network"),
        (
            "nowhere.at_all:Net",
            r"importing 'nowhere\.at_all' failed \(ModuleNotFoundError: No module named 'nowhere'\)",
        ),
        ("users_net.py:Net", r"importing 'users_net\.py' failed"),
        ("users_broken:Net", "importing 'users_broken' failed .*AttributeError.*'nothing'"),
        ("users_net:Nett", "has no attribute 'Nett'"),
        ("users_net:number", "users_net:number is a int, neither"),
        ("users_net:table", r"table\(\) returned a dict, not a torch\.nn\.Module"),
        ("users_net:fails", r"calling fails\(\) failed \(OSError: no weights anywhere\)"),
        ("users_net:needs", r"calling needs\(\) failed \(TypeError: .*'path'"),
    ],
)
def test_bad_networks(specification: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_model(specification)
    assert "\n" not in str(caught.value)


def test_messages_name_the_users_option() -> None:
    with pytest.raises(InputError, match=r"^--checkpoint users_net:Nett: .* no attribute 'Nett'"):
        load_model("users_net:Nett", option="--checkpoint")
    with pytest.raises(InputError, match=r"^--checkpoint users_net:Net: the weights none\.pt do not exist"):
        load_model("users_net:Net", "none.pt", option="--checkpoint")


def test_a_file_is_told_from_a_model_of_the_hub(folder: Path) -> None:
    (folder / "runs").mkdir()
    (folder / "runs" / "net.pt").write_bytes(b"")
    with pytest.raises(InputError, match=r"--model runs/net\.pt is a file; .* MODULE:FACTORY"):
        load_model("runs/net.pt")


@pytest.fixture
def state() -> dict[str, Tensor]:
    return {"linear.weight": torch.arange(12.0).view(4, 3), "linear.bias": torch.tensor([1.0, -2, 3, -4])}


def check(model: nn.Module, state: dict[str, Tensor]) -> None:
    assert not model.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name])
        assert tensor.dtype == torch.float32


def test_weights_of_safetensors(folder: Path, state: dict[str, Tensor]) -> None:
    save_file(state, folder / "net.safetensors")
    check(load_model("users_net:Net", "net.safetensors"), state)


@pytest.mark.parametrize("nested", [None, "state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_of_torch(folder: Path, state: dict[str, Tensor], nested: str | None, prefix: str) -> None:
    saved = OrderedDict((prefix + key, tensor.half()) for key, tensor in state.items())
    torch.save(saved if nested is None else {"epoch": 3, nested: saved}, folder / "net.th")
    check(load_model("users_net:Net", folder / "net.th"), state)


def test_a_prefix_that_is_the_networks_own_stays(folder: Path) -> None:
    wrapped = nn.DataParallel(nn.Linear(2, 2))
    expected = {key: torch.rand_like(tensor) for key, tensor in wrapped.state_dict().items()}
    torch.save(expected, folder / "parallel.pt")
    load_weights(wrapped, folder / "parallel.pt")
    for key, tensor in wrapped.state_dict().items():
        assert torch.equal(tensor, expected[key])


def test_counters_of_batches_may_be_missing(folder: Path) -> None:
    norm = nn.BatchNorm2d(3)
    torch.save({key: value + 1 for key, value in norm.state_dict().items() if "num" not in key}, folder / "norm.pt")
    load_weights(norm, folder / "norm.pt")
    assert norm.running_mean is not None
    assert norm.running_mean.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"linear.bias": None},
            r"1 of 2 parameters of the network are not in the file \(linear\.bias\)\. Pass",
        ),
        (
            {key: torch.zeros(1) for key in ("fc.a", "fc.b", "fc.c", "fc.d")},
            r"4 of 6 entries of the file are not in the network \(fc\.a, fc\.b, fc\.c, …\)\. Pass",
        ),
        (
            {"linear.bias": torch.zeros(10)},
            r"1 of 2 have another shape \(linear\.bias is \(10,\) in the file and \(4,\) in the network\)\. Pass",
        ),
        (
            {"linear.bias": None, "head.bias": torch.zeros(4)},
            r"not in the file \(linear\.bias\); .* not in the network \(head\.bias\)",
        ),
    ],
)
def test_weights_that_do_not_fit(
    folder: Path, state: dict[str, Tensor], change: dict[str, Tensor | None], message: str
) -> None:
    changed = {key: tensor for key, tensor in (state | change).items() if tensor is not None}
    torch.save(changed, folder / "net.pt")
    with pytest.raises(InputError, match=rf"--model users_net:Net: the weights net\.pt do not fit: .*{message}"):
        load_model("users_net:Net", "net.pt")


def test_files_that_hold_no_state_dict(folder: Path, state: dict[str, Tensor]) -> None:
    torch.save(torch.zeros(3), folder / "tensor.pt")
    torch.save({}, folder / "empty.pt")
    torch.save({"weights": {"deep": state}}, folder / "deep.pt")
    torch.save({0: torch.zeros(3)}, folder / "numbered.pt")
    torch.save(nn.Linear(2, 2), folder / "module.pt")
    torch.save(state, folder / "whole.pt")
    (folder / "cut.pt").write_bytes((folder / "whole.pt").read_bytes()[:-200])
    (folder / "text.safetensors").write_text("no tensors at all")
    (folder / "folder.pt").mkdir()
    for name, message in (
        ("missing.pt", r"missing\.pt do not exist; pass a file"),
        ("folder.pt", r"folder\.pt are no file"),
        ("tensor.pt", r"tensor\.pt hold a Tensor, not a state dict"),
        ("empty.pt", r"empty\.pt hold nothing"),
        ("deep.pt", r"deep\.pt hold a dict under 'weights'"),
        ("numbered.pt", r"numbered\.pt hold a Tensor under 0"),
        ("module.pt", r"module\.pt cannot be read \(UnpicklingError.*torch\.save\(model\.state_dict\(\)"),
        ("cut.pt", r"cut\.pt cannot be read \(RuntimeError"),
        ("text.safetensors", r"text\.safetensors cannot be read \(SafetensorError"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            load_state_dict(folder / name)
        assert "\n" not in str(caught.value)


def test_code_in_a_file_is_not_run(folder: Path) -> None:
    class Opens:
        def __reduce__(self) -> tuple[object, ...]:
            return open, (str(folder / "opened"), "w")

    torch.save({"linear.weight": Opens()}, folder / "evil.pt")
    with pytest.raises(InputError, match=r"evil\.pt cannot be read \(UnpicklingError"):
        load_state_dict(folder / "evil.pt")
    assert not (folder / "opened").exists()


def test_hooks_of_the_network_may_refuse(folder: Path, state: dict[str, Tensor]) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("not on Sundays")

    network = nn.Linear(3, 4)
    network.register_load_state_dict_pre_hook(refuse)
    torch.save(network.state_dict(), folder / "net.pt")
    with pytest.raises(InputError, match=r"could not be loaded \(RuntimeError: not on Sundays\)"):
        load_weights(network, folder / "net.pt")


def test_missing_safetensors(folder: Path, state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    save_file(state, folder / "net.safetensors")
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(
        InputError, match=r"net\.safetensors need the package safetensors .*captum-superpixel\[models\]"
    ):
        load_state_dict(folder / "net.safetensors")
