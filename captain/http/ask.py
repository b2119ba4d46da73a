"""Puts one question over one fresh connection. Imports httpx; `captain.http` imports this when it is needed."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import cast
from urllib.parse import urljoin

import httpcore
import httpx

from captain import __version__
from captain.errors import ProbeError
from captain.http import Reply, refused_url
from captain.http.faults import explain, timed_out
from captain.http.tls import context
from captain.http.wire import HeadTooLong, Wire

_HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": f"captain/{__version__}",
}
_COOKIE = re.compile(r"((?:^|,)\s*[^=;,\s]+=)[^;,]*")
_DAY = 86400


async def ask(
    url: str,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    timeout: timedelta,
    ca_file: Path | None,
    verify: bool,
    limit: int,
    called: str | None = None,
) -> Reply:
    """As `captain.http.fetch`."""
    if (refused := refused_url(url)) is not None:
        raise ProbeError(f"the URL {refused}")
    asked = called or f"{method} {url}"
    wire = Wire(asyncio.get_running_loop().time() + timeout.total_seconds())
    secured = context(ca_file, verify) if url.startswith("https:") else None
    try:
        request = httpx.Request(method, url, headers=merged(headers), content=body)
        asked = called or f"{method} {request.url}"
        async with asyncio.timeout(timeout.total_seconds()), _sent(request, wire, secured) as response:
            wire.phase = "body"
            return await _read(response, wire, limit, asked)
    except TimeoutError as error:
        raise timed_out(asked, wire.phase, timeout) from error
    except (httpx.InvalidURL, httpx.HTTPError, OSError, HeadTooLong, *_CORE_ERRORS) as error:
        raise explain(asked, wire.phase, error) from error


_CORE_ERRORS = (
    httpcore.ConnectError,
    httpcore.LocalProtocolError,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
)


def merged(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """captain's own headers under those given."""
    given = {name.lower() for name in headers}
    merged = [(name, value) for name, value in _HEADERS.items() if name.lower() not in given]
    return [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in [*merged, *headers.items()]]


class _Transport(httpx.AsyncBaseTransport):
    """httpx over a connection pool of one, so that the wire is ours."""

    def __init__(self, wire: Wire, secured: ssl.SSLContext | None) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=secured, max_connections=1, max_keepalive_connections=0, network_backend=wire
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        answer = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions)

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._answer.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        await self._answer.aclose()


@asynccontextmanager
async def _sent(request: httpx.Request, wire: Wire, secured: ssl.SSLContext | None) -> AsyncIterator[httpx.Response]:
    transport = _Transport(wire, secured)
    async with httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False, timeout=None) as client:
        response = await client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()


async def _read(response: httpx.Response, wire: Wire, limit: int, asked: str) -> Reply:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    decoder = _Decoder(encoding, limit)
    async with aclosing(cast(AsyncGenerator[bytes, None], response.aiter_raw())) as chunks:
        async for chunk in chunks:
            try:
                more = decoder.feed(chunk)
            except zlib.error as error:
                raise ProbeError(f"{asked}: the body is no {encoding}: {error}", fault="unclear") from error
            if not more:
                break
    version = response.extensions.get("http_version", b"HTTP/1.1")
    return Reply(
        url=str(response.request.url),
        status=response.status_code,
        headers=_headers(response.headers),
        body=bytes(decoder.body),
        truncated=decoder.truncated,
        undecoded=decoder.undecoded,
        http_version=version.decode("ascii", "replace"),
        ip=wire.ip,
        dns=wire.dns,
        connect=wire.connect,
        tls=wire.tls,
        first_byte=wire.first_byte or wire.since(wire.began),
        latency=wire.since(wire.began),
        tls_days_left=_days_left(wire.not_after),
        redirect_to=_redirect(response),
    )


class _Decoder:
    """One layer of gzip or deflate, and never more than the limit of what comes out."""

    def __init__(self, encoding: str, limit: int) -> None:
        self.body = bytearray()
        self.truncated = False
        self.undecoded: str | None = None
        self._limit = limit
        self._inflate = None
        if encoding in ("gzip", "x-gzip"):
            self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        elif encoding == "deflate":
            self._inflate = zlib.decompressobj()
        elif encoding not in ("", "identity"):
            self.undecoded = encoding

    def feed(self, data: bytes) -> bool:
        """False once nothing more is wanted. Raises zlib.error."""
        room = self._limit - len(self.body) + 1
        if self._inflate is None:
            self.body += data[:room]
        elif not self._inflate.eof:
            self.body += self._inflate.decompress(data, room)
        if len(self.body) > self._limit:
            self.truncated = True
            del self.body[self._limit :]
        return not self.truncated


def _headers(headers: httpx.Headers) -> dict[str, str]:
    shown = {name.lower(): value for name, value in headers.items()}
    if "set-cookie" in shown:
        # A session is nobody's evidence; whether it is Secure and HttpOnly is.
        shown["set-cookie"] = ", ".join(
            _COOKIE.sub(r"\1***", cookie, count=1) for cookie in headers.get_list("set-cookie")
        )
    return shown


def _days_left(not_after: str | None) -> int | None:
    if not_after is None:
        return None
    return int((ssl.cert_time_to_seconds(not_after) - time.time()) // _DAY)


def _redirect(response: httpx.Response) -> str | None:
    location = response.headers.get("location")
    if location is None or not 300 <= response.status_code < 400:
        return None
    try:
        return str(urljoin(str(response.request.url), location))
    except ValueError:
        return str(location)
