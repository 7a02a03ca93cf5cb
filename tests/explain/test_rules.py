"""Evidence, views and what is recommended, as they are typed: the maps of the library, and what they are called."""

import importlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import Attribution
from torch import Tensor, nn

from captum_superpixel import Contributions, SuperpixelGrouped, ViewTunnel, recommended, region_table
from captum_superpixel._seeds import seeded
from captum_superpixel.attr import group_maps, recipes
from captum_superpixel.attr.methods import METHODS, Scene, make_method, method_options
from captum_superpixel.attr.recipes import Recipe
from captum_superpixel.cli import main
from captum_superpixel.datasets.preprocessing import IMAGENET
from captum_superpixel.explain.figure import describe, draw
from captum_superpixel.masks import Grid, multiscale

NETWORK = ["--model", "explain_net:load", "--size", "16", "--target", "2"]
PREPROCESSING = IMAGENET.replaced(size=16)
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evidence over 8 views for all methods and sizes, but magnitudes of small images by gradients of noisy ones."""
    evidence = Recipe("evidence", 0.5, 8, (8, 16, 32, 64), (5.0, 15.0))
    changed = dict.fromkeys(recipes.RECIPES, evidence) | {("noisy", "small"): replace(evidence, reduction="abs_mean")}
    monkeypatch.setattr(recipes, "RECIPES", changed)


def run(*arguments: str) -> dict[str, np.ndarray]:
    """Explain the photograph, and return the arrays."""
    assert main(["explain", "cat.png", *NETWORK, *arguments, "--out", "out.npz"]) == 0
    with np.load("out.npz") as arrays:
        return dict(arrays)


def network() -> nn.Module:
    net: nn.Module = importlib.import_module("explain_net").load()
    return net.eval()


def attribute(make: Callable[[Attribution], Any], name: str, picture: np.ndarray, **options: Any) -> Tensor:
    """The map of a method of the library, with the arguments that the command gives it."""
    model = network()
    layer = {"LayerGradCam": "features", "LayerGradientXActivation": "features"}.get(name)
    method = make_method(name, model, None if layer is None else model.get_submodule(layer))
    inputs = PREPROCESSING.from_uint8(torch.from_numpy(picture)[None]).requires_grad_()
    arguments = method_options(name, method, Scene(inputs, 2)) | options
    with seeded(0):
        maps: Tensor = make(method).attribute(inputs, **arguments)
    return maps[0].detach()


def assert_same(arrays: dict[str, np.ndarray], expected: Tensor) -> None:
    torch.testing.assert_close(torch.from_numpy(arrays["map"]), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "weight"), [("Saliency", 0.5), ("SmoothGrad", 0.2), ("IntegratedGradients", -1)])
def test_evidence_is_of_contributions(name: str, weight: float) -> None:
    options = [] if weight == 0.5 else ["--negative-weight", str(weight)]
    arrays = run("--method", name, "--masks", "grid:4", "--reduction", "evidence", *options)
    grid = Grid(4, denormalize=PREPROCESSING.denormalize)

    def make(method: Attribution) -> Attribution:
        return SuperpixelGrouped(Contributions(method), grid, reduction="evidence", negative_weight=weight)

    assert_same(arrays, attribute(make, name, arrays["image"])[:1])
    pixels = attribute(Contributions, name, arrays["image"]).sum(dim=0, keepdim=True)
    torch.testing.assert_close(torch.from_numpy(arrays["pixel_map"]), pixels, rtol=1e-4, atol=1e-6)
    assert arrays["negative_weight"] == weight
    assert str(arrays["score_name"]) == "evidence"
    assert (arrays["pixel_map"] < 0).any()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Saliency", {}),
        ("InputXGradient", {}),
        ("GuidedBackprop", {"average": "abs"}),
        ("IntegratedGradients", {"spread": True}),
        ("SmoothGrad", {"spread": True, "abs": True}),
        ("SparsifiedSmoothGrad", {"spread": True}),
    ],
)
@pytest.mark.filterwarnings("ignore:Setting (forward|backward)")
def test_views_are_averaged(name: str, options: dict[str, Any]) -> None:
    arrays = run("--method", name, "--masks", "grid:4", "--views", "5")
    maps = attribute(ViewTunnel, name, arrays["image"], n_views=5, **options)
    torch.testing.assert_close(torch.from_numpy(arrays["pixel_map"]), maps, rtol=1e-4, atol=1e-6)
    assert_same(arrays, group_maps(maps[None], [torch.from_numpy(arrays["mask"])[None, None]])[0])
    assert arrays["views"] == 5
    assert "negative_weight" not in arrays


@pytest.mark.parametrize("reduction", ["mean", "abs_mean"])
def test_the_channels_of_a_layer_are_one_before_they_have_a_magnitude(reduction: str) -> None:
    name = "LayerGradientXActivation"
    arrays = run("--method", name, "--masks", "grid:4", "--views", "3", "--reduction", reduction, "--layer", "features")
    maps = attribute(ViewTunnel, name, arrays["image"], n_views=3).sum(dim=0, keepdim=True)
    assert_same(arrays, group_maps(maps[None], [torch.from_numpy(arrays["mask"])[None, None]], reduction)[0])


def test_views_of_superpixels_that_are_perturbed() -> None:
    arrays = run("--method", "FeatureAblation", "--masks", "grid:4", "--views", "3")
    grid = Grid(4, denormalize=PREPROCESSING.denormalize)
    maps = attribute(
        lambda method: SuperpixelGrouped(ViewTunnel(method), grid), "FeatureAblation", arrays["image"], n_views=3
    )
    assert_same(arrays, maps)
    assert str(arrays["score_name"]) == "effect"


@pytest.mark.parametrize(
    "name",
    [
        "Saliency",
        "SmoothGrad",
        "SparsifiedSmoothGrad",
        "IntegratedGradients",
        "DeepLift",
        "FeatureAblation",
        "LayerGradCam",
    ],
)
@pytest.mark.filterwarnings("ignore:Setting (forward|backward)")
def test_the_recommendation_is_that_of_the_library(name: str, capsys: Captured) -> None:
    layer = ["--layer", "features"] if name.startswith("Layer") else []
    arrays = run("--method", name, "--recommended", *layer)
    # Of noisy samples magnitudes are averaged, where these are recommended.
    options = {"abs": True} if name == "SmoothGrad" else {}
    expected = attribute(
        lambda each: recommended(each, denormalize=PREPROCESSING.denormalize), name, arrays["image"], **options
    )
    evidence = "negative_weight" in arrays
    noisy = name in ("SmoothGrad", "SparsifiedSmoothGrad")
    assert evidence == (not noisy and name not in ("FeatureAblation", "LayerGradCam"))
    assert_same(arrays, expected[:1] if evidence else expected)
    assert len(arrays["ensemble_masks"]) == 8
    manner = "evidence (negative weight 0.5)" if evidence else "abs_mean" if noisy else "mean"
    views = "" if name == "FeatureAblation" else ", 8 views"
    printed = " ".join(capsys.readouterr().out.split())
    assert re.search(
        rf"{name}( of features)?, {re.escape(manner)} over multiscale, 8 segmentations{views} \(\d+ regions\)", printed
    )


@pytest.mark.filterwarnings("ignore:Setting (forward|backward)")
def test_every_method_has_a_recommendation(capsys: Captured) -> None:
    """But for XRAI, and for ShapleyValues, which bears twelve superpixels."""
    names = [name for name in METHODS if name not in ("XRAI", "ShapleyValues")]
    methods = [text for name in names for text in ("--method", name)]
    few = ["--steps", "3", "--samples", "9", "--layer", "features.0", "--out", "out.html"]
    assert main(["explain", "cat.png", *NETWORK, *methods, "--recommended", *few]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.count(" over multiscale, 8 segmentations") == len(names)


def test_each_method_has_its_own_recipe(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    changed = dict(recipes.RECIPES)
    changed["gradient", "small"] = Recipe("abs_mean", n_views=3, n_segments=(5, 9), compactness=(7.0,))
    changed["path", "small"] = Recipe(negative_weight=0.2, n_views=2, n_segments=(6,))
    changed["gradient", "large"] = changed["path", "large"] = Recipe(n_views=1, n_segments=(2,))
    monkeypatch.setattr(recipes, "RECIPES", changed)
    methods = ["--method", "Saliency", "--method", "IntegratedGradients"]
    formats = ["--format", "npz", "--format", "html"]
    assert main(["explain", "cat.png", *NETWORK, *methods, "--recommended", *formats, "--out", "out"]) == 0
    with np.load("out/cat.Saliency.npz") as file:
        saliency = dict(file)
    with np.load("out/cat.IntegratedGradients.npz") as file:
        path = dict(file)
    inputs = PREPROCESSING.from_uint8(torch.from_numpy(saliency["image"])[None])
    for arrays, counts, weights in ((saliency, (5, 9), (7.0,)), (path, (6,), (5.0, 15.0))):
        masks = [mask(inputs) for mask in multiscale(counts, weights, denormalize=PREPROCESSING.denormalize)]
        assert np.array_equal(arrays["ensemble_masks"], torch.cat(masks)[:, 0].numpy())
    maps = attribute(ViewTunnel, "Saliency", saliency["image"], n_views=3)
    assert_same(saliency, group_maps(maps[None], list(torch.from_numpy(saliency["ensemble_masks"])[:, None, None]))[0])
    page = Path("out/cat.html").read_text(encoding="utf-8")
    first = "multiscale of 5, 9 superpixels at compactness 7"
    second = "multiscale of 6 superpixels at compactness 5, 15"
    assert f"<h1>cat.png: Saliency, IntegratedGradients over {first} and {second}</h1>" in page
    gallery = Path("out/index.html").read_text(encoding="utf-8")
    assert f"By Saliency, IntegratedGradients over {first} and {second}." in gallery
    assert f"Saliency, abs_mean over {first}, 2 segmentations, 3 views." in page
    assert f"IntegratedGradients, evidence (negative weight 0.2) over {second}, 2 segmentations, 2 views." in page
    assert (
        main(["explain", "cat.png", *NETWORK[:2], "--size", "65", *methods, "--recommended", "--out", "out.html"]) == 0
    )
    manner = "evidence (negative weight 0.5) over multiscale of 2 superpixels at compactness 5, 15, 2 segmentations"
    assert f"<h1>cat.png: Saliency, IntegratedGradients, {manner}</h1>" in Path("out.html").read_text(encoding="utf-8")


def test_photographs_of_a_folder_are_explained_as_alone(folder: Path) -> None:
    (folder / "photos").mkdir()
    for number, picture in enumerate([Path("cat.png").read_bytes()] * 2):
        (folder / "photos" / f"{number}.png").write_bytes(picture)
    arguments = ["--method", "Saliency", "--recommended"]
    assert main(["explain", "photos", *NETWORK, *arguments, "--format", "npz", "--out", "out"]) == 0
    alone = run(*arguments)
    for number in range(2):
        with np.load(f"out/{number}.npz") as arrays:
            assert_same(alone, torch.from_numpy(arrays["map"]))


def test_pages_have_both_sides_and_pictures_what_speaks_for_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    explanations = []

    def keep(explanation: Any, top: int) -> Any:
        explanations.append(explanation)
        return draw(explanation, top)

    monkeypatch.setattr("captum_superpixel.explain.outputs.draw", keep)
    named = ["--model", "explain_net:named", "--size", "16", "--target", "lynx", "--masks", "grid:16"]
    arguments = ["explain", "cat.png", *named, "--method", "Saliency", "--reduction", "evidence"]
    for weight in ("0", "1"):
        assert (
            main([*arguments, "--negative-weight", weight, "--format", "png", "--format", "html", "--out", "out"]) == 0
        )
    sheet = describe(explanations[-1], 10)
    assert f"Saliency, evidence (negative weight {weight}) over grid:16" in sheet.heading
    shown = sheet.panels[1]
    assert shown.title == "evidence for lynx, and regions"
    assert "mean positive evidence" in shown.listing.heading
    assert shown.bar.label.startswith("positive evidence")
    assert float(np.nanmin(shown.layers[1].pixels)) == 0 < float(np.nanmax(shown.layers[1].pixels))
    # Regions of an ensemble may hold both signs: the first 4 rows of 4 and -3, the others of 1.
    grouped, mask = torch.ones(1, 16, 16), torch.ones(16, 16, dtype=torch.int64)
    mask[:4], grouped[:, :2], grouped[:, 2:4] = 0, 4, -3
    table = region_table(grouped[None], mask[None, None])
    _, shown, best = describe(replace(explanations[-1], grouped=grouped, mask=mask, table=table), 1).panels
    assert [number.row < 4 for number in shown.numbers] == [True]
    assert best.title == "top 1 of 2 regions, 25 % of the picture"
    page = Path("out/cat.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1])
    assert [(each["className"], each["signed"], each["scoreName"]) for each in data["methods"]] == [
        ("lynx", True, "evidence")
    ]
    assert f"<h1>cat.png: Saliency, evidence (negative weight {weight}) over grid:16</h1>" in page


def test_a_picture_in_which_nothing_speaks_for_the_class(capsys: Captured) -> None:
    """Class 1 falls with every pixel."""
    plain = ["--scale", "1", "--mean", "-1", "-1", "-1", "--std", "1", "1", "1", "--masks", "grid:4"]
    rooted = ["--model", "explain_net:rooted", "--size", "16", "--target", "1", *plain]
    evidence = ["--method", "InputXGradient", "--reduction", "evidence"]
    assert main(["explain", "cat.png", *rooted, *evidence, "--format", "png", "--format", "npz", "--out", "out"]) == 0
    assert re.search(r"for class 1: no region\n +against\n +4 ", capsys.readouterr().out)
    with np.load("out/cat.npz") as arrays:
        assert (arrays["map"] < 0).all()


def test_averages_over_views_are_not_called_incomplete(capsys: Captured) -> None:
    few = ["--masks", "grid:4", "--steps", "1"]
    assert len(run(*few)["warnings"]) == 1
    assert len(run(*few, "--reduction", "evidence")["warnings"]) == 1
    assert run("--masks", "grid:4", "--steps", "2", "--views", "2")["warnings"].tolist() == []


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        (["--steps", "3"], "each of the steps sees one view, and there are 3 of them for 4 views: take as many --step"),
        (["--method", "SmoothGrad", "--samples", "2"], "each of the noisy copies .* 2 of them .* as many --samples"),
        (["--method", "SmoothGrad", "--samples", "4"], None),
        (["--method", "SparsifiedSmoothGrad", "--samples", "3"], "each of the noisy copies .* 3 of them .* --samples"),
        (["--method", "Saliency"], None),
    ],
)
def test_views_that_nothing_sees_are_told(options: list[str], warning: str | None) -> None:
    found = run("--masks", "grid:4", "--views", "4", *options)["warnings"].tolist()
    assert len(found) == (warning is not None)
    assert warning is None or re.match(warning, found[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--negative-weight", "0.3"], "--negative-weight 0.3 is for --reduction evidence, in which"),
        (["--recommended", "--views", "3"], "--recommended chooses --views by itself: leave one or the other out"),
        (
            ["--recommended", "--masks", "grid:4", "--reduction", "evidence", "--negative-weight", "0"],
            "--recommended chooses --reduction, --negative-weight and --masks by itself",
        ),
        (["--masks", ""], "--masks names no mask generator"),
        (["--views", "19"], "--views 19: a network's input of 16 x 16 pixels has 18 different views"),
        (
            ["--method", "ShapleyValues", "--recommended"],
            "--method ShapleyValues: --recommended is of up to 64 superpixels, and .* of 12 at most",
        ),
        (["--method", "XRAI", "--recommended"], "--method XRAI: --recommended is for methods that score pixels"),
        (["--method", "XRAI", "--reduction", "evidence"], "--method XRAI: --reduction evidence .* regions of its own"),
        (
            ["--method", "SparsifiedSmoothGrad", "--reduction", "evidence"],
            "--method SparsifiedSmoothGrad: .* counts large gradients, of either sign; use mean",
        ),
        (["--method", "Occlusion", "--reduction", "evidence"], "--method Occlusion: .* effects that were measured"),
        (
            ["--method", "LayerActivation", "--reduction", "evidence"],
            "LayerActivation: .* activations, which are of no",
        ),
        (
            ["--method", "Saliency", "--method", "Lime", "--reduction", "evidence"],
            "--method Lime: reduction='evidence' does not apply to Lime",
        ),
    ],
)
def test_what_does_not_go_together_is_an_error(options: list[str], message: str, fails: Callable[..., str]) -> None:
    assert re.search(message, fails("cat.png", *NETWORK, *options))


@pytest.mark.parametrize("weight", ["2", "-1.1", "nan", "half"])
def test_weights_out_of_range(weight: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["explain", "cat.png", *NETWORK, "--reduction", "evidence", f"--negative-weight={weight}"])
    assert f"'{weight}' is not a number from -1 to 1" in capsys.readouterr().err


def test_as_many_views_as_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 16 x 16 pixels 18 views, and of a recipe that asks for more no more than these."""
    assert run("--method", "Saliency", "--masks", "grid:4", "--views", "18")["views"] == 18
    many = {key: Recipe(n_views=40, n_segments=(4,)) for key in recipes.RECIPES}
    monkeypatch.setattr(recipes, "RECIPES", many)
    assert run("--method", "Saliency", "--recommended")["views"] == 18


def test_regions_of_xrai_are_averaged_over_views() -> None:
    arrays = run("--method", "XRAI", "--masks", "grid:4", "--views", "2", "--steps", "3")
    assert np.isfinite(arrays["map"]).all()
    assert not np.allclose(arrays["map"], run("--method", "XRAI", "--masks", "grid:4", "--steps", "3")["map"])
