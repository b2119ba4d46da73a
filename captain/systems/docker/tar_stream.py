"""Reads a tar archive as it comes, keeping nothing of it. Writes no file, knows no image and no verdict.

Names and sizes are an archive's own claims: long names are refused, and what an archive says of itself is bounded.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from captain.systems.globs import parts

Read = Callable[[int], bytes]
"""The next bytes, about as many as asked for, none at the end."""
Kind = Literal["file", "folder", "symlink", "hardlink", "other"]

GZIP = b"\x1f\x8b"
_BLOCK = 512
_CHUNK = 256 * 1024
_LONGEST = 4096
_OWN_WORDS = 1024 * 1024
_KINDS: dict[bytes, Kind] = {
    **dict.fromkeys((b"0", b"\0", b"7"), "file"),
    b"1": "hardlink",
    b"2": "symlink",
    b"5": "folder",
    **dict.fromkeys((b"3", b"4", b"6"), "other"),
}


class Source:
    """Bytes in order, given out in the pieces that are asked for."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._kept = b""
        self._at = 0

    def some(self, count: int) -> bytes:
        """Up to `count` bytes, none at the end."""
        if self._at == len(self._kept):
            self._kept, self._at = self._read(_CHUNK), 0
        found = self._kept[self._at : self._at + count]
        self._at += len(found)
        return found

    def exactly(self, count: int) -> bytes:
        """`count` bytes, fewer only at the end."""
        found = self.some(count)
        if len(found) == count:
            return found
        pieces = [found]
        while found and (count := count - len(found)):
            pieces.append(found := self.some(count))
        return b"".join(pieces)

    def skip(self, count: int) -> None:
        """Leave out `count` bytes. Raises ValueError where they do not come."""
        while count:
            piece = self.some(count)
            if not piece:
                raise ValueError("the archive ends early")
            count -= len(piece)

    def peek(self, count: int) -> bytes:
        """The next `count` bytes, which stay; fewer only at the end."""
        found = self.exactly(count)
        self._kept, self._at = found + self._kept[self._at :], 0
        return found


@dataclass
class Entry:
    """One thing in an archive. Its content can be read until the next one is asked for."""

    name: str
    """Without `/` and `./` in front, and without `/` behind."""
    kind: Kind
    size: int
    mode: int
    link: str
    """Where a link leads, as written."""
    _source: Source
    _left: int

    def read(self, count: int) -> bytes:
        """Up to `count` bytes of its content, none at the end. Raises ValueError where the archive ends before it."""
        found = self._source.some(min(count, self._left))
        if not found and self._left and count:
            raise ValueError("the archive ends early")
        self._left -= len(found)
        return found

    def head(self, count: int) -> bytes:
        """The first `count` bytes of its content, fewer where it has fewer."""
        pieces = []
        while count and (piece := self.read(count)):
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def finish(self) -> None:
        """Leave out the rest of its content."""
        self._source.skip(self._left + -self.size % _BLOCK)
        self._left = 0


def entries(source: Source) -> Iterator[Entry]:
    """What is in an archive, in order. Raises ValueError where it is none, or not whole."""
    own: dict[str, bytes] = {}
    while True:
        block = source.exactly(_BLOCK)
        if len(block) < _BLOCK:
            raise ValueError("the archive ends early")
        if not any(block):
            return
        _check(block)
        kind, size = block[156:157], _number(block[124:136])
        if kind in b"xgLK":
            own |= _own_words(kind, source, size)
            continue
        if kind == b"S" or any(key.startswith("GNU.sparse") for key in own):
            raise ValueError("the archive holds a sparse file")
        made = _entry(block, own, size, source)
        own = {}
        yield made
        made.finish()


def gunzipped(read: Read) -> Read:
    """What `read` gives, unpacked, never more than is asked for."""
    unpack = zlib.decompressobj(wbits=31)

    def some(count: int) -> bytes:
        while not unpack.eof:
            packed = unpack.unconsumed_tail or read(_CHUNK)
            try:
                found = unpack.decompress(packed, count)
            except zlib.error as error:
                raise ValueError("the archive is not gzip") from error
            if found:
                return found
            if not packed:
                raise ValueError("the archive ends early")
        return b""

    return some


def _entry(block: bytes, own: dict[str, bytes], size: int, source: Source) -> Entry:
    written = _until_nul(block[:100])
    # GNU's own header has other things where the standard one has the first part of a long name.
    if block[257:263] == b"ustar\0" and (prefix := _until_nul(block[345:500])):
        written = prefix + b"/" + written
    name = own.get("path", written)
    if len(name) > _LONGEST:
        raise ValueError("the archive holds a name that no system has")
    kind = _KINDS.get(block[156:157], "other")
    if kind == "file" and name.endswith(b"/"):
        kind = "folder"
    if "size" in own:
        size = int(own["size"])
    if size < 0:
        raise ValueError("the archive holds a size below zero")
    if block[156:157] in b"123456":
        size = 0
    link = own.get("linkpath", _until_nul(block[157:257]))[:_LONGEST]
    text = "/".join(parts(name.decode("utf-8", "replace")))
    return Entry(text, kind, size, _number(block[100:108]), link.decode("utf-8", "replace"), source, size)


def _own_words(kind: bytes, source: Source, size: int) -> dict[str, bytes]:
    """What the archive says of the next entry, where a header has no room for it."""
    if not 0 <= size <= _OWN_WORDS:
        raise ValueError("the archive says too much of one entry")
    words = source.exactly(size)
    source.skip(-size % _BLOCK)
    if kind == b"L":
        return {"path": _until_nul(words)}
    if kind == b"K":
        return {"linkpath": _until_nul(words)}
    return _records(words) if kind == b"x" else {}


def _records(words: bytes) -> dict[str, bytes]:
    """The pairs of an extended header: `30 path=…`."""
    found = {}
    while words:
        length, _, _ = words.partition(b" ")
        if not length.isdigit() or not len(length) < int(length[:8]) <= len(words):
            raise ValueError("not a tar archive")
        key, _, value = words[len(length) + 1 : int(length) - 1].partition(b"=")
        found[key.decode("utf-8", "replace")] = value
        words = words[int(length) :]
    return found


def _check(block: bytes) -> None:
    """Every header has a sum of its bytes, its own place counted as spaces."""
    total = sum(block) - sum(block[148:156]) + 8 * 32
    if _number(block[148:156]) != total:
        raise ValueError("not a tar archive")


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field, "big") & ~(0x80 << 8 * (len(field) - 1))
    text = field.strip(b" \0")
    try:
        return int(text, 8) if text else 0
    except ValueError as error:
        raise ValueError("not a tar archive") from error


def _until_nul(field: bytes) -> bytes:
    return field.partition(b"\0")[0]
