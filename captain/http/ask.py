"""Puts one question over one fresh connection. Imports httpx; `captain.http` imports this when it is needed."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import cast
from urllib.parse import urljoin

import httpcore
import httpx

from captain import __version__
from captain.errors import ProbeError
from captain.http import Reply, refused_url
from captain.http.decoder import Counter, Decoder, Taker
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
    keep: bool,
    take: Callable[[bytes], Awaitable[None]] | None = None,
    called: str | None = None,
    secret_query: str = "",
) -> Reply:
    """As `captain.http.fetch`."""
    if (refused := refused_url(url)) is not None:
        raise ProbeError(f"the URL {refused}")
    asked = called or f"{method} {url}"
    wire = Wire(asyncio.get_running_loop().time() + timeout.total_seconds())
    secured = context(ca_file, verify) if url.startswith("https:") else None
    try:
        shown = str(httpx.URL(url))
        asked = called or f"{method} {shown}"
        request = httpx.Request(method, _joined(url, secret_query), headers=merged(headers), content=body)
        async with asyncio.timeout(timeout.total_seconds()):
            answer = await _send(request, wire, secured)
            wire.phase = "body"
            decoder: Decoder | Counter | Taker = Counter(limit)
            if take is not None and 200 <= answer.status < 300:
                decoder = Taker(take)
            elif keep or take is not None:
                decoder = Decoder(_encoding(answer), limit)
            return await _read(shown, answer, wire, decoder, asked)
    except TimeoutError as error:
        raise timed_out(asked, wire.phase, timeout) from error
    except (httpx.InvalidURL, httpx.HTTPError, OSError, HeadTooLong, *_CORE_ERRORS) as error:
        raise explain(asked, wire.phase, error) from error
    finally:
        wire.close()


def _joined(url: str, secret_query: str) -> str:
    if not secret_query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{secret_query}"


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


async def _send(request: httpx.Request, wire: Wire, secured: ssl.SSLContext | None) -> httpcore.Response:
    """Over a connection of its own. httpx's client and httpcore's pool serve many requests; this is one."""
    url = request.url
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    connection = httpcore.AsyncHTTPConnection(target.origin, ssl_context=secured, network_backend=wire)
    return await connection.handle_async_request(
        httpcore.Request(method=request.method, url=target, headers=request.headers.raw, content=request.stream)
    )


def _encoding(answer: httpcore.Response) -> str:
    return httpx.Headers(answer.headers).get("content-encoding", "").strip().lower() or "identity"


async def _read(
    url: str, answer: httpcore.Response, wire: Wire, decoder: Decoder | Counter | Taker, asked: str
) -> Reply:
    headers, encoding = httpx.Headers(answer.headers), _encoding(answer)
    wire_size = 0
    async with aclosing(cast(AsyncGenerator[bytes, None], answer.aiter_stream())) as chunks:
        async for chunk in chunks:
            wire_size += len(chunk)
            try:
                more = await decoder.feed(chunk) if isinstance(decoder, Taker) else decoder.feed(chunk)
            except zlib.error as error:
                raise ProbeError(f"{asked}: the body is no {encoding}: {error}", fault="unclear") from error
            if not more:
                break
    return Reply(
        url=url,
        status=answer.status,
        headers=_headers(headers),
        body=bytes(decoder.body),
        truncated=decoder.truncated,
        undecoded=decoder.undecoded,
        encoding=encoding,
        wire_size=None if decoder.truncated else wire_size,
        http_version=answer.extensions.get("http_version", b"HTTP/1.1").decode("ascii", "replace"),
        ip=wire.ip,
        dns=wire.dns,
        connect=wire.connect,
        tls=wire.tls,
        first_byte=wire.first_byte or wire.since(wire.began),
        latency=wire.since(wire.began),
        tls_days_left=_days_left(wire.not_after),
        redirect_to=_redirect(url, answer.status, headers.get("location")),
    )


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


def _redirect(url: str, status: int, location: str | None) -> str | None:
    if location is None or not 300 <= status < 400:
        return None
    try:
        return str(urljoin(url, location))
    except ValueError:
        return location
