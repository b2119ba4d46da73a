"""What the scripts and styles of a page weigh on the wire. Fetches them, keeps nothing of them, judges nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from captain.errors import ProbeError
from captain.http import fetch
from captain.safe import safe

MOST = 100
"""Assets of one page that are fetched."""
_AT_ONCE = 6
"""As browsers do."""
_LARGEST = 16 * 1024 * 1024
"""Bytes of one asset that are counted."""


@dataclass(frozen=True, slots=True)
class Weight:
    """The sum, as far as it is one."""

    failed: int | None
    """How many did not come; None where not all could be asked."""
    wire_size: int | None
    """Bytes of all of them; None unless every one was counted to its end."""
    notes: tuple[str, ...]


async def weigh(
    urls: tuple[str, ...], *, timeout: timedelta, headers: Mapping[str, str], ca_file: Path | None, verify: bool
) -> Weight:
    """Fetch each, as a browser that takes compressed answers."""
    if not urls:
        return Weight(0, None, ("the page loads no script and no style of its own origin",))
    if len(urls) > MOST:
        return Weight(None, None, (f"the page loads {len(urls)} assets; more than {MOST} are not fetched",))
    taken = {"Accept-Encoding": "br, gzip", **headers}
    end = asyncio.get_running_loop().time() + timeout.total_seconds()
    slots = asyncio.Semaphore(_AT_ONCE)

    async def size(url: str) -> int | ProbeError | None:
        async with slots:
            left = max(end - asyncio.get_running_loop().time(), 0.001)
            try:
                reply = await fetch(
                    url,
                    timeout=timedelta(seconds=left),
                    headers=taken,
                    ca_file=ca_file,
                    verify=verify,
                    limit=_LARGEST,
                    keep=False,
                )
            except ProbeError as error:
                return error
        if reply.status != 200:
            return ProbeError(f"GET {url}: {reply.status}", fault="subject")
        return reply.wire_size

    sizes = await asyncio.gather(*(size(url) for url in urls))
    if asyncio.get_running_loop().time() >= end:
        return Weight(None, None, (f"not all of the {len(urls)} assets came in time",))
    errors = [one for one in sizes if isinstance(one, ProbeError)]
    counted = [one for one in sizes if isinstance(one, int)]
    notes = [safe(errors[0].message, 300)] if errors else []
    if len(counted) + len(errors) < len(sizes):
        notes.append(f"an asset is larger than {_LARGEST // 1024**2} MiB")
    return Weight(len(errors), sum(counted) if len(counted) == len(sizes) else None, tuple(notes))
