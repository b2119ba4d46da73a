"""A connection passed on in both directions, bounded in bytes and in time. Knows no protocol and no verdict.

A client library that blocks, or keeps whatever a server sends, is given this end of the connection: at the deadline
or past the limit both ends close, and the library returns at once with an error of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.web.tcp import connected, judged

LIMIT = 16 * 1024 * 1024
"""Bytes a server may send over one relay."""
_CHUNK = 64 * 1024
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Relay:
    """One server, reached under one deadline. Used on the event loop; what libraries get may be used on any thread."""

    def __init__(self, asked: str, host: str, port: int, deadline: float, timeout: timedelta, limit: int) -> None:
        self.ip = ""
        """The address that answered, "" for a unix socket."""
        self.why: ProbeError | None = None
        """Why the relay closed the connection; None while it did not."""
        self._asked = asked
        self._host = host
        self._port = port
        self._deadline = deadline
        self._seconds = f"{timeout.total_seconds():g}s"
        self._left = limit
        self._limit = limit
        self._first: _Streams | None = None
        self._server: asyncio.Server | None = None
        self._open: list[asyncio.StreamWriter] = []
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def socket(self) -> socket.socket:
        """A connected, blocking socket, closed with the relay: for libraries that take one."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(True)
        self._sockets.append(theirs)
        self._keep(self._pass_on(await asyncio.open_connection(sock=ours)))
        return theirs

    async def port(self) -> int:
        """A port on 127.0.0.1 that leads to the server: for libraries that connect by themselves."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def explain(self, error: BaseException) -> ProbeError:
        """What an error of the library means: why the relay closed, else the library's own words."""
        words = safe(" ".join(str(error).split()) or type(error).__name__, 300)
        return self.why or ProbeError(f"{self._asked}: {words}", fault="unclear")

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._pass_on((reader, writer))

    async def _pass_on(self, near: _Streams) -> None:
        self._open.append(near[1])
        try:
            far, self._first = self._first or await self._connected(), None
        except ProbeError as error:
            self._close(error)
            return
        up = self._keep(self._pump(near[0], far[1], counted=False))
        await self._pump(far[0], near[1], counted=True)
        up.cancel()
        far[1].close()

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                if counted:
                    self._left -= len(data)
                    if self._left < 0:
                        self._close(
                            ProbeError(
                                f"{self._asked}: more than {self._limit // 1024**2} MiB came back, stopped there"
                            )
                        )
                        return
                target.write(data)
                await target.drain()
        # What was written is sent first; closing is how the other side learns of the end.
        with contextlib.suppress(OSError):
            target.close()

    async def connect(self) -> None:
        """Reach the server once, so that nobody has to guess why a library could not. Raises ProbeError."""
        self._first = await self._connected()

    async def _connected(self) -> _Streams:
        shown = safe(self._host if self._host.startswith("/") else f"{self._host}:{self._port}", 200)
        try:
            async with asyncio.timeout_at(self._deadline):
                if self._host.startswith("/"):
                    streams = await asyncio.open_unix_connection(self._host, limit=_CHUNK)
                else:
                    streams = await self._over_tcp()
        except TimeoutError as error:
            raise ProbeError(
                f"{self._asked}: no connection to {shown} within {self._seconds}", fault="unclear"
            ) from error
        except (OSError, UnicodeError) as error:
            raise ProbeError(f"{self._asked}: {shown}: {judged(error)[0]}", fault="unclear") from error
        self._open.append(streams[1])
        return streams

    async def _over_tcp(self) -> _Streams:
        made = await connected(self._host, self._port, self._deadline)
        self.ip = made.ip
        return made.reader, made.writer

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def expire(self) -> None:
        """The deadline has come."""
        self._close(
            ProbeError(f"{self._asked}: connected, but no complete answer within {self._seconds}", fault="unclear")
        )

    def _close(self, why: ProbeError | None) -> None:
        self.why = self.why or why
        for writer in self._open:
            writer.transport.abort()

    async def close(self) -> None:
        """Close everything. Whatever a library still holds fails at its next move."""
        self._close(None)
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@asynccontextmanager
async def relay(asked: str, host: str, port: int, *, timeout: timedelta, limit: int = LIMIT) -> AsyncIterator[Relay]:
    """Connect to `host` (a path that starts with / is a unix socket) and pass on what a library says to it.

    `timeout` is for everything, from the name to the last byte. Raises ProbeError, fault `unclear`, that begins with
    `asked` where there is no connection; errors of the library inside go through `Relay.explain`.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout.total_seconds()
    made = Relay(asked, host, port, deadline, timeout, limit)
    alarm: asyncio.TimerHandle | None = None
    try:
        await made.connect()
        alarm = loop.call_at(deadline, made.expire)
        yield made
    finally:
        if alarm is not None:
            alarm.cancel()
        await asyncio.shield(made.close())
