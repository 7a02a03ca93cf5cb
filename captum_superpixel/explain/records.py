"""What was finished in a folder of explanations, known again by the photograph's content and the settings."""

from __future__ import annotations

import hashlib
import os
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import captum_superpixel
from captum_superpixel._hashes import fingerprint
from captum_superpixel._store import Store, StoreError
from captum_superpixel.explain.explainer import Explainer
from captum_superpixel.explain.identity import hash_file, identify
from captum_superpixel.explain.network import make_probes
from captum_superpixel.explain.photographs import Output, Plan

__all__ = ["Record", "Records", "describe_files", "describe_settings"]

_FOLDER = ".explained"
_FREE = ("batch_size", "command", "device", "out", "photographs", "recursive", "redo", "run", "workers")
"""The options that say where, of what and how fast explanations are made, but not what is in them."""


@dataclass(frozen=True)
class Record:
    """What is kept of a photograph.

    Attributes:
        photograph: The hash of its file; empty for one that could not be read.
        files: What was written of it: name, size in bytes and time in nanoseconds of each.
        card: What the gallery shows of it; empty where nothing was written.
        how: By which methods, in words.
        failures: What went wrong.
    """

    photograph: str
    files: list[tuple[str, int, int]]
    card: str
    how: str
    failures: list[str]


def describe_settings(options: Namespace, explainer: Explainer) -> dict[str, Any]:
    """Name what decides what is in the explanations of a photograph, as :func:`fingerprint` takes it.

    Of files that options name it is the content that counts.

    Args:
        options: Of the command line.
        explainer: What was made of them, once it has settled what it finds on the first photographs.
    """
    given = {name: value for name, value in vars(options).items() if name not in _FREE}
    texts = [value for each in given.values() for value in (each if isinstance(each, list) else [each])]
    files = {str(text): hash_file(Path(text)) for text in texts if isinstance(text, (str, Path)) and _is_file(text)}
    return {
        "version": captum_superpixel.__version__,
        "options": given,
        "files": files,
        "preprocessing": explainer.preprocessing.describe(),
        "names": explainer.names,
        "network": identify(explainer.model, options.model, make_probes(explainer.preprocessing, explainer.device)[:1]),
        # The strength depends on the first photographs, and so on how many are taken for it.
        "confidence": None if explainer.confidence is None else explainer.confidence.describe(),
    }


def _is_file(text: str | Path) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # a text of any length may stand there
        return False


class Records:
    """The records of a folder, one file each, which several processes may write at the same time.

    Args:
        plan: What is to be written.
        settings: What :func:`describe_settings` names.
    """

    def __init__(self, plan: Plan, settings: dict[str, Any]) -> None:
        self._folder = plan.gallery[0].parent
        self._settings = {"settings": fingerprint(settings)}
        kept = self._folder / _FOLDER / self._settings["settings"]
        self._done, self._failed = Store(kept), Store(kept / "failed")
        others = [other for other in kept.parent.glob("*/") if other != kept]
        self._of_others = [Store(folder) for other in others for folder in (other, other / "failed")]
        self._names = {path: self._name(outputs) for path, outputs in plan.files.items()}

    def _name(self, outputs: Sequence[Output]) -> str:
        place = os.fsencode(outputs[0].path.relative_to(self._folder).as_posix())
        return hashlib.sha256(place).hexdigest()[:32]

    def save(self, photograph: Path, record: Record) -> None:
        """Keep what became of a photograph, and forget what was kept of files that were written over.

        Raises:
            OSError: If it cannot be written.
        """
        name = self._names[photograph]
        if record.card:
            for store in self._of_others:
                store.path(name).unlink(missing_ok=True)
        for store, wanted in ((self._done, bool(record.card)), (self._failed, bool(record.failures))):
            if wanted:
                store.save(name, self._settings, vars(record))
            else:
                store.path(name).unlink(missing_ok=True)

    def load(self, photograph: Path) -> Record | None:
        """What was kept of a photograph of which something was written; None for nothing."""
        return self._load(self._done, photograph)

    def load_failure(self, photograph: Path) -> Record | None:
        """What was kept of a photograph with which something went wrong; None for nothing."""
        return self._load(self._failed, photograph)

    def _load(self, store: Store, photograph: Path) -> Record | None:
        try:
            content = store.load(self._names[photograph], self._settings)
        except StoreError:  # damaged
            return None
        return None if content is None else Record(**content)

    def is_finished(self, photograph: Path, content: str, outputs: Sequence[Output]) -> bool:
        """Whether a photograph of this content was explained without a failure, and its files are as they were."""
        record = self.load(photograph)
        if record is None or record.failures or not content or record.photograph != content:
            return False
        return record.files == describe_files([output.path for output in outputs])

    def count(self) -> tuple[set[Path], set[Path]]:
        """The photographs of which something was written, and those with which something went wrong."""
        done, failed = map(self._present, (self._done, self._failed))
        return done, failed

    def _present(self, store: Store) -> set[Path]:
        names = {file.stem for file in store.folder.iterdir()} if store.folder.is_dir() else set()
        return {path for path, name in self._names.items() if name in names}


def describe_files(paths: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Name files with their sizes and times, by which it is seen whether they were changed; none that is missing."""
    found = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((path.name, status.st_size, status.st_mtime_ns))
    return found
