"""One attempt at an effect: starts it so that it outlives captain, and says afterwards what is known of it.

Knows directories and processes, no steps and no log. The order that makes it at most once: `prepare` (directory
and spec on disk) → `start` (the shim claims `started`, once) → the shim writes `pid`, later `rc`. What the files
hold is raw: mask it before it is shown or stored, and `remove` the directory once the outcome is in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import captain
from captain.clock import boot_id
from captain.effects import ATTEMPT_DIRECTORY, spool
from captain.effects.outcome import Absent, Alive, Done, Lost, Outcome, Prepared, State, integer, read, state
from captain.errors import ProgramError

__all__ = [
    "GRACE",
    "Absent",
    "Alive",
    "Done",
    "Lost",
    "Outcome",
    "Prepared",
    "Spec",
    "Started",
    "State",
    "bar",
    "prepare",
    "remove",
    "request_stop",
    "start",
    "state",
    "stop",
    "wait",
]

Stream = Literal["stdout", "stderr"]

GRACE = timedelta(seconds=10)
_START_WAIT = 10.0
_POLL = 0.2
_PACKAGE_ROOT = Path(captain.__file__).parent.parent
# Its own modules come last on the path: nothing beside them may stand in for the standard library.
_SHIM = "import sys; sys.path.append(sys.argv[1]); from captain.effects.shim import main; main(sys.argv[2])"
# What a Python with a shared library of its own needs to start at all.
_SHIM_NAMES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True)
class Spec:
    """What to start."""

    argv: tuple[str, ...]
    """The first element is an absolute path."""
    cwd: Path
    env: Mapping[str, str]
    timeout: timedelta
    grace: timedelta = GRACE
    """Between TERM and KILL."""


@dataclass(frozen=True, slots=True)
class Started:
    """The program as it was started; pid and starttime are None where it ended (or failed) before it had any."""

    pid: int | None
    starttime: int | None
    boot: str


def prepare(directory: Path, spec: Spec) -> None:
    """Make the directory (0700) with everything the shim needs, on disk. Starts nothing.

    Raises ProgramError where the directory exists already or cannot be written.
    """
    if not spec.argv or not spec.argv[0].startswith("/"):
        raise ProgramError("an attempt needs the absolute path of its program")
    plain = {
        "argv": [str(directory.absolute()) if part == ATTEMPT_DIRECTORY else part for part in spec.argv],
        "cwd": str(spec.cwd.absolute()),
        "env": dict(spec.env),
        "timeout_ms": _milliseconds(spec.timeout),
        "grace_ms": _milliseconds(spec.grace),
        "boot": boot_id(),
    }
    try:
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.mkdir(mode=0o700)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            spool.reserve(handle)
            spool.write(handle, "spec.json", json.dumps(plain))
        finally:
            os.close(handle)
        _sync(directory.parent)
    except FileExistsError as error:
        raise ProgramError(f"the attempt {directory.name} exists already: it is never started twice") from error
    except OSError as error:
        raise ProgramError(f"cannot write {directory}: {error.strerror}", hint="nothing was started") from error


async def start(directory: Path) -> Started:
    """Start the shim and wait until the program runs or failed to. Cancelling does not stop what was started.

    Raises ProgramError only where nothing was started and nothing will be.
    """
    if not isinstance(state(directory), Prepared) or not (directory / "spec.json").exists():
        raise ProgramError(f"the attempt {directory.name} is not fresh: it is never started twice")
    process = _spawn(directory)
    deadline = asyncio.get_running_loop().time() + _START_WAIT
    try:
        while True:
            seen = state(directory)
            if isinstance(seen, Alive) and seen.pid is not None:
                return Started(seen.pid, seen.starttime, seen.boot)
            if isinstance(seen, Absent):
                raise ProgramError(f"the attempt {directory.name} was barred", hint="nothing was started")
            if isinstance(seen, Done | Lost):
                known = read(directory, "pid") or {}
                return Started(integer(known, "pid"), integer(known, "starttime"), boot_id())
            late = asyncio.get_running_loop().time() > deadline
            if (late or process.poll()) and bar(directory):
                raise ProgramError("the process that runs actions did not start", hint="nothing was started")
            if late:
                return Started(None, None, boot_id())
            await asyncio.sleep(0.005)
    finally:
        # Reaping it here keeps captain free of zombies.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=2)


def _spawn(directory: Path) -> subprocess.Popen[bytes]:
    """The shim's first process: it forks and ends at once."""
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _SHIM, str(_PACKAGE_ROOT), str(directory.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env={name: os.environ[name] for name in _SHIM_NAMES if name in os.environ},
        )
    except OSError as error:
        raise ProgramError(f"cannot start {sys.executable}: {error.strerror}", hint="nothing was started") from error


def bar(directory: Path) -> bool:
    """Settle that a prepared attempt never starts. False where its shim was faster, or it cannot be written."""
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        barred = spool.claim(handle, {"barred": True})
    except OSError:
        return False
    finally:
        os.close(handle)
    if barred:
        with contextlib.suppress(OSError):
            (directory / "spec.json").unlink()
    return barred


async def wait(directory: Path, *, every: float = _POLL) -> Absent | Prepared | Done | Lost:
    """Until nothing of it runs any more; at once for one that does not run. Looks every so many seconds."""
    while True:
        seen = state(directory)
        if not isinstance(seen, Alive):
            return seen
        await asyncio.sleep(every)


def request_stop(directory: Path) -> None:
    """Ask for the end of the whole tree: TERM, the grace period, KILL. `wait` tells when it is over.

    Where the shim is gone, the program's group gets TERM from here, and nobody follows up: see `stop`.
    """
    with contextlib.suppress(OSError):
        (directory / "stop").touch(mode=0o600)
    _signal_unsupervised(directory, signal.SIGTERM)


async def stop(directory: Path, *, grace: timedelta = GRACE) -> Absent | Prepared | Done | Lost:
    """Stop it and wait for the outcome, also where its shim is gone."""
    request_stop(directory)
    try:
        async with asyncio.timeout(grace.total_seconds()):
            return await wait(directory)
    except TimeoutError:
        _signal_unsupervised(directory, signal.SIGKILL)
    return await wait(directory)


def remove(directory: Path) -> None:
    """Delete everything about an attempt that is over. Raises ProgramError while it runs."""
    if isinstance(state(directory), Alive):
        raise ProgramError(f"the attempt {directory.name} still runs")
    shutil.rmtree(directory, ignore_errors=True)


def _signal_unsupervised(directory: Path, number: signal.Signals) -> None:
    seen = state(directory)
    if isinstance(seen, Alive) and not seen.supervised and seen.pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(seen.pid, number)
            os.killpg(seen.pid, signal.SIGCONT)


def _milliseconds(duration: timedelta) -> int:
    return max(round(duration / timedelta(milliseconds=1)), 1)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
