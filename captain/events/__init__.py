"""The one vocabulary of what happens, for log, screen, exports and JSON.

A `Recorded` event is an entry of the log; only these change a Run. A `Passing` event is drawn and forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from captain.clock import parse_stamp
from captain.identity import Actor

__all__ = [
    "Actor",
    "Asked",
    "Asking",
    "Draft",
    "Event",
    "Holding",
    "LockSeen",
    "LogHealth",
    "Output",
    "Passing",
    "Recorded",
    "Running",
    "Stopped",
    "decode",
]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One entry of the log, decoded from the bytes that were committed."""

    seq: int
    id: str
    ts: str
    """Wall clock of the writing host, `2026-11-23T14:02:07.123456Z`. A claim; order is `seq`."""
    mono: int
    """Monotonic milliseconds of that boot."""
    boot: str
    actor: Actor
    type: str
    run: str
    """The run it belongs to, or ""."""
    data: Mapping[str, Any]
    """As the table of `events.shapes` says."""

    @property
    def at(self) -> datetime:
        """`ts` as a moment."""
        return parse_stamp(self.ts)


def decode(body: str) -> Recorded:
    """The event of a stored body. Raises ValueError, KeyError or TypeError for anything else."""
    raw = json.loads(body)
    actor = raw["actor"]
    return Recorded(
        seq=raw["seq"],
        id=raw["id"],
        ts=raw["ts"],
        mono=raw["mono"],
        boot=raw["boot"],
        actor=Actor(actor["name"], actor["source"], actor["login"], actor["uid"], actor["host"], actor["key"]),
        type=raw["type"],
        run=raw["run"],
        data=raw["data"],
    )


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry to be appended: what the writer knows before the log gives it a place."""

    type: str
    run: str
    data: Mapping[str, Any]


class Passing:
    """Something to draw now. Never recorded, never folded."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Asking(Passing):
    """A step is being measured."""

    step: str
    attempt: int
    """From 1."""
    attempts: int
    """How many there may be."""


@dataclass(frozen=True, slots=True)
class Asked(Passing):
    """A step's measuring ended, with a result, an error or a cancellation. Always follows `Asking`."""

    step: str


@dataclass(frozen=True, slots=True)
class Holding(Passing):
    """A hold is counting."""

    step: str
    held_ms: int
    of_ms: int


@dataclass(frozen=True, slots=True)
class Output(Passing):
    """A line that a running action or rollback part printed."""

    attempt: str
    stream: str
    """stdout or stderr."""
    text: str
    """Masked, not yet made displayable."""
    at_ms: int
    """Since the attempt's start."""


@dataclass(frozen=True, slots=True)
class Running(Passing):
    """An attempt is alive."""

    attempt: str
    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class LogHealth(Passing):
    """What the background verification of the log has found so far."""

    state: str
    """checking, intact, tampered or unreadable."""
    entries: int
    why: str | None = None


@dataclass(frozen=True, slots=True)
class LockSeen(Passing):
    """Who holds the environment's lock, as the lock file says."""

    holder: str | None
    since: str | None
    mine: bool


@dataclass(frozen=True, slots=True)
class Stopped(Passing):
    """The engine can no longer record: nothing further is done, and this is why."""

    why: str


Event = Recorded | Passing
