"""Mutation tests of a sample: the operators of mutmut change a function, and the tests that run the line must notice.

mutmut and cosmic-ray start Python, torch and pytest anew, or copy every function many times. Here pytest collects once,
and each mutant is a fork of that process, in which one function is given other code. Coverage, measured in such a fork
per file of tests, tells which tests run the line; they run fastest first, up to the first that fails. Module constants
and the fields of classes are not changed, nor the wording of errors. What survived is tried again when the command is
repeated with more tests or more time. Needs ``pip install mutmut coverage``, and a system that forks.

    python tests/benchmarks/mutants.py build/mutants --counts 40 60 60 80 130
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import resource
import signal
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

import coverage
import pytest
from mutations import ROOMS, Mutant, place, sample
from scipy.stats import binomtest

PYTEST = ("-q", "-n", "0", "-p", "no:cacheprovider")
MEMORY = 12 * 2**30


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

    def find_functions(self) -> None:
        """Look for the functions of the package in this process, whatever decorators have made of them."""
        root = str(Path("captum_superpixel").resolve())
        self.live: dict[tuple[str, int], list[FunctionType]] = defaultdict(list)
        gc.collect()
        for function in gc.get_objects():
            if type(function) is FunctionType and function.__code__.co_filename.startswith(root):
                self.live[place(function)].append(function)
        gc.freeze()

    def find_tests(self, items: Sequence[pytest.Item]) -> None:
        """Measure, file by file, which tests run which lines."""
        files = defaultdict(list)
        for item in items:
            files[item.nodeid.split("::")[0]].append(item)
        self.durations: dict[str, float] = {}
        self.tests: dict[tuple[str, int], set[str]] = defaultdict(set)
        for name, of_file in files.items():
            measured = self.measured(name, of_file)
            self.durations |= measured["seconds"]
            for path, lines in measured["lines"].items():
                for line, names in lines.items():
                    self.tests[path, int(line)].update(set(names) & measured["seconds"].keys())

    def tests_of(self, mutant: Mutant) -> tuple[list[str], int]:
        """Those that run the statement, else the function, fastest first, up to the limit; and how many there are."""
        names = set().union(*(self.tests[mutant.path, line] for line in mutant.statement))
        names = names or set().union(*(self.tests[mutant.path, line] for line in mutant.function))
        chosen, total = [], 0.0
        for name in sorted(names, key=lambda name: (self.durations[name], name)):
            total += self.durations[name]
            if total > self.arguments.limit and chosen:
                break
            chosen.append(name)
        return chosen, len(names)

    def trial(self, mutant: Mutant, names: Sequence[str]) -> tuple[str, str]:
        """``killed``, ``survived``, ``timeout`` or ``crash``, and by what."""

        def work() -> str:
            try:
                mutant.apply(self.live)
            except Exception as error:
                return f"when it was defined: {error!r}"
            self.run([self.items[name] for name in names], float("inf"))
            return self.failed[0] if self.failed else ""

        cpu = 30 + 5 * sum(self.durations[name] for name in names)
        outcome, by = forked(work, self.arguments.out, cpu)
        return (outcome, "") if outcome != "done" else ("killed" if by else "survived", by)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("tests cannot be collected")
        self.find_functions()
        self.find_tests(session.items)
        self.items = {item.nodeid: item for item in session.items}
        file = self.arguments.out / "results.jsonl"
        results = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        end = time.monotonic() + 60 * self.arguments.minutes
        for number, mutant in enumerate(sample(self.arguments.counts, self.arguments.seed)):
            if time.monotonic() > end:
                break
            known = results[number] if number < len(results) else {"outcome": "survived", "tests": -1}
            names, there_are = self.tests_of(mutant)
            # What survived is tried again where there are more tests or more time.
            if known["outcome"] != "survived" or known["tests"] >= len(names):
                continue
            outcome, by = self.trial(mutant, names) if names else ("survived", "no test runs it")
            results[number : number + 1] = [
                {"room": mutant.room, "place": f"{mutant.path}:{mutant.line}", "change": mutant.change}
                | {"outcome": outcome, "by": by, "tests": len(names), "of": there_are}
            ]
            file.write_text("".join(f"{json.dumps(result)}\n" for result in results))
            print(number, outcome, f"{mutant.path}:{mutant.line}", by, f"{len(names)} of {there_are}", flush=True)
        report(results)
        return True


def report(results: list[dict[str, Any]]) -> None:
    """Score of each room with Wilson's interval (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    print("\n| room | mutants | killed | timeout or crash | survived | score | 95 % interval |")
    print("|---|---|---|---|---|---|---|")
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
    pytest.main(
        [*PYTEST, *ignored, *(path for room in arguments.counts for path in ROOMS[room][1:])],
        plugins=[Trials(arguments)],
    )


if __name__ == "__main__":
    main()
