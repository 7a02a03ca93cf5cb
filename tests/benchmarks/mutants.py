"""Mutation tests of a sample: the operators of mutmut change a line, and the tests that run that line have to notice.

mutmut and cosmic-ray start Python, torch and pytest anew or copy every function many times. Here pytest collects once, and
each mutant is a fork of that process, in which one function is given other code. Coverage, measured in such a fork per file
of tests, tells which tests run the line; they run fastest first, up to the first that fails. Module constants and the
fields of classes are not changed, nor the wording of errors. Needs ``pip install mutmut coverage`` and a system that forks.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import gc
import json
import os
import random
import resource
import signal
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import coverage
import libcst as cst
import pytest
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators
from scipy.stats import binomtest

# What is changed, and the tests that mirror it.
ROOMS = {
    "pooling": ("captum_superpixel/pooling.py", "tests/test_pooling.py"),
    "regions": ("captum_superpixel/regions", "tests/regions"),
    "slic": ("captum_superpixel/masks/slic", "tests/masks/slic", "tests/masks/test_contract.py"),
    "metrics": ("captum_superpixel/metrics", "tests/metrics"),
    "attr": ("captum_superpixel/attr", "tests/attr"),
}
PYTEST = ("-q", "-n", "0", "-p", "no:cacheprovider")
MEMORY = 12 * 2**30


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


class Mutations(cst.CSTVisitor):
    """Every change that mutmut's operators make within the functions of a module."""

    METADATA_DEPENDENCIES = (PositionProvider,)
    # Annotations are not executed; the wording of errors is not what is asked here.
    SKIPPED = cst.Annotation | cst.Decorator | cst.Raise | cst.Import | cst.ImportFrom

    def __init__(self) -> None:
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, int]] = []
        self.depth = 0

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, self.SKIPPED):
            return False
        self.depth += isinstance(node, cst.FunctionDef)
        position = self.get_metadata(PositionProvider, node, None)
        if self.depth and position is not None:
            for kind, operator in mutation_operators:
                if isinstance(node, kind):
                    self.found += [(node, changed, position.start.line) for changed in operator(node)]
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        self.depth -= isinstance(original_node, cst.FunctionDef)


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


def sample(counts: dict[str, int], seed: int) -> Iterator[Mutant]:
    """Drawn at random within each room, in an order of which every beginning is such a sample too."""
    rng = random.Random(seed)
    drawn = []
    for room, count in counts.items():
        source = Path(ROOMS[room][0])
        found = []
        for path in [source] if source.suffix else sorted(source.glob("*.py")):
            wrapper, visitor = MetadataWrapper(cst.parse_module(path.read_text())), Mutations()
            wrapper.visit(visitor)
            found += [(room, path, wrapper.module, *change) for change in visitor.found]
        chosen = rng.sample(found, min(count, len(found)))
        print(f"{room}: {len(found)} mutants, {len(chosen)} drawn", flush=True)
        drawn += [(number / len(chosen), change) for number, change in enumerate(chosen)]
    for _, (room, path, module, node, changed, line) in sorted(drawn, key=lambda change: change[0]):
        code = module.deep_replace(node, changed).code
        with contextlib.suppress(SyntaxError):  # of an argument without a name behind one with a name
            compile(code, path, "exec")
            yield Mutant(room, str(path), line, *spans(ast.parse(path.read_text()), line), code)


def forked(work: Callable[[], Any], out: Path, cpu: float) -> tuple[str, Any]:
    """What a child gave back, and whether it ended, or ran out of time, or crashed."""
    answer = out / "answer.json"
    answer.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu), int(cpu) + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        log = os.open(out / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        try:
            answer.write_text(json.dumps(work()))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    # The processor's time is limited, so that a busy machine ends nothing; a child that only waits uses none.
    deadline = time.monotonic() + 30 * cpu
    while not (ended := os.waitpid(pid, os.WNOHANG))[0] and time.monotonic() < deadline:
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    status = ended[1] if ended[0] else os.waitpid(pid, 0)[1]
    if answer.exists():
        return "done", json.loads(answer.read_text())
    return (
        "timeout" if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL) else "crash"
    ), None


