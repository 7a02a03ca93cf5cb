"""The explanation of a photograph by every method: the map of SuperpixelGrouped, its table, and what options change."""

import argparse
import dataclasses
import io
import math
import warnings
from pathlib import Path

import pytest
import torch
from matplotlib.text import Text
from torch import Tensor

from captum_superpixel import SuperpixelGrouped, ensemble_regions
from captum_superpixel._checks import InputError
from captum_superpixel._options import CommandParser
from captum_superpixel._seeds import seeded
from captum_superpixel.attr.methods import METHODS, Scene, method_options
from captum_superpixel.cli import main
from captum_superpixel.explain.attributing import ChosenMethod
from captum_superpixel.explain.command import add_explain
from captum_superpixel.explain.explainer import Explainer
from captum_superpixel.explain.explanation import Explanation
from captum_superpixel.explain.figure import describe, draw
from captum_superpixel.explain.meaning import speaking_regions
from captum_superpixel.explain.outputs import save
from captum_superpixel.explain.run import make_explainer
from captum_superpixel.pooling import Reduction, pool_segments
from captum_superpixel.regions import region_table

PERTURBING = {"FeatureAblation", "OwenValues", "ShapleyValueSampling", "ShapleyValues", "Lime", "KernelShap"}


def parsed(*arguments: str) -> argparse.Namespace:
    parser = CommandParser()
    add_explain(parser.add_subparsers())
    return parser.parse_args(["explain", "cat.png", "--model", "explain_net:load", "--size", "16", *arguments])


def explainer(name: str, *arguments: str) -> Explainer:
    layer = ["--layer", "features.0"] if METHODS[name].layer else []
    masks = [] if "--masks" in arguments else ["--masks", "grid:4"]
    return make_explainer(parsed("--method", name, *layer, *masks, *arguments), lambda line: None)


def explain(name: str, *arguments: str) -> Explanation:
    (explanation,) = explainer(name, *arguments)(Path("cat.png"))
    return explanation


