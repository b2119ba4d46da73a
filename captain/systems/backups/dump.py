"""Reads a dump from its first byte to its last, piece by piece, and finds out whether it is whole. Judges no backup.

Whatever it is packed in is unpacked on the way, in any depth up to three. Never more than a few MiB are held.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

from captain.blocking import Blocking
from captain.systems.backups import dump_format as formats
from captain.systems.backups.dump_layers import Enough, Layer, Other, PlainTar, Reading, Text, Unpacked, Unreadable
from captain.systems.backups.pg_archive import Archive, Tools, Zstd

__all__ = ["Enough", "Reader", "Reading", "Tools"]

_DEEPEST = 3
_L = TypeVar("_L", bound=Layer)


class Reader:
    """Takes the bytes of one dump; closed by whoever made it."""

    def __init__(self, tools: Tools, blocking: Blocking) -> None:
        self.reading = Reading()
        self._tools = tools
        self._blocking = blocking
        self._hash = hashlib.sha256()
        self._layers: list[Layer] = []
        self._first = _Opening(self, 0)

    @property
    def _settled(self) -> bool:
        return self.reading.intact is not None or bool(self.reading.why)

    async def take(self, data: bytes) -> None:
        """The next piece. Raises Enough where the rest does not matter."""
        self.reading.size += len(data)
        self._hash.update(data)
        if not self._settled:
            try:
                await self._first.feed(data)
            except Unreadable as error:
                self.reading.intact, self.reading.why = False, str(error)

    async def end(self) -> None:
        """The last piece was taken."""
        self.reading.sha256 = self._hash.hexdigest()
        if not self._settled:
            try:
                await self._first.end()
            except Enough:
                pass
            except Unreadable as error:
                self.reading.intact, self.reading.why = False, str(error)

    async def close(self) -> None:
        """Let go of programs and pipes, whatever happened."""
        for layer in reversed(self._layers):
            await layer.close()

    def layer(self, head: bytes, depth: int) -> Layer:
        """What reads on from bytes that begin like that. Raises Enough where only the beginning is wanted."""
        found = self.reading
        packed = formats.packing(head)
        if packed is not None and depth < _DEEPEST:
            found.packed = f"{found.packed}, {packed}".removeprefix(", ")
            inner = _Opening(self, depth + 1)
            if packed == "zstd":
                return self._keep(Zstd(found, self._tools, inner))
            return self._keep(Unpacked(found, packed, inner, self._blocking))
        found.format = formats.recognise(head)
        if found.format in formats.ARCHIVES:
            return self._keep(Archive(found, self._tools))
        if found.format != formats.EMPTY and self._tools.restores:
            found.why = "only archives of pg_dump are restored here: a text could run programs on this machine"
            raise Enough
        if found.format != formats.EMPTY and self._tools.lists:
            found.why = "only its beginning was looked at"
            raise Enough
        if found.format == formats.PLAIN_TAR:
            return self._keep(PlainTar(found))
        return self._keep(Text(found) if found.format in formats.TEXTS else Other(found))

    def _keep(self, layer: _L) -> _L:
        self._layers.append(layer)
        return layer


class _Opening:
    """Waits for as many bytes as a format needs to be recognised."""

    def __init__(self, reader: Reader, depth: int) -> None:
        self._reader = reader
        self._depth = depth
        self._head = b""
        self._next: Layer | None = None

    async def feed(self, data: bytes) -> None:
        if self._next is not None:
            await self._next.feed(data)
            return
        self._head += data
        if len(self._head) >= formats.HEAD:
            await self._begin()

    async def end(self) -> None:
        await (self._next or await self._begin()).end()

    async def close(self) -> None:
        pass

    async def _begin(self) -> Layer:
        self._next = self._reader.layer(self._head, self._depth)
        head, self._head = self._head, b""
        if head:
            await self._next.feed(head)
        return self._next
