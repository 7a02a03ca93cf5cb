"""What the commands share: a parser of options, and the options that say what a network expects of its inputs."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["SUMMARIES", "CommandParser", "add_preprocessing_options"]

SUMMARIES = {
    "demo": "see explanations by pixel and by superpixel",
    "explain": "explain a network of yours on photographs of yours",
    "study": "measure how stable and faithful explanations are, by pixel and by superpixel",
    "compile": "make superpixels several times as fast on this computer's CPU",
}
"""The commands in the order of the help, and what each is for."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def add_preprocessing_options(
    parser: Any, *, size: Callable[[str], Any] = int, metavar: str = "N", description: str | None = None
) -> Any:
    """Add the options that say what a network expects of its inputs, all of them None by default.

    Args:
        parser: An ``argparse`` parser.
        size: From the text of ``--size`` to its value.
        metavar: What the help calls that text.
        description: What the help says about the options together.

    Returns:
        Their group, for further options.
    """
    formula = "preprocessing, input = (pixels * scale - mean) / std, pixels from 0 to 255"
    group = parser.add_argument_group(formula, description)
    group.add_argument("--size", type=size, metavar=metavar, help="height and width of the network's input")
    group.add_argument(
        "--mean", type=_numbers, metavar="M [M M]", help="of the network's channels, in their order; or one for all"
    )
    group.add_argument("--std", type=_numbers, metavar="S [S S]", help="likewise")
    group.add_argument(
        "--scale",
        type=float,
        help="with --mean and --std: 1/255 = 0.00392 for networks on [0, 1], 1 for those on 0 to 255",
    )
    group.add_argument("--channel-order", choices=("rgb", "bgr", "gray"), help="of the network; gray is one channel")
    return group


class CommandParser(argparse.ArgumentParser):
    """A parser whose options ``--mean`` and ``--std`` take one number or several, and whose help may be made late.

    The number of values of an option is fixed in ``argparse``, or else it takes the names of files behind it too.
    """

    _details: Callable[[], Mapping[str, str]] | None = None

    def set_details(self, details: Callable[[], Mapping[str, str]]) -> None:
        """Let a function give what stands for names in braces in the help; it is called when the help is wanted."""
        self._details = details

    def format_help(self) -> str:
        """The help, with its details."""
        if self._details is not None:
            found, self._details = self._details(), None
            self.epilog = (self.epilog or "").format_map(found)
            for action in self._actions:
                action.help = action.help and action.help.format_map(found)
        return super().format_help()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse arguments in which the numbers behind these options are joined by commas."""
        joined: list[str] = []
        follows = False
        for argument in sys.argv[1:] if args is None else args:
            if follows and _NUMBER.fullmatch(argument):
                joined[-1] += f"{',' if '=' in joined[-1] else '='}{argument}"
            else:
                joined.append(argument)
                follows = argument in ("--mean", "--std")
        return super().parse_known_args(joined, namespace)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither one number nor three") from None
