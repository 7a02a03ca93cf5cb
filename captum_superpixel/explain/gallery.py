"""The gallery of many explanations: pages of thumbnails, predictions and links, without a script, for any browser."""

from __future__ import annotations

import html
import io
import os
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

__all__ = ["Gallery"]

_SIDE = 192
"""Pixels of the longer side of a thumbnail."""
_DIMMED = 0.2
"""What is left of the brightness outside of the top regions."""
_KINDS = {".html": "page", ".png": "picture", ".npz": "arrays"}


class Gallery:
    """Collects what became of photographs, and writes a page for every ``PER_PAGE`` of them.

    Of a page that is full nothing stays in memory, but for the first, which names all failures and is written last;
    also where the work is interrupted, for what was finished.

    Args:
        pages: The files to write; none for no gallery.
        total: How many photographs there are.
        top: How many regions are shown.

    Attributes:
        error: Why a page could not be written, as a sentence; empty if that did not happen.
    """

    def __init__(self, pages: Sequence[Path], total: int, top: int) -> None:
        self._pages, self._total, self._top = pages, total, top
        self._first: list[str] = []
        self._cards: list[str] = []
        self._failures: list[tuple[str, str]] = []
        self._how = self.error = ""
        self._count = self._explained = 0

    @classmethod
    def of(cls, plan: Plan, top: int) -> Gallery:
        """The gallery of what is planned, which is empty."""
        return cls(plan.gallery, len(plan.files), top)

    @property
    def path(self) -> Path | None:
        """The first page; None where there is no gallery."""
        return self._pages[0] if self._pages else None

    def add(self, outcome: Outcome, written: Sequence[Path], failures: Sequence[str]) -> None:
        """Show a photograph with links to its files, or say why it was not explained."""
        if not self._pages:
            return
        name = _relative_name(outcome.photograph, written, self._pages[0].parent)
        self._failures += [(name, failure) for failure in failures]
        self._count += 1
        if written:
            self._explained += 1
            self._how = self._how or _describe_methods(outcome.explanations)
            self._cards.append(_card(name, outcome, written, self._pages[0].parent, self._top))
        if self._count % PER_PAGE == 0 or self._count == self._total:
            number = (self._count - 1) // PER_PAGE
            if number == 0:
                self._first = self._cards
            else:
                self._save(number, self._cards)
            self._cards = []

    def __enter__(self) -> Gallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._pages or not self._count:
            return
        if self._cards and self._count > PER_PAGE:
            self._save((self._count - 1) // PER_PAGE, self._cards)
        self._save(0, self._first or self._cards)

    def _save(self, number: int, cards: Sequence[str]) -> None:
        """Write a page; where that fails, the explanations are worth having without it."""
        try:
            self._write(number, cards)
        except OSError as error:
            self.error = f"the gallery {readable(self._pages[number])} cannot be written: {one_line(error)}"

    def _write(self, number: int, cards: Sequence[str]) -> None:
        page, style = read_parts("captum_superpixel.explain", ("gallery.html", "gallery.css"))
        links = _page_links(self._pages, number)
        nothing = '<p class="note">No photograph on this page could be explained.</p>'
        texts = {
            "title": f"Explanations of {self._total} photograph{'s' if self._total > 1 else ''}",
            "how": self._describe(),
            "failed": _list_failures(self._failures) if number == 0 else "",
            "pages": f'<nav aria-label="Pages">{links}</nav>' if links else "",
            "cards": f'<ul class="cards">{"".join(cards)}</ul>' if cards else nothing,
            "footer": f'<footer><nav aria-label="Pages, again">{links}</nav></footer>' if links else "",
        }
        path = self._pages[number]
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(fill_page(page, texts, style))

    def _describe(self) -> str:
        """What was done, escaped."""
        waiting = self._total - self._count
        counts = f"{self._explained} explained, {len({name for name, _ in self._failures})} with failures"
        return f"{self._how}{counts}{f', {waiting} not yet' if waiting else ''}."


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


def _list_failures(failures: Sequence[tuple[str, str]]) -> str:
    if not failures:
        return ""
    rows = "".join(f"<li><strong><bdi>{_text(name)}</bdi></strong>: {_text(why)}</li>" for name, why in failures)
    return f'<section class="failed"><h2>Not explained</h2><ul>{rows}</ul></section>'


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


def _relative_name(photograph: Path, written: Sequence[Path], folder: Path) -> str:
    """The name of a photograph, after the folder of its files in that of the gallery."""
    place = written[0].parent.relative_to(folder) if written else Path()
    return (place / photograph.name).as_posix() if written else str(photograph)


def _address(path: Path, folder: Path) -> str:
    """The address of a file as seen from the gallery; names of files may hold bytes that are not text."""
    return html.escape(quote(os.fsencode(path.relative_to(folder).as_posix())))


def _text(value: object) -> str:
    return html.escape(readable(value))
