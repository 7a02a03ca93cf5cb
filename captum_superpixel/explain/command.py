"""The commands ``demo`` and ``explain`` as they are typed: their options, the checks of these, and their help."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from captum_superpixel._checks import listed
from captum_superpixel.attr.methods import METHODS
from captum_superpixel.explain.baselines import BASELINES
from captum_superpixel.explain.photographs import FORMATS
from captum_superpixel.masks import GENERATORS, is_counted
from captum_superpixel.study.command import add_preprocessing_options

__all__ = ["add_demo", "add_explain"]

_DEMO = """\
Trains a small network on handwritten digits that lie on photographs, explains its decisions on four test images by
Saliency, IntegratedGradients and SmoothGrad, pixel by pixel and averaged within superpixels, and draws the maps side
by side.

Nothing is downloaded. Training takes about a minute on two cores and happens only once: the network is cached.
To explain a network and photographs of your own, use captum-superpixel explain."""

_DEMO_EXAMPLES = """\
examples:
  captum-superpixel demo
  captum-superpixel demo --out digits.png --seed 1 --retrain"""

_EXPLAIN = """\
Which regions of a photograph does a network's decision depend on? Explains the decision by any method of Captum,
averages the map within superpixels (or perturbs superpixels, where the method perturbs), prints the prediction and
the top regions, and writes a picture (.png), an interactive page for a browser (.html) or arrays (.npz)."""

_EXPLAIN_EXAMPLES = """\
examples:
  captum-superpixel explain cat.jpg --model microsoft/resnet-50
  captum-superpixel explain cat.jpg --model mynet:load --weights mynet.safetensors --labels classes.txt --out cat.html
  captum-superpixel explain cat.jpg --model mynet:load --target "tiger cat" --method LayerGradCam --layer features.12
  captum-superpixel explain photos/ --model my-vit/ --method SmoothGrad --masks multiscale --format png --format html
  captum-superpixel explain cat.jpg --model mynet:load --method Saliency --method IntegratedGradients --out cat.html
  captum-superpixel explain cat.jpg --model mynet:load --method IntegratedGradients --baseline blur --steps 200
  captum-superpixel explain cat.jpg --model caffenet:load --size 227 --scale 1 --mean 104 117 123 --std 1 1 1 \\
      --channel-order bgr

MODULE:FACTORY names a network, or a function or class that makes one when called without arguments: mynet:load is
load() in mynet.py of the current folder. It maps images (N, 3, H, W), or (N, 1, H, W), to logits (N, classes).
What the network returns is explained, mostly the logit of the class. Where it returns probabilities, or numbers that
are none, the explanation says so; --activation corrects it.

methods:
  without a layer: Saliency, SmoothGrad (NoiseTunnel of Saliency), IntegratedGradients, InputXGradient, DeepLift,
    DeepLiftShap, GradientShap, GuidedBackprop, Deconvolution, LRP, XRAI, Occlusion
  that perturb superpixels: FeatureAblation, Lime, KernelShap, ShapleyValueSampling, ShapleyValues (12 superpixels
    at most)
  of a layer: GuidedGradCam, LayerGradCam, LayerActivation, LayerGradientXActivation, LayerIntegratedGradients,
    LayerConductance, InternalInfluence, LayerDeepLift, LayerDeepLiftShap, LayerGradientShap, LayerLRP,
    LayerFeatureAblation
  The layer may have channels first, channels last or tokens, as of ViT, DINOv2, Swin and ConvNeXt.
  XRAI makes a map of regions of its own, which is averaged like any other. The channels of a layer's map are summed,
  but for LayerFeatureAblation averaged: each of them holds the whole effect of a place.
  Equal scores share a rank, and regions without a score, or of a map that is zero, have none (0 in .npz).
  GuidedBackprop, Deconvolution, GuidedGradCam: a warning says where the network has no torch.nn.ReLU that they could
  change; IntegratedGradients, DeepLift, DeepLiftShap, LRP: where a map does not add up to what the output changes by.

{settings}

masks:
{masks}

