"""What is known of an attempt: the crash matrix, read from its directory and the processes. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from captain.clock import boot_id
from captain.effects.processes import alive

Outcome = Literal["exited", "signalled", "timed_out", "cancelled"]

_OUTCOMES = ("exited", "signalled", "timed_out", "cancelled")
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing was started and, where the attempt was barred, nothing will be."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The directory is there, nobody claimed it. A shim may be about to: `bar` settles it."""


@dataclass(frozen=True, slots=True)
class Alive:
    """It runs."""

    pid: int | None
    """None in the moment before the program is there."""
    starttime: int | None
    boot: str
    supervised: bool = True
    """False where the shim was killed: the end will be seen, but not the exit code."""


@dataclass(frozen=True, slots=True)
class Done:
    """It ended, and this is how."""

    outcome: Outcome
    exit_code: int | None
    signal: str | None
    survivors: tuple[str, ...]
    """What was still running when the outcome was written: `sleep (pid 4711)`."""
    duration: timedelta
    truncated: bool
    """Whether output in the middle was let go."""
    error: str | None
    """Why it could not be started; exit_code is 126 or 127 then."""


@dataclass(frozen=True, slots=True)
class Lost:
    """It was started, does not run any more, and left no outcome: what it did is unknown."""

    why: str


State = Absent | Prepared | Alive | Done | Lost


def state(directory: Path) -> State:
    """What is known now. Raises nothing: files that cannot be read are files that say nothing."""
    if not directory.is_dir():
        return Absent()
    if (done := _read_done(directory)) is not None:
        return done
    started = read(directory, "started")
    if started is None:
        return Prepared()
    if started.get("barred") is True:
        return Absent()
    seen = _running(directory, started)
    if seen is not None:
        return seen
    # The shim may have written the outcome and ended between the two looks.
    return _read_done(directory) or Lost(_why_lost(directory, started))


def _read_done(directory: Path) -> Done | Lost | None:
    rc = read(directory, "rc")
    if rc is None:
        return None
    outcome, survivors = rc.get("outcome"), rc.get("survivors")
    if outcome not in _OUTCOMES or not isinstance(survivors, list):
        return Lost("its outcome cannot be read")
    return Done(
        outcome=outcome,
        exit_code=integer(rc, "exit_code"),
        signal=rc["signal"] if isinstance(rc.get("signal"), str) else None,
        survivors=tuple(str(name) for name in survivors),
        duration=timedelta(milliseconds=integer(rc, "duration_ms") or 0),
        truncated=rc.get("truncated") is True,
        error=rc["error"] if isinstance(rc.get("error"), str) else None,
    )


def read(directory: Path, name: str) -> dict[str, Any] | None:
    """The JSON mapping of one file of an attempt: None where it is not there, {} where it is no such thing."""
    try:
        value = json.loads((directory / name).read_bytes()[:_MAX_BYTES])
    except OSError:
        return None
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def integer(values: Mapping[str, Any], name: str) -> int | None:
    """A whole number of a mapping, None where there is none; true and false are none."""
    value = values.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _running(directory: Path, started: Mapping[str, Any]) -> Alive | None:
    boot = str(started.get("boot"))
    if not _same_boot(boot):
        return None
    known = read(directory, "pid") or {}
    pid, starttime = integer(known, "pid"), integer(known, "starttime")
    supervised = _alive(integer(started, "shim"), integer(started, "shim_starttime"))
    if supervised or _alive(pid, starttime):
        return Alive(pid, starttime, boot, supervised)
    return None


def _why_lost(directory: Path, started: Mapping[str, Any]) -> str:
    if not _same_boot(str(started.get("boot"))):
        return "the machine was restarted while it ran"
    if read(directory, "pid") is None:
        return "the process that was to run it ended before it said what it started"
    return "the process that ran it ended without an outcome"


def _same_boot(boot: str) -> bool:
    # Where the kernel has no boot id the stand-in may be off by a second, and start times are absolute anyway.
    return boot == boot_id() or (boot.startswith("boot-") and boot_id().startswith("boot-"))


def _alive(pid: int | None, starttime: int | None) -> bool:
    return pid is not None and starttime is not None and alive(pid, starttime)
