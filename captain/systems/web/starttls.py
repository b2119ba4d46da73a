"""How PostgreSQL and MySQL are asked to go on in TLS, and left again. Sends no password and no statement."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from typing import Literal

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.web.handshake import Channel
from captain.systems.web.tcp import Connection

Protocol = Literal["none", "postgres", "mysql"]

_SSL_REQUEST = struct.pack("!II", 8, 80877103)
_MYSQL_10 = 10
_MYSQL_ERROR = 0xFF
_OTHER_METHOD = b"\xfe"
_SSL, _PROTOCOL_41, _SECURE_CONNECTION, _PLUGIN_AUTH = 0x800, 0x200, 0x8000, 0x80000
_SETTINGS = struct.pack("<IIB23x", _SSL | _PROTOCOL_41 | _SECURE_CONNECTION | _PLUGIN_AUTH, 1 << 24, 45)
"""Capabilities, the largest packet, the character set."""
_MAX_GREETING = 4096


async def ask_for_tls(made: Connection, protocol: Protocol, asked: str) -> None:
    """Bring the connection to where a handshake begins. Raises ProbeError, `subject` where the server has no TLS."""
    ways: dict[str, Callable[[Connection, str], Awaitable[None]]] = {"postgres": _postgres, "mysql": _mysql}
    if protocol in ways:
        await ways[protocol](made, asked)


async def _postgres(made: Connection, asked: str) -> None:
    made.writer.write(_SSL_REQUEST)
    said = await made.reader.read(1)
    if said == b"S":
        return
    if said == b"N":
        raise ProbeError(f"{asked}: the server offers no TLS", fault="subject", hint="set ssl = on in postgresql.conf")
    if not said:
        raise ProbeError(f"{asked}: the server closed the connection when asked for TLS", fault="subject")
    raise ProbeError(f"{asked}: the answer is not PostgreSQL's", fault="unclear", hint="is it another service's port?")


async def _mysql(made: Connection, asked: str) -> None:
    size = int.from_bytes((await made.reader.readexactly(4))[:3], "little")
    if not 1 <= size <= _MAX_GREETING:
        raise ProbeError(f"{asked}: the greeting is not MySQL's", fault="unclear", hint="is it another service's port?")
    greeting = await made.reader.readexactly(size)
    if greeting[0] == _MYSQL_ERROR:
        words = safe(greeting[3:].decode("utf-8", "replace"), 200)
        raise ProbeError(f"{asked}: the server refuses connections: {words}", fault="unclear")
    # The version ends with a zero; the thread's number, 8 bytes of salt and a zero stand before the capabilities.
    at = greeting.find(b"\0", 1) + 1 + 4 + 8 + 1
    if greeting[0] != _MYSQL_10 or len(greeting) < at + 2:
        raise ProbeError(f"{asked}: the greeting is not MySQL's", fault="unclear", hint="is it another service's port?")
    if not int.from_bytes(greeting[at : at + 2], "little") & _SSL:
        raise ProbeError(f"{asked}: the server offers no TLS", fault="subject", hint="set ssl_cert and ssl_key")
    made.writer.write(_packet(1, _SETTINGS))


async def take_leave(channel: Channel, protocol: Protocol) -> None:
    """Part in a way that the server does not hold against this machine. Raises what `Channel.ask` does.

    MySQL counts every connection that ends before a login as an error of the client's host, and at
    max_connect_errors (100) shuts out everything on that host. A login that it denies is not counted.
    """
    if protocol != "mysql":
        return
    # The name is for whoever reads the server's log; an empty password follows it.
    login = _SETTINGS + b"captain-tls-probe\0" + b"\0" + b"caching_sha2_password\0"
    said = await channel.ask(_packet(2, login))
    if said[4:5] == _OTHER_METHOD:
        await channel.ask(_packet(said[3] + 1, b""))


def _packet(number: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "little") + bytes([number]) + content
