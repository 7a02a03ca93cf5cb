"""Networks as people have them, from the command line: whatever they take and return, it is right or one clear line."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from captum_superpixel.attr.methods import METHODS
from captum_superpixel.cli import main
from captum_superpixel.explain.network import needs_gradient
from captum_superpixel.models.loading import load_model

NETWORKS = Path(__file__).with_name("networks_of_users.py").read_text()

Captured = pytest.CaptureFixture[str]
WITHOUT_GRADIENT = [
    "FeatureAblation",
    "Lime",
    "KernelShap",
    "OwenValues",
    "ShapleyValueSampling",
    "ShapleyValues",
    "Occlusion",
]
PROGRAMS = ["script", "trace", "program", "module"]


@pytest.fixture(autouse=True)
def module(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of networks in the current folder, of a name that no other test has."""
    name = f"networks_{abs(hash(str(folder)))}"
    (folder / f"{name}.py").write_text(NETWORKS)
    return name


@pytest.fixture
def explain(module: str) -> Callable[..., int]:
    """Explain the photograph by a network of the module, or of a file, into ``out.npz``."""

    def run(network: str, *arguments: str) -> int:
        model = network if "." in network else f"{module}:{network}"
        masks = [] if "--masks" in arguments else ["--masks", "grid:4"]
        out = [] if "--out" in arguments else ["--out", "out.npz"]
        return main(["explain", "cat.png", "--model", model, "--size", "16", *masks, *out, *arguments])

    return run


def arrays() -> dict[str, np.ndarray]:
    with np.load("out.npz", allow_pickle=False) as file:
        return dict(file)


def returned(module: str, network: str) -> torch.Tensor:
    """What the network returns for the photograph of the explanation."""
    pixels = torch.from_numpy(arrays()["image"])[None].float() / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        return load_model(f"{module}:{network}")((pixels - mean) / std)[0]


def test_each_class_for_itself(explain: Callable[..., int], module: str, capsys: Captured) -> None:
    assert explain("multi_label", "--method", "Saliency") == 0
    expected = returned(module, "multi_label").sort(descending=True).values
    assert arrays()["prediction_probability"] == pytest.approx(expected.numpy(), abs=1e-5)
    printed = capsys.readouterr().out
    assert "outputs: the network's outputs are a probability of its own for each class, which is explained" in printed
    assert re.search(r"\n  likeliest  +[\d.]+ %  class \d\n", printed)
    assert f"\n  each class for itself: {int((expected > 0.5).sum())} of 3 are above 50 %\n" in printed
    assert "predicted" not in printed


def test_transformers_say_what_their_outputs_are(folder: Path, explain: Callable[..., int], capsys: Captured) -> None:
    transformers = pytest.importorskip("transformers")
    for problem in ("multi_label_classification", "regression", "single_label_classification"):
        config = transformers.ResNetConfig(
            embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic", num_labels=3, problem_type=problem
        )
        network = transformers.ResNetForImageClassification(config).eval()
        network.classifier[1].bias.data = torch.tensor([1.0, 2.0, -1.0])
        network.save_pretrained(folder / f"net.{problem}")
        assert explain(f"./net.{problem}", "--method", "Saliency") == 0
        found = arrays()
        values = torch.from_numpy(found["prediction_value"])
        expected = {
            "multi_label_classification": values.sigmoid(),
            "single_label_classification": values.softmax(0),
            "regression": values * torch.nan,
        }[problem]
        assert found["prediction_probability"] == pytest.approx(expected.numpy(), abs=1e-5, nan_ok=True)
        printed = capsys.readouterr().out
        assert {"m": "likeliest", "r": "largest", "s": "predicted"}[problem[0]] in printed
        assert ("outputs: " in printed) == (problem[0] != "s")


def test_transformers_networks_as_they_are(folder: Path, module: str, capsys: Captured) -> None:
    """From a factory, they return objects with logits."""
    pytest.importorskip("transformers")
    (folder / f"{module}_hf.py").write_text(
        "import transformers\n"
        "def load():\n"
        "    config = transformers.ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], num_labels=3)\n"
        "    return transformers.ResNetForImageClassification(config)\n"
    )
    options = ["--size", "16", "--masks", "grid:4", "--out", "out.npz"]
    for method in (["Saliency"], ["KernelShap"], ["LayerGradCam", "--layer", "resnet.encoder.stages.0"], ["DeepLift"]):
        assert main(["explain", "cat.png", "--model", f"{module}_hf:load", *options, "--method", *method]) == 0
    assert "predicted" in capsys.readouterr().out


