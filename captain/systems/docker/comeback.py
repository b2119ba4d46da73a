"""Whether a container that was made to crash is restarted, or replaced by its service, and then stays. Judges nothing.

Restarts are counted and not looked for: what crashes again between two looks would be running at both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from captain.blocking import Blocking
from captain.errors import ProbeError
from captain.systems.docker.containers import Health, has_check, health
from captain.systems.docker.meant import meant
from captain.systems.docker.reader import Document, Endpoint, Reader

STEADY = timedelta(seconds=3)
"""How long what came back has to run on: what crashes at its start does so within a second or two."""
_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class Running:
    """The containers of a name at one moment."""

    name: str
    restarts: Mapping[str, int]
    """By the id of each that runs: how often it was restarted so far."""
    health: tuple[Health | None, ...] = ()
    """Of each: None where nothing checks it."""

    @property
    def unhealthy(self) -> bool:
        """Whether one of them is."""
        return "unhealthy" in self.health

    @property
    def starting(self) -> bool:
        """Whether the check of one of them has not said anything yet: the first says so after 30 s by default."""
        return "starting" in self.health


async def running(blocking: Blocking, where: Endpoint, name: str, timeout: timedelta) -> Running:
    """What runs under the name of a container or service. Raises ProbeError, fault `unclear`, where nothing does."""
    return await blocking(lambda: _running(where, name, timeout.total_seconds()))


async def standing(blocking: Blocking, where: Endpoint, name: str, timeout: timedelta) -> Running:
    """What runs under that name, which may be nothing."""
    try:
        return await running(blocking, where, name, timeout)
    except ProbeError as error:
        if error.fault != "unclear":
            raise
        return Running(name, {})


def _running(where: Endpoint, name: str, seconds: float) -> Running:
    with Reader(where, seconds) as engine:
        found = meant(engine, name)
    restarts = {str(one["Id"]): int(one.get("RestartCount") or 0) for one in found}
    return Running(name, restarts, tuple(_health(one) for one in found))


def _health(document: Document) -> Health | None:
    return health(document) if has_check(document) else None


async def come_back(
    blocking: Blocking, where: Endpoint, before: Running, within: timedelta, steady: timedelta = STEADY
) -> timedelta | None:
    """After how long one of them was restarted or replaced, with as many running as before, and stayed so for the
    steady time and until each that has a check is healthy. None where that did not begin in time.

    Raises ProbeError where the engine did not answer at the end. Waits as long as a check has not said anything.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    end, hold = began + within.total_seconds(), steady.total_seconds()
    since: float | None = None
    then = before
    while True:
        asked, error = loop.time(), None
        try:
            left = timedelta(seconds=max(end + hold - asked, 1.0))
            now = await standing(blocking, where, before.name, left)
            if not restarted(before, now) or now.unhealthy:
                since = None
            elif since is None or now.restarts != then.restarts:
                since, then = (loop.time(), now) if asked <= end else (None, now)
            elif asked >= since + hold and not now.starting:
                return timedelta(seconds=since - began)
        except ProbeError as raised:
            error = raised
        if loop.time() + _EVERY >= end if since is None else (error is not None and asked >= since + hold):
            if error is not None:
                raise error
            return None
        await asyncio.sleep(_EVERY)


def restarted(before: Running, now: Running) -> bool:
    """Whether something came back: restarted in place, or another in its place."""
    again = any(now.restarts.get(one, -1) > count for one, count in before.restarts.items())
    other = bool(now.restarts.keys() - before.restarts.keys())
    return (again or other) and len(now.restarts) >= len(before.restarts)