class Trials:
    """The plugin of pytest that runs mutants in place of tests."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.seconds: Counter[str] = Counter()
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.append(report.nodeid)

    def run(self, items: Sequence[pytest.Item], cpu: float, begin: Callable[[str], object] = str) -> None:
        """The tests, until one fails or the time is over."""
        for item, following in zip(items, [*items[1:], None], strict=True):
            begin(item.nodeid)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed or time.process_time() > cpu:
                break

    def measured(self, name: str, items: Sequence[pytest.Item]) -> dict[str, Any]:
        """Which tests of a file run which lines, and how long they take; kept for the next time."""

        def work() -> dict[str, Any]:
            measured = coverage.Coverage(data_file=None, source=["captum_superpixel"])
            measured.start()
            self.run(items, time.process_time() + self.arguments.measure, measured.switch_context)
            measured.stop()
            data = measured.get_data()
            lines = {
                str(Path(path).relative_to(Path.cwd())): data.contexts_by_lineno(path) for path in data.measured_files()
            }
            return {"failed": self.failed, "seconds": self.seconds, "lines": {k: v for k, v in lines.items() if v}}

        kept = self.arguments.out / f"{name.replace('/', '.')}.json"
        if not kept.exists():
            outcome, result = forked(work, self.arguments.out, self.arguments.measure + 120)
            if outcome != "done" or result["failed"]:
                print(
                    f"{name} is left out, because it does not pass in a fork: {result['failed'] if result else outcome}"
                )
                result = {"seconds": {}, "lines": {}}
            kept.write_text(json.dumps(result))
            print(f"measured {name}: {len(result['seconds'])} of {len(items)} tests", flush=True)
        return json.loads(kept.read_text())

    def trial(self, mutant: Mutant, items: Sequence[pytest.Item], cpu: float) -> tuple[str, str]:
        """``killed``, ``survived``, ``timeout`` or ``crash``, and by what."""

        def work() -> str:
            try:
                mutant.apply(self.live)
            except Exception as error:
                return f"when it was defined: {error!r}"
            self.run(items, float("inf"))
            return self.failed[0] if self.failed else ""

        outcome, by = forked(work, self.arguments.out, cpu)
        return (outcome, "") if outcome != "done" else ("killed" if by else "survived", by)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("tests cannot be collected")
        gc.collect()
        root = str(Path("captum_superpixel").resolve())
        self.live: dict[tuple[str, int], list[FunctionType]] = defaultdict(list)
        for function in gc.get_objects():
            if type(function) is FunctionType and function.__code__.co_filename.startswith(root):
                self.live[place(function)].append(function)
        gc.freeze()
        start = time.monotonic()
        files = defaultdict(list)
        for item in session.items:
            files[item.nodeid.split("::")[0]].append(item)
        seconds: dict[str, float] = {}
        tests: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        for name, items in files.items():
            measured = self.measured(name, items)
            seconds |= measured["seconds"]
            for path, lines in measured["lines"].items():
                for line, names in lines.items():
                    tests[path][int(line)].update(set(names) & seconds.keys())
        by_name = {item.nodeid: item for item in session.items}
        file = self.arguments.out / "results.jsonl"
        results = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        for number, mutant in enumerate(sample(self.arguments.counts, self.arguments.seed)):
            if time.monotonic() - start > 60 * self.arguments.minutes:
                break
            names = set().union(*(tests[mutant.path][line] for line in mutant.statement))
            names = names or set().union(*(tests[mutant.path][line] for line in mutant.function))
            chosen, total = [], 0.0
            for name in sorted(names, key=seconds.__getitem__):
                total += seconds[name]
                if total > self.arguments.limit and chosen:
                    break
                chosen.append(name)
            # What survived is tried again where there are more tests or more time.
            known = results[number] if number < len(results) else {"outcome": "survived", "tests": -1}
            if known["outcome"] != "survived" or known["tests"] >= len(chosen):
                continue
            outcome, by = "survived", "no test runs it"
            if chosen:
                outcome, by = self.trial(mutant, [by_name[name] for name in chosen], 30 + 5 * total)
            results[number:] = [
                {"room": mutant.room, "place": f"{mutant.path}:{mutant.line}", "change": mutant.change}
                | {"outcome": outcome, "by": by, "tests": len(chosen), "of": len(names)},
                *results[number + 1 :],
            ]
            file.write_text("".join(f"{json.dumps(result)}\n" for result in results))
            print(number, outcome, f"{mutant.path}:{mutant.line}", by, f"{len(chosen)} of {len(names)}", flush=True)
        report(results)
        return True


def report(results: list[dict[str, Any]]) -> None:
    """Score of each room with Wilson's interval (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    print(
        "\n| room | mutants | killed | timeout or crash | survived | score | 95 % interval |\n|---|---|---|---|---|---|---|"
    )
    rooms: dict[str, Counter[str]] = defaultdict(Counter)
    for result in results:
        rooms[result["room"]][result["outcome"]] += 1
        rooms["all"][result["outcome"]] += 1
    for room in [*ROOMS, "all"]:
        if total := sum((found := rooms[room]).values()):
            test = binomtest(total - found["survived"], total)
            low, high = test.proportion_ci(method="wilson")
            counts = f"{total} | {found['killed']} | {found['timeout'] + found['crash']} | {found['survived']}"
            print(f"| {room} | {counts} | {test.statistic:.1%} | {low:.1%} to {high:.1%} |")


def main() -> None:
    """Run the sample, or go on with it, and print the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of what was measured and of results.jsonl, which is continued")
    parser.add_argument("--counts", type=int, nargs=len(ROOMS), default=(25, 45, 50, 70, 110), metavar=tuple(ROOMS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60, help="no mutant is started later")
    parser.add_argument("--limit", type=float, default=20, help="seconds of tests for a mutant")
    parser.add_argument("--measure", type=float, default=120, help="seconds of a file's tests that are measured")
    parser.add_argument("--ignore", nargs="*", default=[], help="files of tests that are left out")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.counts = {room: count for room, count in zip(ROOMS, arguments.counts, strict=True) if count}
    ignored = [option for name in arguments.ignore for option in ("--ignore", name)]
    pytest.main([*PYTEST, *ignored, *(path for room in arguments.counts for path in ROOMS[room][1:])], plugins=[Trials(arguments)])


if __name__ == "__main__":
    main()
