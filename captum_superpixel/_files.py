"""Files: written whole or not at all, kept with a checksum, and checked before long computations."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import time
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from captum_superpixel._checks import InputError

__all__ = ["check_output_file", "check_output_folder", "read_signed", "replacing", "write_signed"]

_DIGEST = hashlib.sha256().digest_size
_TEMPORARY = re.compile(r"\.(?:([0-9a-f]{8})-([0-9]{1,9})-)?[0-9a-f]{32}\.part")
"""The machine and the process that write it, where processes of the machine can be told from others, and a number."""
_ABANDONED = 24 * 3600.0
"""Seconds after which nobody writes to a file any more, more than clocks of machines that share a folder differ by."""
_looked_through: set[Path] = set()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write to, which takes its place if all goes well and vanishes if not.

    What processes that were killed have left in the folder is removed, when this process first writes into it.
    """
    folder = path.parent.absolute()
    if folder not in _looked_through:
        _looked_through.add(folder)
        _remove_abandoned(folder)
    # Neither threads nor machines that share a folder draw the same name, and no name is too long for the system.
    writer = f"{_machine()}-{os.getpid()}-" if _machine() else ""
    temporary = path.with_name(f".{writer}{uuid.uuid4().hex}.part")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove temporary files whose process is dead, and those of a day ago, whatever machine they are of."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            name = _TEMPORARY.fullmatch(entry.name)
            if name is None:
                continue
            # Another may remove it, too, or it is not ours to remove.
            with suppress(OSError):
                dead = bool(name[1]) and name[1] == _machine() and not _is_alive(int(name[2]))
                if dead or entry.stat(follow_symlinks=False).st_mtime < time.time() - _ABANDONED:
                    Path(entry.path).unlink()


@functools.cache
def _machine() -> str:
    """Name the processes that see one another: of one system since it started, in one container; empty if unknown."""
    try:
        started, seen = Path("/proc/sys/kernel/random/boot_id").read_text(), Path("/proc/self/ns/pid").readlink()
    except OSError:  # not Linux, where signal 0, by which a process is asked, may end it
        return ""
    return hashlib.sha256(f"{platform.node()} {started} {seen}".encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def write_signed(path: Path, content: bytes) -> None:
    """Keep bytes in a compressed file with a checksum over them and the file's name.

    Args:
        path: The file, which :func:`read_signed` reads; one that is there is replaced as a whole or not at all.
        content: What to keep.

    Raises:
        OSError: If it cannot be written.
    """
    packed = zlib.compress(content, level=1)
    with replacing(path) as temporary:
        temporary.write_bytes(_sign(path, packed) + packed)


def read_signed(path: Path) -> bytes:
    """Read what :func:`write_signed` wrote.

    Raises:
        OSError: If there is no such file, or it cannot be read.
        ValueError: If a byte of it was changed, or it was written under another name.
    """
    packed = path.read_bytes()
    if _sign(path, packed[_DIGEST:]) != packed[:_DIGEST]:
        raise ValueError(f"the checksum of {path} is not that of its content")
    return zlib.decompress(packed[_DIGEST:])


def check_output_file(path: Path, name: str, suffixes: Sequence[str] = ()) -> None:
    """Check that a file can be written, before the work is done whose result it is to hold.

    Args:
        path: The file; one that is there will be replaced.
        name: What the caller calls it: ``"--out"``, or the name of an argument.
        suffixes: How its name may end, in lower case with the dot; none for any way.

    Raises:
        InputError: If its name ends otherwise, its folder does not exist, or it is a folder itself.
    """
    if suffixes and path.suffix.lower() not in suffixes:
        raise InputError(f"{name} {path} does not end in {' or '.join(suffixes)}.")
    if path.is_dir():
        raise InputError(f"{name} {path} is a folder; pass the name of a file in it, such as {path / 'name'}.")
    if not path.parent.is_dir():
        raise InputError(f"{name} {path}: there is no folder {path.parent}; make it first.")


def check_output_folder(path: Path, name: str, *, parents: bool = False) -> None:
    """Check that files can be written into a folder, which is made when the first is.

    Args:
        path: The folder, which need not exist.
        name: What the caller calls it: ``"--out"``, or the name of an argument.
        parents: Whether the folders that it lies in are made too.

    Raises:
        InputError: If it is a file or cannot be written to or, without ``parents``, it is to lie in no folder.
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"{name} {path} is a file; pass the name of a folder.")
    if not parents and not path.parent.is_dir():
        raise InputError(f"{name} {path}: there is no folder {path.parent}; make it first.")
    nearest = next((folder for folder in (path, *path.parents) if folder.exists()), path)
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(f"{name} {path} cannot be made or written to; pass another folder.")


def _sign(path: Path, packed: bytes) -> bytes:
    return hashlib.sha256(path.name.encode() + packed).digest()
