"""The command line: hands options to ``demo``, ``explain``, ``study``, ``compile``; errors become exit statuses."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import captum_superpixel
from captum_superpixel._checks import InputError, readable
from captum_superpixel._options import SUMMARIES, CommandParser

__all__ = ["add_compile", "main"]

_ADDERS = {
    "demo": ("captum_superpixel.explain.command", "add_demo"),
    "explain": ("captum_superpixel.explain.command", "add_explain"),
    "study": ("captum_superpixel.study.command", "add_study"),
    "compile": ("captum_superpixel.cli", "add_compile"),
}
"""Module and function that add the options of a command."""
_KEPT = "; what was finished is kept, nothing is half-written."


class _Terminated(KeyboardInterrupt):
    """A scheduler or ``kill`` asks this process to end: all that Ctrl-C cleans up is cleaned up."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the program's name; None for that of this process.

    Returns:
        The exit status: 0; 1 where some photographs could not be explained, or a file could not be read or written
        (a full disk); 2 where an argument cannot be used; 130 where the user interrupted; 141 where nobody reads the
        output any more; 143 where the process was asked to end (SIGTERM).
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = _parser(arguments)
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    try:
        with _asked_to_end():
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
    except _Terminated:
        return _fail(f"terminated{_KEPT}", 143)
    except KeyboardInterrupt:
        return _fail(f"interrupted{_KEPT}", 130)


@contextmanager
def _asked_to_end() -> Iterator[None]:
    """Raise an exception at SIGTERM, unless whoever calls :func:`main` from a program of their own deals with it."""
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: object) -> NoReturn:
    raise _Terminated


def _parser(arguments: Sequence[str]) -> CommandParser:
    """The parser with all commands; that which is called has its options, and sets ``run`` to what they go to."""
    description = "Explanations of image classifiers, averaged within superpixels."
    parser = CommandParser(prog="captum-superpixel", description=description)
    parser.add_argument("--version", action="version", version=f"%(prog)s {captum_superpixel.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    called = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, summary in SUMMARIES.items():
        if name == called:
            module, function = _ADDERS[name]
            getattr(importlib.import_module(module), function)(commands)
        else:
            commands.add_parser(name, help=summary)
    return parser


def add_compile(commands: Any) -> None:
    """Add ``compile`` to the commands of an ``argparse`` parser."""
    details = 'Compiles Slic, once per computer; needs: pip install "captum-superpixel[fast]".'
    command = commands.add_parser("compile", help=SUMMARIES["compile"], description=details)
    command.add_argument("--force", action="store_true", help="compile it even if that has been done already")
    command.set_defaults(run=_compile)


def _compile(options: Any) -> int:
    from captum_superpixel.masks import compile_engine, describe_engine

    before = describe_engine()
    kept = compile_engine(force=options.force)
    if kept is None:
        return _fail("the compiled engine works, but could not be kept: the cache folder cannot be written to", 1)
    if not options.force and describe_engine() == before:
        print(f"Slic is compiled for this computer already; kept in {kept} (--force compiles it again)")
    else:
        print(f"Slic is compiled for this computer; kept in {kept}")
    return 0


def _fail(message: str, status: int) -> int:
    print(f"captum-superpixel: error: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
