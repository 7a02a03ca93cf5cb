"""The documentation site: what its pages show runs, and its reference leaves no public name out."""

import importlib
import importlib.util
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from captum.attr import Saliency

import captum_superpixel
from captum_superpixel.masks import Slic
from captum_superpixel.models import small_cnn

SITE = Path(__file__).parents[1] / "tutorials"
PROGRAMS = ("cli", "explain", "study")
"""Their reference is --help."""
ROOMS = [
    name
    for _, name, _ in pkgutil.iter_modules(captum_superpixel.__path__)
    if not name.startswith("_")
    and name not in PROGRAMS
    and hasattr(importlib.import_module(f"captum_superpixel.{name}"), "__all__")
]


def code_of(page: str) -> list[str]:
    text = (SITE / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def names() -> dict[str, Any]:
    """What the reader has: networks, images and labels."""
    generator = torch.Generator().manual_seed(0)
    # Nearly of one color each, so that views of an image do not change what an untrained network takes it for.
    images = torch.rand(2, 3, 1, 1, generator=generator) + 0.01 * torch.rand(2, 3, 32, 32, generator=generator)
    return {
        "model": small_cnn(generator=torch.Generator().manual_seed(0)).eval(),
        "other_model": small_cnn(generator=torch.Generator().manual_seed(1)).eval(),
        "images": images.requires_grad_(),
        "labels": torch.tensor([1, 2]),
        "mean": torch.zeros(3, 1, 1),
        "std": torch.ones(3, 1, 1),
    }


@pytest.fixture(autouse=True)
def closed_figures(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(plt, "show", lambda *_, **__: None)
    yield
    plt.close("all")


def test_the_code_of_how_to_runs(names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = [block for block in code_of("how-to.md") if "nibabel" not in block]
    assert len(blocks) == 12
    for block in blocks:
        exec(block, names)
    assert names["load"]() is names["model"]
    shape = names["images"].shape
    assert (
        names["maps"].shape
        == names["left_and_right"].shape
        == names["effects"].shape
        == names["by_light"].shape
        == shape
    )
    assert [half.flatten(1).unique(dim=1).shape[1] for half in names["left_and_right"][0].split(16, dim=2)] == [1, 1]
    assert names["objects"].shape == (1, *shape[1:])
    assert names["intervals"].shape == (1, 1, 200)
    assert 4 <= len(names["intervals"].unique_consecutive()) <= 10
    assert sorted(names["mask"].unique().tolist()) == list(range(int(names["mask"].max()) + 1))
    assert {region.image for region in names["table"]} == {0, 1}
    assert names["faithful"].shape == names["nothing"].shape == (2,)
    assert (tmp_path / "explanation.html").exists()


def test_a_map_of_a_nifti_file_lies_where_the_scan_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's axes run to the left, downward and to the back; the network sees a bright cube in it alone."""
    nibabel = pytest.importorskip("nibabel")
    monkeypatch.chdir(tmp_path)
    values = np.zeros((20, 8, 24), dtype=np.float32)
    values[4:8, 2:4, 16:20] = 1
    affine = np.array([[-0.8, 0, 0, 5], [0, 0, -0.7, 3], [0, -3, 0, -20], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(values, affine), "scan.nii.gz")
    names = {
        "network": lambda scans: scans.clamp(min=0).square().sum(dim=(2, 3, 4)),
        "SuperpixelGrouped": captum_superpixel.SuperpixelGrouped,
        "Slic": Slic,
        "Saliency": Saliency,
        "torch": torch,
    }
    (block,) = [block for block in code_of("how-to.md") if "nibabel" in block]
    exec(block, names)
    assert names["spacing"] == pytest.approx((3, 0.7, 0.8))
    made, blocks = (nibabel.load(name) for name in ("map.nii.gz", "blocks.nii.gz"))
    assert made.shape == blocks.shape == (20, 24, 8)
    # Through the world, in millimeters, from the voxels of the file to those of the map.
    inside = np.argwhere(values)
    places = nibabel.affines.apply_affine(np.linalg.inv(made.affine) @ affine, inside).round().astype(int)
    of_cube = made.get_fdata()[tuple(places.T)]
    assert of_cube.min() > 0
    assert made.get_fdata().sum() == pytest.approx(2 * values.sum(), rel=1e-4)
    assert of_cube.sum() > 0.9 * made.get_fdata().sum()


def test_the_code_of_why_not_just_blur_runs(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    for block in code_of("why-not-just-blur.md"):
        exec(block, names)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["pixels", "blur", "superpixels"]


def test_the_code_of_signs_or_magnitudes_does_what_it_says(names: dict[str, Any]) -> None:
    (block,) = code_of("signs-or-magnitudes.md")
    exec(block, names)
    images, maps = names["images"], names["maps"]
    assert maps.shape == names["where"].shape == images.shape
    assert (names["where"] >= 0).all()
    # Completeness: what the signed maps sum up to is the difference of the outputs, but for the delta.
    with torch.no_grad():
        outputs = names["model"](images)[[0, 1], names["labels"]] - names["model"](images * 0)[[0, 1], names["labels"]]
    torch.testing.assert_close(maps.sum(dim=(1, 2, 3)) - names["delta"], outputs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_a_page_of_the_reference(room: str) -> None:
    assert f".. automodule:: captum_superpixel.{room}\n" in "".join(
        page.read_text(encoding="utf-8") for page in (SITE / "api").glob("*.md")
    )


def test_the_first_page_of_the_reference_lists_what_the_package_exports() -> None:
    text = (SITE / "api" / "captum_superpixel.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"`~captum_superpixel\.(\w+)`", text)) == sorted(captum_superpixel.__all__)


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (SITE / "index.md").read_text(encoding="utf-8")
    pages = {
        path.relative_to(SITE).with_suffix("").as_posix() for end in ("md", "ipynb") for path in SITE.rglob(f"*.{end}")
    }
    listed = set(re.findall(r"^([\w/.-]+)$", index, flags=re.MULTILINE))
    globbed = {page for page in pages if page.startswith("results/") or re.match(r"[2-9]-", page)}
    assert pages - globbed - listed == {"index"}


@pytest.fixture(scope="module")
def conf() -> ModuleType:
    specification = importlib.util.spec_from_file_location("conf", SITE / "conf.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "documented"),
    [
        ("captum_superpixel.region_table", "captum_superpixel.regions.region_table"),
        ("captum_superpixel.metrics.stability.ssim", "captum_superpixel.metrics.ssim"),
        ("SuperpixelGrouped", "captum_superpixel.attr.SuperpixelGrouped"),
        ("captum_superpixel.metrics.ssmi", ""),
        ("torch.nn.functional.mean", ""),
    ],
)
def test_names_are_found_where_they_are_documented(conf: ModuleType, name: str, documented: str) -> None:
    assert conf.find_documented(name) == documented


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("torch._C.Generator", "https://docs.pytorch.org/docs/stable/generated/torch.Generator.html"),
        ("torch.Tensor", "https://docs.pytorch.org/docs/stable/tensors.html#torch.Tensor"),
        ("captum.attr.IntegratedGradients", "https://captum.ai/api/integrated_gradients.html"),
        ("captum.attr._utils.attribution.Attribution", "https://captum.ai/api/"),
        ("collections.abc.Sequence", "https://docs.python.org/3/library/collections.abc.html#collections.abc.Sequence"),
        ("nowhere.Thing", ""),
    ],
)
def test_pages_of_other_projects(conf: ModuleType, name: str, page: str) -> None:
    assert conf.external_page(name) == page


def test_a_misspelled_name_of_ours_is_not_passed_over(conf: ModuleType) -> None:
    assert conf.is_undocumented("captum_superpixel.attr._wrapper.Wrapper")
    assert not conf.is_undocumented("captum_superpixel.attr.SuperpixelGroupd")
    assert not conf.is_undocumented("captum_superpixel.attr.SuperpixelGrouped")
