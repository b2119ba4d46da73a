"""The connection to a Docker engine, bounded in time and bytes whatever answers. Knows no question and no verdict.

The engine's library has a timeout for each piece it reads and none for the whole, and keeps whatever comes: an engine
that sends a byte a second or without end would hold a thread for ever. Here every read ends at one deadline, and each
answer has a size it may reach.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

ANSWER = 8 * 1024 * 1024
"""Bytes one answer may have where nothing else is said."""
TOGETHER = 64 * 1024 * 1024
"""Bytes all answers of one client may have, but for streams that state a size of their own."""


class TooMuch(OSError):
    """More bytes came than an answer may have."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit


class Budget:
    """What is left to one client: time for everything, bytes for the answer that comes now."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._together = TOGETHER
        self._limit = ANSWER
        self._left = ANSWER
        self._stream: int | None = None

    def seconds(self) -> float:
        """Time left. Raises TimeoutError where there is none."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def stream(self, limit: int) -> None:
        """The next answer is read piece by piece and may have `limit` bytes."""
        self._stream = limit

    def begin(self) -> None:
        """A request goes out."""
        stream, self._stream = self._stream, None
        self._limit = min(ANSWER, self._together) if stream is None else stream
        self._left = self._limit
        self._counted = stream is None

    def take(self, count: int) -> None:
        """`count` bytes came. Raises TooMuch where that is more than may come."""
        self._left -= count
        if self._counted:
            self._together -= count
        if self._left < 0:
            raise TooMuch(self._limit)


class Transport:
    """Stands before the library's own transport: other methods and requests after the deadline do not pass."""

    def __init__(self, inner: Any, methods: frozenset[str], budget: Budget) -> None:
        self._inner = inner
        self._methods = methods
        self._budget = budget

    def send(self, request: Any, **options: Any) -> Any:
        if request.method not in self._methods:
            raise PermissionError(f"captain does not send {request.method} here")
        seconds = self._budget.seconds()
        pool = self._inner.get_connection_with_tls_context(
            request, options.get("verify"), proxies=options.get("proxies"), cert=options.get("cert")
        )
        _bound(pool, self._budget)
        self._budget.begin()
        response = self._inner.send(request, **{**options, "timeout": seconds})
        if response.headers.get("content-encoding", "identity") != "identity":
            # Nobody asked for that; unpacked it could be of any size.
            response.close()
            raise ValueError("the answer is compressed")
        return response

    def close(self) -> None:
        self._inner.close()


def _bound(pool: Any, budget: Budget) -> None:
    """Every connection of the pool reads within `budget`."""
    make: Callable[[], Any] = pool._new_conn
    if isinstance(make, _Bounded):
        return
    pool._new_conn = _Bounded(make, budget)


class _Bounded:
    """Makes the connections of a pool."""

    def __init__(self, make: Callable[[], Any], budget: Budget) -> None:
        self._make = make
        self._budget = budget

    def __call__(self) -> Any:
        connection = self._make()
        connect = connection.connect

        def connected() -> None:
            connect()
            connection.sock = _Socket(connection.sock, self._budget)

        connection.connect = connected
        return connection


class _Socket:
    """A socket of any sort whose reads and writes end at the deadline."""

    def __init__(self, sock: Any, budget: Budget) -> None:
        self._sock = sock
        self._budget = budget

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def sendall(self, data: Any) -> None:
        self._sock.settimeout(self._budget.seconds())
        self._sock.sendall(data)

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        """What the response is read from."""
        return io.BufferedReader(_Raw(self._sock, self._budget))


class _Raw(io.RawIOBase):
    """What comes over a socket, piece by piece."""

    def __init__(self, sock: Any, budget: Budget) -> None:
        self._sock = sock
        # The socket counts its files: it stays open until the last of them is closed.
        self._file = sock.makefile("rb", 0)
        self._budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._budget.seconds())
        count: int | None = self._file.readinto(buffer)
        self._budget.take(count or 0)
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