def wrapped(explaining: Explainer, explanation: Explanation, reduction: Reduction, seed: int = 0) -> Tensor:
    """What the wrapper gives with the same generators, as a user of the library would call it."""
    chosen: ChosenMethod = explaining.methods[0]
    inputs = explaining.preprocessing.from_uint8(explanation.picture[None]).requires_grad_()
    segments = max(len(mask.unique()) for mask in explanation.masks)
    scene = Scene(
        inputs,
        explanation.target.index,
        segments=segments,
        baselines=chosen.grays,
        layer_size=chosen.layer_size,
    )
    grouped = SuperpixelGrouped(chosen.method, chosen.segmenter.source, reduction=reduction)
    with seeded(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        maps: Tensor = grouped.attribute(inputs, **method_options(chosen.name, chosen.method, scene))
    return maps[0].detach()


@pytest.mark.parametrize("name", METHODS)
def test_every_method_explains(name: str) -> None:
    explanation = explain(name, "--target", "3")
    assert explanation.target.index == 3
    assert explanation.grouped.shape[1:] == (16, 16)
    assert torch.isfinite(explanation.grouped).all()
    assert explanation.grouped.abs().max() > 0
    assert (explanation.pixels is None) == (name in PERTURBING)
    mask = explanation.mask[None, None]
    torch.testing.assert_close(pool_segments(explanation.grouped[None], mask)[0], explanation.grouped)
    scores = [explanation.grouped[:, explanation.mask == region.id].mean() for region in explanation.table]
    torch.testing.assert_close(torch.tensor([r.score for r in explanation.table]), torch.stack(scores))
    assert METHODS[name].reduction == "mean" or explanation.grouped.min() >= 0


@pytest.mark.parametrize("name", [name for name in METHODS if name != "XRAI"])
def test_maps_are_those_of_the_wrapper(name: str) -> None:
    """Of a layer's, the channels become one; what draws at random draws alike."""
    explaining = explainer(name, "--target", "1", "--masks", "grid:6", "--reduction", "mean", "--seed", "4")
    (explanation,) = explaining(Path("cat.png"))
    expected = wrapped(explaining, explanation, "mean", seed=4)
    if METHODS[name].layer and name != "GuidedGradCam":
        # Every channel of a layer that is ablated place by place holds the whole effect.
        once = name == "LayerFeatureAblation"
        expected = expected.mean(dim=0, keepdim=True) if once else expected.sum(dim=0, keepdim=True)
    torch.testing.assert_close(explanation.grouped, expected)


@pytest.mark.parametrize("reduction", ["mean", "abs_mean", "sum", "max"])
@pytest.mark.parametrize("masks", ["slic:9", "multiscale"])
def test_a_map_that_is_computed_once_is_grouped_as_by_the_wrapper(reduction: Reduction, masks: str) -> None:
    explaining = explainer("InputXGradient", "--masks", masks, "--reduction", reduction)
    (explanation,) = explaining(Path("cat.png"))
    assert torch.equal(explanation.grouped, wrapped(explaining, explanation, reduction))


@pytest.mark.parametrize("masks", ["grid:1", "grid:4"])
def test_every_effect_counts_once(masks: str) -> None:
    """A region's score is what the logit loses without it, whatever the number of channels."""
    explaining = explainer("FeatureAblation", "--masks", masks)
    (explanation,) = explaining(Path("cat.png"))
    inputs = explaining.preprocessing.from_uint8(explanation.picture[None])
    for region in explanation.table:
        without = inputs * (explanation.mask != region.id)
        loss = (explaining.model(inputs) - explaining.model(without))[0, explanation.target.index]
        assert region.score == pytest.approx(loss.item(), abs=1e-5)


def test_the_effects_of_the_places_of_a_layer_count_once() -> None:
    """One region is the whole picture: its score is the mean over the places of what the logit loses without each."""
    explaining = explainer("LayerFeatureAblation", "--masks", "grid:1")
    (explanation,) = explaining(Path("cat.png"))
    network = explaining.model
    with torch.no_grad():
        inputs = explaining.preprocessing.from_uint8(explanation.picture[None])
        features = network.features[0](network.relu(network.conv(inputs)))

        def logit(activations: Tensor) -> float:
            pooled = network.pool(network.features[1](activations.clone())).flatten(1)
            return float(network.linear(pooled)[0, explanation.target.index])

        losses = []
        for place in range(features[0, 0].numel()):
            without = features.clone()
            without.flatten(2)[..., place] = 0
            losses.append(logit(features) - logit(without))
    assert explanation.grouped.shape[0] == 1
    assert explanation.table[0].score == pytest.approx(sum(losses) / len(losses), rel=1e-4)


@pytest.mark.parametrize("reduction", ["mean", "abs_mean", "sum", "max"])
@pytest.mark.parametrize("masks", ["grid:4", "multiscale"])
def test_scores_are_means_of_what_is_shown(reduction: Reduction, masks: str) -> None:
    explanation = explain("InputXGradient", "--reduction", reduction, "--masks", masks)
    assert explanation.shown.shape == (1, 16, 16)
    means = region_table(explanation.shown[None], explanation.mask[None, None])
    assert [region.score for region in explanation.table] == pytest.approx([region.score for region in means])
    assert {len(region.channel_scores) for region in explanation.table} == {3}
    if masks == "grid:4" and explanation.pixels is not None:
        exact = region_table(explanation.pixels[None], explanation.mask[None, None], score=reduction)
        assert [region.score for region in explanation.table] == pytest.approx([region.score for region in exact])


def test_with_sums_the_scores_of_integrated_gradients_add_up() -> None:
    explaining = explainer("IntegratedGradients", "--reduction", "sum")
    (explanation,) = explaining(Path("cat.png"))
    inputs = explaining.preprocessing.from_uint8(explanation.picture[None])
    change = (explaining.model(inputs) - explaining.model(inputs * 0))[0, explanation.target.index].item()
    assert sum(region.score for region in explanation.table) == pytest.approx(change, rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["IntegratedGradients"], "mean attribution"),
        (["IntegratedGradients", "--reduction", "sum"], "summed attribution"),
        (["SmoothGrad"], "mean magnitude"),
        (["Saliency"], "mean magnitude"),
        (["Saliency", "--reduction", "sum"], "summed magnitude"),
        (["LayerActivation"], "mean activation"),
        (["KernelShap"], "effect"),
        (["FeatureAblation", "--reduction", "abs_mean"], "magnitude of the effect"),
        (["Occlusion"], "mean effect"),
        (["LayerFeatureAblation", "--reduction", "max"], "largest effect"),
    ],
)
def test_scores_say_what_they_are(arguments: list[str], expected: str) -> None:
    explanation = explain(*arguments)
    assert explanation.table.score_name == expected
    save([explanation], Path("out.html"), 3)
    assert f'"scoreName":"{expected}"' in Path("out.html").read_text(encoding="utf-8")
    (listing,) = (panel.listing for panel in describe(explanation, 3).panels if panel.listing is not None)
    assert listing.heading.startswith(f"rank: {expected}")


