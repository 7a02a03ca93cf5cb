"""Headless Chromium, where there is one, and pages opened in it, which must neither complain nor ask for anything."""

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# The settings that Chromium makes for itself on a telephone: no hovering, and a finger for a pointer.
TOUCH = "--blink-settings=primaryPointerType=2,availablePointerTypes=2,primaryHoverType=1,availableHoverTypes=1"


@pytest.fixture(scope="module")
def launch() -> Iterator[Callable[..., Any]]:
    """Start Chromium with options."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome is on the path")
    from playwright.sync_api import sync_playwright

    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        yield lambda *options: playwright.chromium.launch(executable_path=CHROMIUM, args=[*sandbox, *options])


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Any]) -> Iterator[Any]:
    browser = launch()
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def touch_browser(launch: Callable[..., Any]) -> Iterator[Any]:
    """The browser of a telephone."""
    browser = launch(TOUCH)
    yield browser
    browser.close()


@pytest.fixture
def open_page(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Open a page, with ``touch=True`` on a telephone; at the end nobody may have complained or asked for more."""
    contexts: list[Any] = []
    complaints: list[str] = []
    requests: list[str] = []
    opened: list[str] = []

    def open_one(path: Path, width: int = 1280, height: int = 900, *, touch: bool = False, **options: Any) -> Any:
        browser = request.getfixturevalue("touch_browser" if touch else "browser")
        options = {"color_scheme": "light", "has_touch": touch, **options}
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda one: requests.append(one.url))
        opened.append(path.as_uri())
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", timeout=60_000)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("data:", "blob:"))] == opened
