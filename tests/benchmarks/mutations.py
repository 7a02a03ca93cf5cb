"""What a mutant is: one change of one function by an operator of mutmut, drawn at random; for ``mutants.py``."""

from __future__ import annotations

import ast
import contextlib
import difflib
import gc
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

# What is changed, and the tests that mirror it.
ROOMS = {
    "pooling": ("captum_superpixel/pooling.py", "tests/test_pooling.py"),
    "regions": ("captum_superpixel/regions", "tests/regions"),
    "slic": (
        "captum_superpixel/masks/slic",
        "tests/masks/slic",
        "tests/masks/test_components.py",
        "tests/masks/test_contract.py",
    ),
    "metrics": ("captum_superpixel/metrics", "tests/metrics"),
    "attr": ("captum_superpixel/attr", "tests/attr"),
}


@dataclass(frozen=True)
class Mutant:
    """One change of one function."""

    room: str
    path: str
    line: int
    statement: range  # lines, at which coverage may have seen it
    function: range
    code: str  # of the whole file

    @property
    def change(self) -> str:
        """The lines that went and those that came."""
        lines = difflib.unified_diff(Path(self.path).read_text().splitlines(), self.code.splitlines(), n=0, lineterm="")
        return "\n".join(line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---"))

    def apply(self, live: dict[tuple[str, int], list[FunctionType]]) -> None:
        """Give the functions of this process the changed code, and the changed defaults."""
        path = str(Path(self.path).resolve())
        module = ModuleType(self.path.removesuffix(".py").replace("/", "."))
        module.__package__ = module.__name__.rpartition(".")[0]
        exec(compile(self.code, path, "exec", dont_inherit=True), module.__dict__)
        functions = live[path, self.function.start]
        # What lived before the fork is frozen, and not among these.
        for new in gc.get_objects():
            if type(new) is FunctionType and place(new) == (path, self.function.start):
                for function in functions:
                    function.__code__ = new.__code__
                    # Others, like an object that stands for "not given", are known by their identity.
                    plain = (bool, int, float, str, type(None))
                    old, given = function.__defaults__ or (), new.__defaults__ or ()
                    function.__defaults__ = tuple(
                        b if isinstance(b, plain) else a for a, b in zip(old, given, strict=True)
                    )
                    for name, value in (new.__kwdefaults__ or {}).items():
                        if isinstance(value, plain):
                            function.__kwdefaults__[name] = value


def place(function: FunctionType) -> tuple[str, int]:
    """Where it is defined, its first decorator included."""
    return function.__code__.co_filename, function.__code__.co_firstlineno


def spans(tree: ast.Module, line: int) -> tuple[range, range]:
    """Lines of the innermost statement, of a compound one those of its head; and of the outermost function."""
    statements, functions = [], []
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and node.lineno <= line <= node.end_lineno:
            if isinstance(node, ast.FunctionDef):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                functions.append(range(first, node.end_lineno + 1))
            body = getattr(node, "body", None)
            end = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno
            if line <= end:
                statements.append(range(node.lineno, end + 1))
    return min(statements, key=len), max(functions, key=len)


def changes(code: str) -> Iterator[tuple[Any, Any, Any, int]]:
    """List every change that mutmut's operators make within functions: the module, what goes, what comes, the line."""
    import libcst
    from libcst.metadata import MetadataWrapper, PositionProvider
    from mutmut.mutation.mutators import mutation_operators

    wrapper = MetadataWrapper(libcst.parse_module(code))
    positions = wrapper.resolve(PositionProvider)
    # Annotations are not executed; the wording of errors is not what is asked here.
    skipped = (libcst.Annotation, libcst.Decorator, libcst.Raise, libcst.Import, libcst.ImportFrom)

    def walk(node: Any, inside: bool) -> Iterator[tuple[Any, Any, Any, int]]:
        if isinstance(node, skipped):
            return
        inside = inside or isinstance(node, libcst.FunctionDef)
        if inside and node in positions:
            for kind, operator in mutation_operators:
                if isinstance(node, kind):
                    line = positions[node].start.line
                    yield from ((wrapper.module, node, changed, line) for changed in operator(node))
        for child in node.children:
            yield from walk(child, inside)

    yield from walk(wrapper.module, inside=False)


def sample(counts: dict[str, int], seed: int) -> Iterator[Mutant]:
    """Drawn at random within each room, in an order of which every beginning is such a sample too."""
    rng = random.Random(seed)
    drawn = []
    for room, count in counts.items():
        source = Path(ROOMS[room][0])
        found = []
        for path in [source] if source.suffix else sorted(source.glob("*.py")):
            found += [(room, path, *change) for change in changes(path.read_text())]
        chosen = rng.sample(found, min(count, len(found)))
        print(f"{room}: {len(found)} mutants, {len(chosen)} drawn", flush=True)
        drawn += [(number / len(chosen), change) for number, change in enumerate(chosen)]
    for _, (room, path, module, node, changed, line) in sorted(drawn, key=lambda change: change[0]):
        code = module.deep_replace(node, changed).code
        with contextlib.suppress(SyntaxError):  # of an argument without a name behind one with a name
            compile(code, path, "exec")
            yield Mutant(room, str(path), line, *spans(ast.parse(path.read_text()), line), code)