files:
  cat.jpg becomes cat.png, cat.html or cat.npz in the folder --out. With several methods the page holds all of them, and
  of pictures and arrays there is one for each: cat.Saliency.png. A folder that gets several files gets index.html too,
  a gallery with thumbnails, predictions and links (200 photographs a page; further ones are index-2.html and so on).

exit status: 0; 1 if some photographs could not be explained, which does not stop the others; 2 if the options cannot
be used, and then nothing is written. Nothing but --out is ever written."""


def add_demo(commands: Any) -> None:
    """Add ``demo`` to the commands of an ``argparse`` parser."""
    parser = _add(commands, "demo", _demo, "see explanations by pixel and by superpixel", _DEMO, _DEMO_EXAMPLES)
    parser.add_argument("--out", type=Path, default=Path("demo.png"), help="picture to write (default: %(default)s)")
    parser.add_argument(
        "--seed", type=_integer(0, 2**63 - 1), default=0, help="of training and of SmoothGrad's noise (default: 0)"
    )
    parser.add_argument("--retrain", action="store_true", help="train even if there is a cached network")
    parser.add_argument(
        "--epochs", type=_integer(1, 1000), default=12, help="passes over the training images (default: %(default)s)"
    )


def add_explain(commands: Any) -> None:
    """Add ``explain`` to the commands of an ``argparse`` parser."""
    summary, examples = (
        "explain a network of yours on photographs of yours",
        _EXPLAIN_EXAMPLES.format(masks=_masks(), settings=_settings()),
    )
    parser = _add(commands, "explain", _explain, summary, _EXPLAIN, examples)
    parser.add_argument(
        "photographs",
        nargs="+",
        type=Path,
        metavar="PHOTO",
        help="a photograph, or a folder of photographs (those in its folders count with --recursive)",
    )
    parser.add_argument(
        "--recursive",
        action="store_true",
        help="explain the photographs in the folders of a folder too, into folders of the same names in --out",
    )
    network = parser.add_argument_group("network")
    network.add_argument(
        "--model",
        required=True,
        help="a folder or the hub's name of a transformers model, MODULE:FACTORY, or a file with a program: .pt2 of "
        "torch.export or .pt of TorchScript (code as an imported module is: read no file that you do not trust)",
    )
    network.add_argument(
        "--weights", type=Path, metavar="FILE", help="state dict for MODULE:FACTORY: .safetensors, or a torch file"
    )
    network.add_argument(
        "--labels", type=Path, metavar="FILE", help="line i names class i; the last column counts if there are tabs"
    )
    network.add_argument(
        "--activation",
        choices=("auto", "softmax", "sigmoid", "none"),
        default="auto",
        type=str.lower,
        help="what makes probabilities of the outputs, or has made them in the network: softmax, one of the classes "
        "holds; sigmoid, each holds or does not; none, they are numbers (default: auto, as the network says and does)",
    )
    network.add_argument(
        "--device", help="where to work, such as cuda:1 (default: the GPU if there is one, else the CPU)"
    )
    explained = parser.add_argument_group("explanation")
    explained.add_argument(
        "--target", metavar="CLASS", help="index or name of the class to explain (default: the predicted one)"
    )
    explained.add_argument(
        "--method",
        action="append",
        default=[],
        metavar="NAME",
        help="see below; may be given again, for several on one page (default: IntegratedGradients)",
    )
    explained.add_argument(
        "--layer",
        metavar="NAME",
        help="the module that the method looks at, such as features.12 (default: the last that gives a map); list "
        "prints all that do, and explains nothing",
    )
    explained.add_argument("--masks", default="slic:100", help="superpixels, see below (default: %(default)s)")
    explained.add_argument(
        "--reduction",
        choices=("mean", "abs_mean", "sum", "max"),
        help="of the pixels of a superpixel (default: abs_mean for SmoothGrad, GuidedBackprop, Deconvolution and "
        "GuidedGradCam, whose signs cancel, else mean)",
    )
    explained.add_argument(
        "--steps",
        type=_integer(1, 100_000),
        metavar="N",
        help="along the path from the baseline, of the methods that follow one (default: 50)",
    )
    explained.add_argument(
        "--samples",
        type=_integer(1, 10_000_000),
        metavar="N",
        help="noisy copies for SmoothGrad, draws for GradientShap (default: 25 each), orders of the superpixels for "
        "ShapleyValueSampling (10), coalitions of them for Lime and KernelShap (5 for each superpixel, at least 500)",
    )
    explained.add_argument(
        "--baseline",
        choices=BASELINES,
        help="what the methods that have a baseline replace pixels by, see below (default: 0; for XRAI two of its own)",
    )
    explained.add_argument(
        "--batch-size",
        type=_integer(1, 100_000),
        default=16,
        metavar="N",
        help="images that the network is given at once: photographs, steps, noisy copies or perturbations; fewer take "
        "less memory, more are faster on a GPU (default: %(default)s)",
    )
    explained.add_argument(
        "--seed", type=_integer(0, 2**63 - 1), default=0, help="of methods that draw at random (default: 0)"
    )
    own = "by default the network's own, where a transformers model has one, else ImageNet's"
    pixels = add_preprocessing_options(parser, size=_size, metavar="N|HxW", description=own)
    pixels.add_argument(
        "--resize",
        choices=("crop", "stretch"),
        help="cut out the middle, or distort the whole photograph to the size of the input",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out",
        type=Path,
        default=Path("explanations"),
        metavar="PATH",
        help="a file .png, .html or .npz; or a folder, with one file per photograph (default: %(default)s)",
    )
    output.add_argument(
        "--format",
        action="append",
        choices=FORMATS,
        default=[],
        help="of the files in the folder; may be given again (default: png)",
    )
    output.add_argument(
        "--top",
        type=_integer(1, 10_000),
        default=10,
        metavar="K",
        help="regions to list, number and show (default: %(default)s)",
    )


def _add(
    commands: Any, name: str, run: Callable[[argparse.Namespace], object], summary: str, description: str, examples: str
) -> argparse.ArgumentParser:
    """Add a command, which is described and shown by examples as they are laid out here."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


