"""A condition that YAML swallows is shown as it should have been written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captain.loader.quoting import balanced, corrected, quoted


@pytest.mark.parametrize(
    ("line", "mended"),
    [
        ("expect: !size(x) > 0", "expect: '!size(x) > 0'"),
        ("  expect: [items.all(i, i.x)]", "  expect: ['items.all(i, i.x)']"),
        ("expect: [status in [200]]", "expect: ['status in [200]']"),
        ("expect: [status in [200, 204], x == 1]", "expect: ['status in [200, 204]', 'x == 1']"),
        ("expect: ok ? a : b", "expect: 'ok ? a : b'"),
        ("warn: [json.a == 'b']", "warn: ['json.a == ''b''']"),
        ("http: { url: ${{ vars.base_url }} }", "http: { url: '${{ vars.base_url }}' }"),
        (
            "http: { url: ${{ vars.base_url }}/version, method: GET }",
            "http: { url: '${{ vars.base_url }}/version', method: GET }",
        ),
        ("run: [./deploy, ${{ release.version }}]", "run: [./deploy, '${{ release.version }}']"),
        (
            "observe: { http: { url: '${{ vars.u }}' }, expect: [status in [200]], within: 5m }",
            "observe: { http: { url: '${{ vars.u }}' }, expect: ['status in [200]'], within: 5m }",
        ),
        ("{ id: a, expect: size(x) in [1, 2] }", "{ id: a, expect: 'size(x) in [1, 2]' }"),
        ("expect: ['status == 200']", None),
        ("expect: |", None),
        ("title: expected things", None),
    ],
)
def test_the_line_as_it_was_meant(line: str, mended: str | None) -> None:
    assert corrected([line], 0) == mended


def test_an_item_below_a_condition_key_is_quoted_whole() -> None:
    lines = ["expect:", "  - status == 200", "  - !has(x)", "needs:", "  - !has(x)"]
    assert corrected(lines, 2) == "  - '!has(x)'"
    assert corrected(lines, 4) is None


def test_what_is_quoted_already_stays() -> None:
    assert quoted("'a == ''b'''") == "'a == ''b'''"
    assert quoted('"a" == "b"') == '\'"a" == "b"\''


def test_brackets_and_quotes_must_close() -> None:
    assert balanced('a.all(i, i == ")")')
    assert not balanced("a.all(i")
    assert not balanced("i.x)")
    assert not balanced('a == "b')


@given(st.lists(st.text(alphabet="ab:[]{}()'\"\\, $-!|#", max_size=30), min_size=1, max_size=3))
def test_any_line_is_mended_or_left(lines: list[str]) -> None:
    for index, line in enumerate(lines):
        mended = corrected(["expect:", *lines], index + 1)
        assert mended is None or (mended != line and "\n" not in mended)
