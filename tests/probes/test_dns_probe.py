"""What the dns probe tells apart: a name that is there, one that is not, and a resolver that does not answer."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import pytest
from pydantic import ValidationError

from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes.dns import DnsProbe
from captain.systems.web import dns as asking
from tests.dns_server import MANY, ZONE, NameServer
from tests.probe_context import holds, probe_context

Reply = Callable[[bytes], list[bytes]]


async def ask(name: str, *, within: float = 5, **keys: Any) -> Measurement:
    return await DnsProbe(name=name, **keys).measure(probe_context(Path.cwd(), within))


@contextlib.contextmanager
def answering(reply: Reply) -> Iterator[int]:
    """A port of UDP that answers each datagram with those bytes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]

        def serve() -> None:
            while True:
                data, peer = listener.recvfrom(4096)
                if data == b"end":
                    return
                for one in reply(data):
                    listener.sendto(one, peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield port
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", ("127.0.0.1", port))
        thread.join(5)


def saying(rcode: dns.rcode.Rcode, flags: int = 0) -> Reply:
    def reply(data: bytes) -> list[bytes]:
        made = dns.message.make_response(dns.message.from_wire(data))
        made.set_rcode(rcode)
        made.flags |= flags
        return [made.to_wire()]

    return reply


@pytest.mark.parametrize(
    ("name", "kind", "answers"),
    [
        (f"web.{ZONE}", "A", ["10.0.0.7"]),
        (f"both.{ZONE}", "AAAA", ["fd00::8"]),
        (f"www.{ZONE}", "A", ["10.0.0.7"]),
        (f"www.{ZONE}", "CNAME", [f"web.{ZONE}"]),
        (f"WEB.{ZONE}.", "A", ["10.0.0.7"]),
        (ZONE, "MX", [f"10 mail.{ZONE}", f"20 backup.{ZONE}"]),
        (ZONE, "TXT", ["v=spf1 -alland more"]),
        (ZONE, "NS", [f"ns.{ZONE}"]),
    ],
)
async def test_records_of_every_type_are_told(
    name_server: NameServer, name: str, kind: str, answers: list[str]
) -> None:
    seen = await ask(name, type=kind, server="127.0.0.1", port=name_server.port)
    assert seen.observed["answers"] == answers
    assert (seen.observed["exists"], seen.observed["count"]) == (True, len(answers))
    assert seen.observed["server"] == "127.0.0.1"
    assert isinstance(seen.observed["latency"], timedelta)
    if name.lower().startswith("web"):
        assert seen.observed["ttl"] == timedelta(seconds=60)
    assert holds(DnsProbe, seen) is True
    assert seen.asked == f"{kind} of {name} at 127.0.0.1"


async def test_answers_longer_than_a_datagram_come_whole(name_server: NameServer) -> None:
    seen = await ask(f"long.{ZONE}", type="TXT", server="127.0.0.1", port=name_server.port)
    assert seen.observed["count"] == MANY


async def test_a_server_can_be_named(name_server: NameServer) -> None:
    seen = await ask(f"web.{ZONE}", server="localhost", port=name_server.port)
    assert seen.observed["server"] == "127.0.0.1"
    with pytest.raises(ProbeError, match=r"the name of the server ns\.invalid was not resolved"):
        await ask(f"web.{ZONE}", server="ns.invalid")


async def test_a_name_that_does_not_exist_is_an_answer_that_fails(name_server: NameServer) -> None:
    seen = await ask(f"nowhere.{ZONE}", server="127.0.0.1", port=name_server.port)
    assert (seen.observed["exists"], seen.observed["answers"]) == (False, [])
    assert holds(DnsProbe, seen) is False
    assert holds(DnsProbe, seen, "!exists") is True


async def test_a_name_without_such_a_record_exists_and_fails(name_server: NameServer) -> None:
    seen = await ask(f"web.{ZONE}", type="AAAA", server="127.0.0.1", port=name_server.port)
    assert (seen.observed["exists"], seen.observed["count"]) == (True, 0)
    assert holds(DnsProbe, seen) is False


async def test_a_server_that_refuses_says_nothing_about_the_name(name_server: NameServer) -> None:
    with pytest.raises(ProbeError, match=r"A of elsewhere\.example at 127\.0\.0\.1: 127\.0\.0\.1 answers") as raised:
        await ask("elsewhere.example", server="127.0.0.1", port=name_server.port)
    assert raised.value.fault == "unclear"


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP])
async def test_a_failing_server_is_no_missing_name(rcode: dns.rcode.Rcode) -> None:
    with answering(saying(rcode)) as port, pytest.raises(ProbeError, match=dns.rcode.to_text(rcode)):
        await ask("a.test", server="127.0.0.1", port=port)


