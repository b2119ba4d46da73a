"""Opens one TCP connection under a deadline. Knows no protocol above it and no verdict."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
from dataclasses import dataclass
from datetime import timedelta

from captain.errors import Fault, ProbeError
from captain.safe import safe
from captain.threads import on_daemon

BUFFER = 64 * 1024
"""Bytes that wait unread at most, before the other side has to."""
_OURS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM}


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection, and how it came about. Whoever opened it closes `writer`."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ip: str
    """The address that answered."""
    dns: timedelta
    """Time to resolve the name, zero for an address."""
    connect: timedelta
    """Time to connect."""


async def connected(host: str, port: int, deadline: float) -> Connection:
    """Connect to the first address of `host` that answers. Raises OSError; its kind says what was met.

    `deadline` is a moment of the loop's clock, shared by all addresses; TimeoutError where none answered before it.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout_at(deadline):
        addresses = await _resolved(host, port)
    resolved = loop.time()
    errors: list[OSError] = []
    for at, address in enumerate(addresses):
        left = (deadline - loop.time()) / (len(addresses) - at)
        try:
            async with asyncio.timeout(left):
                reader, writer = await asyncio.open_connection(address, port, limit=BUFFER)
        except OSError as error:
            errors.append(error)
            continue
        dns = timedelta(seconds=0 if address == host.strip("[]") else resolved - began)
        return Connection(reader, writer, address, dns, timedelta(seconds=loop.time() - resolved))
    # A refusal says more than an address family that does not work here.
    raise next((error for error in errors if not isinstance(error, TimeoutError)), errors[0])


async def opened(asked: str, host: str, port: int, *, deadline: float, timeout: timedelta) -> Connection:
    """As `connected`, but raises ProbeError: whose fault it is, in a sentence that begins with `asked`.

    Refused and reset are the product's; a name that does not resolve or no connection in time may be either's.
    """
    try:
        return await connected(host, port, deadline)
    except TimeoutError as error:
        raise ProbeError(f"{asked}: no connection within {timeout.total_seconds():g}s", fault="unclear") from error
    except (OSError, UnicodeError) as error:
        sentence, fault = judged(error)
        raise ProbeError(f"{asked}: {sentence}", fault=fault) from error


def address(host: str, port: int) -> str:
    """As people write it: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def judged(error: Exception) -> tuple[str, Fault]:
    """What an error of a connection says, and whose fault it is."""
    if isinstance(error, socket.gaierror):
        return f"the name was not resolved: {safe(error.strerror, 200)}", "unclear"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused", "subject"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "connection reset", "subject"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower(), "instrument" if error.errno in _OURS else "unclear"
    return safe(str(error) or type(error).__name__, 200), "unclear"


async def _resolved(host: str, port: int) -> list[str]:
    try:
        return [str(ipaddress.ip_address(host.strip("[]")))]
    except ValueError:
        found = await on_daemon(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))
