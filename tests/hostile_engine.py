"""A Docker engine that answers some questions and misbehaves at others: silent, drip, flood, die."""

from __future__ import annotations

import contextlib
import re
import socket
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from typing import Self

from tests.relay import tcp_server

MANNERS = ("silent", "drip", "flood", "die", "headers")
_PATH = re.compile(rb"^[A-Z]+ (?:/v[0-9.]+)?(/[^ ?]*)")
_VERSION = b'{"ApiVersion": "1.41", "Version": "20.10"}'
_MISSING = b'{"message": "no such thing"}'
_FRAME = b"\1\0\0\0\0\0\0\4aaa\n"
MEMORY = 80 * 1024**2


class HostileEngine:
    """Listens on 127.0.0.1. `answers` are JSON bodies by the end of a path, `manners` what it does at others."""

    missing = b"404 Not Found"
    """Status of what it has no answer for."""

    def __init__(
        self,
        answers: Mapping[str, bytes],
        manners: Mapping[str, str],
        *,
        unit: bytes = _FRAME,
        version: bytes = _VERSION,
        missing: bytes = _MISSING,
    ) -> None:
        self._answers = {"/version": version, **answers}
        self._manners = manners
        self._unit = unit
        self._missing = missing
        self._stack = contextlib.ExitStack()
        self._stopped = False
        self.host = ""
        self.asked: list[str] = []

    def __enter__(self) -> Self:
        self.host = self._stack.enter_context(tcp_server(self._serve))
        self._stack.callback(self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def measured(self, seconds: float) -> Iterator[None]:
        """What is done inside ends in `seconds` and half a second, and keeps no flood in memory."""
        import docker  # noqa: F401  # loading it is not what is measured

        tracemalloc.start()
        began = time.monotonic()
        try:
            yield
        finally:
            took = time.monotonic() - began
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            self._stop()
        assert took < seconds + 0.5, took
        assert peak < MEMORY, peak

    def _stop(self) -> None:
        self._stopped = True

    def _serve(self, connection: socket.socket) -> None:
        while head := connection.recv(65536):
            match = _PATH.match(head)
            path = match[1].decode() if match else ""
            self.asked.append(path)
            manner = next((how for end, how in self._manners.items() if path.endswith(end)), None)
            if manner:
                self._misbehave(connection, manner)
                return
            body = next((body for end, body in self._answers.items() if path.endswith(end)), None)
            status = b"200 OK" if body is not None else self.missing
            body = self._missing if body is None else body
            connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))

    def _misbehave(self, connection: socket.socket, manner: str) -> None:
        if manner == "silent":
            connection.recv(65536)
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        if manner == "headers":
            self._drip(connection, b"X-A: b\r\n")
            return
        connection.sendall(b"Content-Type: application/json\r\n\r\n")
        if manner == "drip":
            self._drip(connection, self._unit)
        elif manner == "flood":
            block, sent = self._unit * (65536 // len(self._unit) or 1), 0
            while not self._stopped and sent < 100_000_000:
                connection.sendall(block)
                sent += len(block)
        else:
            connection.sendall(self._unit[:3])

    def _drip(self, connection: socket.socket, unit: bytes) -> None:
        at = 0
        while not self._stopped:
            connection.sendall(unit[at % len(unit) : at % len(unit) + 1])
            at += 1
            time.sleep(0.05)
