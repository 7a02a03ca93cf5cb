"""The command line: hands options to ``demo``, ``explain``, ``study``, ``compile``; errors become exit statuses."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import captum_superpixel
from captum_superpixel._checks import InputError, readable
from captum_superpixel._options import CommandParser
from captum_superpixel.explain.command import add_demo, add_explain
from captum_superpixel.masks import compile_engine
from captum_superpixel.study.command import add_study

__all__ = ["main"]

_KEPT = "; what was finished is kept, nothing is half-written."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the program's name; None for that of this process.

    Returns:
        The exit status: 0; 1 where some photographs could not be explained, or a file could not be read or written
        (a full disk); 2 where an argument cannot be used; 130 where the user interrupted; 141 where nobody reads the
        output any more.
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
    except OSError as error:
        return _fail(f"{readable(error)}{_KEPT}", 1)
    except KeyboardInterrupt:
        return _fail(f"interrupted{_KEPT}", 130)


def _parser() -> CommandParser:
    """The parser with all commands, each of which sets ``run`` to the function that its options go to."""
    description = "Explanations of image classifiers, averaged within superpixels."
    parser = CommandParser(prog="captum-superpixel", description=description)
    parser.add_argument("--version", action="version", version=f"%(prog)s {captum_superpixel.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for add in (add_demo, add_explain, add_study, _add_compile):
        add(commands)
    return parser


def _add_compile(commands: Any) -> None:
    """Add ``compile`` to the commands."""
    text = "make superpixels several times as fast on this computer's CPU"
    details = 'Compiles Slic, once per computer; needs: pip install "captum-superpixel[fast]".'
    command = commands.add_parser("compile", help=text, description=details)
    command.set_defaults(run=_compile)


def _compile(options: object) -> int:
    # Where Numba is not loaded yet, it then leaves all optimization to the end, which takes two thirds of the time.
    os.environ.setdefault("NUMBA_OPT", "0")
    kept = compile_engine()
    if kept is None:
        return _fail("the compiled engine works, but could not be kept: the cache folder cannot be written to", 1)
    print(f"Slic is compiled for this computer; kept in {kept}")
    return 0


def _fail(message: str, status: int) -> int:
    print(f"captum-superpixel: error: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
