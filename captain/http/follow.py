"""Goes where an answer points, within one origin and one deadline. Everything else is shown and left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from captain.http import LIMIT, Reply, fetch, refused_url

HOPS = 3
"""Redirects that are followed."""
_FOLLOWED = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}


async def fetch_following(
    url: str,
    *,
    timeout: timedelta,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    ca_file: Path | None,
    verify: bool,
    limit: int = LIMIT,
) -> tuple[Reply, tuple[str, ...]]:
    """As `fetch`, and on along redirects; the last answer, its times counted from the start, and sentences about it.

    Headers are sent to the origin they were written for and to no other. Raises ProbeError.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    at, hops, before = url, 0, timedelta(0)
    while True:
        reply = await fetch(
            at,
            timeout=max(timeout - before, timedelta(milliseconds=1)),
            method=method,
            headers=headers,
            body=body,
            ca_file=ca_file,
            verify=verify,
            limit=limit,
        )
        reply = replace(reply, latency=before + reply.latency, first_byte=before + reply.first_byte)
        why = _stays(reply, method, hops)
        if why is not None or reply.redirect_to is None:
            break
        at, hops, before = reply.redirect_to, hops + 1, timedelta(seconds=loop.time() - began)
    notes = []
    if hops:
        notes.append(f"followed {hops} redirect{'' if hops == 1 else 's'} to {reply.url}")
    if why:
        notes.append(f"the redirect is not followed: {why}")
    return reply, tuple(notes)


def _stays(reply: Reply, method: str, hops: int) -> str | None:
    """Why this answer is the last; "" where it points nowhere."""
    target = reply.redirect_to
    if target is None or reply.status not in _FOLLOWED:
        return ""
    if method not in ("GET", "HEAD", "OPTIONS"):
        return f"a {method} is not sent twice"
    if (refused := refused_url(target)) is not None:
        return f"its address {refused}"
    if origin(target) != origin(reply.url):
        return "it leads to another origin"
    if hops == HOPS:
        return f"it would be the {HOPS + 1}th"
    return None


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: what must be equal for two URLs to be of one origin."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower().rstrip("."), parts.port or _PORTS.get(parts.scheme)
