"""Asks one HTTP question under one deadline and within bounds. Knows no probe, no verdict and no secret's name.

No proxy, no netrc, no environment, no cookies, no redirects: what is asked is what the caller wrote. httpx is
imported when the first question is asked.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
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
    """Where the answer points, absolute; nobody went there."""


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
    asked: str | None = None,
) -> Reply:
    """Ask once on a fresh connection. `timeout` covers everything from the name to the last byte.

    `ca_file` replaces the machine's certificate authorities; `asked` is how errors begin where the URL would not read
    well. Raises ProbeError: fault `subject` where the other
    side is to blame, `unclear` where it cannot be told, `instrument` where the question could not be put.
    """
    # httpx loads its own command line where click and rich are installed: 20 ms and 3 MB that nothing here uses.
    # A None makes that import fail, which httpx allows for.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
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
        called=asked,
    )


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
