"""Reads what an attempt's program wrote, while it runs and afterwards. Raw bytes: mask them before use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from captain.effects.attempt import Stream
from captain.effects.spool import SEGMENT

CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of live output."""

    data: bytes
    offset: int
    """Where to go on reading."""
    skipped: int
    """Bytes between the asked offset and data that are not kept any more."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Everything that is kept of a stream."""

    head: bytes
    """The first MiB."""
    tail: bytes
    """The last MiB of what followed, or all of it."""
    dropped: int
    """Bytes between the two."""

    @property
    def text(self) -> bytes:
        """Both, with one line between them saying how much is missing."""
        if not self.dropped:
            return self.head + self.tail
        return self.head + f"\n… {self.dropped} bytes left out …\n".encode() + self.tail


def tail(directory: Path, stream: Stream, offset: int, *, limit: int = CHUNK) -> Chunk:
    """What was written after `offset`, at most `limit` bytes; empty where nothing is new."""
    segments = _segments(directory, stream)
    at = offset
    for number in sorted(segments):
        begin = number * SEGMENT
        if at < begin:
            at = begin
        if at < begin + SEGMENT:
            data = _read(segments[number], at - begin, limit)
            if data or number == max(segments):
                return Chunk(data, at + len(data), at - offset if data else 0)
    return Chunk(b"", offset, 0)


def output(directory: Path, stream: Stream) -> Kept:
    """The first and the last MiB."""
    segments = _segments(directory, stream)
    head = _read(segments[0], 0, SEGMENT) if 0 in segments else b""
    later = sorted(number for number in segments if number)
    kept = b"".join(_read(segments[number], 0, SEGMENT) for number in later)
    total = later[-1] * SEGMENT + _size(segments[later[-1]]) if later else len(head)
    rest = kept[-SEGMENT:]
    return Kept(head, rest, max(total - len(head) - len(rest), 0))


def _segments(directory: Path, stream: Stream) -> dict[int, Path]:
    found = {}
    for path in directory.glob(f"{stream}*"):
        number = path.name.removeprefix(stream).removeprefix(".") or "0"
        if number.isdigit():
            found[int(number)] = path
    return found


def _read(path: Path, offset: int, limit: int) -> bytes:
    """Empty where the segment was let go in between."""
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            return file.read(limit) or b""
    except OSError:
        return b""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
