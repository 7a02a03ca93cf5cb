"""The gallery: what stands on it, links that lead somewhere, names that are hostile, and pages."""

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from PIL import Image

from captum_superpixel.cli import main
from captum_superpixel.explain import photographs
from captum_superpixel.explain.explanation import Outcome
from captum_superpixel.explain.gallery import Gallery

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
BROWSER = pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec("playwright") is None, reason="there is no playwright or no chromium"
)
NETWORK = ["--model", "explain_net:named", "--size", "16", "--masks", "grid:9", "--method", "Saliency"]
HOSTILE = 'a b&c#1%20 <i>"x" \u00e9?.png'


class Parsed(HTMLParser):
    """The links, pictures and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "a":
            self.links.append(str(dict(attrs)["href"]))
        if tag == "img":
            self.pictures.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


@pytest.fixture
def gallery(folder: Path) -> Path:
    """Photographs of any names in folders, one of them broken, by two methods in all formats."""
    (folder / "photos" / "old & new").mkdir(parents=True)
    for name in ("index.png", HOSTILE, "old & new/cat.png"):
        shutil.copy(folder / "cat.png", folder / "photos" / name)
    (folder / "photos" / "bad.png").write_text("no picture")
    formats = [part for kind in ("png", "html", "npz") for part in ("--format", kind)]
    methods = ["--method", "Lime", "--samples", "5", "--target", "tiger cat"]
    assert main(["explain", "photos", "--recursive", *NETWORK, *methods, *formats, "--out", "out"]) == 1
    return folder / "out" / "index.html"


def test_every_file_is_linked_and_every_link_leads_to_one(gallery: Path) -> None:
    page = Parsed(gallery)
    linked = {gallery.parent / unquote(link) for link in page.links}
    written = {path for path in gallery.parent.rglob("*") if path.is_file() and ".explained" not in path.parts} - {
        gallery
    }
    assert linked == written
    assert len(page.links) == 3 * 5
    assert all(re.fullmatch(r"[\w./%-]+", link) for link in page.links)
    assert (gallery.parent / "index-2.html").exists()


def test_it_says_what_is_predicted_explained_noted_and_failed(gallery: Path) -> None:
    page = Parsed(gallery)
    text = " ".join(page.text.split())
    assert "Explanations of 4 photographs By Saliency, Lime over grid:9. 3 explained, 1 with failures." in text
    assert "Not explained photos/bad.png : is no picture that Pillow can read" in text
    assert re.search(r"old & new/cat.png explained: tiger cat , \d+\.\d % predicted: [\w, ]+ , \d+\.\d %", text)
    assert text.count("Lime: Lime fits 9 features to n_samples=5") == 3
    assert HOSTILE in text
    assert [picture["alt"] for picture in page.pictures if str(picture["alt"]).startswith("index")] == [
        "index.png as the network saw it",
        "index.png: 9 top regions by Saliency, the rest dimmed",
        next(
            str(picture["alt"])
            for picture in page.pictures
            if "by Lime" in str(picture["alt"]) and "index" in str(picture["alt"])
        ),
    ]
    assert not page.tags & {"script", "i", "iframe", "link"}
    source = gallery.read_text(encoding="utf-8")
    assert "default-src &#x27;none&#x27;; img-src data:; style-src &#x27;sha256-" in source
    assert len(source) / 3 < 60_000


def test_pages_follow_one_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from captum_superpixel.explain import gallery as module

    for name in (photographs, module):
        monkeypatch.setattr(name, "PER_PAGE", 2)
    (folder / "photos").mkdir()
    for name in "abcde":
        Image.new("RGB", (16, 16), (90, 9, 9)).save(folder / "photos" / f"{name}.png")
    (folder / "photos" / "d.png").write_text("no picture")
    assert main(["explain", "photos", *NETWORK, "--format", "npz", "--batch-size", "2", "--out", "out"]) == 1
    pages = [Parsed(folder / "out" / name) for name in ("index.html", "index-2.html", "index-3.html")]
    assert [[link for link in page.links if link.endswith("npz")] for page in pages] == [
        ["a.npz", "b.npz"],
        ["c.npz"],
        ["e.npz"],
    ]
    assert [sorted({link for link in page.links if link.endswith("html")}) for page in pages] == [
        ["index-2.html", "index-3.html"],
        ["index-3.html", "index.html"],
        ["index-2.html", "index.html"],
    ]
    # The first page, which is read first, names all failures.
    assert ["d.png" in page.text for page in pages] == [True, False, False]


def test_what_was_finished_is_shown_after_an_interruption(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Gallery.add

    def interrupt(self: Gallery, outcome: Outcome, *rest: Any) -> None:
        original(self, outcome, *rest)
        raise KeyboardInterrupt

    monkeypatch.setattr(Gallery, "add", interrupt)
    shutil.copy("cat.png", "dog.png")
    assert main(["explain", "cat.png", "dog.png", *NETWORK, "--out", "out"]) == 130
    page = Parsed(folder / "out" / "index.html")
    assert page.links == ["cat.png"]
    assert "1 explained, 0 with failures, 1 not yet" in page.text


def test_a_gallery_that_cannot_be_written_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    shutil.copy("cat.png", "dog.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Gallery, "_write", fail)
        assert main(["explain", "cat.png", "dog.png", *NETWORK, "--format", "npz", "--out", "out"]) == 1
    captured = capsys.readouterr()
    assert "captum-superpixel: error: the gallery out/index.html cannot be written: no space left" in captured.err
    assert captured.out.count("wrote out/") == 2


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@BROWSER
def test_in_a_browser(browser: Any, gallery: Path) -> None:
    for width, scheme in ((1280, "light"), (390, "dark"), (320, "light")):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message, complaints=complaints: complaints.append(message.text))
        page.goto(gallery.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = "[...document.querySelectorAll('a')].map(a => a.getBoundingClientRect()).map(b => [b.width, b.height])"
        assert min(min(size) for size in page.evaluate(boxes)) >= 24
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 17, 20)"
        assert dark == (scheme == "dark")
        for link in page.get_by_role("link", name="page", exact=True).all():
            address = link.evaluate("link => link.href")
            following = context.new_page()
            assert following.goto(address).ok or address.startswith("file:")
            assert following.title().count("photograph") == 0
            following.close()
        assert complaints == []
        context.close()


@BROWSER
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_axe_finds_nothing(browser: Any, gallery: Path, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(gallery.as_uri())
    # The checker does not see the colors of what is not drawn because it is out of sight.
    page.evaluate("document.querySelectorAll('.card').forEach((card) => (card.style.contentVisibility = 'visible'))")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
    options = {"runOnly": {"type": "tag", "values": tags}, "rules": {"target-size": {"enabled": True}}}
    response = axe.run(page, options=options).response
    assert len(response["passes"]) > 20
    for kind in ("violations", "incomplete"):
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in response[kind]] == []
    context.close()
