"""Servers that no probe may hang on: they accept, and then are silent, drip, flood or die.

What a manner does after the client's first bytes: `silent` nothing, `drip` a byte a second for ever, `flood` 100 MB,
`die` a few bytes and the end. `after` bytes are sent first, so that a client gets past a greeting of its protocol.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from tests.http_server import Servers

MANNERS = ("silent", "drip", "flood", "die")
FLOOD = 100 * 1000 * 1000
_BLOCK = b"a" * 65536


class HostileServer:
    """Starts one server for each way of misbehaving that is asked for."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self.stopped = False

    def port(self, manner: str, *, after: bytes = b"", greeting: bytes = b"", unit: bytes = _BLOCK) -> int:
        """A port on 127.0.0.1. `greeting` is sent at once, `after` in answer to the client's first bytes.

        `unit` is what a flood repeats, and what a drip gives out byte by byte.
        """
        talks: dict[str, Callable[[socket.socket], None]] = {
            "silent": self._silent,
            "drip": lambda peer: self._drip(peer, unit),
            "flood": lambda peer: self._flood(peer, unit),
            "die": lambda peer: peer.sendall(unit[:3]),
        }
        misbehave = talks[manner]

        def talk(peer: socket.socket) -> None:
            with contextlib.suppress(OSError):
                peer.sendall(greeting)
                if peer.recv(65536):
                    peer.sendall(after)
                    misbehave(peer)

        return self._servers.talk(talk).port

    def _silent(self, peer: socket.socket) -> None:
        while peer.recv(65536):
            pass

    def _drip(self, peer: socket.socket, unit: bytes) -> None:
        at = 0
        while not self.stopped:
            peer.sendall(unit[at % len(unit) : at % len(unit) + 1])
            at += 1
            for _ in range(20):
                if not self.stopped:
                    time.sleep(0.05)

    def _flood(self, peer: socket.socket, unit: bytes) -> None:
        block = unit * max(1, 65536 // len(unit))
        sent = 0
        while sent < FLOOD and not self.stopped:
            peer.sendall(block)
            sent += len(block)


@pytest.fixture
def hostile_server() -> Iterator[HostileServer]:
    """Servers that misbehave, gone when the test ends."""
    servers = Servers()
    made = HostileServer(servers)
    yield made
    made.stopped = True
    servers.close()
