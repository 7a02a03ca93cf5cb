"""Use the package in an environment that holds its wheel and nothing else of the project.

    python -I -W error tests/use_package.py dist/captum_superpixel-…-py3-none-any.whl

The environment has what the package requires and no extra: ``.ci/run package`` makes it.
"""

import importlib
import pkgutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

import torch
from captum.attr import Saliency

import captum_superpixel
from captum_superpixel import SuperpixelGrouped
from captum_superpixel.models import small_cnn
from captum_superpixel.visualization import visualize_superpixels

KINDS = {".py", ".typed", ".html", ".css", ".js"}
NEED_AN_EXTRA = {"captum_superpixel.explain.demo"}
"""Modules that cannot be imported without one."""


def check(holds: bool, what: str) -> None:
    """Stop with a message unless something holds."""
    if not holds:
        sys.exit(f"{what} (captum_superpixel of {captum_superpixel.__file__})")


def check_contents(wheel: Path) -> None:
    """The wheel holds the package and its description: no test, notebook or picture."""
    names = [PurePosixPath(name) for name in zipfile.ZipFile(wheel).namelist()]
    foreign = [
        str(name)
        for name in names
        if not name.parts[0].endswith(".dist-info")
        and (name.parts[0] != "captum_superpixel" or name.suffix not in KINDS or name.name.startswith("test_"))
    ]
    check(not foreign, f"the wheel holds {foreign}")
    check(PurePosixPath("captum_superpixel/py.typed") in names, "the wheel does not say that it is typed")


def check_imports() -> None:
    """What is required suffices to import everything that needs no extra."""
    missing = set()
    for module in pkgutil.walk_packages(captum_superpixel.__path__, "captum_superpixel."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            missing.add(module.name)
            check(module.name in NEED_AN_EXTRA, f"{module.name}: {error}")
    check(missing == NEED_AN_EXTRA, f"without an extra {missing} cannot be imported, not {NEED_AN_EXTRA}")


def check_use() -> None:
    """A network is explained, and the explanation drawn."""
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    model = small_cnn(generator=torch.Generator().manual_seed(0)).eval()
    grouped = SuperpixelGrouped(Saliency(model))
    mask = grouped.feature_mask(images)
    maps = grouped.attribute(images, target=0, feature_mask=mask)
    check(maps.shape == images.shape, f"the maps are of shape {tuple(maps.shape)}")
    values = maps[0, 0][mask[0, 0] == 0]
    check(bool((values == values[0]).all()), "a map differs within a superpixel")
    figure, _ = visualize_superpixels(images[0], maps[0], mask[0], k=3)
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "map.png"
        figure.savefig(picture)
        check(picture.read_bytes().startswith(b"\x89PNG"), "no picture was drawn")


def check_command() -> None:
    """The command is installed, and each of its programs says what it does."""
    command = Path(sys.executable).with_name("captum-superpixel")
    for program in ([], ["explain"], ["study"], ["demo"]):
        shown = subprocess.run([command, *program, "--help"], capture_output=True, text=True, check=False)
        check(shown.returncode == 0 and "usage: captum-superpixel" in shown.stdout, f"{program} --help: {shown.stderr}")


def main() -> None:
    """Check the wheel that is named on the command line, which is the one that is installed."""
    check(Path(captum_superpixel.__file__).is_relative_to(sys.prefix), "the package is not the one that was installed")
    check_contents(Path(sys.argv[1]))
    check_imports()
    check_use()
    check_command()


if __name__ == "__main__":
    main()
