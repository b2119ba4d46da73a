"""Sends a signal to the first process of a container, the way a crash does it. Knows no probe and no verdict.

Never through the engine's own kill: that suppresses the restart policy. From the engine's host the process is
signalled by its pid there; from inside the container it is asked, where the kernel lets nobody kill process 1.
"""

from __future__ import annotations

import asyncio
import os
import signal as signals
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from captain.blocking import Blocking
from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.docker.containers import name_of
from captain.systems.docker.exec import found_running, run_inside
from captain.systems.docker.reader import Endpoint, Reader

_FROM_OUTSIDE = ("KILL", "STOP", "CONT")
"""What process 1 of a container never gets from inside."""
_MARGIN = 0.9
_ENDS = 30.0
"""Seconds that a process has to end by a signal."""
_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Process:
    """The first process of a container."""

    container: str
    """The container's id."""
    name: str
    pid: int
    """On the engine's host."""


async def signal_container(
    blocking: Blocking,
    where: Endpoint,
    container: str,
    signal: str,
    *,
    pid: str | None,
    ends: bool,
    timeout: timedelta,
) -> str:
    """Signal the first process of a running container, or of one running container of the service of that name.

    `pid` says whose: `host` by its pid on this machine, `container` from inside; None takes the host's where the
    engine is on this machine. With `ends` it is waited until the process is gone: one that ignores the signal did not
    crash. Returns how it was done. Raises ProbeError where it was not.
    """
    seconds = timeout.total_seconds() * _MARGIN
    process = await blocking(lambda: _first(where, container, seconds))
    how = await _sent(blocking, where, process, signal, pid, timeout)
    if ends:
        await _gone(blocking, where, process, signal, seconds)
    return how


async def _sent(
    blocking: Blocking, where: Endpoint, process: Process, signal: str, pid: str | None, timeout: timedelta
) -> str:
    if pid != "container" and _from_host(where, process, signal, must=pid == "host"):
        return f"{signal} to pid {process.pid} of {process.name}"
    if signal in _FROM_OUTSIDE:
        raise ProbeError(
            f"{signal} does not reach process 1 of {process.name} from inside: the kernel keeps it away",
            hint="do it from the engine's host as root, or send TERM",
        )
    ended = await run_inside(
        blocking, where, process.container, ["sh", "-c", 'kill -"$1" 1', "sh", signal], timeout=timeout
    )
    if ended.finished.exit_code not in (0, 137, 143):
        said = safe(ended.finished.stderr.decode("utf-8", "replace").strip(), 200)
        raise ProbeError(f"{signal} to process 1 of {ended.container}: {said or 'kill did not work'}")
    return f"{signal} to process 1 in {ended.container}"


def _first(where: Endpoint, container: str, seconds: float) -> Process:
    with Reader(where, seconds) as engine:
        found = found_running(engine, container)
    return Process(str(found["Id"]), name_of(found), int((found.get("State") or {}).get("Pid") or 0))


def _from_host(where: Endpoint, process: Process, signal: str, *, must: bool) -> bool:
    """Whether it was signalled; False where the process is not this machine's and it need not be."""
    if not where.url.startswith("unix://") or not is_its(process.pid, process.container):
        if must:
            raise ProbeError(
                f"process {process.pid} of {process.name} is not to be seen here: {where.name} is on another machine",
                hint="do it from the engine's host, or leave out pid",
            )
        return False
    try:
        os.kill(process.pid, getattr(signals, f"SIG{signal}"))
    except PermissionError as error:
        if not must and signal not in _FROM_OUTSIDE:
            return False
        hint = "do it as root on the engine's host"
        raise ProbeError(f"this user may not signal process {process.pid} of {process.name}", hint=hint) from error
    except ProcessLookupError as error:
        raise ProbeError(f"process {process.pid} of {process.name} ended before {signal}", fault="unclear") from error
    return True


async def _gone(blocking: Blocking, where: Endpoint, process: Process, signal: str, seconds: float) -> None:
    """Wait until the process has ended. Raises ProbeError where it goes on."""
    loop = asyncio.get_running_loop()
    end = loop.time() + min(seconds, _ENDS)
    while True:
        if await blocking(lambda: _ended(where, process, max(end - loop.time(), 1.0))):
            return
        if loop.time() + _EVERY > end:
            raise ProbeError(f"{signal} did not end process 1 of {process.name}: nothing crashed", fault="unclear")
        await asyncio.sleep(_EVERY)


def _ended(where: Endpoint, process: Process, seconds: float) -> bool:
    with Reader(where, seconds) as engine:
        found = engine.container(process.container)
    state = (found or {}).get("State") or {}
    return found is None or not state.get("Running") or int(state.get("Pid") or 0) != process.pid


def is_its(pid: int, ident: str) -> bool:
    """Whether that process of this machine is the container's: the engine's pids may be another machine's."""
    if pid <= 1:
        return False
    for name in ("cgroup", "mountinfo"):
        try:
            if ident in Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace"):
                return True
        except OSError:
            continue
    return False
