"""Which assets a page loads, and that no page makes finding them slow."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captain.systems.web.page import Assets, assets

PAGE = "https://shop.example.com/en/cart?x=1"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('<script src="/a.js"></script>', ["/a.js"]),
        ("<SCRIPT async SRC=a.js ></SCRIPT>", ["/en/a.js"]),
        ("<script\n  type='module'\n  src='/a.js'></script>", ["/a.js"]),
        ('<link rel="preload stylesheet" href="/a.css">', ["/a.css"]),
        ('<link rel="modulepreload" href="/a.js"/>', ["/a.js"]),
        ('<link rel="icon" href="/a.ico"><link rel="preload" href="/font.woff2" as="font">', []),
        ('<script src="/a.js"></script><script src="/a.js#x"></script>', ["/a.js"]),
        ('<base href="/app/"><script src="main.js"></script><base href="/late/">', ["/app/main.js"]),
        ('<script src="/a.js?x=1&amp;y=2"></script>', ["/a.js?x=1&y=2"]),
        ('<!-- <script src="/a.js"></script> --><script src="/b.js"></script>', ["/b.js"]),
        ("<script>'<script src=\"/a.js\">'</script><script src=/b.js></script>", ["/b.js"]),
        ("<!-- never closed <script src=/a.js></script>", []),
        ("<script>never closed <script src=/a.js>", []),
        ('<script data-src="/a.js"></script>', []),
        ('<script src="data:text/javascript,1"></script><script src="//[bad"></script><script src></script>', []),
        ("", []),
    ],
)
def test_what_a_browser_would_load_is_found(text: str, found: list[str]) -> None:
    assert assets(text, PAGE) == Assets(tuple(f"https://shop.example.com{path}" for path in found), 0)


def test_assets_of_other_origins_are_counted_and_not_named() -> None:
    text = '<script src="//cdn.example.com/a.js"></script><script src="http://shop.example.com/a.js"></script>'
    assert assets(text, PAGE) == Assets((), 2)
    assert assets('<script src="https://SHOP.example.com:443/a.js"></script>', PAGE).elsewhere == 0


@pytest.mark.parametrize(
    "unit",
    ["<script ", "<script a", "<!--", "<script>", "a", '<link a="', "<link x='", "<script " + "a" * 8000, "a-", " = "],
)
def test_no_page_is_slow_to_read(unit: str) -> None:
    text = (unit * (1024**2 // len(unit)))[: 1024**2]
    for page in (text, f"<script {text[:8000]}>", "<script>" + text):
        began = time.process_time()
        assets(page, PAGE)
        assert time.process_time() - began < 1


@given(st.text(alphabet="<scriptlnk=\"'>!- /ab&;#"))
def test_no_text_is_too_strange(text: str) -> None:
    assert assets(text, PAGE).elsewhere >= 0
