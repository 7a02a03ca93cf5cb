"""State dicts in files: where they lie, whether a network takes them, and what the errors say."""

import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel.models.checkpoints import load_state_dict, load_weights
from captum_superpixel.models.loading import load_model

MODULE = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 4)
    def forward(self, x):
        return self.linear(x.mean((2, 3)))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a module of the user's, whose name no other test has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [path for path in sys.path if path])
    monkeypatch.delitem(sys.modules, "users_weighted", raising=False)
    (tmp_path / "users_weighted.py").write_text(MODULE)
    return tmp_path


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
    check(load_model("users_weighted:Net", "net.safetensors"), state)


@pytest.mark.parametrize("nested", [None, "state_dict", "model_state_dict", "model", "network", "ema", "weights"])
@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod.", "network."])
def test_weights_of_torch(folder: Path, state: dict[str, Tensor], nested: str | None, prefix: str) -> None:
    saved = OrderedDict((prefix + key, tensor.half()) for key, tensor in state.items())
    torch.save(saved if nested is None else {"epoch": 3, nested: saved}, folder / "net.th")
    check(load_model("users_weighted:Net", folder / "net.th"), state)


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
    with pytest.raises(InputError, match=rf"--model users_weighted:Net: the weights net\.pt do not fit: .*{message}"):
        load_model("users_weighted:Net", "net.pt")


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


def test_checkpoints_of_lightning(folder: Path, state: dict[str, Tensor], capsys: pytest.CaptureFixture[str]) -> None:
    """The network lies under "model." beside the weights of a loss, and the whole under "state_dict"."""
    saved = {f"model.{key}": tensor for key, tensor in state.items()} | {"loss.weight": torch.ones(4)}
    torch.save({"epoch": 3, "optimizer_states": [{"state": {}}], "state_dict": saved}, folder / "last.ckpt")
    lines: list[str] = []
    check(load_model("users_weighted:Net", "last.ckpt", report=lines.append), state)
    assert lines == ["the weights last.ckpt: 1 entry outside of 'model.' is not used (loss.weight)"]
    with pytest.warns(UserWarning, match=r"1 entry outside of 'model\.' is not used"):
        load_model("users_weighted:Net", "last.ckpt")


def test_the_network_is_found_before_its_average_and_below_other_keys(folder: Path, state: dict[str, Tensor]) -> None:
    averaged = {key: tensor + 1 for key, tensor in state.items()}
    torch.save({"ema": averaged, "run": {"model": state}}, folder / "deep.pt")
    torch.save({"ema": averaged, "model": {"module": state}}, folder / "both.pt")
    torch.save({"epoch": 3, "model_ema": averaged}, folder / "ema.pt")
    check(load_model("users_weighted:Net", "both.pt"), state)
    check(load_model("users_weighted:Net", "ema.pt"), averaged)


def test_a_network_that_was_wrapped(folder: Path, state: dict[str, Tensor]) -> None:
    """What the wrapper brings along, and no file knows, stays as it was made."""

    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.full((3,), 7.0))
            self.inner = nn.ModuleDict({"linear": nn.Linear(3, 4)})

    torch.save(state, folder / "plain.pt")
    network, lines = Wrapper(), []
    load_weights(network, folder / "plain.pt", report=lines.append)
    assert torch.equal(network.inner["linear"].weight, state["linear.weight"])
    assert network.mean.tolist() == [7, 7, 7]
    assert lines == [
        f"the weights {folder / 'plain.pt'}: the network's mean are not in the file and stay as they were made"
    ]


def test_two_networks_in_a_file(folder: Path, state: dict[str, Tensor]) -> None:
    torch.save({f"{name}.{key}": tensor for name in "ab" for key, tensor in state.items()}, folder / "two.pt")
    with pytest.raises(InputError, match=r"two\.pt fit in several ways: the keys with 'a\.', 'b\.' each do"):
        load_model("users_weighted:Net", "two.pt")


def test_keys_of_another_world_are_shown_beside_the_networks(folder: Path) -> None:
    torch.save({f"conv{number}.kernel": torch.ones(3) for number in range(9)}, folder / "other.pt")
    message = r"no key of the file is one of the network: the file has conv0\.kernel, .* and the network linear\.weight"
    with pytest.raises(InputError, match=message):
        load_model("users_weighted:Net", "other.pt")
