"""Whether a container that was made to crash is restarted, or replaced by its service. Judges nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from captain.blocking import Blocking
from captain.errors import ProbeError
from captain.systems.docker.containers import service_names
from captain.systems.docker.exec import found_running, runs
from captain.systems.docker.reader import Document, Endpoint, Reader

_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class Running:
    """The containers of a name, before one of them is made to crash."""

    name: str
    restarts: Mapping[str, int]
    """By the id of each that runs: how often it was restarted so far."""


async def running(blocking: Blocking, where: Endpoint, name: str, timeout: timedelta) -> Running:
    """What runs under the name of a container or service."""
    return await blocking(lambda: _running(where, name, timeout.total_seconds()))


def _running(where: Endpoint, name: str, seconds: float) -> Running:
    with Reader(where, seconds) as engine:
        found = found_running(engine, name)
        documents = [found]
        if str(found.get("Name") or "").removeprefix("/") != name and str(found["Id"]) != name:
            documents = _of_service(engine, name)
        return Running(name, {str(one["Id"]): int(one.get("RestartCount") or 0) for one in documents})


def _of_service(engine: Reader, name: str) -> list[Document]:
    listed = [one for one in engine.containers() if name in service_names(one.get("Labels") or {})]
    documents = [engine.container(str(one["Id"])) for one in listed if one.get("State") == "running"]
    return [one for one in documents if one is not None and runs(one)]


async def come_back(blocking: Blocking, where: Endpoint, before: Running, within: timedelta) -> bool:
    """Whether, in time, one of them was restarted or replaced and as many run as before.

    Raises ProbeError where the engine did not answer at the end.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + within.total_seconds()
    while True:
        left = max(end - loop.time(), 1.0)
        now, error = None, None
        try:
            now = await blocking(lambda left=left: _running(where, before.name, left))  # type: ignore[misc]
        except ProbeError as raised:
            error = raised
        if now is not None and restarted(before, now):
            return True
        if loop.time() + _EVERY >= end:
            if error is not None and error.fault == "instrument":
                raise error
            return False
        await asyncio.sleep(_EVERY)


def restarted(before: Running, now: Running) -> bool:
    """Whether something came back: restarted in place, or another in its place."""
    again = any(now.restarts.get(one, -1) > count for one, count in before.restarts.items())
    other = bool(now.restarts.keys() - before.restarts.keys())
    return (again or other) and len(now.restarts) >= len(before.restarts)
