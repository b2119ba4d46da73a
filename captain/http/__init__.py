"""Asks one HTTP question under one deadline and within bounds. Knows no probe, no verdict and no secret's name.

No proxy, no netrc, no environment, no cookies; redirects only through `captain.http.follow`. httpx is
imported when the first question is asked.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

LIMIT = 1024 * 1024
"""Bytes of a body that are read."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    url: str
    """What was asked, the host in ASCII."""
    status: int
    headers: Mapping[str, str]
    """Lower-case names; repeated ones joined with a comma; values of cookies hidden."""
    body: bytes
    """Decoded by at most one layer of gzip or deflate, at most 1 MiB."""
    truncated: bool
    """Whether there was more."""
    undecoded: str | None
    """The Content-Encoding that was not decoded: body is as it came then."""
    encoding: str
    """The Content-Encoding, lower case; "identity" where there is none."""
    wire_size: int | None
    """Bytes of the body as they came, still encoded; None where not all of it was read."""
    http_version: str
    ip: str
    """The address that answered."""
    dns: timedelta
    connect: timedelta
    tls: timedelta | None
    first_byte: timedelta
    """From the start to the first byte of the answer."""
    latency: timedelta
    """The whole request, from name resolution to the last byte."""
    tls_days_left: int | None
    """Whole days until the certificate expires; None without TLS or verification."""
    redirect_to: str | None
    """Where the answer points, absolute; `fetch` does not go there."""


async def fetch(
    url: str,
    *,
    timeout: timedelta,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    ca_file: Path | None = None,
    verify: bool = True,
    limit: int = LIMIT,
    keep: bool = True,
    take: Callable[[bytes], Awaitable[None]] | None = None,
    asked: str | None = None,
    secret_query: str = "",
) -> Reply:
    """Ask once on a fresh connection. `timeout` covers everything from the name to the last byte.

    Without `keep` the body is counted and thrown away; `take` gets the body of a 2xx answer piece by piece, undecoded
    and however long it is. `ca_file` replaces the machine's certificate authorities; `asked` is how errors begin where
    the URL would not read well; `secret_query` is added to the query as it is and shown nowhere. Raises ProbeError:
    fault `subject` where the other side is to blame, `unclear` where it cannot be told, `instrument` where the
    question could not be put.
    """
    _leave_out()
    from captain.http.ask import ask

    return await ask(
        url,
        method,
        headers or {},
        body,
        timeout=timeout,
        ca_file=ca_file,
        verify=verify,
        limit=limit,
        keep=keep,
        take=take,
        called=asked,
        secret_query=secret_query,
    )


def load() -> None:
    """Import the client, which takes a tenth of a second, before anybody waits for an answer."""
    _leave_out()
    import captain.http.ask  # noqa: F401  # its import is all that is wanted


@cache
def _leave_out() -> None:
    """Spare httpx what nothing here uses. A None makes an import fail at once, which httpx allows for."""
    # Its own command line, loaded where click and rich are installed: 20 ms and 3 MB.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    # httpcore looks for sniffio through the whole path at every lock it makes, seven times for one question.
    if find_spec("sniffio") is None:
        sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]


_ADDRESS = re.compile(r"(0x[0-9a-f]+|[0-9]+)(\.(0x[0-9a-f]+|[0-9]+)){0,3}\.?", re.IGNORECASE)
_PLAIN_ADDRESS = re.compile(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}")


def refused_url(url: str) -> str | None:
    """Why captain does not ask this URL, or None. Never repeats what stands before an @."""
    if not url.isprintable() or " " in url or "\\" in url:
        return "is not a URL: spaces, backslashes and control characters do not belong there"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"is not a URL: {error}"
    if parts.scheme not in ("http", "https"):
        return "is not a URL that starts with http:// or https://"
    if "@" in parts.netloc:
        return "holds a user or password; put credentials into headers, as ${{ secrets.NAME }}"
    if not host or port == 0:
        return "names no host"
    if _ADDRESS.fullmatch(host) and not _PLAIN_ADDRESS.fullmatch(host):
        return f"hides an address in {host}; write it with four decimal numbers"
    return None
