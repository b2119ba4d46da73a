"""What the tcp probe tells about real ports: open, closed, silent, and servers that no probe may hang on."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes.tcp import TcpProbe
from tests.hostile_server import MANNERS, HostileServer
from tests.http_server import Servers
from tests.probe_context import holds, probe_context


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


async def ask(port: int, *, host: str = "127.0.0.1", within: float = 5, **keys: Any) -> Measurement:
    return await TcpProbe(host=host, port=port, **keys).measure(probe_context(Path.cwd(), within))


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def test_a_port_that_listens_passes(servers: Servers) -> None:
    seen = await ask(servers.answer(b"").port)
    assert holds(TcpProbe, seen)
    assert set(seen.observed) == {"connected", "latency", "dns", "ip"}
    assert seen.observed["ip"] == "127.0.0.1" and seen.observed["dns"] == timedelta(0)


async def test_a_name_is_resolved_and_the_time_for_it_told(servers: Servers) -> None:
    seen = await ask(servers.answer(b"").port, host="localhost")
    assert seen.observed["ip"] == "127.0.0.1"
    assert isinstance(seen.observed["dns"], timedelta) and seen.observed["dns"] > timedelta(0)


async def test_a_port_where_nobody_listens_is_the_products_failure() -> None:
    port = closed_port()
    with pytest.raises(ProbeError) as raised:
        await ask(port)
    assert raised.value.fault == "subject"
    assert raised.value.message == f"connect to 127.0.0.1:{port}: connection refused"


async def test_a_name_that_does_not_resolve_may_be_our_own_side() -> None:
    with pytest.raises(ProbeError, match=r"db\.invalid:5432: the name was not resolved") as raised:
        await ask(5432, host="db.invalid")
    assert raised.value.fault == "unclear"


async def test_a_port_that_never_answers_ends_in_time_and_may_be_either_side() -> None:
    with socket.socket() as listener:
        # A full queue of a listener that never accepts drops what comes after it, like a firewall does.
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        began = time.monotonic()
        with pytest.raises(ProbeError, match="no connection within 1s") as raised:
            await ask(port, within=1)
        assert time.monotonic() - began < 1.2
        assert raised.value.fault == "unclear"
        for one in waiting:
            one.close()


async def test_what_the_server_says_first_is_the_banner(servers: Servers) -> None:
    server = servers.talk(lambda peer: peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\nmore"))
    assert (await ask(server.port, banner=True)).observed["banner"] == "SSH-2.0-OpenSSH_9.2"


async def test_a_server_without_a_word_has_no_banner(servers: Servers) -> None:
    seen = await ask(servers.talk(lambda peer: None).port, banner=True)
    assert "banner" not in seen.observed
    assert seen.notes == ("the server closed the connection without a word",)


@pytest.mark.parametrize("manner", MANNERS)
async def test_no_manner_of_a_server_holds_it_or_fills_memory(hostile_server: HostileServer, manner: str) -> None:
    port = hostile_server.port(manner, greeting=b"x" * 3)
    began = time.monotonic()
    seen = await ask(port, within=0.6, banner=True)
    assert time.monotonic() - began < 1.1
    assert seen.observed["connected"] is True
    assert len(str(seen.observed["banner"])) <= 1024


@pytest.mark.parametrize("host", ["https://a.example.com", "a.example.com:443", "a/b", "user@db", "", "a b", "a:80"])
def test_what_is_no_host_is_refused_when_the_file_is_read(host: str) -> None:
    with pytest.raises(ValidationError, match=r"is not a host"):
        TcpProbe(host=host, port=1)


@pytest.mark.parametrize("host", ["db", "db.example.com.", "10.0.0.1", "::1", "fe80::1%eth0", "${{ vars.host }}"])
def test_names_addresses_and_templates_are_hosts(host: str) -> None:
    assert TcpProbe(host=host, port=1).host == host
    assert TcpProbe(host="[fd00::1]", port=1).asks() == "connect to [fd00::1]:1"