def test_logarithms_of_probabilities(explain: Callable[..., int], module: str, capsys: Captured) -> None:
    assert explain("log_softmax", "--method", "Saliency") == 0
    expected = returned(module, "log_softmax").exp().sort(descending=True).values
    assert arrays()["prediction_probability"] == pytest.approx(expected.numpy(), abs=1e-5)
    assert "outputs: the network's outputs are log-probabilities, which are explained" in capsys.readouterr().out


@pytest.mark.parametrize("network", ["binary", "flat"])
def test_one_output_that_is_a_probability(
    network: str, explain: Callable[..., int], module: str, folder: Path, capsys: Captured
) -> None:
    (folder / "labels.txt").write_text("no\nyes\n")
    assert explain(network, "--labels", "labels.txt", "--method", "IntegratedGradients") == 0
    found = arrays()
    assert found["prediction_probability"].tolist() == pytest.approx([float(returned(module, network))], abs=1e-5)
    assert found["prediction_probability"][0] < 0.1
    assert str(found["target_name"]) == "yes"
    printed = capsys.readouterr().out
    assert "outputs: the network's output is a probability of what the one output stands for" in printed
    assert re.search(r"\n  output  +\d\.\d %  output 0, yes\n", printed)


@pytest.mark.parametrize("network", ["logit", "squeezed"])
@pytest.mark.parametrize("activation", ["auto", "none", "sigmoid"])
def test_one_output_that_is_a_number(
    network: str, activation: str, explain: Callable[..., int], module: str, capsys: Captured
) -> None:
    assert explain(network, "--activation", activation, "--target", "0", "--method", "FeatureAblation") == 0
    value, found = float(returned(module, network)), arrays()
    assert found["prediction_value"].tolist() == pytest.approx([value], abs=1e-5)
    expected = torch.tensor(value).sigmoid().item() if activation == "sigmoid" else np.nan
    assert found["prediction_probability"].tolist() == pytest.approx([expected], abs=1e-5, nan_ok=True)
    printed = capsys.readouterr().out
    assert re.search(rf"\n  output +{'[0-9.]+ %' if activation == 'sigmoid' else '-[0-9.]+'}  output 0\n", printed)


def test_words_that_contradict_the_network(explain: Callable[..., int], capsys: Captured) -> None:
    assert explain("logit", "--activation", "softmax") == 2
    assert capsys.readouterr().err == (
        "captum-superpixel: error: --activation softmax: the network has one output, whose softmax is always 1; pass "
        "sigmoid, or none for a number.\n"
    )


@pytest.mark.parametrize("name", ["Saliency", "GradientShap", "DeepLiftShap", "KernelShap", "LayerGradCam", "XRAI"])
def test_gray_networks_are_given_gray_pictures(name: str, explain: Callable[..., int], capsys: Captured) -> None:
    layer = ["--layer", "0"] if METHODS[name].layer else []
    assert explain("gray", "--method", name, *layer, "--masks", "slic:6") == 0
    found = arrays()
    assert found["map"].shape == (1, 16, 16)
    with Image.open("cat.png") as photograph:
        colors = torch.from_numpy(np.array(photograph.convert("RGB").resize((16, 16))))
    assert np.ptp(found["image"], axis=0).max() == 0  # three equal channels
    assert colors.float().std(dim=2).max() > 5  # of a photograph with colors
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "preprocessing: ImageNet's, but for --size, in gray, for its one channel",
        "  cropped to 16 x 16, gray",
        "  (pixels * 0.003922 - (0.449)) / (0.226)",
    ]


@pytest.mark.parametrize("order", [[], ["--channel-order", "gray"]])
def test_statistics_of_one_channel(order: list[str], explain: Callable[..., int], capsys: Captured) -> None:
    assert explain("gray", *order, "--mean", "0.5", "--std", "0.25", "--method", "Saliency") == 0
    assert "- (0.5)) / (0.25)" in capsys.readouterr().out


