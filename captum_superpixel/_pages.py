"""Pages of HTML in one file, which tell the browser to forbid them everything that they do not bring along."""

from __future__ import annotations

import base64
import hashlib
import html
import string
from collections.abc import Mapping, Sequence
from importlib import resources

__all__ = ["fill_page", "read_parts", "to_data_url"]


def read_parts(package: str, names: Sequence[str]) -> list[str]:
    """Read the parts of a page, such as its style, that lie in a package, without blank lines around them."""
    folder = resources.files(package)
    return [(folder / name).read_text(encoding="utf-8").strip() for name in names]


def fill_page(template: str, texts: Mapping[str, str], style: str, script: str = "") -> bytes:
    """Fill a page with texts, one style and at most one script, and forbid it to run or to load anything else.

    Args:
        template: The page, with ``$policy``, ``$style`` and, for a script, ``$script`` among its places.
        texts: By the names of the other places; what the caller passed is escaped already.
        style: The text of the style element.
        script: The text of the script element; empty where there is none.

    Returns:
        The page in UTF-8.

    Examples:
        >>> fill_page("<style>$style</style>$title", {"title": "cat"}, "p {}")
        b'<style>p {}</style>cat'
    """
    runs = f"script-src {_source(script)}; " if script else ""
    policy = f"default-src 'none'; img-src data:; style-src {_source(style)}; {runs}base-uri 'none'; form-action 'none'"
    filled = string.Template(template).substitute(texts, policy=html.escape(policy), style=style, script=script)
    # Names of files may hold bytes that are not text.
    return filled.encode("utf-8", errors="replace")


def to_data_url(media_type: str, content: bytes) -> str:
    """Write a picture as an address that holds it."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _source(text: str) -> str:
    """Name an inline element in a content security policy by its hash."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
