"""``captum-superpixel explain``: its options, their checks, and its help."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

__all__ = ["add_explain"]

_DESCRIPTION = """\
What does a network go by in a photograph? Explains its decision by any method of Captum, averages the map within
superpixels (or perturbs superpixels, where the method perturbs), prints the prediction and the top regions, and
writes a picture (.png), a page to look into with a browser (.html) or arrays (.npz)."""

_EXAMPLES = """\
examples:
  captum-superpixel explain cat.jpg --model microsoft/resnet-50
  captum-superpixel explain cat.jpg --model mynet:load --weights mynet.safetensors --labels classes.txt --out cat.html
  captum-superpixel explain cat.jpg --model mynet:load --target "tiger cat" --method LayerGradCam --layer features.12
  captum-superpixel explain photos/ --model my-vit/ --method SmoothGrad --masks multiscale --format png --format html
  captum-superpixel explain cat.jpg --model caffenet:load --size 227 --scale 1 --mean 104 117 123 --std 1 1 1 \\
      --channel-order bgr

methods:
  without a layer: Saliency, SmoothGrad (NoiseTunnel of Saliency), IntegratedGradients, InputXGradient, DeepLift,
    DeepLiftShap, GradientShap, GuidedBackprop, Deconvolution, LRP, XRAI, Occlusion
  of superpixels themselves: FeatureAblation, Lime, KernelShap, ShapleyValueSampling, ShapleyValues (of 6 at most)
  with --layer: GuidedGradCam, LayerGradCam, LayerActivation, LayerGradientXActivation, LayerIntegratedGradients,
    LayerConductance, InternalInfluence, LayerDeepLift, LayerDeepLiftShap, LayerGradientShap, LayerLRP,
    LayerFeatureAblation
  XRAI makes a map of its own regions, which is averaged like any other; the channels of a layer's map are added. The
  baseline is 0 in the network's units, the mean colour; DeepLiftShap and GradientShap have five greys, from
  black to white.

masks:
  slic:N, skimage_slic:N, watershed:N and grid:N make about N segments (100 by default); felzenszwalb and quickshift
  as many as they find. multiscale averages the map over several segmentations; the regions that are listed and drawn
  are those of the one with the median number of segments. FILE.npy holds ids (H, W), of the size of the photograph or
  of the network's input.

exit status: 0; 1 if some photographs could not be explained, which does not stop the others; 2 if the options cannot
be used, and then nothing is written. Nothing is ever written but --out."""


def add_explain(commands: Any) -> None:
    """Add the command to those of an ``argparse`` parser."""
    parser = commands.add_parser(
        "explain",
        help="explain what a network of yours goes by in photographs of yours",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_explain)
    parser.add_argument(
        "photographs", nargs="+", type=Path, metavar="PHOTO", help="a photograph, or a folder of them (not of folders)"
    )
    network = parser.add_argument_group("network")
    network.add_argument(
        "--model", required=True, help="a folder or the hub's name of a transformers model, or MODULE:FACTORY"
    )
    network.add_argument(
        "--weights", type=Path, metavar="FILE", help="state dict for MODULE:FACTORY: .safetensors, or a torch file"
    )
    network.add_argument(
        "--labels", type=Path, metavar="FILE", help="line i names class i; of several columns (tabs), the last does"
    )
    network.add_argument(
        "--device", help="where to work, such as cuda:1 (default: the GPU if there is one, else the CPU)"
    )
    explained = parser.add_argument_group("explanation")
    explained.add_argument(
        "--target", metavar="CLASS", help="index or name of the class to explain (default: the predicted one)"
    )
    explained.add_argument("--method", default="IntegratedGradients", help="see below (default: %(default)s)")
    explained.add_argument("--layer", metavar="NAME", help="the module that the method looks at, such as features.12")
    explained.add_argument("--masks", default="slic:100", help="superpixels, see below (default: %(default)s)")
    explained.add_argument(
        "--reduction",
        choices=("mean", "abs_mean", "sum", "max"),
        help="of the pixels of a superpixel (default: abs_mean for SmoothGrad, GuidedBackprop, Deconvolution and "
        "GuidedGradCam, whose signs cancel, else mean)",
    )
    explained.add_argument("--seed", type=_seed, default=0, help="of methods that draw at random (default: 0)")
    pixels = parser.add_argument_group(
        "preprocessing, input = (pixels * scale - mean) / std, pixels from 0 to 255",
        "by default the network's own, where a transformers model has one, else ImageNet's",
    )
    pixels.add_argument("--size", type=_size, metavar="N|HxW", help="height and width of the network's input")
    pixels.add_argument("--mean", type=float, nargs=3, metavar="M", help="of the network's channels, in their order")
    pixels.add_argument("--std", type=float, nargs=3, metavar="S", help="likewise")
    pixels.add_argument("--scale", type=float, help="1/255 = 0.00392 for networks on [0, 1], 1 for those on 0 to 255")
    pixels.add_argument("--channel-order", choices=("rgb", "bgr"), help="of the network")
    pixels.add_argument(
        "--resize", choices=("crop", "stretch"), help="cut out the middle, or see all of the photograph distorted"
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out",
        type=Path,
        default=Path("explanations"),
        metavar="PATH",
        help="a file .png, .html or .npz; or a folder, with one file a photograph (default: %(default)s)",
    )
    output.add_argument(
        "--format",
        action="append",
        choices=("png", "html", "npz"),
        default=[],
        help="of the files in the folder; may be given again (default: png)",
    )
    output.add_argument(
        "--top", type=_count, default=10, metavar="K", help="regions to list, number and show (default: %(default)s)"
    )


def _explain(options: argparse.Namespace) -> int:
    from captum_superpixel.explain.run import run

    return run(options)


def _size(text: str) -> int | tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text)
    if match is None or not int(match[1]) or not int(match[2] or 1):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write 224, or 240x320 for height x width")
    return (int(match[1]), int(match[2])) if match[2] else int(match[1])


def _seed(text: str) -> int:
    return _integer(text, 0, 2**63 - 1)


def _count(text: str) -> int:
    return _integer(text, 1, 10_000)


def _integer(text: str, low: int, high: int) -> int:
    if not text.isdecimal() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer from {low} to {high}")
    return int(text)
