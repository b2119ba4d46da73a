"""What is kept of a body, within a limit. Knows no connection."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable


class Decoder:
    """One layer of gzip or deflate, and never more than the limit of what comes out."""

    def __init__(self, encoding: str, limit: int) -> None:
        self.body = bytearray()
        self.truncated = False
        self.undecoded: str | None = None
        self._limit = limit
        self._inflate = None
        if encoding in ("gzip", "x-gzip"):
            self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        elif encoding == "deflate":
            self._inflate = zlib.decompressobj()
        elif encoding != "identity":
            self.undecoded = encoding

    def feed(self, data: bytes) -> bool:
        """False once nothing more is wanted. Raises zlib.error."""
        room = self._limit - len(self.body) + 1
        if self._inflate is None:
            self.body += data[:room]
        elif not self._inflate.eof:
            self.body += self._inflate.decompress(data, room)
        if len(self.body) > self._limit:
            self.truncated = True
            del self.body[self._limit :]
        return not self.truncated


class Counter:
    """Keeps nothing; only knows when it was too much."""

    undecoded = None

    def __init__(self, limit: int) -> None:
        self.body = b""
        self.truncated = False
        self._left = limit

    def feed(self, data: bytes) -> bool:
        """False once nothing more is wanted."""
        self._left -= len(data)
        self.truncated = self._left < 0
        return not self.truncated


class Taker:
    """Hands every piece on as it came, and keeps nothing: for bodies of any length."""

    undecoded = None
    truncated = False
    body = b""

    def __init__(self, take: Callable[[bytes], Awaitable[None]]) -> None:
        self._take = take

    async def feed(self, data: bytes) -> bool:
        """Always True: whoever takes says by an exception when it is enough."""
        await self._take(data)
        return True
