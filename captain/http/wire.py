"""One connection: resolves, connects and measures, and knows at every moment what it is waiting for."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Literal

import httpcore

from captain.errors import ProbeError
from captain.threads import on_daemon

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Phase = Literal["resolve", "connect", "tls", "answer", "body"]

HEAD_LIMIT = 128 * 1024
"""Bytes before the end of the headers, interim answers included."""
_METADATA = (ipaddress.ip_address("fd00:ec2::254"),)


class HeadTooLong(Exception):
    """More than HEAD_LIMIT bytes and still no end of the headers."""


class Wire(httpcore.AsyncNetworkBackend):
    """Makes the one connection of a request. The times are seconds of the loop's clock."""

    def __init__(self, deadline: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadline = deadline
        self.began = self._loop.time()
        self.phase: Phase = "resolve"
        self.ip = ""
        self.dns = self.connect = timedelta(0)
        self.tls: timedelta | None = None
        self.first_byte: timedelta | None = None
        self.not_after: str | None = None
        """When the certificate expires, as OpenSSL writes it."""
        self._head = 0
        self._writer: asyncio.StreamWriter | None = None

    def since(self, moment: float) -> timedelta:
        return timedelta(seconds=self._loop.time() - moment)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolve(host, port)
        self.phase = "connect"
        began = self._loop.time()
        errors: list[OSError] = []
        for at, address in enumerate(addresses):
            left = (self._deadline - self._loop.time()) / (len(addresses) - at)
            try:
                async with asyncio.timeout(left):
                    streams = await asyncio.open_connection(address, port)
            except OSError as error:
                errors.append(error)
                continue
            self.connect = self.since(began)
            self.ip = address
            self.phase = "answer"
            self._writer = streams[1]
            return _Stream(streams, self)
        # A refusal says more than an address family that does not work here.
        raise next((error for error in errors if not isinstance(error, TimeoutError)), errors[0])

    def close(self) -> None:
        """Let the connection go at once: nothing more is said on it."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.UnsupportedProtocol("no unix sockets")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _resolve(self, host: str, port: int) -> list[str]:
        try:
            addresses = [str(ipaddress.ip_address(host.strip("[]")))]
        except ValueError:
            found = await on_daemon(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
            self.dns = self.since(self.began)
        for address in addresses:
            refuse_metadata(address)
        return addresses

    def heard(self, count: int) -> None:
        """Count what arrives before the body. Raises HeadTooLong."""
        if self.first_byte is None and count:
            self.first_byte = self.since(self.began)
        if self.phase == "answer":
            self._head += count
            if self._head > HEAD_LIMIT:
                raise HeadTooLong


class _Stream(httpcore.AsyncNetworkStream):
    """asyncio's own streams: httpcore's way over anyio costs as much again as all the rest of a question."""

    def __init__(self, streams: _Streams, wire: Wire) -> None:
        self._reader, self._writer = streams
        self._wire = wire

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            data = await self._reader.read(max_bytes)
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error
        self._wire.heard(len(data))
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        try:
            self._writer.write(buffer)
            await self._writer.drain()
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        self._wire.close()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        wire = self._wire
        wire.phase = "tls"
        began = asyncio.get_running_loop().time()
        try:
            await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        wire.tls = wire.since(began)
        wire.phase = "answer"
        certificate = self.get_extra_info("ssl_object").getpeercert() or {}
        wire.not_after = certificate.get("notAfter")
        return self

    def get_extra_info(self, info: str) -> Any:
        return self._writer.get_extra_info(info)


def refuse_metadata(address: str) -> None:
    """Clouds hand out credentials at such addresses; a checklist must not read them into the log.

    Raises ProbeError.
    """
    ip = ipaddress.ip_address(address)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_link_local or ip in _METADATA:
        raise ProbeError(f"{address} is a link-local address, which captain never asks")
