"""Programs of TorchScript and torch.export are called as the networks that they were made from."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from captum.attr import KernelShap, Saliency
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped
from captum_superpixel._checks import InputError
from captum_superpixel.masks import Grid
from captum_superpixel.models.loading import load_model
from captum_superpixel.models.programs import Program, is_program

EXAMPLE = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
IMAGES = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def _forgotten_programs() -> None:
    """PyTorch 2.6 refuses to export a ninth network of the same code in one process."""
    torch.compiler.reset()


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()


class OneImage(nn.Module):
    """Takes one image at a time, as programs that were recorded with one mostly do."""

    def __init__(self) -> None:
        super().__init__()
        *layers, _, self.linear = network()
        self.features = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(self.features(images).view(1, 144))


class Answers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"logits": self.net(images)}


def scripted(net: nn.Module) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(net)


def traced(net: nn.Module) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(net, EXAMPLE, strict=False)


def exported(net: nn.Module, count: int = 1) -> object:
    return torch.export.export(net, (EXAMPLE.repeat(count, 1, 1, 1),))


def exported_module(net: nn.Module) -> object:
    return exported(net).module()


def exported_for_four(net: nn.Module) -> object:
    return exported(net, 4)


def exported_for_any(net: nn.Module) -> object:
    count = torch.export.Dim("count", min=1, max=64)
    return torch.export.export(net, (IMAGES[:2],), dynamic_shapes=({0: count},))


MAKERS = [scripted, traced, exported, exported_module, exported_for_four, exported_for_any]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_programs_return_what_their_networks_return(make: Callable[..., object], count: int) -> None:
    program = Program(make(network()))
    torch.testing.assert_close(program(IMAGES[:count]), network()(IMAGES[:count]))
    inputs = [IMAGES[:count].clone().requires_grad_() for _ in range(2)]
    for model, given in zip((program, network()), inputs, strict=True):
        model(given)[:, 1].sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)


@pytest.mark.parametrize("make", [scripted, traced, exported])
def test_programs_that_take_one_image(make: Callable[..., object]) -> None:
    program = Program(make(OneImage()))
    for _ in range(2):
        torch.testing.assert_close(program(IMAGES), network()(IMAGES))
    assert program.batch_size == 1


@pytest.mark.parametrize("make", [traced, exported])
def test_programs_that_return_objects(make: Callable[..., object]) -> None:
    torch.testing.assert_close(Program(make(Answers()))(IMAGES), network()(IMAGES))


def test_the_shape_that_a_program_takes() -> None:
    assert Program(exported(network())).shape == (1, 3, 8, 8)
    assert Program(exported_for_any(network())).shape == (None, 3, 8, 8)
    assert Program(scripted(network())).shape == (None,) * 4


@pytest.mark.parametrize("make", MAKERS)
def test_modes_and_gradients_are_set_where_they_can_be(make: Callable[..., object]) -> None:
    program = Program(make(network())).train().eval().requires_grad_(False)
    assert not any(parameter.requires_grad for parameter in program.parameters())
    assert not program.training
    torch.testing.assert_close(program(IMAGES[:1]), network()(IMAGES[:1]))


def test_errors_of_one_image_come_through() -> None:
    program = Program(scripted(network()))
    with pytest.raises(Exception, match="expected input"):
        program(torch.rand(1, 1, 8, 8))


@pytest.mark.parametrize("make", [scripted, traced, exported_module])
def test_the_wrapper_takes_programs_as_they_are(make: Callable[..., object]) -> None:
    program, expected = make(network()), network()
    image = IMAGES[:1].clone().requires_grad_()
    maps = [SuperpixelGrouped(Saliency(model), Grid(4)).attribute(image, target=1) for model in (program, expected)]
    torch.testing.assert_close(*maps)


def test_the_wrapper_perturbs_through_programs_of_one_image() -> None:
    grouped = [SuperpixelGrouped(KernelShap(model), Grid(4)) for model in (Program(exported(OneImage())), network())]
    maps = []
    for method in grouped:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            maps.append(method.attribute(IMAGES[:1], target=0, n_samples=20, perturbations_per_eval=8))
    torch.testing.assert_close(*maps)


def test_what_is_a_program() -> None:
    assert all(is_program(make(network())) for make in MAKERS)
    assert not any(map(is_program, [network(), torch.fx.symbolic_trace(network()), None, len]))
    with pytest.raises(TypeError, match="not a int"):
        Program(3)


@pytest.mark.parametrize("name", ["net.pt", "net.ts", "net.pt2"])
def test_files(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if name.endswith("pt2"):
            torch.export.save(exported(network()), path)
        else:
            torch.jit.save(torch.jit.script(network()), path)
    program = load_model(str(path))
    torch.testing.assert_close(program(IMAGES), network()(IMAGES))
    with pytest.raises(InputError, match=rf"{name} comes with its weights; leave out the weights w\.pt"):
        load_model(str(path), "w.pt")


@pytest.mark.parametrize("name", ["net.pt", "net.pt2"])
@pytest.mark.parametrize("content", ["state", "module", "nothing", "text"])
def test_files_that_hold_no_program(name: str, content: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    if content in ("nothing", "text"):
        path.write_bytes(b"" if content == "nothing" else b"no program at all")
    else:
        torch.save(network().state_dict() if content == "state" else network(), path)
    kind = "export" if name.endswith("2") else "jit"
    with pytest.raises(
        InputError, match=rf"{name} holds no program as torch\.{kind}\.save writes it .* MODULE:FACTORY"
    ) as caught:
        load_model(str(path))
    assert len(str(caught.value)) < 500 + len(str(path)) * 2
    assert capfd.readouterr().err == ""