def test_options_with_numbers_leave_the_photographs_behind_them(module: str) -> None:
    arguments = ["--masks", "grid:4", "--size", "16", "--method", "Saliency", "--out", "out.npz"]
    numbers = ["--mean", "-.5", "0", "1e-1", "--std", ".5", "1", "2."]
    assert main(["explain", "--model", f"{module}:plain", *arguments, *numbers, "cat.png"]) == 0


@pytest.mark.parametrize(
    ("network", "headline"),
    [
        ("gray", r"Predicted and explained: class \d \([\d.]+ %\)"),
        ("binary", r"Explained: output 0 \([\d.]+ %\)"),
        ("logit", r"Explained: output 0 = -[\d.]+"),
        ("multi_label", r"Likeliest and explained: class \d \([\d.]+ %\)"),
    ],
)
def test_pictures_and_pages_of_other_networks(network: str, headline: str, explain: Callable[..., int]) -> None:
    assert explain(network, "--method", "Saliency", "--out", "out.png") == 0
    assert explain(network, "--method", "Saliency", "--out", "out.html") == 0
    page = Path("out.html").read_text(encoding="utf-8")
    (line,) = re.findall(r'<p class="prediction">(.*?)</p>', page)
    assert re.fullmatch(headline, re.sub("<[^>]*>", "", line).replace("\N{NO-BREAK SPACE}", " "))
    # What the map speaks for has a name, and the value of an output is no part of it.
    assert re.search(r'"className":"(class|output) \d"', page)


def test_other_numbers_of_channels_are_one_line(explain: Callable[..., int], fails, module: str) -> None:
    message = fails("cat.png", "--model", f"{module}:four", "--size", "16")
    assert message == (
        f"captum-superpixel: error: --model {module}:four takes images of 4 channels, not of 3; explain gives it "
        "three, or one: wrap it in a module that makes its channels of these.\n"
    )
    message = fails("cat.png", "--model", f"{module}:gray", "--size", "16", "--channel-order", "bgr")
    assert message.endswith("takes images of 1 channels, not of 3; pass --channel-order gray.\n")


@pytest.mark.parametrize("network", ["black_box", "Numpy", "function"])
@pytest.mark.parametrize("name", WITHOUT_GRADIENT)
def test_black_boxes_are_perturbed(network: str, name: str, explain: Callable[..., int], module: str) -> None:
    assert explain(network, "--method", name, "--target", "1") == 0
    found = arrays()["map"]
    assert explain("plain", "--method", name, "--target", "1") == 0
    np.testing.assert_allclose(found, arrays()["map"], atol=1e-6)


@pytest.mark.parametrize("network", ["black_box", "Numpy", "function"])
def test_black_boxes_have_no_gradient(network: str, fails, module: str) -> None:
    message = fails("cat.png", "--model", f"{module}:{network}", "--size", "16")
    assert "has no gradient with respect to its input" in message
    for name in WITHOUT_GRADIENT:
        assert name in message
    assert len(message) < 500


def test_which_methods_ask_for_gradients() -> None:
    without = {name for name in METHODS if not needs_gradient(name)}
    assert without == {*WITHOUT_GRADIENT, "LayerFeatureAblation", "LayerActivation"}


@pytest.mark.parametrize("network", PROGRAMS)
@pytest.mark.parametrize("name", [name for name in METHODS if not METHODS[name].layer])
def test_programs_are_explained_as_their_networks(
    network: str, name: str, explain: Callable[..., int], capsys: Captured
) -> None:
    status = explain(network, "--method", name, "--target", "1")
    captured = capsys.readouterr()
    if name in ("DeepLift", "DeepLiftShap", "GuidedBackprop", "Deconvolution", "LRP"):
        assert status == 2
        assert re.search(
            rf"error: --method {name} looks into a network's layers, .* use Saliency, .*\.\n$", captured.err
        )
        return
    assert (status, captured.err) == (0, "")
    found = arrays()["map"]
    assert explain("plain", "--method", name, "--target", "1") == 0
    np.testing.assert_allclose(found, arrays()["map"], atol=1e-5)


