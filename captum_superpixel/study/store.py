"""Finished parts of a study in its output folder, each tied to the settings that it was made with."""

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from captum_superpixel._files import replacing

__all__ = ["Store", "StoreError", "fingerprint"]


class StoreError(ValueError):
    """A part in the output folder cannot be used; the message names the file and what to do."""


def fingerprint(value: object) -> str:
    """A hash of a tensor, of a network's weights and buffers, or of anything that JSON can hold.

    Examples:
        >>> fingerprint({"epochs": 3, "seed": 0}) == fingerprint({"seed": 0, "epochs": 3})
        True
    """
    digest = hashlib.sha256()
    if isinstance(value, nn.Module):
        for name, tensor in sorted(value.state_dict().items()):
            digest.update(f"{name} {fingerprint(tensor)} ".encode())
    elif isinstance(value, Tensor):
        digest.update(f"{value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    else:
        digest.update(json.dumps(value, sort_keys=True, default=str).encode())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Store:
    """Parts of a study, one file each, written whole or not at all.

    Args:
        folder: Where the files are.
    """

    folder: Path

    def path(self, name: str) -> Path:
        """Where the part of that name is."""
        return self.folder / f"{name}.pt"

    def save(self, name: str, made_with: Mapping[str, Any], content: Mapping[str, Any]) -> None:
        """Keep a part.

        Args:
            name: Of the part.
            made_with: The settings that decide what is in it, as JSON can hold them.
            content: Tensors, numbers, strings, and dictionaries and lists of them.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = json.loads(json.dumps(made_with, default=str))
        with replacing(self.path(name)) as temporary:
            torch.save({"hash": fingerprint(settings), "made_with": settings, "content": dict(content)}, temporary)

    def load(self, name: str, made_with: Mapping[str, Any]) -> dict[str, Any] | None:
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
        advice = "delete it to have it made again, or choose another --out"
        # A damaged file fails in as many ways as there are bytes.
        try:
            # PyTorch does not look at the checksums of the file that it writes.
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:
                    raise ValueError("its checksum is not that of its content")
            stored = torch.load(path, weights_only=True)
            found, content, digest = stored["made_with"], stored["content"], stored["hash"]
            if fingerprint(found) != digest or not isinstance(content, dict):
                raise ValueError("its hash is not that of its settings")
        except Exception as error:
            raise StoreError(f"{path} is damaged or no part of a study ({type(error).__name__}): {advice}") from error
        wanted = json.loads(json.dumps(made_with, default=str))
        if found != wanted:
            shown = ", ".join(list(_differences(found, wanted))[:4])
            raise StoreError(f"{path} was made with other settings, {shown}: {advice}")
        return content


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Name what differs, with both values; of settings within settings only those that do."""
    for key in sorted({*found, *wanted}):
        old, new = found.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{prefix}{key}.")
        elif old != new or (key in found) != (key in wanted):
            shown = [repr(settings[key]) if key in settings else "absent" for settings in (found, wanted)]
            yield f"{prefix}{key}={shown[0]} (now {shown[1]})"
