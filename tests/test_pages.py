import base64
import hashlib
import html
import re

import pytest

from captum_superpixel._pages import fill_page, to_data_url

TEMPLATE = '<meta content="$policy"><style>$style</style><script>$script</script>$title'


def policy_of(page: bytes) -> str:
    found = re.search(r'content="([^"]*)"', page.decode())
    assert found is not None
    return html.unescape(found[1])


def source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_allows_what_the_page_brings_along_alone() -> None:
    page = fill_page(TEMPLATE, {"title": "cat"}, "b { color: red }", "let a = 1;")
    allowed = [f"style-src {source('b { color: red }')}", f"script-src {source('let a = 1;')}"]
    rest = ["default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'"]
    assert sorted(policy_of(page).split("; ")) == sorted(allowed + rest)


def test_a_page_without_a_script_allows_none() -> None:
    assert "script-src" not in policy_of(fill_page(TEMPLATE, {"title": "cat"}, "b { color: red }"))


def test_text_of_no_encoding_is_replaced() -> None:
    assert fill_page("$title", {"title": "a\udcff"}, "") == b"a?"


def test_a_place_without_text_is_an_error() -> None:
    with pytest.raises(KeyError, match="title"):
        fill_page(TEMPLATE, {}, "")


def test_an_address_holds_its_content() -> None:
    assert to_data_url("image/png", b"\x00\xff") == "data:image/png;base64,AP8="
