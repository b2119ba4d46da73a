"""One TLS handshake over an open connection, and what a server's first bytes to an old one mean. Judges nothing."""

from __future__ import annotations

import contextlib
import ssl
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from captain.systems.web.tcp import Connection

T = TypeVar("T")

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


class Channel:
    """One connection in TLS, as far as a handshake and a question or two."""

    def __init__(self, made: Connection, context: ssl.SSLContext, name: str) -> None:
        self._made = made
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._received = 0

    async def open(self) -> Session:
        """Complete the handshake. Raises ssl.SSLError, OSError or TooMuch."""
        try:
            await self._until(self._tls.do_handshake)
        finally:
            # Of a handshake that failed, the alert that tells the server why: it stands in its log.
            self._send()
        cipher = self._tls.cipher()
        der = self._tls.getpeercert(binary_form=True) or b""
        return Session(der, self._tls.version() or "", cipher[0] if cipher else "")

    async def ask(self, question: bytes) -> bytes:
        """Send it; what comes back first. Raises as `open`."""
        self._tls.write(question)
        self._send()
        return await self._until(lambda: self._tls.read(4096))

    def end(self) -> None:
        """Tell the server that nothing more comes."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        self._send()

    async def _until(self, step: Callable[[], T]) -> T:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._send()
            data = await self._made.reader.read(16 * 1024)
            if not data:
                raise ConnectionResetError("closed during the handshake")
            self._received += len(data)
            if self._received > LIMIT:
                raise TooMuch
            self._incoming.write(data)

    def _send(self) -> None:
        if self._outgoing.pending:
            self._made.writer.write(self._outgoing.read())


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