def test_the_target_decides() -> None:
    """Without a target it is the predicted class; with each of them, another map."""
    predicted = explain("Saliency")
    assert predicted.target == predicted.predictions[0]
    maps = [explain("Saliency", "--target", str(index)).grouped for index in range(5)]
    assert torch.equal(maps[predicted.target.index], predicted.grouped)
    assert sum(torch.equal(grouped, predicted.grouped) for grouped in maps) == 1


@pytest.mark.parametrize("name", ["SmoothGrad", "GradientShap", "KernelShap"])
def test_seeds_decide_and_the_global_generators_stay(name: str) -> None:
    before = torch.random.get_rng_state()
    first, again, other = (explain(name, "--seed", seed).grouped for seed in ("1", "1", "2"))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_an_ensemble_is_averaged_and_its_own_regions_are_listed() -> None:
    explanation = explain("IntegratedGradients", "--masks", "multiscale")
    assert len(explanation.masks) > 1
    pixels = explanation.pixels
    assert pixels is not None
    pooled = [pool_segments(pixels[None], mask[None, None])[0] for mask in explanation.masks]
    torch.testing.assert_close(explanation.grouped, torch.stack(pooled).mean(dim=0))
    members = list(explanation.masks[:, None, None])
    assert torch.equal(explanation.mask, ensemble_regions(explanation.shown[None], members)[0, 0])
    assert not any(torch.equal(explanation.mask, mask) for mask in explanation.masks)
    for region in explanation.table:
        assert region.score == pytest.approx(explanation.shown[0][explanation.mask == region.id].mean().item())
    assert explanation.how == f"IntegratedGradients, mean over multiscale, {len(explanation.masks)} segmentations"


@pytest.mark.parametrize(
    ("arguments", "label", "ends"),
    [
        (["Saliency"], "magnitude", []),
        (["SmoothGrad"], "magnitude", []),
        (["InputXGradient"], "attribution", ["for class 3", "against"]),
        (["FeatureAblation"], "effect", ["for class 3", "against"]),
        (["FeatureAblation", "--reduction", "abs_mean"], "magnitude of the effect", []),
        (["LayerActivation"], "activation", []),
    ],
)
def test_the_picture_says_what_its_colors_are(arguments: list[str], label: str, ends: list[str]) -> None:
    """Whatever the signs of this map: those of a signed method speak for and against the class on every photograph."""
    sheet = describe(explain(*arguments, "--target", "3"), 3)
    (bar,) = (panel.bar for panel in sheet.panels if panel.bar is not None)
    assert bar.label.split(", in ")[0].splitlines()[0] == label
    assert sorted(end for end in bar.ends if end) == sorted(ends)


def test_the_picture_names_the_explained_and_the_predicted_class() -> None:
    predicted = explain("Saliency").target
    other = explain("Saliency", "--target", str((predicted.index + 1) % 5))
    title = draw(other, 3).get_suptitle().splitlines()
    assert title[-1] == "Saliency, mean over grid:4"
    assert other.target.probability is not None
    assert predicted.probability is not None
    assert ", ".join(title[:-1]) == (
        f"explained: {other.target.name} ({100 * other.target.probability:.1f} %), "
        f"predicted: {predicted.name} ({100 * predicted.probability:.1f} %)"
    )
    assert draw(explain("Saliency"), 3).get_suptitle().startswith(f"predicted and explained: {predicted.name} (")


def title_of_the_third(explanation: Explanation, top: int) -> str:
    title = describe(explanation, top).panels[2].title
    assert title is not None
    return title


