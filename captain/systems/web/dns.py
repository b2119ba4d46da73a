"""Asks the DNS one question: the machine's own resolver for addresses, or a name server by name. Judges nothing."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from captain.errors import Fault, ProbeError
from captain.safe import safe
from captain.systems.web.tcp import judged
from captain.threads import on_daemon

if TYPE_CHECKING:
    import dns.message

RecordType = Literal["A", "AAAA", "CNAME", "MX", "TXT", "NS"]
_FAMILIES = {"A": socket.AF_INET, "AAAA": socket.AF_INET6}
_NO_ADDRESS = {getattr(socket, name, None) for name in ("EAI_NODATA", "EAI_ADDRFAMILY")}
_MOST = 1000
"""Answers that are kept."""


@dataclass(frozen=True, slots=True)
class Found:
    """What came back."""

    exists: bool | None
    """Whether the name exists, with records of this type or without; None where the resolver does not tell."""
    answers: tuple[str, ...]
    """Sorted; host names without the last dot."""
    ttl: timedelta | None
    """How long the answer may be kept, where that is told."""
    server: str
    """Who answered, "" for the machine's own resolver."""


async def addresses(asked: str, name: str, kind: RecordType, seconds: float) -> Found:
    """The addresses as every program of this machine sees them, its hosts file included. Raises ProbeError."""
    family = _FAMILIES[kind]
    try:
        async with asyncio.timeout(seconds):
            found = await on_daemon(lambda: socket.getaddrinfo(name, None, family, socket.SOCK_STREAM))
    except TimeoutError as error:
        raise _silent(asked, "this machine's resolver", seconds, "instrument") from error
    except socket.gaierror as error:
        if error.errno in _NO_ADDRESS:
            return Found(None, (), None, "")
        # Elsewhere the same code also means that there is no network.
        if error.errno == socket.EAI_NONAME and sys.platform == "linux":
            return Found(False, (), None, "")
        fault: Fault = "instrument" if error.errno == socket.EAI_AGAIN else "unclear"
        raise ProbeError(
            f"{asked}: this machine's resolver: {safe(error.strerror, 200)}",
            fault=fault,
            hint="look at /etc/resolv.conf, or name a server",
        ) from error
    except UnicodeError as error:
        raise ProbeError(f"{asked}: not a name: {safe(error, 200)}") from error
    return Found(True, tuple(sorted({str(entry[4][0]) for entry in found})[:_MOST]), None, "")


async def records(asked: str, name: str, kind: RecordType, server: str | None, port: int, seconds: float) -> Found:
    """The records by the DNS protocol, from `server` or the name servers of this machine. Raises ProbeError."""
    try:
        import dns.asyncquery
        import dns.exception
        import dns.message
    except ImportError as error:
        raise ProbeError("dns: dnspython is not installed", hint="pip install 'release-captain[dns]'") from error
    fault: Fault = "instrument" if server is None else "unclear"
    try:
        question = dns.message.make_query(name, kind, use_edns=0, payload=1232)
    except (dns.exception.DNSException, ValueError) as error:
        raise ProbeError(f"{asked}: not a name: {safe(error, 200)}") from error
    servers = await _servers(asked, server, seconds)
    why: ProbeError | None = None
    for where in servers:
        try:
            answer, _ = await dns.asyncquery.udp_with_fallback(
                question,
                where,
                timeout=seconds / len(servers),
                port=port,
                # What is not the answer to this question is somebody else's, or an attempt to be taken for it.
                ignore_unexpected=True,
                ignore_errors=True,
            )
        except dns.exception.Timeout:
            why = _silent(asked, where, seconds / len(servers), fault)
        except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
            words = judged(error)[0] if isinstance(error, OSError) else safe(error, 200) or type(error).__name__
            why = ProbeError(f"{asked}: {where}: {words}", fault=fault)
        else:
            return _found(asked, answer, kind, where)
    raise why or ProbeError(f"{asked}: this machine has no name servers", hint="look at /etc/resolv.conf")


async def _servers(asked: str, server: str | None, seconds: float) -> Sequence[str]:
    import dns.inet
    import dns.resolver

    if server is None:
        try:
            return [one for one in dns.resolver.Resolver().nameservers if isinstance(one, str)][:3]
        except dns.resolver.NoResolverConfiguration:
            return []
    if dns.inet.is_address(server):
        return [server]
    for kind in ("A", "AAAA"):
        found = await addresses(f"{asked}: the name server {server}", server, kind, seconds / 2)
        if found.answers:
            return found.answers[:1]
    raise ProbeError(f"{asked}: the name of the server {server} was not resolved", fault="unclear")


def _found(asked: str, answer: dns.message.Message, kind: RecordType, where: str) -> Found:
    import dns.exception
    import dns.flags
    import dns.message
    import dns.rcode

    rcode = answer.rcode()
    if rcode == dns.rcode.NXDOMAIN:
        return Found(False, (), None, where)
    if rcode != dns.rcode.NOERROR:
        raise ProbeError(f"{asked}: {where} answers {dns.rcode.to_text(rcode)}", fault="unclear")
    try:
        chain = answer.resolve_chaining() if isinstance(answer, dns.message.QueryMessage) else None
    except dns.exception.DNSException as error:
        raise ProbeError(f"{asked}: {where}: {safe(error, 200)}", fault="unclear") from error
    if chain is None or chain.answer is None:
        if not answer.flags & (dns.flags.AA | dns.flags.RA):
            raise ProbeError(
                f"{asked}: {where} knows no answer and asks nobody else",
                fault="unclear",
                hint="name a server of that zone, or one that resolves for others",
            )
        return Found(True, (), None, where)
    texts = sorted(_text(kind, record) for record in chain.answer)
    return Found(True, tuple(texts[:_MOST]), timedelta(seconds=chain.minimum_ttl), where)


def _text(kind: RecordType, record: Any) -> str:
    if kind == "TXT":
        return b"".join(record.strings).decode("utf-8", "replace")
    if kind == "MX":
        return f"{record.preference} {record.exchange.to_text(omit_final_dot=True)}"
    if kind in ("CNAME", "NS"):
        return str(record.target.to_text(omit_final_dot=True))
    return str(record.address)


def _silent(asked: str, who: str, seconds: float, fault: Fault) -> ProbeError:
    return ProbeError(
        f"{asked}: {who} did not answer within {seconds:g}s", fault=fault, hint="is it reached from here?"
    )
