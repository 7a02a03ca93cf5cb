"""``captum-superpixel study``: from the command line to the settings of a study."""

import argparse
import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

from captum_superpixel._checks import InputError
from captum_superpixel.study.context import Reporter
from captum_superpixel.study.run import run_study
from captum_superpixel.study.settings import DATASETS, StudySettings

__all__ = ["add_study"]

_DESCRIPTION = """\
How stable are explanations over training runs, how faithful, and what does grouping pixels change?

Trains networks on disjoint parts of a data set (or takes two that exist), explains the same held-out images by
Saliency, IntegratedGradients and SmoothGrad, pixel by pixel and grouped in six ways, and measures how alike the maps of
different networks are, raw and beyond two nulls, and how faithful they are. Writes report.md, report.json, maps.png
and stability.png. What was finished is kept: run the same command again to take up an interrupted study."""

_EXAMPLES = """\
examples:
  captum-superpixel study --quick
  captum-superpixel study --models 5 --out study-5
  captum-superpixel study --dataset cifar10 --root cifar10
  captum-superpixel study --dataset cifar10 --root cifar10 \\
      --checkpoint captum_superpixel.models.networks:resnet20 --weights resnet20.safetensors \\
      --checkpoint captum_superpixel.models.networks:resnet44 --weights resnet44.safetensors
  captum-superpixel study --dataset imagefolder --root imagenet/val --classes classes.txt \\
      --checkpoint microsoft/resnet-50 --checkpoint mynet:load
  torchrun --nproc-per-node 4 -m captum_superpixel.cli study --models 4

--checkpoint is a folder in transformers' format, the name of one on the Hugging Face hub, or MODULE:FACTORY, with
--weights for a state dict (.safetensors, or a file that torch.load reads). One checkpoint gives fidelity only."""


def add_study(commands: Any) -> None:
    """Add the command to those of an ``argparse`` parser."""
    parser = commands.add_parser(
        "study",
        help="measure how stable and faithful explanations are, by pixel and by superpixel",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_study)
    parser.add_argument("--out", type=Path, default=Path("study"), help="folder of the report (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="fewer epochs and images, for a first look")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default: 0)")
    parser.add_argument("--device", help="where to work (default: the GPU if there is one, else the CPU)")
    data = parser.add_argument_group("data")
    data.add_argument(
        "--dataset",
        choices=DATASETS,
        default="digits",
        help="digits is embedded, the others are files (default: digits)",
    )
    data.add_argument("--root", help="folder of cifar10's parquet files, or of one folder of images per class")
    data.add_argument(
        "--classes", metavar="FILE", help="line i: folder name of class i; the folders may be some of them"
    )
    data.add_argument("--images", type=int, metavar="N", help="held-out images to explain (200; cifar10 1000)")
    data.add_argument("--train-images", type=int, metavar="N", help="training images of all networks together")
    data.add_argument(
        "--on-unreadable",
        choices=("raise", "skip"),
        default="raise",
        help="what a broken image does (default: raise)",
    )
    networks = parser.add_argument_group("networks")
    networks.add_argument("--models", type=int, metavar="K", help="networks to train (default: 2)")
    networks.add_argument("--network", help="small_cnn, resnet20, 32, 44, 56 (for 32 pixels), resnet18, squeezenet1_0")
    networks.add_argument("--epochs", type=int, metavar="N", help="passes over the training images")
    networks.add_argument(
        "--checkpoint",
        action="append",
        dest="checkpoints",
        metavar="NETWORK",
        default=[],
        help="a network that exists; give two to compare",
    )
    networks.add_argument(
        "--weights", action="append", metavar="FILE", default=[], help="state dict, one per checkpoint; - for none"
    )
    pixels = parser.add_argument_group("preprocessing, input = (pixels * scale - mean) / std, pixels from 0 to 255")
    pixels.add_argument("--size", type=int, help="height and width of the network's input")
    pixels.add_argument("--mean", type=float, nargs=3, help="of the network's channels, in their order")
    pixels.add_argument("--std", type=float, nargs=3, help="likewise")
    pixels.add_argument(
        "--scale",
        type=float,
        help="with --mean and --std: 1/255 = 0.00392 for networks on [0, 1], 1 for those on 0 to 255",
    )
    pixels.add_argument("--channel-order", choices=("rgb", "bgr"), help="of the network")
    measures = parser.add_argument_group("methods and measures")
    measures.add_argument(
        "--segments", type=int, dest="n_segments", metavar="N", help="superpixels of Slic (30; imagefolder 100)"
    )
    measures.add_argument("--steps", type=int, dest="n_steps", metavar="N", help="of IntegratedGradients (default: 20)")
    measures.add_argument("--samples", type=int, dest="n_samples", metavar="N", help="of SmoothGrad (default: 20)")
    measures.add_argument("--noise", type=float, help="SmoothGrad's, for pixels in [0, 1] (default: 0.12)")
    measures.add_argument("--draws", type=int, metavar="N", help="permutations for the null (default: 2)")
    measures.add_argument("--fidelity-images", type=int, metavar="N", help="for insertion and deletion")
    measures.add_argument(
        "--chunk",
        type=int,
        dest="chunk_size",
        metavar="N",
        help="images measured together, shared out, and kept (50; imagefolder 10)",
    )
    measures.add_argument("--road-images", type=int, metavar="N", help="for ROAD, the most expensive measure")
    measures.add_argument(
        "--mege",
        type=int,
        nargs="?",
        const=4,
        dest="folds",
        metavar="FOLDS",
        help="train the folds for MeGe and ReCo (4)",
    )
    measures.add_argument(
        "--roar", action="store_true", help="retrain on images without their most relevant pixels: an hour on two cores"
    )


def _study(options: argparse.Namespace) -> None:
    if options.models is not None and options.checkpoints:
        raise InputError(
            f"--models {options.models} says how many networks to train, but --checkpoint brings them: leave one out."
        )
    if options.weights and len(options.weights) != len(options.checkpoints):
        raise InputError(
            f"{len(options.weights)} --weights for {len(options.checkpoints)} --checkpoint: one for each, "
            "in the same order."
        )
    # Lines are to be seen while the work goes on, through a pipe too.
    report: Reporter = partial(print, flush=True)
    # What the caller can mend comes as a ValueError, with a message that says how.
    try:
        run_study(_settings(options), options.out, device=options.device, report=report)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(str(error)) from error


def _settings(options: argparse.Namespace) -> StudySettings:
    """The options that are settings, whose names they have."""
    names = {field.name for field in dataclasses.fields(StudySettings)}
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(options).items()
        if name in names and value is not None
    }
    given["weights"] = tuple(None if weights == "-" else weights for weights in options.weights)
    return StudySettings(**given)