def test_what_is_shown_of_the_photograph_is_what_is_listed_as_speaking_for_the_class() -> None:
    explanation = explain("InputXGradient", "--masks", "grid:16")
    shown = explanation.shown - (explanation.shown.amax() + explanation.shown.amin()) / 2
    changed = dataclasses.replace(
        explanation, grouped=shown, table=region_table(shown[None], explanation.mask[None, None])
    )
    positive = sum(region.score > 0 for region in changed.table)
    assert 0 < positive < 16
    for top, count in ((16, positive), (1, 1)):
        assert title_of_the_third(changed, top).startswith(f"top {count} of 16 regions")
    negative = dataclasses.replace(
        explanation,
        grouped=-shown.abs() - 1,
        table=region_table(-shown.abs()[None] - 1, explanation.mask[None, None]),
    )
    assert title_of_the_third(negative, 3) == f"no region for {explanation.target.name}"
    assert speaking_regions(negative) == []
    zero = dataclasses.replace(
        explanation, grouped=0 * shown, table=region_table(0 * shown[None], explanation.mask[None, None])
    )
    assert title_of_the_third(zero, 3) == "no region has a rank"


@pytest.mark.parametrize(
    "scores",
    [
        torch.arange(16.0) - 8,
        torch.tensor([math.nan] * 4 + [*range(-4, 8)]),
        torch.ones(16),
        torch.arange(16) // 4 - 1.0,
    ],
)
def test_the_titles_of_a_picture_leave_one_another_room(scores: Tensor) -> None:
    explanation = explain("InputXGradient", "--masks", "grid:16", "--target", "0")
    grouped = scores[explanation.mask][None].float()
    table = region_table(grouped[None], explanation.mask[None, None])
    names = {"target": explanation.target, "first": explanation.predictions[0]}
    long = [dataclasses.replace(one, name="a class of an unreasonably long name, " * 3) for one in names.values()]
    for target, first in (names.values(), long):
        predictions = [first, *explanation.predictions[1:]]
        changed = dataclasses.replace(explanation, grouped=grouped, table=table, target=target, predictions=predictions)
        figure = draw(changed, 10)
        figure.savefig(io.BytesIO(), dpi=120)
        above = figure.texts[0].get_window_extent().y0
        others = [text for text in figure.artists if isinstance(text, Text)]
        assert len(others) > 10
        assert all(text.get_window_extent().y1 <= above for text in others)


def test_pictures_name_the_layer_and_those_of_activations_explain_no_class() -> None:
    activations = explain("LayerActivation", "--layer", "features.0", "--target", "1")
    title = draw(activations, 3).get_suptitle().splitlines()
    predicted = activations.predictions[0]
    assert title == [
        f"predicted: {predicted.name} ({predicted.figure})",
        "LayerActivation of features.0, mean over grid:4",
    ]
    # Also those below zero have a place among the strongest activations.
    assert len(speaking_regions(activations)) == len(activations.table) == 4
    assert explain("Saliency").how == "Saliency, mean over grid:4"


def test_magnitudes_are_pooled_where_signs_would_cancel() -> None:
    signed, magnitudes = explain("SmoothGrad", "--reduction", "mean"), explain("SmoothGrad")
    assert signed.grouped.min() < 0 <= magnitudes.grouped.min()
    assert magnitudes.pixels is not None
    assert signed.pixels is not None
    torch.testing.assert_close(magnitudes.pixels, signed.pixels.abs())


def test_baselines_are_five_grays_from_black_to_white() -> None:
    explaining = explainer("DeepLiftShap", "--mean", ".5", ".5", ".5", "--std", ".5", ".5", ".5")
    grays = explaining.methods[0].grays
    assert grays.shape == (5, 3, 16, 16)
    levels = torch.tensor([-1, -0.498, 0.004, 0.498, 1]).view(5, 1, 1, 1).expand_as(grays)
    torch.testing.assert_close(grays, levels, atol=1e-3, rtol=0)


def test_too_many_segments_for_all_coalitions(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", "explain_net:load", "--size", "16", "--method", "ShapleyValues", "--masks", "grid:16"]
    assert main(["explain", "cat.png", *arguments]) == 1
    assert "ShapleyValues evaluates all coalitions of the segments, 2**16 for 16: pass" in capsys.readouterr().err


def test_reductions_that_a_method_does_not_have() -> None:
    with pytest.raises(InputError, match="--method KernelShap: reduction='sum' does not apply to KernelShap"):
        explainer("KernelShap", "--reduction", "sum")
    assert explain("KernelShap", "--reduction", "abs_mean").grouped.min() >= 0