async def test_a_referral_is_no_missing_record() -> None:
    with answering(saying(dns.rcode.NOERROR)) as port, pytest.raises(ProbeError, match="asks nobody else"):
        await ask("a.test", server="127.0.0.1", port=port)
    with answering(saying(dns.rcode.NOERROR, dns.flags.AA)) as port:
        assert (await ask("a.test", server="127.0.0.1", port=port)).observed["exists"] is True


@pytest.mark.parametrize(
    "reply",
    [
        lambda data: [],
        lambda data: [b""],
        lambda data: [b"\xff" * 40],
        lambda data: [b"\0\0" + data[2:]] * 50,
        lambda data: [data[:2] + b"\x81\x80" + data[4:12] + b"\xc0\x0c" * 200],
    ],
)
async def test_silence_and_noise_end_in_time_and_say_nothing_about_the_name(reply: Reply) -> None:
    began = time.monotonic()
    with answering(reply) as port, pytest.raises(ProbeError, match="did not answer within") as raised:
        await ask("a.test", within=0.5, server="127.0.0.1", port=port)
    assert time.monotonic() - began < 1
    assert raised.value.fault == "unclear"


async def test_a_closed_port_is_told() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    with pytest.raises(ProbeError) as raised:
        await ask("a.test", within=0.5, server="127.0.0.1", port=port)
    assert raised.value.fault == "unclear"


async def test_the_machines_own_servers_are_asked_and_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(lambda data: []) as port:
        own = dns.resolver.Resolver(configure=False)
        own.nameservers = ["127.0.0.1", "127.0.0.1"]
        monkeypatch.setattr(dns.resolver, "Resolver", lambda: own)
        with pytest.raises(ProbeError, match=r"127\.0\.0\.1 did not answer within 0\.225s") as raised:
            await ask("a.test", within=0.5, type="MX", port=port)
    assert raised.value.fault == "instrument"


async def test_addresses_are_those_that_every_program_here_sees() -> None:
    seen = await ask("localhost")
    assert (seen.observed["exists"], seen.observed["answers"]) == (True, ["127.0.0.1"])
    assert "ttl" not in seen.observed and "server" not in seen.observed
    assert holds(DnsProbe, seen) is True


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the resolver tells less")
@pytest.mark.parametrize(
    ("code", "exists", "fault"),
    [
        (socket.EAI_NONAME, False, None),
        (socket.EAI_NODATA, None, None),
        (socket.EAI_AGAIN, None, "instrument"),
        (socket.EAI_FAIL, None, "unclear"),
    ],
)
async def test_what_the_machines_resolver_says_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, code: int, exists: bool | None, fault: str | None
) -> None:
    def refused(*_: Any) -> None:
        raise socket.gaierror(code, "the resolver's words")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    if fault is None:
        seen = await ask("a.test")
        assert (seen.observed.get("exists"), seen.observed["count"]) == (exists, 0)
        assert holds(DnsProbe, seen) is False
    else:
        with pytest.raises(ProbeError, match="this machine's resolver: the resolver's words") as raised:
            await ask("a.test")
        assert raised.value.fault == fault


async def test_a_machine_whose_resolver_hangs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: over.wait(5) and [])
    with pytest.raises(ProbeError, match="this machine's resolver did not answer within") as raised:
        await ask("a.test", within=0.3)
    over.set()
    assert raised.value.fault == "instrument"


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dns.asyncquery", None)
    with pytest.raises(ProbeError, match="dns: dnspython is not installed") as raised:
        await ask("a.test", type="MX")
    assert raised.value.hint == "pip install 'release-captain[dns]'"
    assert (await ask("localhost")).observed["exists"] is True
    assert asking.records is not None


@pytest.mark.parametrize("keys", [{"name": "http://a"}, {"name": "a", "type": "PTR"}, {"name": "a", "server": "b:53"}])
def test_what_cannot_be_asked_is_refused_when_the_file_is_read(keys: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        DnsProbe.model_validate(keys)


async def test_a_name_that_no_dns_holds_is_our_own_mistake() -> None:
    with pytest.raises(ProbeError, match="not a name") as raised:
        await ask("a" * 70 + ".test", type="MX", server="127.0.0.1")
    assert raised.value.fault == "instrument"
