"""One value has one text, and no other text passes for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captain.log.canonical import encode, leaf_hash, parse

KEYS = st.from_regex(r"[a-z_][a-z0-9_.]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=6)


@settings(max_examples=200, deadline=None)
@given(OBJECTS)
def test_what_is_written_is_read_back_the_same(value: dict[str, Any]) -> None:
    text = encode(value)
    assert parse(text.encode()) == value
    assert json.loads(text) == value


@settings(max_examples=100, deadline=None)
@given(OBJECTS, st.randoms(use_true_random=False))
def test_the_order_of_keys_never_matters(value: dict[str, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert encode(dict(items)) == encode(value)


@settings(max_examples=200, deadline=None)
@given(OBJECTS, st.data())
def test_any_other_text_is_refused_or_means_something_else(value: dict[str, Any], data: st.DataObject) -> None:
    text = encode(value)
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.characters(exclude_categories=["Cs"])) + text[at + 1 :]
    try:
        other = parse(changed.encode())
    except ValueError:
        return
    assert changed == text or encode(other) == changed != text


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b' {"a":1}',
        b'{"a":1}\n',
        b'{"a":-0}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":9007199254740992}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":"\\ud800"}',
        b'{"A":1}',
        b'{"a b":1}',
        b'{"":1}',
        b'{"\xc3\xa9":1}',
        b"[1]",
        b"1",
        b"null",
        b"",
        b"\xff\xfe",
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":' + b"[" * 30000 + b"]" * 30000 + b"}",
        b'{"a":' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":1}{"b":2}',
    ],
)
def test_bytes_that_another_reader_could_take_otherwise_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        parse(body)


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1.5},
        {"a": float("nan")},
        {"a": 2**53},
        {"a": -(2**53)},
        {"a": "\ud800"},
        {"a": "ok\udfff"},
        {"A": 1},
        {"a-b": 1},
        {1: "a"},
        {"a": (1, 2)},
        {"a": b"x"},
        {"a": {"b": object()}},
    ],
)
def test_what_has_no_canonical_form_is_never_written(value: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        encode(value)


def test_keys_inside_texts_are_not_taken_for_keys() -> None:
    value = {"a": '{"X y":1,"Q":2}', "list": ["b c", "D", ',"E f":'], "z": "ends with ,"}
    assert parse(encode(value).encode()) == value


def test_the_hash_is_the_leaf_hash_of_rfc_6962() -> None:
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
