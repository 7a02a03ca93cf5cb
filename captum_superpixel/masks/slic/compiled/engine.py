"""Which engine ``Slic`` has on the CPU: machine code that is kept in the user's cache, or else torch."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import os
import threading
from pathlib import Path
from typing import Any

import torch

from captum_superpixel._files import read_signed, write_signed
from captum_superpixel.masks import _components, _scaling
from captum_superpixel.masks.slic import _clustering, _color, _growing
from captum_superpixel.masks.slic._segmenting import AtOnce, Setting, segment_pixels
from captum_superpixel.masks.slic._shared_pixels import SharedPixels
from captum_superpixel.masks.slic.compiled.loading import Library, describe_machine
from captum_superpixel.masks.slic.compiled.segmenting import Scaling, segment_images, segment_inputs

__all__ = ["compile_engine", "describe_engine", "find_library"]

_VARIABLE = "CAPTUM_SUPERPIXEL_ENGINE"
"""An environment variable; where it is ``torch``, machine code is not looked for."""

_INSTALL = 'pip install "captum-superpixel[fast]"'
_COMPILE = "captum-superpixel compile"
_COMPILED = "compiled, but torch for masks of valid pixels"


class _Engine:
    """What this process has found out, once for all threads."""

    lock = threading.Lock()
    looked_for = False
    library: Library | None = None
    reason = ""


def find_library() -> Library | None:
    """Load the machine code that ``compile_engine`` has kept, if there is any; None where torch is the engine."""
    if not _Engine.looked_for:
        with _Engine.lock:
            if not _Engine.looked_for:
                _Engine.library, _Engine.reason = _load()
                _Engine.looked_for = True
    return _Engine.library


def _load() -> tuple[Library | None, str]:
    """Load what is kept, or say why there is nothing to load."""
    if os.environ.get(_VARIABLE) == "torch":
        return None, f"the environment variable {_VARIABLE} is torch"
    try:
        path = _path()
    except ImportError:
        return None, f"the compiled one needs: {_INSTALL}"
    try:
        return Library(read_signed(path)), str(path)
    except FileNotFoundError:
        return None, f"the compiled one is made by: {_COMPILE}"
    except (OSError, ValueError, RuntimeError) as error:
        # An unreadable or damaged file costs speed, not an explanation.
        return None, f"the compiled one could not be loaded ({error}); it is made anew by: {_COMPILE}"


def compile_engine(*, force: bool = False) -> Path | None:
    """Compile ``Slic`` for this computer, which takes some ten seconds, and use it from now on.

    Where that has been done already, nothing is left to do.

    On the CPU ``Slic`` then takes a sixth of the time or less, and for small segments of volumes about a fourth, and
    gives the same masks, bit for bit. What has a ``mask`` of valid pixels remains with torch. What is compiled is kept
    in the user's cache folder, where every later process finds it; after an update of this package, of Numba or of the
    processor it is to be compiled again. Nothing is ever compiled without being asked for.

    Args:
        force: Whether to compile it even if it has been compiled for this computer already.

    Returns:
        The file that it is kept in; None if that could not be written, and it serves this process alone.

    Raises:
        ImportError: If Numba is not installed: ``pip install "captum-superpixel[fast]"``.
        RuntimeError: If it does not give the masks that torch gives, which then remains the engine.
    """
    if not force and find_library() is not None and Path(_Engine.reason).is_file():
        return Path(_Engine.reason)
    try:
        machine, _ = describe_machine()
        building: Any = importlib.import_module("captum_superpixel.masks.slic.compiled.building")
        code = building.build(machine)
        path = _path()
    except ImportError as error:
        raise ImportError(f"{error}; the compiled engine of Slic needs {_INSTALL}") from error
    library = Library(code)
    _check(library)
    kept: Path | None = path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_signed(path, code)
    except OSError:
        kept = None
    with _Engine.lock:
        _Engine.library, _Engine.reason, _Engine.looked_for = library, str(kept or "not kept"), True
    return kept


def describe_engine() -> str:
    """Say which engine ``Slic`` has on the CPU, and why.

    Examples:
        >>> describe_engine().startswith(("torch: ", "compiled, but torch for masks"))
        True
    """
    engine = "torch" if find_library() is None else _COMPILED
    return f"{engine}: {_Engine.reason}"


def _check(library: Library) -> None:
    """Raise RuntimeError unless machine code gives what torch gives for noise, in color, gray and five channels.

    That is for images, volumes and series, with and without blocks of pixels that are treated as one.
    """
    generator = torch.Generator().manual_seed(0)
    for channels in (3, 1, 5):
        images = torch.rand(2, channels, 41, 50, generator=generator, dtype=torch.float32, device="cpu")
        volumes = images.view(2, channels, 10, 41, 5)
        settings = [Setting(number, 5, (1.0, 1.0), 10.0) for number in (20, 150)]
        cases = [
            (settings, images),
            ([Setting(60, 5, (2.0, 1.0, 1.0), 10.0)], volumes),
            ([Setting(2, 5, (1.0, 9.0, 9.0), 10.0)], images.view(2, channels, 41, 10, 5)),
            ([Setting(3, 5, (1.0,), 10.0)], images[:, :, 0]),
        ]
        expected, found = list[torch.Tensor](), list[torch.Tensor]()
        for asked, inputs in cases:
            expected += segment_pixels(asked, SharedPixels(inputs.contiguous()), AtOnce(10**5, 10**5))
            found += segment_images(library, asked, inputs)
        # Of pixels in [0, 1] these statistics leave everything as it is.
        scaling = Scaling(
            ((0.0,), (1.0,)), reversed_order=False, by_torch=lambda part: (part, part.new_zeros(1, dtype=torch.bool))
        )
        for setting in settings:
            scaled = segment_inputs(library, setting, scaling, images, threads=1)
            found.append(torch.empty(0) if scaled is None else scaled[:, 0])
        if not all(map(torch.equal, found, [*expected, *expected[: len(settings)]])):
            raise RuntimeError(
                "the compiled engine gives other masks than torch on this computer, and is not used: report the "
                f"processor and the versions: {describe_machine()[1]}"
            )


def _path() -> Path:
    """Name the file for machine code of these sources for this computer.

    Raises:
        ImportError: If a package is missing without which it cannot be made or found.
    """
    directories: Any = importlib.import_module("platformdirs")
    _, machine = describe_machine()
    digest = hashlib.sha256(f"{machine} Numba {importlib.metadata.version('numba')}".encode())
    # Constants come from there.
    others = (_clustering, _color, _components, _growing, _scaling)
    sources = [*Path(__file__).parent.rglob("*.py"), *(Path(str(part.__file__)) for part in others)]
    for source in sorted(sources):
        digest.update(source.read_bytes())
    return Path(directories.user_cache_dir("captum_superpixel")) / f"slic-{digest.hexdigest()[:32]}.bin"
