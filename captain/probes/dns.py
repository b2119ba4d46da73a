"""The kind `dns`: what a name resolves to, here or at a name server."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, TypedDict

from captain.fields import Host, Port
from captain.measurement import Measurement, Value
from captain.probes import Context, Probe, probe
from captain.systems.web.dns import RecordType, addresses, records

_MARGIN = 0.9
"""Share of the attempt's time that is waited, so that a sentence comes before the attempt's end."""


@probe("dns")
class DnsProbe(Probe):
    """What does a name resolve to?

    Addresses without `server` are asked as every program of this machine asks, hosts file included. Any other type,
    and every question to a `server`, is asked by the DNS protocol and needs the extra `dns`. A name that does not
    exist is an answer; a resolver that does not answer is none.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("size(answers) > 0",)
    network: ClassVar[bool] = True
    errors: ClassVar[str] = (
        "on_error decides (unknown): the server named does not answer, refuses or fails (SERVFAIL); unknown: this "
        "machine's own resolver does not answer; a name that does not exist is observed, not an error"
    )
    example: ClassVar[str] = """\
id: name-points-to-edge
title: The shop's name points to the new edge
dns: { name: shop.example.com, type: CNAME, server: 192.0.2.53 }
expect: ['answers == ["edge.example.net"]', 'ttl <= duration("5m")']"""

    name: Host
    """The whole name; no search list is used with a server."""
    type: RecordType = "A"
    """What is asked for."""
    server: Host | None = None
    """A name server instead of the machine's."""
    port: Port = 53
    """Of the server."""

    class Observes(TypedDict, total=False):
        """What came back."""

        exists: Annotated[bool, "the name exists, with records of this type or without"]
        answers: Annotated[list[str], "the records, sorted: addresses, host names without the last dot, `10 mx.host`"]
        count: Annotated[int, "how many there are"]
        ttl: Annotated[timedelta, "how long the answer may be kept, where a name server told it"]
        server: Annotated[str, "the address of the name server that answered"]
        latency: Annotated[timedelta, "time until the answer came"]

    def asks(self) -> str:
        return f"{self.type} of {self.name}{f' at {self.server}' if self.server else ''}"

    async def measure(self, ctx: Context) -> Measurement:
        began = ctx.clock.monotonic()
        seconds = ctx.timeout.total_seconds() * _MARGIN
        if self.server is None and self.type in ("A", "AAAA"):
            found = await addresses(self.asks(), self.name, self.type, seconds)
        else:
            found = await records(self.asks(), self.name, self.type, self.server, self.port, seconds)
        observed: dict[str, Value] = {
            "answers": [ctx.clip(answer) for answer in found.answers],
            "count": len(found.answers),
            "latency": timedelta(seconds=ctx.clock.monotonic() - began),
        }
        if found.exists is not None:
            observed["exists"] = found.exists
        if found.ttl is not None:
            observed["ttl"] = found.ttl
        if found.server:
            observed["server"] = found.server
        return Measurement(observed=observed, asked=self.asks())
