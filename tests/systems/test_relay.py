"""A connection that a library cannot hang on, and through which no server can fill the memory."""

from __future__ import annotations

import asyncio
import socket
import time
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from captain.errors import ProbeError
from captain.systems.relay import Relay, relay
from captain.threads import on_daemon
from tests.hostile_server import HostileServer
from tests.http_server import Servers
from tests.relay import unix_server

MIB = 1024 * 1024


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


def echo(peer: socket.socket) -> None:
    while data := peer.recv(65536):
        peer.sendall(data.upper())


def talk(end: socket.socket, text: bytes) -> bytes:
    end.sendall(text)
    return end.recv(100)


async def test_a_library_that_takes_a_socket_speaks_to_the_server(servers: Servers) -> None:
    server = servers.talk(echo)
    async with relay("SELECT 1", "localhost", server.port, timeout=timedelta(seconds=5)) as way:
        end = await way.socket()
        assert await on_daemon(lambda: talk(end, b"hello")) == b"HELLO"
        assert (way.ip, way.why) == ("127.0.0.1", None)


async def test_a_library_that_connects_itself_may_do_so_again(servers: Servers) -> None:
    server = servers.talk(echo)

    def connect(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port)) as end:
            return talk(end, b"again")

    async with relay("PING", "127.0.0.1", server.port, timeout=timedelta(seconds=5)) as way:
        port = await way.port()
        assert [await on_daemon(lambda: connect(port)) for _ in range(2)] == [b"AGAIN", b"AGAIN"]


async def test_a_unix_socket_is_reached_by_its_path(tmp_path: Path) -> None:
    with unix_server(tmp_path / "db.sock", echo):
        async with relay("PING", str(tmp_path / "db.sock"), 5432, timeout=timedelta(seconds=5)) as way:
            end = await way.socket()
            assert await on_daemon(lambda: talk(end, b"unix")) == b"UNIX"


async def test_the_end_of_the_server_is_the_end_for_the_library(servers: Servers) -> None:
    server = servers.talk(lambda peer: peer.close())
    async with relay("PING", "127.0.0.1", server.port, timeout=timedelta(seconds=5)) as way:
        end = await way.socket()
        assert await on_daemon(lambda: end.recv(10)) == b""
        assert way.explain(OSError("server closed")).message == "PING: server closed"


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("127.0.0.1", "connection refused"),
        ("no-such-host.invalid", "the name was not resolved"),
        ("/nowhere", "no such"),
    ],
)
async def test_what_cannot_be_reached_is_said_before_a_library_is_asked(host: str, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ProbeError, match=f"PING: .*{words}") as raised:
        async with relay("PING", host, port, timeout=timedelta(seconds=5)):
            pass
    assert raised.value.fault == "unclear"


async def blocked(way: Relay) -> bytes:
    """What a library that reads until it has everything does."""
    end = await way.socket()

    def read() -> bytes:
        end.sendall(b"query")
        last = b""
        while data := end.recv(65536):
            last = data
        return last

    return await on_daemon(read)


@pytest.mark.parametrize("manner", ["silent", "drip"])
async def test_a_blocked_library_comes_back_at_the_deadline(hostile_server: HostileServer, manner: str) -> None:
    began = time.monotonic()
    port = hostile_server.port(manner)
    async with relay("SELECT 1", "127.0.0.1", port, timeout=timedelta(milliseconds=400)) as way:
        await blocked(way)
        assert time.monotonic() - began < 0.9
        assert str(way.explain(OSError("gone"))) == "SELECT 1: connected, but no complete answer within 0.4s"


async def test_a_flood_is_cut_off_and_kept_by_nobody(hostile_server: HostileServer) -> None:
    tracemalloc.start()
    try:
        port = hostile_server.port("flood")
        async with relay("GET key", "127.0.0.1", port, timeout=timedelta(seconds=20), limit=4 * MIB) as way:
            await blocked(way)
            assert "more than 4 MiB" in way.explain(OSError("gone")).message
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


async def test_leaving_early_frees_the_library_too(servers: Servers) -> None:
    server = servers.talk(echo)
    async with relay("PING", "127.0.0.1", server.port, timeout=timedelta(seconds=30)) as way:
        end = await way.socket()
        waiting = asyncio.ensure_future(on_daemon(lambda: end.recv(10)))
        await asyncio.sleep(0.05)
    assert await asyncio.wait_for(waiting, 2) == b""
