"""``captum-superpixel study``: from the command line to the settings of a study."""

import argparse
import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

from captum_superpixel._checks import InputError
from captum_superpixel._options import SUMMARIES, add_preprocessing_options
from captum_superpixel._texts import joined
from captum_superpixel.study.settings import (
    DATASETS,
    METHOD_NAMES,
    MOSAIC_LAYOUTS,
    NETWORKS,
    POSSIBLE_METHODS,
    StudySettings,
    describe_default,
)

__all__ = ["add_study"]

_CONFIDENCE_IMAGES, _MEAN_MAP_IMAGES = 100, 25

_DESCRIPTION = """\
How stable are explanations over training runs, how faithful, and what does grouping pixels change?

Trains networks on disjoint parts of a data set (or takes trained ones), explains the same held-out images by
{methods}, pixel by pixel and grouped in several ways, and measures how alike the maps
of different networks are, raw and beyond two nulls, and how faithful they are. Writes report.md, its figures, and
report.json. What was finished is kept: run the same command again to take up an interrupted study."""

_EXAMPLES = """\
examples:
  captum-superpixel study --quick
  captum-superpixel study --models 5 --out study-5
  captum-superpixel study --models 4 --confidence --out sure
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
    parser: argparse.ArgumentParser = commands.add_parser(
        "study",
        help=SUMMARIES["study"],
        description=_DESCRIPTION.format(methods=joined(METHOD_NAMES)),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_study)
    parser.add_argument("--out", type=Path, default=Path("study"), help="folder of the report (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="fewer epochs and images, for a first look")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default: 0)")
    parser.add_argument("--device", help="where to work (default: the GPU if there is one, else the CPU)")
    _add_data(parser)
    _add_networks(parser)
    add_preprocessing_options(parser)
    _add_measures(parser)


def _add_data(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("data")
    data.add_argument(
        "--dataset",
        choices=DATASETS,
        default="digits",
        help="digits is embedded, the others are files (default: digits)",
    )
    data.add_argument("--root", help="folder of cifar10's parquet files, or of one folder of images per class")
    data.add_argument(
        "--classes",
        metavar="FILE",
        help="names of the classes' folders, a line each, from class 0 on; not every class needs one",
    )
    data.add_argument(
        "--images", type=int, metavar="N", help=f"held-out images to explain ({describe_default('images')})"
    )
    data.add_argument("--train-images", type=int, metavar="N", help="training images of all networks together")
    data.add_argument(
        "--on-unreadable",
        choices=("raise", "skip"),
        default="raise",
        help="whether an image that cannot be read ends the study or is left out (default: raise)",
    )


def _add_networks(parser: argparse.ArgumentParser) -> None:
    networks = parser.add_argument_group("networks")
    networks.add_argument("--models", type=int, metavar="K", help=f"networks to train ({describe_default('models')})")
    networks.add_argument("--network", help=f"what is trained: {', '.join(NETWORKS)} ({describe_default('network')})")
    networks.add_argument(
        "--epochs", type=int, metavar="N", help=f"passes over the training images ({describe_default('epochs')})"
    )
    networks.add_argument(
        "--checkpoint",
        action="append",
        dest="checkpoints",
        metavar="NETWORK",
        default=[],
        help="a trained network; give two to compare",
    )
    networks.add_argument(
        "--weights", action="append", metavar="FILE", default=[], help="state dict, one per checkpoint; - for none"
    )


def _add_measures(parser: argparse.ArgumentParser) -> None:
    measures = parser.add_argument_group("methods and measures")
    measures.add_argument(
        "--method",
        action="append",
        dest="methods",
        metavar="NAME",
        help=f"one of {joined(POSSIBLE_METHODS)}; give several to measure these (default: {joined(METHOD_NAMES)})",
    )
    measures.add_argument(
        "--segments",
        type=int,
        dest="n_segments",
        metavar="N",
        help=f"superpixels of Slic ({describe_default('n_segments')})",
    )
    measures.add_argument(
        "--views",
        type=int,
        dest="n_views",
        metavar="N",
        help="views of each image that maps are averaged over, beside those of the image as it is; 1 leaves them out "
        f"({describe_default('n_views')})",
    )
    measures.add_argument(
        "--steps", type=int, dest="n_steps", metavar="N", help=f"of IntegratedGradients ({describe_default('n_steps')})"
    )
    measures.add_argument(
        "--samples",
        type=int,
        dest="n_samples",
        metavar="N",
        help=f"of SmoothGrad and SparsifiedSmoothGrad ({describe_default('n_samples')})",
    )
    measures.add_argument("--noise", type=float, help=f"of these, for pixels in [0, 1] ({describe_default('noise')})")
    measures.add_argument(
        "--draws", type=int, metavar="N", help=f"permutations for the null ({describe_default('draws')})"
    )
    measures.add_argument(
        "--fidelity-images",
        type=int,
        metavar="N",
        help=f"for insertion and deletion ({describe_default('fidelity_images')})",
    )
    measures.add_argument(
        "--mean-color-images",
        type=int,
        metavar="N",
        help="of these, for insertion and deletion with the mean color in place of a blur too (default: all)",
    )
    measures.add_argument(
        "--rows",
        choices=("all", "claimed"),
        help="whether all rows of the tables are measured or, several times as fast, those alone that a claim is about "
        "(default: all)",
    )
    measures.add_argument(
        "--chunk",
        type=int,
        dest="chunk_size",
        metavar="N",
        help="images that are measured and kept together, and that a process takes at a time "
        f"({describe_default('chunk_size')})",
    )
    measures.add_argument(
        "--road-images",
        type=int,
        metavar="N",
        help=f"for ROAD and IROF, the most expensive measures ({describe_default('road_images')})",
    )
    measures.add_argument(
        "--auc-steps",
        type=int,
        metavar="N",
        help=f"of the insertion and the deletion curve ({describe_default('auc_steps')})",
    )
    measures.add_argument(
        "--mosaics",
        type=int,
        metavar="N",
        help="mosaics of 2 x 2 held-out images, for the grid pointing game: how much of a map lies in the image of the "
        f"class, as expensive as N times four images ({describe_default('mosaics')}: left out)",
    )
    measures.add_argument(
        "--mosaic-layout",
        choices=MOSAIC_LAYOUTS,
        help="images of a mosaic at full size, or scaled to its cells, for networks that take one size only "
        f"({describe_default('mosaic_layout')})",
    )
    measures.add_argument(
        "--mege",
        type=int,
        nargs="?",
        const=4,
        dest="folds",
        metavar="FOLDS",
        help="train a network without each of so many parts of the images, for MeGe and ReCo (4 without a number)",
    )
    measures.add_argument(
        "--confidence",
        type=int,
        nargs="?",
        const=_CONFIDENCE_IMAGES,
        dest="confidence_images",
        metavar="N",
        help="on so many images, how often regions stay among the top k of another network, against the probability "
        "that region_table gives: 25 maps by each network and method "
        f"({_CONFIDENCE_IMAGES} without a number; two networks or more, better four)",
    )
    measures.add_argument(
        "--mean-maps",
        type=int,
        nargs="?",
        const=_MEAN_MAP_IMAGES,
        dest="mean_map_images",
        metavar="N",
        help="on so many of these, in whole chunks, the mean map of the draws beside maps of as many passes: 74 maps "
        f"by each network and method ({_MEAN_MAP_IMAGES} without a number)",
    )
    measures.add_argument(
        "--roar", action="store_true", help="retrain on images without their most relevant pixels: an hour on two cores"
    )


def _study(options: argparse.Namespace) -> None:
    if options.models is not None and options.checkpoints:
        raise InputError(
            f"--models {options.models} says how many networks to train, but --checkpoint gives them: leave one out."
        )
    if options.weights and len(options.weights) != len(options.checkpoints):
        raise InputError(
            f"{len(options.weights)} --weights for {len(options.checkpoints)} --checkpoint: one for each, "
            "in the same order."
        )
    # Imported when a study runs, so that what is wrong with options is said without waiting for PyTorch.
    from captum_superpixel._store import StoreError
    from captum_superpixel.study.run import run_study

    # Lines are to be seen while the work goes on, through a pipe too.
    report = partial(print, flush=True)
    # What the caller can mend comes as a ValueError, with a message that says how.
    try:
        run_study(_settings(options), options.out, device=options.device, report=report)
    except InputError:
        raise
    except StoreError as error:
        raise InputError(f"{error}, or choose another --out") from error
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
