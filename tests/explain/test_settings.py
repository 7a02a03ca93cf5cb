"""Several methods and their settings, as they are typed."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from captum_superpixel._checks import InputError
from captum_superpixel.attr.completeness import Completeness
from captum_superpixel.cli import main
from captum_superpixel.explain.attributing import describe_missed
from captum_superpixel.explain.methods import find_methods

NETWORK = ["--model", "explain_net:load", "--size", "16", "--masks", "grid:4"]
Files = Callable[[], list[str]]
Captured = pytest.CaptureFixture[str]


def run(*arguments: str) -> dict[str, np.ndarray]:
    """Explain the photograph, and return the arrays."""
    assert main(["explain", "cat.png", *NETWORK, *arguments, "--out", "out.npz"]) == 0
    with np.load("out.npz") as arrays:
        return dict(arrays)


def test_several_methods_share_a_prediction_and_a_page(files: Files, capsys: Captured) -> None:
    methods = ["--method", "saliency", "--method", "FeatureAblation", "--method", "Saliency"]
    formats = ["--format", "png", "--format", "html", "--format", "npz"]
    assert main(["explain", "cat.png", *NETWORK, *methods, *formats, "--top", "3", "--out", "out"]) == 0
    names = ["cat.FeatureAblation", "cat.Saliency"]
    assert files() == [
        "out",
        *sorted(
            [*(f"out/{name}.{kind}" for name in names for kind in ("npz", "png")), "out/cat.html", "out/index.html"]
        ),
    ]
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("predicted") == 1
    assert re.search(r"Saliency, mean over grid:4 .*\n(.*\n)+  FeatureAblation, mean over grid:4", out)
    assert out.count("rank ") == 2
    assert out.endswith("wrote out/index.html\n")
    page = Path("out/cat.html").read_text(encoding="utf-8")
    assert re.findall(r'"name":"(\w+)"', page) == ["Saliency", "FeatureAblation"]
    assert re.findall(r'"scoreName":"([\w ]+)"', page) == ["mean magnitude", "effect"]
    for name in names:
        with np.load(f"out/{name}.npz") as arrays:
            assert f"cat.{arrays['method']}" == name


def test_the_network_sees_a_photograph_once_for_several_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    from captum_superpixel.explain import explainer

    batches: list[int] = []

    def counting(original: Callable[..., object]) -> Callable[..., object]:
        def count(model: torch.nn.Module, inputs: torch.Tensor, *others: object, **options: object) -> object:
            batches.append(len(inputs))
            return original(model, inputs, *others, **options)

        return count

    for name in ("classify", "classify_once"):
        monkeypatch.setattr(explainer, name, counting(getattr(explainer, name)))
    methods = ["--method", "Saliency", "--method", "InputXGradient", "--method", "Occlusion"]
    assert main(["explain", "cat.png", *NETWORK, *methods, "--out", "out.html"]) == 0
    assert batches == [1]


def test_a_method_that_fails_does_not_take_the_others_down(files: Files, capsys: Captured) -> None:
    arguments = ["--model", "explain_net:flat", "--size", "16", "--masks", "grid:4", "--format", "npz", "--out", "out"]
    assert main(["explain", "cat.png", *arguments, "--method", "LRP", "--method", "Saliency"]) == 1
    assert files() == ["out", "out/cat.Saliency.npz", "out/index.html"]
    captured = capsys.readouterr()
    assert "  not explained: LRP failed on this network" in captured.out
    assert "  Saliency, mean over grid:4" in captured.out
    assert captured.err.startswith("captum-superpixel: error: cat.png: LRP failed on this network")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "Saliency", "--steps", "9"], "--steps 9: Saliency has no steps; leave it out, or use one of Int"),
        (
            ["--samples", "9"],
            "--samples 9: IntegratedGradients has no samples; leave it out, or use one of SmoothGrad,",
        ),
        (
            ["--method", "Saliency", "--method", "SmoothGrad", "--baseline", "mean"],
            "--baseline mean: Saliency, SmoothGrad have no single baseline; leave it out, or use one of IntegratedGrad",
        ),
        (["--method", "GradientShap", "--baseline", "0"], "--baseline 0: GradientShap has no single baseline; leave"),
        (["--method", "Saliency", "--method", "Lime", "--layer", "conv"], "--layer conv: Saliency, Lime need no layer"),
        (["--method", "Saliency", "--method", "Salient"], "--method Salient is no method .* did you mean Saliency"),
        (
            ["--method", "Lime", "--method", "Saliency", "--out", "x.png"],
            "--out x.png holds one method, and there are 2",
        ),
    ],
)
def test_what_no_method_takes_is_an_error(options: list[str], message: str, fails: Callable[..., str]) -> None:
    assert re.search(message, fails("cat.png", *NETWORK, *options))


def test_what_one_of_several_methods_takes_is_for_that_one(capsys: Captured) -> None:
    methods = ["--method", "Saliency", "--method", "IntegratedGradients", "--steps", "7", "--baseline", "mean"]
    assert main(["explain", "cat.png", *NETWORK, *methods, "--out", "out.html"]) == 0
    assert capsys.readouterr().out.count("  baseline: the photograph's mean color") == 1


def test_settings_reach_the_methods() -> None:
    few, more, many = (run("--steps", count)["map"] for count in ("1", "50", "51"))
    assert not np.allclose(few, more, rtol=0.01)
    assert np.allclose(run()["map"], more)
    assert np.allclose(more, many, rtol=0.1, atol=1e-3)
    noisy = [run("--method", "SmoothGrad", "--samples", count)["map"] for count in ("1", "25")]
    assert np.array_equal(run("--method", "SmoothGrad")["map"], noisy[1])
    assert not np.allclose(*noisy, rtol=0.01)
    small = run("--method", "FeatureAblation", "--batch-size", "1")["map"]
    assert np.allclose(small, run("--method", "FeatureAblation")["map"], atol=1e-4)


@pytest.mark.parametrize("method", ["FeatureAblation", "InputXGradient"])
@pytest.mark.parametrize("kind", ["0", "mean", "blur", "segment-mean"])
def test_baselines_are_what_they_are_called(kind: str, method: str) -> None:
    """The network adds up the red channel of the photograph: an effect is what a region has more than its baseline."""
    plain = ["--model", "explain_net:red", "--scale", "1", "--mean", "0", "0", "0", "--std", "1", "1", "1"]
    perturbs = method == "FeatureAblation"
    options = ["--method", method if perturbs else "IntegratedGradients", "--target", "1", "--baseline", kind, *plain]
    arrays = run(*options, *([] if perturbs else ["--reduction", "sum"]))
    red = arrays["image"][0].astype(float)
    for region, score in zip(arrays["region_id"], arrays["region_score"], strict=True):
        inside = arrays["mask"] == region
        mean = {"0": 0, "mean": red.mean(), "segment-mean": red[inside].mean()}.get(kind)
        if mean is not None:
            assert score == pytest.approx(red[inside].sum() - inside.sum() * mean, abs=0.5)
    if kind == "blur":
        assert 0 < np.abs(arrays["region_score"]).max() < red.sum() / 10
    assert str(arrays["baseline"]).startswith(
        {"0": "0 in the network's units, the color (0, 0, 0)", "mean": "the photo"}.get(kind, "the ")
    )


def test_means_of_segments_belong_to_each_segmentation() -> None:
    """Each member of an ensemble has baselines of its own, so that none of the maps sees a change."""
    plain = ["--model", "explain_net:red", "--scale", "1", "--mean", "0", "0", "0", "--std", "1", "1", "1"]
    arrays = run("--masks", "multiscale", "--baseline", "segment-mean", "--target", "1", *plain)
    assert len(arrays["ensemble_masks"]) > 1
    red = torch.from_numpy(arrays["image"][0].astype(np.float32))
    deviations = []
    for mask in torch.from_numpy(arrays["ensemble_masks"]):
        means = torch.stack([red[mask == region].mean() for region in range(int(mask.max()) + 1)])
        deviations.append(red - means[mask])
    expected = torch.stack(deviations).mean(dim=0).numpy()
    assert np.allclose(arrays["pixel_map"][0], expected, atol=0.01)
    assert np.abs(arrays["map"]).max() < 0.01 < np.abs(arrays["pixel_map"]).max()


def test_methods_are_taken_once() -> None:
    assert find_methods(["xrai", "XRAI", "Lime"]) == ["XRAI", "Lime"]
    with pytest.raises(InputError, match="did you mean IntegratedGradients"):
        find_methods(["Lime", "IntegratedGradient"])


def test_hooks_that_find_nothing_are_said(capsys: Captured) -> None:
    for method, expected in (("GuidedBackprop", True), ("Deconvolution", True), ("Saliency", False)):
        arguments = ["--model", "explain_net:functional", "--method", method]
        warnings = run(*arguments)["warnings"].tolist()
        assert [text.partition(",")[0] for text in warnings] == [
            f"{method} finds no torch.nn.ReLU in Functional"
        ] * expected
        assert (f"warning: {method} finds no" in capsys.readouterr().out) == expected


def test_maps_that_miss_the_change_of_the_output_are_said(capsys: Captured) -> None:
    """DeepLift takes a function for linear, and five steps are too few."""
    arguments = ["--model", "explain_net:functional", "--method", "DeepLift", "--baseline", "blur"]
    (warning,) = run(*arguments)["warnings"].tolist()
    number = re.search(
        r"the map adds up to (\S+)( \w+)?, but the output changes by (\S+)( \w+)? from the baseline, (\d+) % off",
        warning,
    )
    assert number is not None
    assert number[2] == number[4]  # one unit for both
    total, change, off = map(float, number.group(1, 3, 5))
    assert off == pytest.approx(100 * abs(total - change) / abs(change), abs=3)
    assert "make the others modules" in warning
    assert run("--method", "DeepLift")["warnings"].tolist() == []
    assert run("--steps", "100")["warnings"].tolist() == []
    (few,) = run("--steps", "1")["warnings"].tolist()
    assert few.endswith("% off: take more --steps")
    out = capsys.readouterr().out
    assert " ".join(out.split()).count("warning: the map adds up to") == 2
    assert max(map(len, out.splitlines())) <= 80


def test_what_little_is_missed_is_not_said() -> None:
    assert describe_missed("LRP", Completeness(1.05, 1.0)) == ""
    assert describe_missed("LRP", Completeness(float("nan"), 1.0)) == ""
    assert describe_missed("LRP", Completeness(2.0, 1.0)).startswith("the map adds up to 2, but the output is 1, 100 %")
    assert "from the baselines on average, 50 % off" in describe_missed("DeepLiftShap", Completeness(1.0, 2.0))
    assert "% off" not in describe_missed("DeepLift", Completeness(1.0, 0.0))


def test_remarks_are_kept_and_printed_also_of_photographs_that_fail(capsys: Captured) -> None:
    dark = np.zeros((16, 16), dtype=np.uint16)
    Image.fromarray(dark).save("black.png")
    Image.fromarray(dark + np.arange(256, dtype=np.uint16).reshape(16, 16)).save("dark.png")
    pixels = ["--scale", "1", "--mean", "0", "0", "0", "--std", "1", "1", "1"]
    network = ["--model", "explain_net:broken_on_black", "--size", "16", "--masks", "grid:4", *pixels]
    arguments = [
        "black.png",
        "dark.png",
        "cat.png",
        *network,
        "--method",
        "Saliency",
        "--format",
        "npz",
        "--out",
        "out",
    ]
    assert main(["explain", *arguments]) == 1
    captured = capsys.readouterr()
    printed = " ".join(captured.out.split())
    assert re.search(r"black.png note: [^:]*(shade|black|same|sliver).* not explained: The network fails", printed)
    assert "black.png: The network fails" in " ".join(captured.err.split())
    with np.load("out/dark.npz") if Path("out/dark.npz").exists() else np.load("out/cat.npz") as arrays:
        assert arrays["remarks"].dtype.kind == "U"
    with np.load("out/cat.npz") as arrays:
        assert arrays["remarks"].tolist() == []


def test_the_page_has_remarks_and_warnings_and_the_prediction() -> None:
    Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16)).save("dark.png")
    methods = ["--method", "Lime", "--method", "KernelShap", "--samples", "3", "--target", ""]
    network = ["--model", "explain_net:named", "--size", "16", "--masks", "grid:9"]
    headlines = []
    for target in ("1", "2"):
        arguments = ["explain", "dark.png", *network, *methods[:-1], target, "--out", "out.html"]
        assert main(arguments) == 0
        page = Path("out.html").read_text(encoding="utf-8")
        assert "note: uses a sliver of its range" in page
        assert "Lime: Lime fits 9 features to n_samples=3" in page
        assert "KernelShap: KernelShap fits 9 features" in page
        headlines.append(re.findall(r"<span>(\w[\w ]*): <strong>([^<(]*) \(\d", page))
    assert headlines == [
        [("Predicted and explained", "tiger cat")],
        [("Explained", "lynx"), ("Predicted", "tiger cat")],
    ]


def test_a_map_of_activations_is_of_no_class() -> None:
    methods = ["--method", "LayerActivation", "--method", "LayerGradCam", "--layer", "features.0"]
    network = ["--model", "explain_net:named", "--size", "16", "--masks", "grid:9"]
    assert main(["explain", "cat.png", *network, *methods, "--out", "out.html"]) == 0
    page = Path("out.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1])
    assert [(each["name"], each["className"], each["signed"], each["scoreName"]) for each in data["methods"]] == [
        ("LayerActivation", "", True, "mean activation"),
        ("LayerGradCam", "lynx", True, "mean attribution"),
    ]
    assert len(re.findall("explained: <strong>lynx", page)) == 1
    assert "<h1>cat.png: LayerActivation, LayerGradCam over grid:9, layer features.0</h1>" in page
    assert main(["explain", "cat.png", *network, *methods[:2], *methods[4:], "--out", "out.html"]) == 0
    page = Path("out.html").read_text(encoding="utf-8")
    assert "<h1>cat.png: LayerActivation of features.0, mean over grid:9</h1>" in page
    assert re.search("<span>Predicted: <strong>lynx \\(\\d", page)
