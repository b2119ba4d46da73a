"""JSON from outside becomes bounded plain values, or a sentence."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captain.documents import parse_json


def test_json_is_read_as_it_is() -> None:
    text = '{"a": [1, 2.5, true, null, "x[[["], "b": {"c": -9223372036854775808}, "d": "\\ud83d\\ude00"}'
    assert parse_json(text) == json.loads(text)
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[" * 1000 + "]" * 1000, "nested deeper than 64"),
        ("[" * 900_000, "nested deeper than 64"),
        ("NaN", "holds NaN"),
        ('{"a": -Infinity}', "holds -Infinity"),
        ("1e999", "too large"),
        ("9" * 5000, "beyond 64 bits"),
        ("9223372036854775808", "beyond 64 bits"),
        ('{"a": 1, "b": 2, "a": 3}', '"a" twice'),
        ('{"a": "\\ud800"}', "half a surrogate"),
        ('"\ud800"', "half a surrogate"),
        ("{", "not JSON"),
        ("", "not JSON"),
        ("1 2", "not JSON"),
        ('"' + "x" * 2_000_000 + '"', "larger than"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_row_31_json_out_of_bounds_is_refused_with_a_sentence(text: str | bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_json(text)


def test_brackets_inside_texts_are_no_nesting() -> None:
    assert parse_json('["' + "[" * 500 + '\\"[[["]', max_depth=2) == ["[" * 500 + '"[[[']


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='{}[]":,\\ud80019eE.-+ntrfalse', max_size=40))
def test_any_text_is_a_value_or_a_sentence(text: str) -> None:
    try:
        value = parse_json(text)
    except ValueError as error:
        assert str(error)
    else:
        json.dumps(value, allow_nan=False).encode()
