"""The gallery of many explanations: pages of thumbnails, predictions and links, without a script, for any browser."""

from __future__ import annotations

import html
import io
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from captum_superpixel._checks import one_line, readable
from captum_superpixel._files import replacing
from captum_superpixel._pages import fill_page, read_parts, to_data_url
from captum_superpixel.explain.classes import Prediction
from captum_superpixel.explain.explanation import Explanation, Outcome
from captum_superpixel.explain.meaning import class_of, describe_methods, describe_none, find_roles, speaking_regions
from captum_superpixel.explain.outlines import outlined
from captum_superpixel.explain.photographs import PER_PAGE, Plan
from captum_superpixel.explain.records import Record, Records, describe_files

__all__ = ["Gallery", "make_record"]

_SIDE = 192
"""Pixels of the longer side of a thumbnail."""
_DIMMED = 0.2
"""What is left of the brightness outside of the top regions."""
_PAUSE = 10.0
"""Seconds after which pages are written anew, and how many times as long as that took the next ones wait."""
_SHARE = 20
_CHECKS = 3
_KINDS = {".html": "page", ".png": "picture", ".npz": "arrays"}


class Gallery:
    """Writes a page for every ``PER_PAGE`` photographs, from what was kept of each, again and again while they come in.

    Nothing of a photograph stays in memory once its page is complete. Several processes may work on one gallery: each
    reads what the others kept, and the last to write a page finds all that is on it.

    Args:
        plan: What is to be written; its gallery may be none.
        records: What was kept; None where there is no gallery.
        photographs: Those that this process works on.

    Attributes:
        error: Why a page could not be written, as a sentence; empty if that did not happen.
    """

    def __init__(self, plan: Plan, records: Records | None, photographs: Sequence[Path]) -> None:
        self._pages, self._records = plan.gallery if records is not None else (), records
        files = list(plan.files)
        self._on_page = [files[first : first + PER_PAGE] for first in range(0, len(files), PER_PAGE)]
        self._page_of = {path: number for number, those in enumerate(self._on_page) for path in those}
        self._held: dict[Path, Record] = {}
        self._waiting = Counter(self._page_of[path] for path in photographs)
        self._touched: set[int] = set()
        self._due = time.monotonic() + _PAUSE
        self.error = ""

    @property
    def path(self) -> Path | None:
        """The first page; None where there is no gallery."""
        return self._pages[0] if self._pages else None

    def add(self, photograph: Path, record: Record | None = None) -> None:
        """Show a photograph, of which there is a record now; one that is not at hand is read when it is needed."""
        if not self._pages:
            return
        number = self._page_of[photograph]
        self._touched.add(number)
        self._waiting[number] -= 1
        if record is not None and record.card:
            self._held[photograph] = record
        if not self._waiting[number] or time.monotonic() > self._due:
            self.refresh()

    def refresh(self) -> None:
        """Write the pages on which something is new, and the first, which names all failures."""
        if not self._touched or self._records is None:
            return
        begun, (done, failed) = time.monotonic(), self._records.count()
        for number in sorted({0, *self._touched}):
            self._save(number, done, failed)
            if not self._waiting[number]:
                for photograph in self._on_page[number]:
                    self._held.pop(photograph, None)
        self._touched.clear()
        now = time.monotonic()
        # However long it takes, it takes a small part of the time.
        self._due = now + max(_PAUSE, _SHARE * (now - begun))

    def __enter__(self) -> Gallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Of processes that write a page at the same time, one may have begun before the other kept its last record.
        for _ in range(_CHECKS):
            touched, before = set(self._touched), self._records.count() if self._records is not None else None
            self.refresh()
            if self._records is None or before == self._records.count():
                break
            self._touched = touched

    def _save(self, number: int, done: set[Path], failed: set[Path]) -> None:
        """Write a page; where that fails, the explanations are worth having without it."""
        try:
            self._write(number, done, failed)
        except OSError as error:
            self.error = f"the gallery {readable(self._pages[number])} cannot be written: {one_line(error)}"

    def _write(self, number: int, done: set[Path], failed: set[Path]) -> None:
        page, style = read_parts("captum_superpixel.explain", ("gallery.html", "gallery.css"))
        links = _page_links(self._pages, number)
        nothing = '<p class="note">No photograph on this page could be explained.</p>'
        those = [path for path in self._on_page[number] if path in done]
        shown = [record for record in map(self._record, those) if record is not None]
        total = len(self._page_of)
        how = next((record.how for record in shown), "")
        texts = {
            "title": f"Explanations of {total} photograph{'s' if total > 1 else ''}",
            "how": how + _count(total, done, failed),
            "failed": self._list_failures(failed) if number == 0 else "",
            "pages": f'<nav aria-label="Pages">{links}</nav>' if links else "",
            "cards": f'<ul class="cards">{"".join(record.card for record in shown)}</ul>' if shown else nothing,
            "footer": f'<footer><nav aria-label="Pages, again">{links}</nav></footer>' if links else "",
        }
        path = self._pages[number]
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(fill_page(page, texts, style))

    def _record(self, photograph: Path) -> Record | None:
        if self._records is None or photograph in self._held:
            return self._held.get(photograph)
        return self._records.load(photograph)

    def _list_failures(self, failed: set[Path]) -> str:
        if self._records is None or not failed:
            return ""
        records = [(path, self._records.load_failure(path)) for path in self._page_of if path in failed]
        lines = [(path, why) for path, record in records if record is not None for why in record.failures]
        # A page of them would be read by nobody, nor would a folder of which nothing can be read be written quickly.
        rows = [f"<li><strong><bdi>{_text(path)}</bdi></strong>: {_text(why)}</li>" for path, why in lines[:PER_PAGE]]
        if len(lines) > PER_PAGE:
            rows.append(f"<li>and {len(lines) - PER_PAGE} more</li>")
        return f'<section class="failed"><h2>Not explained</h2><ul>{"".join(rows)}</ul></section>'


