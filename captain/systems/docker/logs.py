"""A container's log as an engine sends it: frames of stdout and stderr, or a terminal's bytes. Pure; no verdict."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

Stream = Literal["stdout", "stderr"]

LINES = 100_000
"""Lines that are kept at most."""
_STREAMS: dict[int, Stream] = {0: "stdout", 1: "stdout", 2: "stderr"}
_HEADER = 8
_CHUNK = 64 * 1024
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log."""

    stream: Stream
    at: datetime | None
    """When it was written by the engine's clock; None where the engine does not say."""
    text: str
    """Without the newline."""


@dataclass(frozen=True, slots=True)
class Log:
    """What a container wrote."""

    lines: tuple[LogLine, ...]
    truncated: bool
    """Whether the log has more than was read: its latest lines are missing then."""


class TooLong(Exception):
    """More came than is kept."""


@dataclass
class Lines:
    """Puts lines together from pieces, each of one stream and with the time before it."""

    found: list[LogLine] = field(default_factory=list)
    _open: dict[Stream, tuple[datetime | None, list[bytes]]] = field(default_factory=dict)

    def add(self, stream: Stream, piece: bytes) -> None:
        """A piece as the engine keeps it: a time, then a line or, without a newline, a part of a long one."""
        at, text = _timed(piece)
        began, parts = self._open.pop(stream, (at, []))
        parts.append(text)
        if not text.endswith(b"\n"):
            self._open[stream] = (began, parts)
            return
        for line in b"".join(parts)[:-1].split(b"\n"):
            self._line(stream, began, line)

    def end(self) -> list[LogLine]:
        """All lines; what was begun and not ended is one too."""
        for stream, (began, parts) in self._open.items():
            if line := b"".join(parts):
                self._line(stream, began, line)
        self._open.clear()
        return self.found

    def _line(self, stream: Stream, at: datetime | None, line: bytes) -> None:
        if len(self.found) >= LINES:
            raise TooLong
        self.found.append(LogLine(stream, at, line.removesuffix(b"\r").decode("utf-8", "replace")))


def read_log(read: Callable[[int], bytes], *, terminal: bool, most: int) -> Log:
    """The log that `read` gives, at most `most` bytes of it. Raises ValueError where it is none.

    `terminal` says that the container has one: then there are no frames, and everything is stdout.
    """
    lines = Lines()
    try:
        (_raw if terminal else _framed)(_Bounded(read, most), lines)
    except TooLong:
        return Log(tuple(lines.found), True)
    return Log(tuple(lines.end()), False)


class _Bounded:
    """Gives pieces out of larger ones, until there were too many bytes."""

    def __init__(self, read: Callable[[int], bytes], most: int) -> None:
        self._read = read
        self.left = most
        self._kept = b""
        self._at = 0

    def __call__(self, count: int) -> bytes:
        """`count` bytes, fewer only at the end."""
        if count > self.left or not self.left:
            raise TooLong
        kept = len(self._kept) - self._at
        if kept < count:
            more = [self._kept[self._at :]]
            while kept < count and (piece := self._read(_CHUNK)):
                more.append(piece)
                kept += len(piece)
            self._kept, self._at = b"".join(more), 0
        found = self._kept[self._at : self._at + count]
        self._at += len(found)
        self.left -= len(found)
        return found


def _framed(read: _Bounded, lines: Lines) -> None:
    while header := read(_HEADER):
        length = int.from_bytes(header[4:], "big")
        if len(header) < _HEADER or header[0] not in _STREAMS or header[1:4] != b"\0\0\0":
            raise ValueError("not a log of the engine's")
        piece = read(length)
        if len(piece) < length:
            raise ValueError("the log ends within a line")
        lines.add(_STREAMS[header[0]], piece)


def _raw(read: _Bounded, lines: Lines) -> None:
    rest = b""
    while piece := read(min(_CHUNK, read.left or 1)):
        *ended, rest = (rest + piece).split(b"\n")
        for line in ended:
            lines.add("stdout", line + b"\n")
    if rest:
        lines.add("stdout", rest)


def _timed(piece: bytes) -> tuple[datetime | None, bytes]:
    """The time before a piece, to the microsecond, and the piece without it."""
    if (match := _STAMP.match(piece)) is None:
        return None, piece
    zone = match[3].decode().replace("Z", "+00:00")
    fraction = (match[2] or b"0").decode().ljust(6, "0")[:6]
    try:
        at = datetime.fromisoformat(f"{match[1].decode()}.{fraction}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None, piece
    return at, piece[match.end() :]
