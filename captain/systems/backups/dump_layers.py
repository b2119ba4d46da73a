"""What reading a dump finds, and the layers that need no program: SQL text, gzip, bzip2, xz. Pure but for threads."""

from __future__ import annotations

import bz2
import lzma
import zlib
from dataclasses import dataclass
from typing import Protocol

from captain.blocking import Blocking
from captain.systems.backups import dump_format as formats
from captain.systems.backups.tar_end import TarEnd

_PIECE = 1024 * 1024
"""Bytes that one step of unpacking may make."""
_XZ_MEMORY = 256 * 1024 * 1024


@dataclass(slots=True)
class Reading:
    """What reading showed."""

    format: str = ""
    packed: str = ""
    """What it was packed in, "gzip" or "zstd, gzip"."""
    size: int = 0
    """Bytes as they lie there."""
    sha256: str = ""
    intact: bool | None = None
    """Whether it is whole; None where that cannot be told."""
    why: str = ""
    """Why it is not, or why that cannot be told."""
    unpacked: bool | None = None
    """Whether what it is packed in was read to its end, None where it is packed in nothing."""
    tables: int | None = None


class Unreadable(Exception):
    """The bytes are damaged."""


class Enough(Exception):
    """Nothing more needs to be read."""


class Layer(Protocol):
    async def feed(self, data: bytes) -> None: ...

    async def end(self) -> None:
        """All was fed. Raises Unreadable."""
        ...

    async def close(self) -> None:
        """Let go of everything, whatever happened."""
        ...


class Text:
    """A dump of SQL: what counts is the line at its end."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._head = b""
        self._tail = b""

    async def feed(self, data: bytes) -> None:
        self._head += data[: formats.HEAD - len(self._head)]
        self._tail = (self._tail + data[-formats.TAIL :])[-formats.TAIL :]

    async def end(self) -> None:
        if not formats.complete(self._head, self._tail, self._reading.format):
            raise Unreadable("it does not end with the line that says it is complete: it was cut off")
        self._reading.intact = True

    async def close(self) -> None:
        pass


class Other:
    """Nothing that captain can take apart: it is read, for its digest and for the packing around it."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def feed(self, data: bytes) -> None:
        pass

    async def end(self) -> None:
        found = self._reading
        if found.format == formats.EMPTY:
            raise Unreadable("it is empty")
        if found.format == formats.ENCRYPTED:
            found.why = "it is encrypted: whether it is whole cannot be seen"
        elif found.format == formats.SQLITE:
            found.why = "an SQLite file is checked only where it lies on disk unpacked"
        elif found.packed:
            # A pipe that broke early is packed as properly as any other.
            found.why = f"it is whole as {found.packed}; whether what is in it is whole cannot be seen"
        else:
            found.why = "its format is none that captain knows"

    async def close(self) -> None:
        pass


class PlainTar:
    """A tar archive of files."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._tar = TarEnd()

    async def feed(self, data: bytes) -> None:
        self._tar.feed(data)

    async def end(self) -> None:
        if self._tar.malformed:
            self._reading.why = "the tar archive cannot be followed to its end"
        elif not self._tar.complete:
            raise Unreadable("the tar archive does not reach its end: it was cut off")
        else:
            self._reading.intact = True

    async def close(self) -> None:
        pass


class Unpacked:
    """gzip, bzip2 or xz, also several one after another."""

    def __init__(self, reading: Reading, packing: str, inner: Layer, blocking: Blocking) -> None:
        self._reading = reading
        self._packing = packing
        self._inner = inner
        self._blocking = blocking
        self._machine = _machine(packing)
        self._between = False

    async def feed(self, data: bytes) -> None:
        while data or not self._machine.needs_input:
            if self._between:
                data = data.lstrip(b"\0")  # tapes and some tools pad
                if not data:
                    return
                if formats.packing(data[:6]) != self._packing:
                    raise self._damaged(f"behind the end of the {self._packing} data lies something else")
                self._machine, self._between = _machine(self._packing), False
            given = data
            try:
                made = await self._blocking(lambda: self._machine.decompress(given, _PIECE))  # noqa: B023  # awaited
            except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
                raise self._damaged(f"the {self._packing} data is damaged: {error}") from error
            data = b""
            if made:
                await self._inner.feed(made)
            if self._machine.eof:
                data, self._between = self._machine.unused_data, True

    async def end(self) -> None:
        if not self._between:
            raise self._damaged(f"the {self._packing} data ends before its end: it was cut off")
        if self._reading.unpacked is None:
            self._reading.unpacked = True
        await self._inner.end()

    def _damaged(self, why: str) -> Unreadable:
        self._reading.unpacked = False
        return Unreadable(why)

    async def close(self) -> None:
        pass


class _Machine(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Gzip:
    """zlib with the manners of bz2 and lzma."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return self._inner.eof or not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = _PIECE) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _machine(packing: str) -> _Machine:
    if packing == "gzip":
        return _Gzip()
    return bz2.BZ2Decompressor() if packing == "bzip2" else lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
