"""A folder that keeps finished parts of long work, each with the settings that it was made with."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch

from captum_superpixel._files import read_signed, write_signed
from captum_superpixel._hashes import as_json

__all__ = ["Content", "Store", "StoreError"]

Content: TypeAlias = dict[str, Any]
"""What a part holds: tensors, numbers, strings, and dictionaries and lists of them."""


class StoreError(ValueError):
    """A stored part cannot be used; the message names the file and what to do."""


@dataclass(frozen=True)
class Store:
    """Finished parts of some work, one file each, tied to the settings that they were made with.

    Each file is written whole or not at all, with a checksum over all of it.

    Args:
        folder: Where the files are.
    """

    folder: Path

    def path(self, name: str) -> Path:
        """Where the part of that name is."""
        return self.folder / f"{name}.pt"

    def save(self, name: str, made_with: Mapping[str, Any], content: Content) -> None:
        """Keep a part.

        Args:
            name: Of the part.
            made_with: The settings that decide what is in it, as JSON can hold them.
            content: What is kept.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        serialized = io.BytesIO()
        torch.save({"made_with": _as_json(made_with), "content": content}, serialized)
        write_signed(self.path(name), serialized.getvalue())

    def load(self, name: str, made_with: Mapping[str, Any]) -> Content | None:
        """The content of a part, or None where there is none.

        Args:
            name: Of the part.
            made_with: The settings that it must have been made with.

        Raises:
            StoreError: If the file is damaged, or was made with other settings.
        """
        path = self.path(name)
        if not path.exists():
            return None
        advice = "delete it to have it made again"
        # A file with the right checksum may still be another program's, which fails in as many ways as there are files.
        try:
            stored = torch.load(io.BytesIO(read_signed(path)), weights_only=True)
            found: dict[str, Any] = stored["made_with"]
            content: Content = stored["content"]
        except Exception as error:  # damaged files fail in as many ways as there are bytes
            raise StoreError(f"{path} is damaged or no stored part ({type(error).__name__}): {advice}") from error
        wanted = _as_json(made_with)
        if found != wanted:
            shown = ", ".join(list(_differences(found, wanted))[:4])
            raise StoreError(f"{path} was made with other settings, {shown}: {advice}")
        return content


def _as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they come back from a file: a tuple is a list there, a path its name, and a tensor a hash."""
    read: dict[str, Any] = json.loads(json.dumps(settings, default=as_json))
    return read


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Name what differs, with both values; of settings within settings only those that do."""
    for key in sorted({*found, *wanted}):
        old, new = found.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{prefix}{key}.")
        elif old != new or (key in found) != (key in wanted):
            shown = [repr(settings[key]) if key in settings else "absent" for settings in (found, wanted)]
            yield f"{prefix}{key}={shown[0]} (now {shown[1]})"
