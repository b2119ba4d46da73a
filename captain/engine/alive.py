"""Whether a step that does more than read is still under way, by the captain that began it. Records nothing."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from captain.clock import boot_id
from captain.effects.processes import look
from captain.events import Recorded
from captain.run import Trial


def lives(intent: Recorded) -> bool:
    """Whether the captain that recorded this intent still runs, on this machine."""
    if intent.boot != boot_id():
        return False
    found = look(int(intent.data["pid"]))
    return found is not None and found.state != "Z" and intent.data["starttime"] in (None, found.starttime)


def own(intent: Recorded) -> bool:
    """Whether this process recorded it."""
    return int(intent.data["pid"]) == os.getpid() and lives(intent)


def alive_trials(trials: Iterable[Trial], mine: Collection[str]) -> frozenset[str]:
    """The ids of those under way; `mine` are the ones that this captain runs now."""
    left = [one for one in trials if one.end is None]
    return frozenset(one.id for one in left if one.id in mine or (lives(one.intent) and not own(one.intent)))


def identity() -> tuple[int, int | None]:
    """Pid and start time of this process, by which others find it."""
    found = look(os.getpid())
    return os.getpid(), None if found is None else found.starttime
