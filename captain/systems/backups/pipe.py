"""A pipe to or from a program, used on the event loop without threads. Knows neither the program nor what flows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

_CHUNK = 64 * 1024


class Closed(Exception):
    """Nobody reads any more."""


class ToProgram:
    """`end` becomes the program's stdin, and is closed by whoever starts it."""

    def __init__(self) -> None:
        self.end, self._own = os.pipe()
        os.set_blocking(self._own, False)

    async def write(self, data: bytes) -> None:
        """Waits for room in the pipe. Raises Closed once the program reads no more."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._own, rest) :]
            except BlockingIOError:
                await _ready(self._own, write=True)
            except BrokenPipeError:
                raise Closed from None

    def close(self) -> None:
        """End of the data."""
        self._own = _shut(self._own)


class FromProgram:
    """`end` becomes the program's stdout, and is closed by whoever starts it."""

    def __init__(self) -> None:
        self._own, self.end = os.pipe()
        os.set_blocking(self._own, False)

    async def chunks(self) -> AsyncIterator[bytes]:
        """What it writes, until it closes its end."""
        while True:
            try:
                data = os.read(self._own, _CHUNK)
            except BlockingIOError:
                await _ready(self._own, write=False)
                continue
            if not data:
                return
            yield data

    def close(self) -> None:
        """Nothing more is read: the program is told when it writes."""
        self._own = _shut(self._own)


async def _ready(handle: int, *, write: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    if write:
        loop.add_writer(handle, tell)
    else:
        loop.add_reader(handle, tell)
    try:
        await ready
    finally:
        if write:
            loop.remove_writer(handle)
        else:
            loop.remove_reader(handle)


def _shut(handle: int) -> int:
    if handle >= 0:
        os.close(handle)
    return -1
