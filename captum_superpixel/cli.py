"""The command line: ``captum-superpixel demo``, ``explain`` and ``study``."""

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import captum_superpixel
from captum_superpixel.explain.command import add_explain
from captum_superpixel.models.classifying import InputError
from captum_superpixel.study.command import add_study

__all__ = ["main"]

_DESCRIPTION = "Explanations of image classifiers, averaged within superpixels."

_DEMO = """\
Explain a network's decisions by Saliency, IntegratedGradients and SmoothGrad, pixel by pixel and averaged within
superpixels, and draw them side by side.

By default the network is a small one, trained on handwritten digits that lie on photographs (nothing is
downloaded; about a minute on two cores, and only once: it is cached), and four test images are explained.
With --image and --model, your own photograph and network are."""

_EXAMPLES = """\
examples:
  captum-superpixel demo
  captum-superpixel demo --out digits.png --seed 1 --retrain
  captum-superpixel demo --image cat.jpg --model mynet:load
  captum-superpixel demo --image cat.jpg --model mynet:load --size 64 --mean .5 .5 .5 --std .5 .5 .5 --target 3

MODULE:FACTORY names a network, or a function or class that makes one when called without arguments, weights
included: mynet:load is load() in mynet.py of the current folder. It maps images (1, 3, size, size) to (1, classes)."""

_OWN = ("size", "mean", "std", "target")
_DIGITS = ("epochs", "retrain")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the program's name; None for that of this process.

    Returns:
        The exit status: 0; 1 where some photographs could not be explained; 2 where an argument cannot be used; 130
        where the user interrupted; 141 where nobody reads the output any more.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    try:
        return int(options.run(options) or 0)
    except InputError as error:
        return _fail(str(error), 2)
    except ImportError as error:
        hint = 'pip install "captum-superpixel['
        return _fail(f"{error}" if hint in str(error) else f'{error}; this command needs: {hint}demo]"', 2)
    except BrokenPipeError:
        # Whoever read the output has read enough; Python would complain again when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return _fail("interrupted; what was finished is kept, nothing is half-written.", 130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="captum-superpixel", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"%(prog)s {captum_superpixel.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="draw explanations by pixel and by superpixel side by side",
        description=_DEMO,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.set_defaults(run=_demo)
    demo.add_argument("--out", type=Path, default=Path("demo.png"), help="the picture to write (default: %(default)s)")
    demo.add_argument(
        "--seed", type=_integer(0, 2**63 - 1), default=0, help="seed of training and of SmoothGrad's noise (default: 0)"
    )
    digits = demo.add_argument_group("the digits")
    digits.add_argument("--retrain", action="store_true", default=None, help="train even if there is a cached network")
    digits.add_argument("--epochs", type=_integer(1, 1000), help="passes over the training images (default: 12)")
    own = demo.add_argument_group("your own network")
    own.add_argument("--image", type=Path, metavar="PHOTO", help="photograph; the square in its middle is used")
    own.add_argument("--model", metavar="MODULE:FACTORY", help="network")
    own.add_argument(
        "--size", type=_integer(16, 4096), help="height and width in pixels of what it is given (default: 224)"
    )
    own.add_argument(
        "--mean", type=_number, nargs=3, metavar=("R", "G", "B"), help="subtracted from pixels in [0, 1] (ImageNet's)"
    )
    own.add_argument(
        "--std", type=_positive, nargs=3, metavar=("R", "G", "B"), help="then divided by (default: ImageNet's)"
    )
    own.add_argument("--target", type=int, help="class to explain (default: the predicted one)")
    add_explain(commands)
    add_study(commands)
    return parser


def _demo(options: argparse.Namespace) -> None:
    if (options.image is None) != (options.model is None):
        present, absent = ("--image", "--model") if options.model is None else ("--model", "--image")
        raise InputError(f"{present} without {absent}: pass both to explain your own network, neither for the digits.")
    own = options.image is not None
    for name in _DIGITS if own else _OWN:
        if getattr(options, name) is not None:
            raise InputError(
                f"--{name} says how to train the network, but --model brings one: leave one of the two out."
                if own
                else f"--{name} is about your own network: pass --image and --model too."
            )
    from captum_superpixel.explain import demo

    given = {name: getattr(options, name) for name in (_OWN if own else _DIGITS) if getattr(options, name) is not None}
    if own:
        demo.explain_photograph(options.image, options.model, options.out, seed=options.seed, report=print, **given)
    else:
        demo.explain_digits(options.out, seed=options.seed, report=print, **given)


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer from {low} to {high}")
        return int(text)

    return parse


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return number


def _positive(text: str) -> float:
    number = _number(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return number


def _fail(message: str, status: int) -> int:
    print(f"captum-superpixel: error: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
