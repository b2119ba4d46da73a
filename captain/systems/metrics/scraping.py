"""Scrapes a service's metrics, several times, and says what changed between the scrapes. Knows no verdict."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from captain.blocking import Blocking
from captain.errors import ProbeError
from captain.http import Reply, fetch
from captain.safe import safe
from captain.systems.metrics.exposition import Exposition, Selector, fallen, parse

LIMIT = 4 * 1024 * 1024
"""Bytes of one scrape."""
_READING = timedelta(milliseconds=50)
_TEXT = re.compile(r"text/plain\b|application/openmetrics-text\b", re.IGNORECASE)
_ACCEPT = {"text": "text/plain;version=0.0.4", "openmetrics": "application/openmetrics-text;version=1.0.0"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the metrics are, and how they are asked for."""

    url: str
    headers: Mapping[str, str]
    ca_file: Path | None
    verify: bool
    format: str
    wanted: Sequence[Selector]
    labels: Sequence[str]
    """Labels whose values are kept."""


@dataclass(slots=True)
class Scrapes:
    """What the scrapes of one measurement came to."""

    status: int = 0
    """Of the last one."""
    content_type: str = ""
    slowest: timedelta = timedelta(0)
    count: int = 0
    """Scrapes that were read."""
    last: Exposition | None = None
    body: str = ""
    size: int | None = None
    fallen: set[str] = field(default_factory=set)
    """Counters that went down or vanished between two scrapes."""
    started: set[float] = field(default_factory=set)
    """Start times of the processes that answered."""
    errors: list[str] = field(default_factory=list)
    why: str = ""
    """Why the last scrape was not read; "" where it was."""

    @property
    def content_type_ok(self) -> bool:
        return _TEXT.match(self.content_type) is not None


class Scraper:
    """One service, under one deadline."""

    def __init__(self, place: Place, timeout: timedelta, blocking: Blocking) -> None:
        self._place = place
        self._blocking = blocking
        self._deadline = time.monotonic() + timeout.total_seconds()
        self.seen = Scrapes()

    @property
    def left(self) -> timedelta:
        """What is left of the time."""
        return timedelta(seconds=max(self._deadline - time.monotonic(), 0.001))

    @property
    def has_time(self) -> bool:
        """Whether another scrape as slow as the slowest so far would end in time."""
        return self.left > 1.5 * self.seen.slowest + _READING

    async def scrape(self) -> bool:
        """Once. False where there is nothing more to learn: not answered as it should, or not readable."""
        place, seen = self._place, self.seen
        reply = await fetch(
            place.url,
            timeout=self.left,
            headers={"Accept": _ACCEPT[place.format], **place.headers},
            ca_file=place.ca_file,
            verify=place.verify,
            limit=LIMIT,
        )
        seen.status, seen.content_type = reply.status, reply.headers.get("content-type", "")
        seen.slowest = max(seen.slowest, reply.latency)
        seen.why = _unreadable(reply)
        if seen.why:
            return False
        openmetrics = seen.content_type.lower().startswith("application/openmetrics-text")
        try:
            found = await self._blocking(
                lambda: parse(
                    reply.body,
                    openmetrics=openmetrics,
                    deadline=self._deadline,
                    wanted=place.wanted,
                    labels=place.labels,
                )
            )
        except ProbeError as error:
            raise ProbeError(f"GET {reply.url}: {error.message}", fault=error.fault) from error
        if seen.last is not None:
            seen.fallen.update(fallen(seen.last, found))
        if found.started is not None:
            seen.started.add(found.started)
        seen.body, seen.size = reply.body.decode("utf-8", "replace"), len(reply.body)
        seen.last, seen.count, seen.errors = found, seen.count + 1, seen.errors or found.errors
        return not found.errors

    async def pause(self, every: timedelta) -> None:
        """Until the next scrape, as far as there is time."""
        await asyncio.sleep(min(every, self.left).total_seconds())


def _unreadable(reply: Reply) -> str:
    if reply.status != 200:
        where = f" and points to {safe(reply.redirect_to.partition('?')[0], 100)}" if reply.redirect_to else ""
        return f"answers {reply.status}{where}"
    if reply.truncated:
        return f"more than {LIMIT // 1024**2} MiB came back: nothing is counted in a part"
    if reply.undecoded is not None:
        return f"the body came as {reply.undecoded}, which captain does not decode"
    return ""
