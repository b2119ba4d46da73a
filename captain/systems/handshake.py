"""One TLS handshake over an open connection, and what the server's first bytes to an old one mean. Judges nothing."""

from __future__ import annotations

import contextlib
import ssl
import warnings
from dataclasses import dataclass

from captain.systems.tcp import Connection

LIMIT = 256 * 1024
"""Bytes a server may send before a handshake is complete."""
VERSIONS = {
    "TLSv1.0": (ssl.TLSVersion.TLSv1, b"\x03\x01"),
    "TLSv1.1": (ssl.TLSVersion.TLSv1_1, b"\x03\x02"),
    "TLSv1.2": (ssl.TLSVersion.TLSv1_2, b"\x03\x03"),
}
"""The versions that may be refused, oldest first: OpenSSL's name of each and its number on the wire."""
_EVERY_CIPHER = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
_ALERT, _HANDSHAKE, _SERVER_HELLO = 0x15, 0x16, 0x02
_ALERT_LENGTH, _HELLO_LENGTH = 7, 11


class TooMuch(Exception):
    """More came than any handshake needs."""


@dataclass(frozen=True, slots=True)
class Session:
    """What was agreed on."""

    der: bytes
    """The server's own certificate."""
    protocol: str
    """TLSv1.3"""
    cipher: str


async def handshake(made: Connection, context: ssl.SSLContext, name: str) -> Session:
    """Complete one handshake. Raises ssl.SSLError, OSError, TooMuch or UnicodeError (a name that is none)."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secured = context.wrap_bio(incoming, outgoing, server_hostname=name)
    received = 0
    while True:
        try:
            secured.do_handshake()
        except ssl.SSLWantReadError:
            _send(made, outgoing)
        except ssl.SSLError:
            # The alert that tells the server why: it stands in its log.
            _send(made, outgoing)
            raise
        else:
            break
        data = await made.reader.read(16 * 1024)
        if not data:
            raise ConnectionResetError("closed during the handshake")
        received += len(data)
        if received > LIMIT:
            raise TooMuch
        incoming.write(data)
    cipher = secured.cipher()
    session = Session(
        secured.getpeercert(binary_form=True) or b"", secured.version() or "", cipher[0] if cipher else ""
    )
    with contextlib.suppress(ssl.SSLError):
        secured.unwrap()
    _send(made, outgoing)
    return session


def _send(made: Connection, outgoing: ssl.MemoryBIO) -> None:
    if outgoing.pending:
        made.writer.write(outgoing.read())


def old_hello(version: str, name: str) -> bytes | None:
    """The first message of a client that speaks nothing newer; None where this OpenSSL does not offer that version."""
    number, _ = VERSIONS[version]
    outgoing = ssl.MemoryBIO()
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers(_EVERY_CIPHER)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = number
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    except (ssl.SSLError, ValueError, UnicodeError):
        return None
    return None


async def first_answer(made: Connection, hello: bytes) -> bytes:
    """As much of the server's first message as tells an acceptance from a refusal; empty where it just closed."""
    made.writer.write(hello)
    said = b""
    while len(said) < (_ALERT_LENGTH if said[:1] == bytes([_ALERT]) else _HELLO_LENGTH):
        try:
            more = await made.reader.read(64)
        except ConnectionError:
            break
        if not more:
            break
        said += more
    return said


def accepted(version: str, said: bytes) -> bool | None:
    """Whether a server whose first message is `said` goes on in that version; None where it is no TLS at all."""
    if not said or said[0] == _ALERT:
        return False
    if len(said) < _HELLO_LENGTH or said[0] != _HANDSHAKE or said[5] != _SERVER_HELLO:
        return None
    return said[9:11] == VERSIONS[version][1]