def _count(total: int, done: set[Path], failed: set[Path]) -> str:
    """Say how far the work is."""
    waiting = total - len(done | failed)
    return f"{len(done)} explained, {len(failed)} with failures{f', {waiting} not yet' if waiting else ''}."


def make_record(outcome: Outcome, written: Sequence[Path], failures: Sequence[str], folder: Path, top: int) -> Record:
    """Say what became of a photograph, but for the hash of its file: by a card of the gallery, if anything was written.

    Args:
        outcome: Of the photograph.
        written: Its files.
        failures: What went wrong.
        folder: Of the gallery.
        top: How many regions are shown.
    """
    card = how = ""
    if written:
        name = (written[0].parent.relative_to(folder) / outcome.photograph.name).as_posix()
        card, how = _card(name, outcome, written, folder, top), _describe_methods(outcome.explanations)
    return Record("", describe_files(written), card, how, list(failures))


def _describe_methods(explanations: Sequence[Explanation]) -> str:
    return _text(f"By {describe_methods(explanations)[0]}. ")


def _card(name: str, outcome: Outcome, written: Sequence[Path], folder: Path, top: int) -> str:
    """Describe one photograph, in HTML."""
    first = next((each for each in outcome.explanations if class_of(each)), outcome.explanations[0])
    figures = [_figure(outlined(first.picture, first.region), f"{name} as the network saw it", "photograph")]
    for each in outcome.explanations:
        shown, what = _top_regions(each, top)
        figures.append(_figure(shown, f"{name}: {what} by {each.method}, the rest dimmed", f"{each.method}: {what}"))
    classes = [f"{what}: {_describe(one)}" for what, one in find_roles(first).items()]
    notes = [f'<p class="note">note: {_text(remark)}.</p>' for remark in outcome.remarks]
    notes += [
        f'<p class="warning">{_text(f"{each.method}: {warning}")}.</p>'
        for each in outcome.explanations
        for warning in each.warnings
    ]
    links = [f'<li><a href="{_address(path, folder)}">{_text(_label(path, outcome))}</a></li>' for path in written]
    return (
        f'<li class="card"><article><h2><bdi>{_text(name)}</bdi></h2>'
        + "".join(f'<p class="classes">{line}</p>' for line in classes)
        + f'<div class="thumbnails">{"".join(figures)}</div>'
        + f'<ul class="links" aria-label="{_text(f"Files of {name}")}">{"".join(links)}</ul>'
        + f"{''.join(notes)}</article></li>\n"
    )


def _label(path: Path, outcome: Outcome) -> str:
    """Name a link by the kind of its file and, where a file holds one method of several, by this."""
    kind = _KINDS.get(path.suffix.lower(), path.suffix)
    own = [each.method for each in outcome.explanations if path.stem.endswith(f".{each.method}")]
    return f"{kind}, {own[0]}" if own and len(outcome.explanations) > 1 and kind != "page" else kind


def _figure(picture: Tensor, alternative: str, caption: str) -> str:
    """A thumbnail of ``(3, H, W)`` uint8 with its caption."""
    image = Image.fromarray(np.ascontiguousarray(picture.permute(1, 2, 0).numpy()))
    image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=75)
    address = to_data_url("image/jpeg", buffer.getvalue())
    width, height = image.size
    return (
        f'<figure><img src="{address}" width="{width}" height="{height}" alt="{_text(alternative)}" decoding="async">'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
    )


def _top_regions(explanation: Explanation, top: int) -> tuple[Tensor, str]:
    """The picture ``(3, H, W)`` uint8 with all but its top regions dimmed, and what these are."""
    shown = [region.id for region in speaking_regions(explanation) if (region.rank or 0) <= top]
    inside = torch.isin(explanation.mask, torch.tensor(shown, dtype=torch.int64))
    dimmed = torch.where(inside, explanation.picture, (explanation.picture * _DIMMED).to(torch.uint8))
    count = f"{len(shown)} top region{'s' if len(shown) > 1 else ''}" if shown else describe_none(explanation)
    return dimmed, count


def _describe(prediction: Prediction) -> str:
    """A class and its probability, or an output and its value, escaped."""
    figure = f", {prediction.figure}".replace(" %", "\N{NO-BREAK SPACE}%") if prediction.figure else ""
    return f"<strong><bdi>{_text(prediction.name)}</bdi></strong>{figure}"


def _page_links(pages: Sequence[Path], current: int) -> str:
    if len(pages) < 2:
        return ""
    items = [
        f'<li><span aria-current="page">{number + 1}</span></li>'
        if number == current
        else f'<li><a href="{_address(path, path.parent)}" aria-label="Page {number + 1}">{number + 1}</a></li>'
        for number, path in enumerate(pages)
    ]
    return f'<ul class="links">{"".join(items)}</ul>'


def _address(path: Path, folder: Path) -> str:
    """The address of a file as seen from the gallery; names of files may hold bytes that are not text."""
    return html.escape(quote(os.fsencode(path.relative_to(folder).as_posix())))


def _text(value: object) -> str:
    return html.escape(readable(value))