@pytest.mark.parametrize("network", PROGRAMS)
@pytest.mark.parametrize("layer", [[], ["--layer", "0"]])
def test_programs_show_no_layers(network: str, layer: list[str], fails, module: str) -> None:
    message = fails("cat.png", "--model", f"{module}:{network}", "--size", "16", "--method", "LayerGradCam", *layer)
    kind = "TorchScript" if network in ("script", "trace") else "torch.export"
    assert f"--method LayerGradCam looks into a network's layers, and a program of {kind} does not show them" in message
    assert len(message) < 450


@pytest.mark.parametrize("name", ["net.pt", "net.pt2"])
def test_programs_in_files(name: str, explain: Callable[..., int], module: str, capsys: Captured) -> None:
    network = load_model(f"{module}:plain")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if name == "net.pt":
            torch.jit.script(__import__(module).plain().eval()).save(name)
        else:
            torch.export.save(torch.export.export(__import__(module).plain().eval(), (torch.rand(1, 3, 16, 16),)), name)
    assert network is not None
    assert explain(name, "--method", "KernelShap", "--target", "1") == 0
    found = arrays()["map"]
    assert explain("plain", "--method", "KernelShap", "--target", "1") == 0
    np.testing.assert_allclose(found, arrays()["map"], atol=1e-5)


def test_programs_say_which_pictures_they_take(module: str, capsys: Captured) -> None:
    arguments = ["--masks", "grid:4", "--method", "Saliency", "--out", "out.npz"]
    assert main(["explain", "cat.png", "--model", f"{module}:gray_program", *arguments]) == 0
    assert arrays()["map"].shape == (1, 16, 16)
    assert "ImageNet's, of the size that the program takes, in gray, for its one channel" in capsys.readouterr().out
    assert main(["explain", "cat.png", "--model", f"{module}:program", "--size", "24", *arguments]) == 2
    error = capsys.readouterr().err
    assert re.search(r"fails on an input of shape \(1, 3, 24, 24\) .*16.*--size sets their height and width", error)
    assert len(error) < 400


def test_errors_of_torchscript_are_short(module: str, fails) -> None:
    message = fails("cat.png", "--model", f"{module}:script", "--size", "16", "--channel-order", "gray")
    assert re.search(r"takes images of 3 channels, not of 1", message)
    assert len(message) < 300


@pytest.mark.parametrize("network", ["holds_program", "holds_script"])
def test_networks_that_hold_programs(network: str, explain: Callable[..., int], capsys: Captured) -> None:
    assert explain(network, "--method", "Saliency", "--target", "1") == 0
    found = arrays()["map"]
    assert explain("plain", "--method", "Saliency", "--target", "1") == 0
    np.testing.assert_allclose(found, arrays()["map"], atol=1e-5)
    assert explain(network, "--method", "LayerGradCam", "--layer", "net.0") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert len(error) < 450


def test_networks_that_stay_in_training_mode(explain: Callable[..., int], capsys: Captured) -> None:
    assert explain("plain", "--method", "Saliency") == 0
    assert "training mode" not in capsys.readouterr().out
    assert explain("Restless", "--method", "Saliency") == 0
    assert "training mode" not in capsys.readouterr().out  # the flags of its layers can be set
    assert explain("Stubborn", "--method", "Saliency") == 0
    printed = capsys.readouterr().out
    assert printed.count("stays in training mode, although eval() was called, and holds Dropout, BatchNorm2d") == 1
    assert explain("random", "--method", "Saliency") == 0
    assert capsys.readouterr().out.count("outputs differ from call to call, as in training mode") == 1


@pytest.mark.parametrize("what", ["modules", "requires_grad_", "to", "labels", "preprocessing", "named_modules"])
def test_whatever_a_network_raises_is_one_line(what: str, fails, module: str) -> None:
    layer = ["--method", "LayerGradCam", "--layer", "net.0"] if what == "named_modules" else []
    message = fails("cat.png", "--model", f"{module}:refuses_{what}", "--size", "16", *layer)
    assert re.search(rf"--model {module}:refuses_{what} .*Error: no [a-z]+ today\)", message)


def test_a_network_without_state(module: str, capsys: Captured) -> None:
    torch.save({"net.0.weight": torch.zeros(1)}, "w.pt")
    assert main(["explain", "cat.png", "--model", f"{module}:refuses_state_dict", "--weights", "w.pt"]) == 2
    assert "does not give its parameters (RuntimeError: no state today)" in capsys.readouterr().err
