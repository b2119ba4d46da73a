"""Asks the same few URLs many times over kept connections. Imports httpx; keeps nothing of what comes back."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import httpcore
import httpx

from captain.http import refused_url
from captain.http.ask import merged
from captain.http.tls import context
from captain.http.wire import refuse_metadata
from captain.threads import on_daemon

BODY_LIMIT = 8 * 1024 * 1024
"""Bytes of one body that are read, and let go."""


class Failed(Exception):
    """A request without an answer, with the reason in a few words that are the same for the same reason."""


class Pool:
    """Connections to the hosts of a few URLs."""

    def __init__(
        self,
        urls: Iterable[str],
        *,
        headers: Mapping[str, str],
        connections: int,
        keep_alive: bool,
        ca_file: Path | None,
        verify: bool,
    ) -> None:
        """Raises ProbeError for a URL or a ca_file that cannot be used."""
        given = dict(headers) if not keep_alive else {"Connection": "keep-alive", **headers}
        self._requests = {url: httpx.Request("GET", url, headers=merged(given)) for url in urls if not refused_url(url)}
        secured = context(ca_file, verify) if any(url.startswith("https:") for url in self._requests) else None
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=secured or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            max_connections=connections,
            max_keepalive_connections=connections if keep_alive else 0,
            network_backend=_Backend(),
        )

    async def get(self, url: str) -> int:
        """The status of one answer, its body read. Raises Failed; the caller sets the time."""
        made = self._requests[url]
        try:
            answer = await self._pool.handle_async_request(
                httpcore.Request(
                    method=b"GET",
                    url=httpcore.URL(
                        scheme=made.url.raw_scheme, host=made.url.raw_host, port=made.url.port, target=made.url.raw_path
                    ),
                    headers=made.headers.raw,
                )
            )
            try:
                await _read(answer)
            finally:
                await answer.aclose()
        except (OSError, *_CORE_ERRORS) as error:
            raise Failed(_why(error)) from error
        return answer.status

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


_CORE_ERRORS = (
    httpcore.ConnectError,
    httpcore.LocalProtocolError,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
)


async def _read(answer: httpcore.Response) -> None:
    size = 0
    async with aclosing(cast(AsyncGenerator[bytes, None], answer.aiter_stream())) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            if size > BODY_LIMIT:
                raise Failed(f"more than {BODY_LIMIT // 1024**2} MiB")


def _why(error: Exception) -> str:
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, ConnectionRefusedError):
            return "connection refused"
        if isinstance(at, ConnectionResetError | BrokenPipeError):
            return "connection reset"
        if isinstance(at, ssl.SSLError):
            return "no TLS"
        at = at.__cause__ or at.__context__
    if isinstance(error, httpcore.RemoteProtocolError):
        return "connection closed" if "without sending" in str(error) else "malformed answer"
    return "no connection" if isinstance(error, httpcore.ConnectError) else "connection closed"


class _Backend(httpcore.AsyncNetworkBackend):
    """Resolves each name once."""

    def __init__(self) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._found: dict[tuple[str, int], asyncio.Task[list[str]]] = {}

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        task = self._found.get((host, port))
        if task is None:
            task = self._found[host, port] = asyncio.ensure_future(_resolve(host, port))
        first: Exception | None = None
        for address in await asyncio.shield(task):
            try:
                return await self._inner.connect_tcp(address, port)
            except httpcore.ConnectError as error:
                first = first or error
        raise first or httpcore.ConnectError("no address")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.UnsupportedProtocol("no unix sockets")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _resolve(host: str, port: int) -> list[str]:
    found = await on_daemon(lambda: socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM))
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        refuse_metadata(address)
    return addresses
