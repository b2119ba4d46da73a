"""The one byte form of an entry's body, and its hash. Knows JSON; knows no entry type and no database.

On this domain (ASCII keys, no floats, integers below 2^53) the form equals RFC 8785.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NoReturn

MAX_BODY = 65536
"""Bytes of UTF-8."""
MAX_INT = 2**53
"""Integers lie strictly between minus this and this, so that every JSON reader sees the same number."""
MAX_DEPTH = 32

_KEY = re.compile(r"[a-z_][a-z0-9_.]*")
# In canonical text: what may be a key of another form, or a large number.
_ODD_KEY = re.compile(r'[{,]"(?![a-z_][a-z0-9_.]*":)(?:[^"\\]|\\.)*":')
_LARGE = re.compile(r"[:,\[]-?[0-9]{16}")
_SURROGATE = re.compile("[\ud800-\udfff]")


def encode(value: Mapping[str, Any]) -> str:
    """The canonical text of an object. Raises ValueError naming what does not belong into a body."""
    _check(value, "body", 0)
    return _ENCODER.encode(value)


def parse(body: bytes) -> dict[str, Any]:
    """The object of canonical bytes. Raises ValueError for any other bytes, however nearly right.

    Writing the object again must give the same bytes: a key given twice, another order, a space, an escape
    that was not needed or `-0` would be shown differently by different readers.
    """
    text = body.decode("utf-8")
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")
    # A million entries are verified at a time: the walk over every value is kept for texts that may need it.
    plain = (
        text.count("{") + text.count("[") <= MAX_DEPTH
        and "\\u" not in text
        and _ODD_KEY.search(text) is None
        and _LARGE.search(text) is None
    )
    if (_ENCODER.encode(value) if plain else encode(value)) != text:
        raise ValueError("is not in canonical form")
    return value


def leaf_hash(body: bytes) -> bytes:
    """The hash of an entry: SHA-256 over 0x00 and the stored bytes, the leaf hash of RFC 6962."""
    return sha256(b"\x00" + body).digest()


def _refuse(token: str) -> NoReturn:
    raise ValueError(f"holds the number {token[:32]}; floats are written as text")


_DECODER = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _check(value: Any, where: str, depth: int) -> None:
    kind = type(value)
    if kind is str:
        if not value.isascii() and _SURROGATE.search(value):
            raise ValueError(f"{where} holds half a surrogate pair")
    elif kind is int:
        if not -MAX_INT < value < MAX_INT:
            raise ValueError(f"{where} is an integer of 2^53 or more")
    elif value is None or kind is bool:
        return
    elif depth >= MAX_DEPTH:
        raise ValueError(f"{where[:64]} is nested too deeply")
    elif kind is list:
        for item in value:
            _check(item, where, depth + 1)
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str or not _KEY.fullmatch(key):
                raise ValueError(f"{where[:64]} has the key {str(key)[:64]!r}; keys are a-z, 0-9, _ and .")
            _check(item, key, depth + 1)
    else:
        raise ValueError(
            f"{where[:64]} is a {kind.__name__}; only text, integers, booleans, null, lists, objects belong"
        )