# What follows is imported when a command runs, so that --help does not wait for it.


def _demo(options: argparse.Namespace) -> None:
    from captum_superpixel.explain.demo import run_demo

    run_demo(options.out, seed=options.seed, epochs=options.epochs, retrain=options.retrain, report=print)


def _explain(options: argparse.Namespace) -> int:
    from captum_superpixel.explain.run import run

    return run(options)


def _masks() -> str:
    """Say which superpixels there are to choose from, in lines as long as those around them."""
    counted = [f"{name}:N" for name in GENERATORS if is_counted(name)]
    others = [name for name in GENERATORS if not is_counted(name)]
    text = (
        f"{listed(counted)} make about N segments (100 by default); {listed(others)} find the number themselves. "
        "multiscale averages the map over several segmentations; the regions that are listed and drawn are those in "
        "which the averaged map has about one value. FILE.npy holds ids (H, W), of the size of the photograph or of "
        "the network's input."
    )
    return textwrap.fill(text, 119, initial_indent="  ", subsequent_indent="  ")


def _settings() -> str:
    """Say what each baseline is, and which methods take which setting."""
    baselines = (
        "baseline: 0, zero in the network's units, which is the mean color that the preprocessing takes away, a gray "
        "for most networks; mean, the mean color of the photograph; blur, the photograph blurred by a Gaussian whose "
        "standard deviation is a tenth of the shorter side; segment-mean, each superpixel's own mean color (of several "
        "segmentations each has a map of its own, and their mean is shown). DeepLiftShap and GradientShap, and those "
        "of layers, have five grays instead, from black to white."
    )
    lines = [baselines]
    for option, setting in (("--steps", "n_steps"), ("--samples", "n_samples"), ("--baseline", "baseline")):
        names = [name for name, method in METHODS.items() if setting in method.takes]
        lines.append(f"{option} is for {', '.join(names)}.")
    return "\n".join(textwrap.fill(line, 119, initial_indent="  ", subsequent_indent="    ") for line in lines)


def _size(text: str) -> int | tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text)
    if match is None or not int(match[1]) or not int(match[2] or 1):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write 224, or 240x320 for height x width")
    return (int(match[1]), int(match[2])) if match[2] else int(match[1])


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer from {low} to {high}")
        return int(text)

    return parse
