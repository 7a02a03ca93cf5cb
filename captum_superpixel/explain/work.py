"""The work on many photographs: left out if it was done before, read, explained, drawn and kept, in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from captum_superpixel._checks import InputError, one_line
from captum_superpixel.explain.explainer import Explainer, Reading
from captum_superpixel.explain.explanation import Outcome
from captum_superpixel.explain.gallery import make_record
from captum_superpixel.explain.identity import hash_file
from captum_superpixel.explain.outputs import save
from captum_superpixel.explain.photographs import Output, Plan
from captum_superpixel.explain.printing import summarize
from captum_superpixel.explain.reading import read
from captum_superpixel.explain.records import Record, Records
from captum_superpixel.explain.workers import Task, Workers

__all__ = ["Done", "Work", "write"]


@dataclass(frozen=True)
class Done:
    """What is left of a photograph whose files are written: no map and no picture.

    Attributes:
        photograph: The file.
        summary: What to print; empty for nothing.
        failures: What went wrong.
        record: What is kept of it; None where nothing is, or was before.
    """

    photograph: Path
    summary: str = ""
    failures: tuple[str, ...] = ()
    record: Record | None = None


def write(outcome: Outcome, outputs: Sequence[Output], top: int, gallery: Path | None) -> Done:
    """Write the files of a photograph whose methods did not fail.

    Args:
        outcome: Of the photograph.
        outputs: The files.
        top: How many regions to list, number and show.
        gallery: Its folder; None for none.
    """
    written, wrong = [], list(outcome.failures)
    for output in outputs:
        held = [each for each in outcome.explanations if each.method in output.methods]
        if not held:
            continue
        try:
            save(held, output.path, top)
        except (InputError, OSError) as error:
            wrong.append(one_line(error))
        else:
            written.append(output.path)
    summary = summarize(outcome, written, top) if written or outcome.remarks else ""
    record = None if gallery is None else make_record(outcome, written, wrong, gallery, top)
    return Done(outcome.photograph, summary, tuple(wrong), record)


class Work:
    """Explains photographs, and keeps what became of each as soon as its files are written.

    Args:
        explainer: Explains them.
        plan: What is to be written.
        records: What was kept; None to keep nothing.
        top: How many regions to list, number and show.
        redo: Whether photographs are explained again that were explained before.

    Attributes:
        kept: How many were left out, as they were explained before.
    """

    def __init__(self, explainer: Explainer, plan: Plan, records: Records | None, top: int, *, redo: bool) -> None:
        self._explainer, self._plan, self._records, self._top, self._redo = explainer, plan, records, top, redo
        self._contents: dict[Path, str] = {}
        self._before: deque[Path] = deque()
        self._writing: deque[Task[Done]] = deque()
        self.kept = 0

    def do(self, photographs: Sequence[Path], workers: Workers) -> Iterator[Done]:
        """Work on photographs, and give what is left of each.

        Args:
            photographs: Of the plan.
            workers: Read ahead of the network and write behind it; without any, all is done in turn.

        Raises:
            OSError: If nothing can be kept, or a worker has ended.
        """
        gallery = self._plan.gallery[0].parent if self._records is not None else None
        reading: Reading | None = None
        if workers.ahead:
            ahead = max(workers.ahead, self._explainer.batches.size)
            reading = partial(workers.in_order, partial(read, preprocessing=self._explainer.preprocessing), ahead=ahead)
        for outcome in self._explainer.explain(self._unfinished(photographs), reading):
            yield from self._left_out()
            arguments = (outcome, self._plan.files[outcome.photograph], self._top, gallery)
            if not workers.ahead:
                yield self._keep(write(*arguments))
                continue
            self._writing.append(workers.submit(outcome.photograph, write, *arguments))
            if len(self._writing) > workers.ahead:
                yield self._keep(self._writing.popleft().result())
        while self._writing:
            yield self._keep(self._writing.popleft().result())
        yield from self._left_out()

    def rescue(self) -> Iterator[Done]:
        """Wait for the photographs that were explained before the work broke off, and keep them, if that can be."""
        while self._writing:
            # Why the work broke off is said already.
            with suppress(OSError, RuntimeError):
                yield self._keep(self._writing.popleft().result())

    def _unfinished(self, photographs: Sequence[Path]) -> Iterator[Path]:
        """The photographs that are to be explained, each looked at when it has its turn."""
        for photograph in photographs:
            if self._records is not None:
                content = hash_file(photograph)
                outputs = self._plan.files[photograph]
                if not self._redo and self._records.is_finished(photograph, content, outputs):
                    self._before.append(photograph)
                    continue
                self._contents[photograph] = content
            yield photograph

    def _left_out(self) -> Iterator[Done]:
        while self._before:
            self.kept += 1
            yield Done(self._before.popleft())

    def _keep(self, done: Done) -> Done:
        if self._records is None or done.record is None:
            return done
        record = replace(done.record, photograph=self._contents.pop(done.photograph))
        self._records.save(done.photograph, record)
        return replace(done, record=record)
