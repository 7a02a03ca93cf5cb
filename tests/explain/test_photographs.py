"""Which photographs are explained, and which files are written."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from captum_superpixel._checks import InputError
from captum_superpixel.attr.methods import METHODS
from captum_superpixel.explain.photographs import PER_PAGE, find_photographs, open_photograph, plan_outputs


def planned(
    photographs: list[Path], out: str, *options: Any, methods: Sequence[str] = ("Saliency",)
) -> list[list[str]]:
    """The files of each photograph."""
    plan = plan_outputs(photographs, Path(out), *(options or ([],)), methods=methods)
    assert list(plan.files) == photographs
    return [[output.path.as_posix() for output in outputs] for outputs in plan.files.values()]


def test_folders_are_listed_by_name_and_files_once(folder: Path) -> None:
    (folder / "photos" / "deeper").mkdir(parents=True)
    for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt", "mask.npy", "deeper/c.png"):
        (folder / "photos" / name).touch()
    photos = Path("photos")
    expected = [Path("cat.png"), photos / "a.png", photos / "b.JPG"]
    assert find_photographs([Path("cat.png"), photos, photos / "a.png", folder / "cat.png"]) == expected


def test_missing_photographs_wait_for_their_turn_if_there_are_others() -> None:
    assert find_photographs([Path("none.png"), Path("cat.png")]) == [Path("none.png"), Path("cat.png")]
    with pytest.raises(InputError, match=r"^none.png does not exist"):
        find_photographs([Path("none.png")])
    with pytest.raises(InputError, match=r"^a.png, b.png do not exist"):
        find_photographs([Path("a.png"), Path("b.png")])


def test_folders_without_pictures(folder: Path) -> None:
    (folder / "photos").mkdir()
    with pytest.raises(InputError, match="the folder photos holds no pictures"):
        find_photographs([Path("cat.png"), Path("photos")])


def test_what_is_no_photograph(folder: Path) -> None:
    (folder / "text.png").write_text("no picture")
    (folder / "cut.png").write_bytes((folder / "cat.png").read_bytes()[:300])
    with pytest.raises(InputError, match=r"UnidentifiedImageError: the format is unknown"):
        open_photograph(folder / "text.png")
    with pytest.raises(InputError, match="is no picture that Pillow can read"):
        open_photograph(folder / "cut.png")
    with pytest.raises(InputError, match="is no file"):
        open_photograph(folder)
    with pytest.raises(InputError, match="does not exist"):
        open_photograph(folder / "none.png")


def test_a_file_for_one_photograph_and_a_folder_for_several() -> None:
    one, two = Path("a/cat.jpg"), Path("dog.png")
    assert planned([one], "x.HTML") == [["x.HTML"]]
    assert planned([one, two], "out", ["npz", "png", "npz"]) == [
        ["out/cat.npz", "out/cat.png"],
        ["out/dog.npz", "out/dog.png"],
    ]
    assert planned([one], "run-1.2") == [["run-1.2/cat.png"]]


def test_names_as_long_as_the_system_takes(folder: Path) -> None:
    letters = [Path("n" * 250 + end + ".png") for end in "ab"]
    umlauts, short = Path("\u00fc" * 125 + ".png"), Path("n" * 215 + ".png")
    longest = max(METHODS, key=len)
    plan = plan_outputs([*letters, umlauts, short], Path("out"), ["html", "npz"], methods=["Lime", longest])
    (first, *_), (second, *_), (third, *_), (fourth, *_) = plan.files.values()
    names = [output.path.name for output in (first, second, fourth)]
    assert names == ["n" * 215 + ".html", "n" * 215 + "-2.html", "n" * 215 + "-3.html"]
    assert third.path.name == "\u00fc" * 107 + ".html"
    for output in (output for outputs in plan.files.values() for output in outputs):
        (folder / output.path.name).touch()


def test_names_that_collide_do_not_replace_one_another() -> None:
    names = ["a/cat.jpg", "b/Cat.jpg", "cat-2.jpg", "cat.tif", "dog.jpg", "c/cat-2.png"]
    written = [name for (name,) in planned([Path(name) for name in names], "out")]
    expected = ["cat.png", "Cat-3.png", "cat-2.png", "cat-4.png", "dog.png", "cat-2-2.png"]
    assert written == [f"out/{name}" for name in expected]
    assert len({name.lower() for name in written}) == len(names)


def test_a_page_holds_all_methods_and_other_files_one_each() -> None:
    cat, methods = Path("cat.jpg"), ("Saliency", "Lime")
    plan = plan_outputs([cat], Path("out"), ["html", "png", "npz"], methods=methods)
    assert [(output.path.name, output.methods) for output in plan.files[cat]] == [
        ("cat.html", methods),
        ("cat.Saliency.png", ("Saliency",)),
        ("cat.Lime.png", ("Lime",)),
        ("cat.Saliency.npz", ("Saliency",)),
        ("cat.Lime.npz", ("Lime",)),
    ]
    assert planned([cat], "x.html", methods=methods) == [["x.html"]]
    # Whatever the photographs are called, no two of their files are.
    both = planned([Path("cat.jpg"), Path("cat.Saliency.jpg")], "out", ["png", "html"], methods=methods)
    assert len({name for names in both for name in names}) == 6
    for name in ("x.png", "x.npz"):
        with pytest.raises(InputError, match=rf"--out {name} holds one method, and there are 2; write x\.html, which"):
            plan_outputs([cat], Path(name), [], methods=methods)


def test_several_files_in_a_folder_have_a_gallery() -> None:
    cat, dog = Path("cat.jpg"), Path("dog.jpg")

    def pages(photographs: list[Path], formats: list[str], methods: Sequence[str] = ("Lime",), out: str = "out") -> int:
        plan = plan_outputs(photographs, Path(out), formats, methods=methods)
        assert plan.gallery[:1] == ((Path("out/index.html"),) if plan.gallery else ())
        return len(plan.gallery)

    assert pages([cat], ["png"]) == pages([cat], ["html"], ("Lime", "Saliency")) == pages([cat], [], out="x.png") == 0
    assert pages([cat, dog], []) == pages([cat], ["png", "npz"]) == pages([cat], [], ("Lime", "Saliency")) == 1
    many = [Path(f"{number}.jpg") for number in range(2 * PER_PAGE + 1)]
    plan = plan_outputs(many, Path("out"), ["npz"])
    assert [path.name for path in plan.gallery] == ["index.html", "index-2.html", "index-3.html"]
    assert pages(many[:PER_PAGE], []) == 1


def test_a_photograph_called_index_does_not_replace_the_gallery() -> None:
    photographs = [Path("INDEX.jpg"), Path("a/index.png"), Path("index-2.png")]
    assert planned(photographs, "out", ["html"]) == [["out/INDEX-3.html"], ["out/index-4.html"], ["out/index-2.html"]]
    assert planned(photographs[:1], "out", ["html"]) == [["out/INDEX.html"]]
    assert planned(photographs[:1], "out", ["npz", "png"]) == [["out/INDEX.npz", "out/INDEX.png"]]
    below = plan_outputs(photographs[:2], Path("out"), ["html"], [Path("a"), Path()])
    assert [output.path.name for (output,) in below.files.values()] == ["INDEX-2.html", "index.html"]


@pytest.mark.parametrize(
    ("out", "formats", "message"),
    [
        ("x.png", [], "--out x.png is one file for 2 photographs; name a folder"),
        ("x.jpg", [], "--out x.jpg ends in .jpg; write .png, .html or .npz, or name a folder"),
        ("cat.gif", [], "--out cat.gif ends in .gif; write .png, .html or .npz, or name a folder"),
        ("none/x", [], "--out none/x: there is no folder none; make it first"),
        ("notes", [], "--out notes is a file; pass the name of a folder"),
        (".", ["png"], "--out . would replace the photograph cat.png"),
        ("taken", ["npz"], "--out taken: taken/cat.npz is a folder"),
    ],
)
def test_places_that_cannot_be_written_to(out: str, formats: list[str], message: str, folder: Path) -> None:
    (folder / "notes").touch()
    (folder / "cat.gif").touch()
    (folder / "taken" / "cat.npz").mkdir(parents=True)
    with pytest.raises(InputError, match=re.escape(message)):
        plan_outputs([Path("cat.png"), Path("dog.png")], Path(out), formats)


def test_places_that_cannot_be_written_to_for_one_photograph() -> None:
    with pytest.raises(InputError, match=r"--out cat.png would replace the photograph cat.png"):
        plan_outputs([Path("cat.png")], Path("cat.png"), [])
    with pytest.raises(InputError, match=r"--out x.png says which kind of file; leave out --format"):
        plan_outputs([Path("cat.png")], Path("x.png"), ["npz"])
    with pytest.raises(InputError, match=r"--out none/x.npz: there is no folder none"):
        plan_outputs([Path("cat.png")], Path("none/x.npz"), [])


def test_pictures_of_other_formats_are_named(folder: Path) -> None:
    (folder / "photos").mkdir()
    for name in ("a.png", "b.heic", "c.HEIC", "d.eps", "notes.txt", ".e.heic"):
        (folder / "photos" / name).touch()
    lines: list[str] = []
    assert find_photographs([Path("photos")], report=lines.append) == [Path("photos/a.png")]
    assert len(lines) == 2
    assert re.match(r"left out: 2 files, photos.b\.heic, photos.c\.HEIC: each is HEIC, which Pillow cannot", lines[0])
    assert re.match(r"left out: photos.d\.eps is PostScript", lines[1])
    (folder / "photos" / "a.png").unlink()
    with pytest.raises(InputError, match=r"photos holds no pictures that can be read: 2 files, photos.b\.heic, .*HEIC"):
        find_photographs([Path("photos")])


def test_folders_of_folders(folder: Path) -> None:
    for name in ("b.png", "cats/c.png", "cats/old/d.png", "ants/a.png", ".hidden/x.png", "results/b.png"):
        (folder / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "photos" / name).touch()
    (folder / "photos" / "circle").symlink_to(folder / "photos")
    photos = Path("photos")
    found = find_photographs([photos], recursive=True, out=photos / "results")
    assert found == [photos / name for name in ("b.png", "ants/a.png", "cats/c.png", "cats/old/d.png")]
    assert find_photographs([photos]) == [photos / "b.png"]
    (folder / "photos/cats/old/d.png").unlink()
    with pytest.raises(InputError, match=r"photos.cats.old and those in it hold no pictures\.$"):
        find_photographs([photos / "cats/old"], recursive=True)
    (folder / "photos" / "b.png").unlink()
    with pytest.raises(InputError, match=r"photos holds no pictures, and .* do not count without --recursive"):
        find_photographs([photos])


def test_outputs_of_folders_lie_in_folders_of_the_same_names() -> None:
    names = ["x/cat.jpg", "x/a/cat.jpg", "x/a/cat.png", "y/a/cat.jpg", "z/dog.png"]
    photographs = [Path(name) for name in names]
    written = planned(photographs, "out", [], [Path("x"), Path("y"), Path("x/a")])
    names = ["cat.png", "a/cat.png", "a/cat-2.png", "a/cat-3.png", "dog.png"]
    assert written == [[f"out/{name}"] for name in names]
    flat = ["cat.png", "cat-2.png", "cat-3.png", "cat-4.png", "dog.png"]
    assert planned(photographs, "out") == [[f"out/{name}"] for name in flat]


def test_remarks_on_photographs(folder: Path) -> None:
    def remarks_on(array: object, name: str) -> list[str]:
        remarks: list[str] = []
        Image.fromarray(np.asarray(array)).save(name)
        open_photograph(Path(name), remarks.append)
        return remarks

    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16)
    assert remarks_on(ramp.astype(np.uint8), "whole.png") == []
    (twelve,) = remarks_on(ramp * 16, "twelve.png")
    assert "from 0 to 4080 of 0 to 65535" in twelve
    (labels,) = remarks_on(ramp.astype(np.uint8) // 16, "labels.png")
    assert "from 0 to 15 of 0 to 255, which is nearly black" in labels
    (fog,) = remarks_on(ramp.astype(np.uint8) // 16 + 100, "fog.png")
    assert "from 100 to 115 of 0 to 255, which is nearly one shade" in fog


def test_refused_photographs_are_not_called_broken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(
        InputError, match=r"^is HEIC, which Pillow cannot read here: convert it to PNG or JPEG first\.$"
    ):
        open_photograph(folder / "a.jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match=r"^is too large: 480 pixels, and 200 are the most"):
        open_photograph(folder / "cat.png")
