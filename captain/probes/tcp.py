"""The kind `tcp`: one connection to a port, and what the server says first. Sends nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated, ClassVar, TypedDict

from captain.fields import Bool, Host, Port
from captain.measurement import Measurement, Value
from captain.probes import Context, Probe, probe
from captain.systems.web.tcp import Connection, address, opened

_MARGIN = 0.9
"""Share of the attempt's time that is waited, so that a sentence comes before the attempt's end."""
_BANNER = 1024
"""Bytes of a banner that are read."""


@probe("tcp")
class TcpProbe(Probe):
    """Does a port accept a connection?

    A port that accepts says that something listens there, not that it works: where the service speaks HTTP, TLS,
    SQL or Redis, that kind tells more. With `banner` captain listens for what SSH, SMTP, FTP and MySQL say first.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("connected",)
    network: ClassVar[bool] = True
    errors: ClassVar[str] = (
        "fail: refused, reset; on_error decides (unknown): name not resolved, host or network not reached, "
        "no connection in time; unknown: captain's own limits"
    )
    example: ClassVar[str] = """\
id: broker-listens
title: The broker accepts connections
tcp: { host: broker.example.com, port: 5672 }
expect: ['connected', 'latency < duration("200ms")']"""

    host: Host
    """A name or an address."""
    port: Port
    """From 1 to 65535."""
    banner: Bool = False
    """Wait for the first line the server says by itself, at most 1 KiB."""

    class Observes(TypedDict, total=False):
        """What the connection showed."""

        connected: Annotated[bool, "the connection was accepted; anything else is an error, never false"]
        latency: Annotated[timedelta, "time to connect, without resolving the name"]
        dns: Annotated[timedelta, "time to resolve the name, zero for an address"]
        ip: Annotated[str, "the address that answered"]
        banner: Annotated[str, "the first line the server said (needs banner)"]

    def asks(self) -> str:
        return f"connect to {address(self.host, self.port)}"

    async def measure(self, ctx: Context) -> Measurement:
        deadline = asyncio.get_running_loop().time() + ctx.timeout.total_seconds() * _MARGIN
        made = await opened(self.asks(), self.host, self.port, deadline=deadline, timeout=ctx.timeout)
        notes: list[str] = []
        try:
            observed: dict[str, Value] = {
                "connected": True,
                "latency": made.connect,
                "dns": made.dns,
                "ip": made.ip,
            }
            if self.banner:
                said, how = await _first_line(made, deadline)
                if said:
                    observed["banner"] = ctx.clip(said)
                if how:
                    notes.append(how)
        finally:
            made.writer.transport.abort()
        return Measurement(observed=observed, asked=self.asks(), notes=tuple(notes))


async def _first_line(made: Connection, deadline: float) -> tuple[str, str]:
    """The first line, and what kept it from being one."""
    said = b""
    how = ""
    try:
        async with asyncio.timeout_at(deadline):
            while b"\n" not in said and len(said) < _BANNER:
                more = await made.reader.read(_BANNER - len(said))
                if not more:
                    how = "" if said else "the server closed the connection without a word"
                    break
                said += more
    except TimeoutError:
        how = "no whole line came in time" if said else "the server said nothing by itself"
    except OSError:
        how = "the connection broke before the first line ended"
    return said.split(b"\n", 1)[0].decode("utf-8", "replace").rstrip("\r"), how
