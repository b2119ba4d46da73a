"""A small bounded reader of the protobuf in which CEL hands out a checked expression. Knows only the wire."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from captain.condition.tree import Call, Const, Entries, Ident, Listing, Loop, Node, Select, Tree

MAX_BYTES = 1 << 20
MAX_DEPTH = 120

Field = tuple[int, "int | bytes"]


class WireError(ValueError):
    """The bytes are no checked expression, or one beyond the bounds."""


def read(serialized: bytes) -> Tree:
    """The tree of a serialized CheckedExpr or ParsedExpr. Raises WireError."""
    if len(serialized) > MAX_BYTES:
        raise WireError("is too large to be looked through")
    try:
        return _document(serialized)
    except (IndexError, UnicodeDecodeError, struct.error) as problem:
        raise WireError("cannot be looked through") from problem


def _document(serialized: bytes) -> Tree:
    kind, body = "", b""
    for number, value in _fields(serialized):
        if number == 1:
            kind = _text(value)
        elif number == 2:
            body = _bytes(value)
    parsed = kind.endswith(".ParsedExpr")
    expression, source = (2, 3) if parsed else (4, 5)
    overloads: dict[int, tuple[str, ...]] = {}
    positions: dict[int, int] = {}
    root: Node | None = None
    for number, value in _fields(body):
        if number == expression:
            root = _node(_bytes(value), 0)
        elif number == source:
            positions = dict(_positions(_bytes(value)))
        elif number == 2:
            key, reference = _entry(_bytes(value))
            overloads[key] = tuple(_text(item) for at, item in _fields(reference) if at == 3)
    if root is None:
        raise WireError("holds no expression")
    return Tree(root, overloads, positions)


def _positions(source: bytes) -> Iterator[tuple[int, int]]:
    for number, value in _fields(source):
        if number == 4:
            pair = {at: item for at, item in _fields(_bytes(value)) if isinstance(item, int)}
            yield pair.get(1, 0), pair.get(2, 0)


def _entry(data: bytes) -> tuple[int, bytes]:
    key, value = 0, b""
    for number, item in _fields(data):
        if number == 1:
            key = _int(item)
        elif number == 2:
            value = _bytes(item)
    return key, value


def _node(data: bytes, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise WireError("is nested too deep")
    ident, found = 0, (0, b"")
    for number, value in _fields(data):
        if number == 2:
            ident = _int(value)
        else:
            found = (number, _bytes(value))
    kind, body = found
    fields = list(_fields(body))

    def one(number: int) -> Node:
        return next((_node(_bytes(item), depth + 1) for at, item in fields if at == number), Const(0, None))

    def some(number: int) -> tuple[Node, ...]:
        return tuple(_node(_bytes(item), depth + 1) for at, item in fields if at == number)

    def word(number: int) -> str:
        return next((_text(item) for at, item in fields if at == number), "")

    match kind:
        case 3:
            return Const(ident, _constant(fields))
        case 4:
            return Ident(ident, word(1))
        case 5:
            return Select(ident, one(1), word(2), any(at == 3 and item for at, item in fields))
        case 6:
            return Call(ident, word(2), next(iter(some(1)), None), some(3))
        case 7:
            return Listing(ident, some(1))
        case 8:
            return Entries(ident, tuple(_items(fields, depth)))
        case 9:
            variables = tuple(name for name in (word(1), word(8)) if name)
            return Loop(ident, variables, one(2), word(3), one(4), one(5), one(6), one(7))
    return Const(ident, None)


def _items(fields: list[Field], depth: int) -> Iterator[Node]:
    for number, entry in fields:
        if number == 2:
            for at, item in _fields(_bytes(entry)):
                if at in (3, 4):
                    yield _node(_bytes(item), depth + 1)


def _constant(fields: list[Field]) -> str | bytes | int | float | bool | None:
    for number, value in fields:
        match number:
            case 2:
                return bool(value)
            case 3:
                unsigned = _int(value)
                return unsigned - (1 << 64) if unsigned >> 63 else unsigned
            case 4:
                return _int(value)
            case 5:
                (double,) = struct.unpack("<d", _bytes(value))
                return float(double)
            case 6:
                return _text(value)
            case 7:
                return _bytes(value)
    return None


def _fields(data: bytes) -> Iterator[Field]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise WireError("cannot be looked through")
        if size > len(data) - at:
            raise WireError("ends too early")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
    raise WireError("cannot be looked through")


def _int(value: int | bytes) -> int:
    if isinstance(value, int):
        return value
    raise WireError("cannot be looked through")


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    raise WireError("cannot be looked through")


def _text(value: int | bytes) -> str:
    return _bytes(value).decode("utf-8")
