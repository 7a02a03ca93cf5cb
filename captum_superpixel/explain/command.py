"""The commands ``demo`` and ``explain`` as they are typed: their options, and the checks of these."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from captum_superpixel._options import SUMMARIES, CommandParser, add_preprocessing_options
from captum_superpixel.explain.choices import BASELINES, DEFAULT_MASKS, FORMATS, TASKS
from captum_superpixel.explain.help import DEMO, DEMO_EXAMPLES, EXPLAIN, EXPLAIN_EXAMPLES, explain_details

__all__ = ["add_demo", "add_explain"]


def add_demo(commands: Any) -> None:
    """Add ``demo`` to the commands of an ``argparse`` parser."""
    parser = _add(commands, "demo", _demo, DEMO, DEMO_EXAMPLES)
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
    parser = _add(commands, "explain", _explain, EXPLAIN, EXPLAIN_EXAMPLES)
    parser.set_details(explain_details)
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
    _add_network(parser)
    _add_task(parser)
    _add_explanation(parser)
    _add_preprocessing(parser)
    _add_output(parser)


def _add_network(parser: argparse.ArgumentParser) -> None:
    network = parser.add_argument_group("network")
    network.add_argument(
        "--model",
        required=True,
        help="a folder or the hub's name of a transformers model; MODULE:FACTORY, see below; or a file with a program, "
        ".pt2 of torch.export or .pt of TorchScript (like a module, it can run any code: use no file that you do not "
        "trust)",
    )
    network.add_argument(
        "--weights", type=Path, metavar="FILE", help="state dict for MODULE:FACTORY: .safetensors, or of torch.save"
    )
    network.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="names of the classes, a line each, from class 0 on; the last column counts if there are tabs",
    )
    network.add_argument(
        "--activation",
        choices=("auto", "softmax", "sigmoid", "none"),
        default="auto",
        type=str.lower,
        help="how outputs become probabilities, in the network or after it: softmax, where exactly one class holds; "
        "sigmoid, where each class holds or does not; none, where outputs are no probabilities (default: auto, found "
        "out from the network's configuration and its outputs)",
    )
    network.add_argument(
        "--device", help="where to work, such as cuda:1 (default: the GPU if there is one, else the CPU)"
    )


def _add_task(parser: argparse.ArgumentParser) -> None:
    task = parser.add_argument_group("task", "what is explained, if it is no class of the whole photograph; see below")
    task.add_argument("--task", choices=TASKS, default="classification", help="of the network (default: %(default)s)")
    task.add_argument(
        "--box",
        type=_box,
        metavar="L,T,R,B",
        help="left, top, right and bottom in pixels of the photograph: the region of a segmentation, or the box in "
        "which an object is to be detected (default: where the network sees it)",
    )
    task.add_argument(
        "--region",
        type=Path,
        metavar="FILE",
        help="the region of a segmentation, as a picture that is black elsewhere, or .npy (H, W)",
    )
    task.add_argument("--reference", type=Path, metavar="PHOTO", help="what each photograph is similar to")
    task.add_argument(
        "--text",
        action="append",
        default=[],
        help="what each photograph is similar to, for networks such as CLIP; given again, what speaks for the first "
        "text rather than for the others is explained",
    )


def _add_explanation(parser: argparse.ArgumentParser) -> None:
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
    explained.add_argument(
        "--reshape-transform",
        metavar="MODULE:FUNCTION",
        help="function from the output of the layer that --layer names to a map (N, C, h, w), where that is not found "
        "by itself",
    )
    explained.add_argument("--masks", help=f"superpixels, see below (default: {DEFAULT_MASKS})")
    explained.add_argument(
        "--reduction",
        choices=("mean", "abs_mean", "sum", "max", "evidence"),
        help="what the values of a superpixel become: their mean, the mean of their magnitudes, their sum, the "
        "largest, or the evidence, see below "
        "(default: abs_mean for {cancelling}, whose signs cancel, else mean)",
    )
    explained.add_argument(
        "--negative-weight",
        type=_weight,
        metavar="W",
        help="how much what speaks against the class counts in the evidence, from 0, not at all, to 1, as much as what "
        "speaks for it; -1 counts both as magnitudes (default: {negative_weight})",
    )
    explained.add_argument(
        "--views",
        type=_integer(1, 10_000),
        metavar="V",
        help="average the map over V views of the photograph, shifted a little and mirrored, against noise: V times "
        "the work, but no more than without for IntegratedGradients, SmoothGrad and SparsifiedSmoothGrad, of which "
        "each step or noisy copy sees another view (default: 1)",
    )
    explained.add_argument(
        "--recommended",
        action="store_true",
        help="choose --masks, --reduction and --views as the measurements advise for each method, see below",
    )
    explained.add_argument(
        "--confidence",
        action="store_true",
        help="say of each region how probably it is among the top 3 of an independently trained network too, by "
        "explaining 12 perturbed networks: 13 times the work, see below",
    )
    explained.add_argument(
        "--strength",
        type=_strength,
        metavar="S",
        help="by which share the parameters are perturbed for --confidence, such as 0.03 (default: as much as keeps "
        "85 %% of the predictions on the first photographs)",
    )
    explained.add_argument(
        "--steps",
        type=_integer(1, 100_000),
        metavar="N",
        help="along the path from the baseline, of the methods that follow one (default: {steps})",
    )
    explained.add_argument(
        "--samples",
        type=_integer(1, 10_000_000),
        metavar="N",
        help="noisy copies for SmoothGrad and SparsifiedSmoothGrad, draws for GradientShap and LayerGradientShap "
        "(default: 25 each), orders of the superpixels for ShapleyValueSampling (10), coalitions of them for Lime and "
        "KernelShap (5 for each superpixel, at least 500) and OwenValues (4 for each, at least 400)",
    )
    explained.add_argument(
        "--baseline",
        choices=BASELINES,
        help="what the methods that have a baseline replace pixels by, see below (default: 0; for XRAI two of its own)",
    )
    explained.add_argument(
        "--batch-size",
        type=_integer(1, 100_000),
        metavar="N",
        help="images that the network is given at once: photographs, steps, noisy copies or perturbations; halved "
        "where memory does not suffice (default: by their size; on a CPU, where networks slow down beyond it, 4 of "
        "224 x 224, elsewhere 64)",
    )
    explained.add_argument(
        "--workers",
        type=_integer(0, 256),
        metavar="N",
        help="processes that read and draw beside the network; 0 for none (default: for 64 photographs or more, the "
        "cores of the machine but one, 8 at most)",
    )
    explained.add_argument(
        "--seed", type=_integer(0, 2**63 - 1), default=0, help="of methods that draw at random (default: 0)"
    )


def _add_preprocessing(parser: argparse.ArgumentParser) -> None:
    own = "by default the network's own, where it has one, as transformers models do, else ImageNet's"
    pixels = add_preprocessing_options(parser, size=_size, metavar="N|HxW", description=own)
    pixels.add_argument(
        "--resize",
        choices=("crop", "stretch"),
        help="cut out the middle, or distort the whole photograph to the size of the input",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
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
        "--redo",
        action="store_true",
        help="explain photographs of a folder again that were explained before with the same network and options, and "
        "have not changed since (default: they are left out)",
    )
    output.add_argument(
        "--top",
        type=_integer(1, 10_000),
        default=10,
        metavar="K",
        help="regions to list, number and show (default: %(default)s)",
    )


def _add(
    commands: Any, name: str, run: Callable[[argparse.Namespace], object], description: str, examples: str
) -> CommandParser:
    """Add a command, which is described and shown by examples as they are laid out here."""
    parser: CommandParser = commands.add_parser(
        name,
        help=SUMMARIES[name],
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


# What follows is imported when a command runs, so that what is wrong with options is said without waiting for it.


def _demo(options: argparse.Namespace) -> None:
    from captum_superpixel.explain.demo import run_demo

    run_demo(options.out, seed=options.seed, epochs=options.epochs, retrain=options.retrain, report=print)


def _explain(options: argparse.Namespace) -> int:
    from captum_superpixel.explain.run import run

    return run(options)


def _size(text: str) -> int | tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text)
    if match is None or not int(match[1]) or not int(match[2] or 1):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write 224, or 240x320 for height x width")
    return (int(match[1]), int(match[2])) if match[2] else int(match[1])


def _box(text: str) -> tuple[float, ...]:
    try:
        box = tuple(map(float, text.split(",")))
    except ValueError:
        box = ()
    if len(box) != 4 or not all(map(math.isfinite, box)):
        raise argparse.ArgumentTypeError(f"{text!r} is no box: write left,top,right,bottom, such as 10,20,110,90")
    return box


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not -1 <= weight <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from -1 to 1")
    return weight


def _strength(text: str) -> float:
    try:
        strength = float(text)
    except ValueError:
        strength = math.nan
    if not 0 < strength < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and below 1")
    return strength


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer from {low} to {high}")
        return int(text)

    return parse
