"""Naming a network: Python code, programs in files, what comes out of either, and what the errors say."""

import sys
from pathlib import Path

import pytest
import torch

from captum_superpixel._checks import InputError
from captum_superpixel.models.loading import Function, load_model

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

class Answers(Net):
    def forward(self, x):
        return {"loss": None, "logits": super().forward(x)}

class One(Net):
    def forward(self, x):
        return super().forward(x)[:, 0]

class Places(Net):
    def forward(self, x):
        return super().forward(x)[..., None, None]

class Squeezed(Net):
    def forward(self, x):
        return super().forward(x)[:, :1].squeeze()

def predict():
    net = Net()
    return lambda x: net(x).tolist() if len(x) > 4 else net(x)

def program():
    return torch.export.export(Net(), (torch.rand(1, 3, 2, 2),))

class Refuses(Net):
    def to(self, *args, **kwargs):
        raise NotImplementedError("not\\nmoved")

class Stubborn(Net):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout()
    def train(self, mode=True):
        return self
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
    (folder / "runs" / "net.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"--model runs/net\.bin is a file, but not of a program .* MODULE:FACTORY"):
        load_model("runs/net.bin")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("Net", (3, 4)),
        ("Answers", (3, 4)),
        ("One", (3, 1)),
        ("Places", (3, 4)),
        ("Squeezed", (3, 1)),
        ("program", (3, 4)),
    ],
)
def test_whatever_networks_return_becomes_logits(name: str, shape: tuple[int, int]) -> None:
    model = load_model(f"users_net:{name}")
    images = torch.rand(3, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    assert model(images).shape == shape
    assert model(images[:1]).shape == (1, shape[1])
    torch.testing.assert_close(model(images)[1:2], model(images[1:2]))


def test_a_network_that_is_loaded_twice_has_one_hook() -> None:
    assert load_model("users_net:ready") is load_model("users_net:ready")
    assert len(load_model("users_net:ready")._forward_hooks) == 1


def test_functions_are_networks_of_which_nothing_is_known() -> None:
    model = load_model("users_net:predict")
    assert isinstance(model, Function)
    assert list(model.parameters()) == []
    assert model(torch.zeros(2, 3, 2, 2)).shape == (2, 4)


def test_what_a_network_raises_while_it_is_loaded_is_one_line() -> None:
    message = r"--model users_net:Refuses cannot be brought to the CPU and float32 \(NotImplementedError: not moved\)\."
    with pytest.raises(InputError, match=message):
        load_model("users_net:Refuses")


def test_a_network_that_stays_in_training_mode_is_told_once() -> None:
    with pytest.warns(
        UserWarning, match=r"stays in training mode, although eval\(\) was called, and holds Dropout"
    ) as found:
        load_model("users_net:Stubborn")
    assert len(found) == 1
    lines: list[str] = []
    load_model("users_net:Stubborn", report=lines.append)
    assert [line.startswith("the network stays in training mode") for line in lines] == [True]
