"""Untrusted JSON text as bounded plain values."""

from __future__ import annotations

import json
import re
from typing import Any

from captain.safe import safe

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64

_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_INT64 = 2**63


def parse_json(text: str | bytes, *, max_depth: int = MAX_DEPTH, max_size: int = MAX_BYTES) -> Any:
    """One JSON document as plain values.

    Raises ValueError with a sentence for anything else: larger than `max_size` (characters, or bytes where bytes are
    given), deeper than `max_depth`, a key twice, NaN or Infinity, a number beyond 64 bits, half a surrogate pair.
    """
    if len(text) > max_size:
        raise ValueError(f"the JSON is larger than {max_size} characters")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"the JSON is not UTF-8 at byte {error.start}") from error
    elif not text.isascii():
        _whole_characters(text)
    depth = 0
    for match in _BRACKETS.finditer(text):
        char = match.group()[0]
        depth += 1 if char in "[{" else -1 if char in "]}" else 0
        if depth > max_depth:
            raise ValueError(f"the JSON is nested deeper than {max_depth} levels")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_whole, parse_float=_decimal
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise ValueError(f"the text is not JSON: {error.msg} at {where}") from error
    if "\\ud" in text or "\\uD" in text:
        _whole_characters(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f'the JSON holds the key "{safe(key, 60)}" twice')
            seen.add(key)
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"the JSON holds {name}, which is no number")


def _whole(digits: str) -> int:
    if len(digits) > 20 or not -_INT64 <= (number := int(digits)) < _INT64:
        raise ValueError(f"the JSON holds a number beyond 64 bits: {safe(digits, 24)}")
    return number


def _decimal(digits: str) -> float:
    number = float(digits) if len(digits) <= 400 else float("inf")
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the JSON holds a number that is too large: {safe(digits, 24)}")
    return number


def _whole_characters(value: Any) -> None:
    if isinstance(value, dict):
        for key, child in value.items():
            _whole_characters(key)
            _whole_characters(child)
    elif isinstance(value, list):
        for child in value:
            _whole_characters(child)
    elif isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError("the JSON holds half a surrogate pair") from error
