"""Sends a signal to the first process of a container, the way a crash does it. Knows no probe and no verdict.

Never through the engine's own kill: that suppresses the restart policy. From the engine's host the process is
signalled by its pid there; from inside the container it is asked, where the kernel lets nobody kill process 1.
"""

from __future__ import annotations

import os
import signal as signals
from datetime import timedelta
from pathlib import Path

from captain.blocking import Blocking
from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.containers import name_of
from captain.systems.docker import Document, Endpoint, Reader
from captain.systems.docker_exec import found_running, run_inside

SIGNALS = ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL", "STOP", "CONT", "ABRT", "SEGV")
_FROM_OUTSIDE = ("KILL", "STOP", "CONT")
"""What process 1 of a container never gets from inside."""
_MARGIN = 0.9


async def signal_container(
    blocking: Blocking, where: Endpoint, container: str, signal: str, *, pid: str | None, timeout: timedelta
) -> str:
    """Signal the first process of a running container, or of one running container of the service of that name.

    `pid` says whose: `host` by its pid on this machine, `container` from inside; None takes the host's where the
    engine is on this machine. Returns how it was done. Raises ProbeError where it was not.
    """
    seconds = timeout.total_seconds() * _MARGIN
    if pid != "container":
        done = await blocking(lambda: _from_host(where, container, signal, seconds, must=pid == "host"))
        if done is not None:
            return done
    if signal in _FROM_OUTSIDE:
        raise ProbeError(
            f"{signal} does not reach process 1 of {safe(container, 200)} from inside: the kernel keeps it away",
            hint="do it from the engine's host as root, or send TERM",
        )
    ended = await run_inside(blocking, where, container, ["sh", "-c", 'kill -"$1" 1', "sh", signal], timeout=timeout)
    if ended.finished.exit_code not in (0, 137, 143):
        said = safe(ended.finished.stderr.decode("utf-8", "replace").strip(), 200)
        raise ProbeError(f"{signal} to process 1 of {ended.container}: {said or 'kill did not work'}")
    return f"{signal} to process 1 in {ended.container}"


def _from_host(where: Endpoint, container: str, signal: str, seconds: float, *, must: bool) -> str | None:
    """None where the process is not this machine's and it need not be."""
    with Reader(where, seconds) as engine:
        found = found_running(engine, container)
    pid = int((found.get("State") or {}).get("Pid") or 0)
    if not where.url.startswith("unix://") or not _is_its(pid, found):
        if must:
            raise ProbeError(
                f"process {pid} of {name_of(found)} is not to be seen here: {where.name} is on another machine",
                hint="do it from the engine's host, or leave out pid",
            )
        return None
    try:
        os.kill(pid, getattr(signals, f"SIG{signal}"))
    except PermissionError as error:
        if not must and signal not in _FROM_OUTSIDE:
            return None
        hint = "do it as root on the engine's host"
        raise ProbeError(f"this user may not signal process {pid} of {name_of(found)}", hint=hint) from error
    except ProcessLookupError as error:
        raise ProbeError(f"process {pid} of {name_of(found)} ended before {signal}", fault="unclear") from error
    return f"{signal} to pid {pid} of {name_of(found)}"


def _is_its(pid: int, found: Document) -> bool:
    """Whether that process of this machine is the container's: the engine's pids may be another machine's."""
    if pid <= 1:
        return False
    ident = str(found["Id"])
    for name in ("cgroup", "mountinfo"):
        try:
            if ident in Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace"):
                return True
        except OSError:
            continue
    return False
