"""Files that were damaged: what is read is right, or the documented error says what is wrong; never anything else."""

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damage import changes, damaged
from fuzzed_inputs import tried
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from captum_superpixel._checks import InputError
from captum_superpixel._store import Store, StoreError
from captum_superpixel.datasets.photographs import UnreadableImage, read_photograph
from captum_superpixel.explain.mask_option import parse_masks
from captum_superpixel.masks import Cached, Grid, Precomputed
from captum_superpixel.models.checkpoints import load_state_dict, load_weights

# Pillow says of pictures beyond its limit that they are.
pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")

MEMORY = 64 * 2**20
"""More than any of these files, of a few kilobytes, has a reason to take where it is refused."""

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
MADE_WITH = {"seed": 1}
CONTENT = {"maps": torch.arange(300.0), "name": "pair"}
IMAGES = torch.rand(3, 1, 6, 5, generator=torch.Generator().manual_seed(0))


def photograph(kind: str, **options: Any) -> bytes:
    picture, file = Image.fromarray(PIXELS), io.BytesIO()
    if kind in ("GIF", "I;16"):
        picture = (
            picture.convert("P" if kind == "GIF" else "L")
            .convert("P" if kind == "GIF" else "I")
            .convert("P" if kind == "GIF" else "I;16")
        )
    more = {"save_all": True, "append_images": [picture]} if kind in ("GIF", "TIFF") else {}
    picture.save(file, "PNG" if kind == "I;16" else kind, **more, **options)
    return file.getvalue()


PHOTOGRAPHS = {
    **{kind: photograph(kind) for kind in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "PPM", "TGA", "ICO", "I;16")},
    "progressive JPEG": photograph("JPEG", progressive=True, quality=90),
    "compressed TIFF": photograph("TIFF", compression="tiff_lzw"),
    **({"WEBP": photograph("WEBP")} if "WEBP" in Image.SAVE else {}),
}


def peak_of(call: Callable[[], object]) -> int:
    """The memory that Python and NumPy took at a time, in bytes."""
    tracemalloc.start()
    try:
        call()
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize("kind", PHOTOGRAPHS)
@tried(25)
@given(made=changes(), coarse=st.booleans())
def test_photographs(kind: str, made: list[Any], coarse: bool) -> None:
    content = damaged(PHOTOGRAPHS[kind], made)
    remarks: list[str] = []
    try:
        picture = read_photograph(content, coarse=coarse, report=remarks.append)
    except UnreadableImage as error:
        assert len(str(error)) > 5  # noqa: PT017  # many damaged pictures can be read
        return
    assert picture.mode == "RGB"
    assert min(picture.size) > 0
    assert all(remark and "\n" not in remark for remark in remarks)


@tried(100)
@given(made=changes())
def test_precomputed_masks(made: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "masks.npz"
    masks = Grid(4)(IMAGES)
    Precomputed.from_images(IMAGES, masks).save(path)
    path.write_bytes(damaged(path.read_bytes(), made))
    loaded: list[Precomputed] = []

    def load() -> None:
        try:
            loaded.append(Precomputed.load(path))
        except ValueError as error:
            assert "holds no masks that Precomputed.save wrote" in str(error)  # noqa: PT017  # some changes change nothing

    assert peak_of(load) < MEMORY
    if loaded:
        assert torch.equal(loaded[0](IMAGES), masks)


@tried(60)
@given(made=changes())
def test_cached_masks_that_were_damaged_are_made_anew(
    made: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "cached"
    generator = Cached(Grid(4), folder)
    expected = generator(IMAGES)
    (first, *_) = sorted(folder.rglob("*.mask"))
    first.write_bytes(damaged(first.read_bytes(), made))
    assert peak_of(lambda: generator(IMAGES)) < MEMORY
    assert torch.equal(generator(IMAGES), expected)


@tried(60)
@given(made=changes())
def test_parts_of_a_study(made: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    store = Store(tmp_path_factory.getbasetemp() / "store")
    store.save("part", MADE_WITH, CONTENT)
    path = store.path("part")
    whole = path.read_bytes()
    path.write_bytes(damaged(whole, made))
    try:
        content = store.load("part", MADE_WITH)
    except StoreError as error:
        assert str(path) in str(error)  # noqa: PT017  # some changes change nothing
    else:
        assert path.read_bytes() == whole
        assert content is not None
        assert torch.equal(content["maps"], CONTENT["maps"])


@tried(60)
@given(made=changes(), dtype=st.sampled_from((np.uint8, np.int32, np.int64, np.uint64, ">u2")))
def test_masks_of_the_command(made: list[Any], dtype: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    from captum_superpixel.datasets.preprocessing import CIFAR10

    path = tmp_path_factory.getbasetemp() / "ids.npy"
    file = io.BytesIO()
    np.save(file, (np.arange(64).reshape(8, 8) // 5).astype(dtype))
    path.write_bytes(damaged(file.getvalue(), made))

    def read() -> None:
        try:
            ids: Any = parse_masks(str(path), CIFAR10).source
        except InputError as error:
            assert str(path) in str(error)  # noqa: PT017  # damaged ids are other ids, which no format notices
        else:
            assert ids.ndim == 2
            assert ids.dtype == np.int64
            assert ids.min() >= 0

    assert peak_of(read) < MEMORY


def checkpoint(suffix: str) -> bytes:
    state = {f"{name}.weight": torch.arange(12.0).view(3, 4) for name in ("0", "2")}
    file = io.BytesIO()
    if suffix == ".safetensors":
        save = pytest.importorskip("safetensors.torch").save
        return bytes(save(state))
    torch.save(state, file, _use_new_zipfile_serialization=suffix != ".legacy")
    return file.getvalue()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".legacy"])
@tried(40)
@given(made=changes())
def test_checkpoints(suffix: str, made: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / f"weights{suffix}"
    path.write_bytes(damaged(checkpoint(suffix), made))
    try:
        state = load_state_dict(path)
    except InputError as error:
        assert "weights" in str(error)  # noqa: PT017  # damaged numbers are other numbers, which few formats notice
        return
    assert all(isinstance(tensor, torch.Tensor) for tensor in state.values())
    network = nn.Sequential(nn.Linear(4, 3, bias=False), nn.ReLU(), nn.Linear(4, 3, bias=False))
    try:
        load_weights(network, path, report=lambda line: None)
    except InputError:
        return
    assert all(parameter.shape == (3, 4) for parameter in network.parameters())


def test_undamaged_files_are_read(tmp_path: Path) -> None:
    """Or none of the tests above would say anything."""
    assert all(read_photograph(content).size == (20, 24) for kind, content in PHOTOGRAPHS.items() if kind != "ICO")
    for suffix in (".pt", ".safetensors", ".legacy"):
        path = tmp_path / f"weights{suffix}"
        path.write_bytes(checkpoint(suffix))
        assert sorted(load_state_dict(path)) == ["0.weight", "2.weight"]
    content = PHOTOGRAPHS["PNG"]
    assert damaged(content, [("flip", 0.5, 3, b"a"), ("cut", 0.9, 1, b"a")]) != content
