"""Every method by its name: those that run, what they are given, and why the others are refused."""

import argparse
import inspect
import warnings
from pathlib import Path
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from captum.attr import Attribution

from captum_superpixel import SuperpixelGrouped
from captum_superpixel._checks import InputError
from captum_superpixel.cli import main
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.explain.command import add_explain
from captum_superpixel.explain.explainer import Explainer, Explanation
from captum_superpixel.explain.methods import RECIPES, REFUSED, Scene, attribute_options, find_recipe, make_method
from captum_superpixel.explain.run import make_explainer
from captum_superpixel.pooling import pool_segments

PERTURBING = {"FeatureAblation", "ShapleyValueSampling", "ShapleyValues", "Lime", "KernelShap"}


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_explain(parser.add_subparsers())
    return parser.parse_args(["explain", "cat.png", "--model", "explain_net:load", "--size", "16", *arguments])


def explainer(name: str, *arguments: str) -> Explainer:
    layer = ["--layer", "features.0"] if RECIPES[name].layer else []
    masks = [] if "--masks" in arguments else ["--masks", "grid:4"]
    return make_explainer(parsed("--method", name, *layer, *masks, *arguments), lambda line: None)


def explain(name: str, *arguments: str) -> Explanation:
    return explainer(name, *arguments)(Path("cat.png"))


def test_the_table_knows_every_class_of_captum() -> None:
    classes = [getattr(captum.attr, name) for name in captum.attr.__all__]
    exported = {cls.__name__ for cls in classes if inspect.isclass(cls) and issubclass(cls, Attribution)}
    assert set(RECIPES) - {"SmoothGrad", "XRAI"} | set(REFUSED) == exported
    assert not set(RECIPES) & set(REFUSED)


@pytest.mark.parametrize("name", RECIPES)
def test_every_method_explains(name: str) -> None:
    explanation = explain(name, "--target", "3")
    assert explanation.target.index == 3
    assert explanation.grouped.shape[1:] == (16, 16)
    assert torch.isfinite(explanation.grouped).all()
    assert explanation.grouped.abs().max() > 0
    assert (explanation.pixels is None) == (name in PERTURBING)
    mask = explanation.mask[None, None]
    torch.testing.assert_close(pool_segments(explanation.grouped[None], mask)[0], explanation.grouped)
    scores = [explanation.grouped[:, explanation.mask == region.id].mean(dim=1).sum() for region in explanation.table]
    torch.testing.assert_close(torch.tensor([r.score for r in explanation.table]), torch.stack(scores))
    assert RECIPES[name].reduction == "mean" or explanation.grouped.min() >= 0


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "XRAI"])
def test_maps_are_those_of_the_wrapper(name: str) -> None:
    """Of a layer's, the channels are added; what draws at random draws alike."""
    explaining = explainer(name, "--target", "1", "--masks", "grid:6", "--reduction", "mean", "--seed", "4")
    explanation = explaining(Path("cat.png"))
    inputs = explaining.preprocessing.from_uint8(explanation.picture[None]).requires_grad_()
    scene = Scene(inputs.detach(), 6, explaining.preprocessing, explaining.layer_size)
    options = attribute_options(name, explaining.method, scene, 1)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        np.random.seed(4)  # noqa: NPY002
        wrapped = SuperpixelGrouped(explaining.method, None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            expected = wrapped.attribute(inputs, feature_mask=explanation.mask[None, None], **options)
    if name.startswith(("Layer", "Internal")):
        expected = expected.sum(dim=1, keepdim=True)
    torch.testing.assert_close(explanation.grouped, expected[0].detach())


def test_seeds_decide_and_the_global_generators_stay() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (explain("SmoothGrad", "--seed", seed).grouped for seed in ("1", "1", "2"))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_an_ensemble_is_averaged_and_one_member_is_listed() -> None:
    explanation = explain("IntegratedGradients", "--masks", "multiscale")
    assert len(explanation.masks) > 1
    pixels = explanation.pixels
    assert pixels is not None
    pooled = [pool_segments(pixels[None], mask[None, None])[0] for mask in explanation.masks]
    torch.testing.assert_close(explanation.grouped, torch.stack(pooled).mean(dim=0))
    counts = sorted(len(mask.unique()) for mask in explanation.masks)
    assert len(explanation.table) == counts[(len(counts) - 1) // 2]
    assert f"regions of number {explanation.member + 1}, which has the median" in explanation.how


def test_magnitudes_are_pooled_where_signs_would_cancel() -> None:
    signed, magnitudes = explain("SmoothGrad", "--reduction", "mean"), explain("SmoothGrad")
    assert signed.grouped.min() < 0 <= magnitudes.grouped.min()
    assert magnitudes.pixels is not None
    assert signed.pixels is not None
    torch.testing.assert_close(magnitudes.pixels, signed.pixels.abs())


def test_baselines_are_five_greys_from_black_to_white() -> None:
    preprocessing = Preprocessing(size=4, mean=0.5, std=0.5)
    inputs = torch.zeros(1, 3, 4, 4)
    method: Any = make_method("GradientShap", torch.nn.Identity())
    greys = attribute_options("GradientShap", method, Scene(inputs, 5, preprocessing), 0)["baselines"]
    torch.testing.assert_close(
        greys.flatten(1).mean(dim=1), torch.tensor([-1, -0.498, 0.004, 0.498, 1]), atol=1e-3, rtol=0
    )
    assert float(greys.flatten(1).std(dim=1).max()) < 1e-6


def test_names_in_whatever_case() -> None:
    assert find_recipe("xrai") == "XRAI"
    assert find_recipe("layergradcam") == "LayerGradCam"


def test_unknown_methods() -> None:
    with pytest.raises(
        InputError, match=r"--method IntegratedGradient is no method .* did you mean IntegratedGradients"
    ):
        find_recipe("IntegratedGradient")
    with pytest.raises(InputError, match=r"choose one of Saliency, SmoothGrad, .*LayerFeatureAblation"):
        find_recipe("qqq")


@pytest.mark.parametrize("name", REFUSED)
def test_methods_that_need_more_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(InputError, match=f"--method {name} cannot be used here: it .*\\.$"):
        find_recipe(name)


def test_too_many_segments_for_all_orders(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "cat.png",
        "--model",
        "explain_net:load",
        "--size",
        "16",
        "--method",
        "ShapleyValues",
        "--masks",
        "grid:9",
    ]
    assert main(["explain", *arguments]) == 1
    assert "too many for 9: pass --masks with at most 6" in capsys.readouterr().err


def test_reductions_that_a_method_does_not_have() -> None:
    with pytest.raises(InputError, match="--method KernelShap: reduction='sum' does not apply to KernelShap"):
        explainer("KernelShap", "--reduction", "sum")
    assert explain("KernelShap", "--reduction", "abs_mean").grouped.min() >= 0
