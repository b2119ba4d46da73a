"""Whether a step that does more than read is still under way, by the captain that began it. Records nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from captain.clock import boot_id
from captain.effects.processes import look
from captain.errors import Refusal
from captain.events import Recorded
from captain.run import Trial

if TYPE_CHECKING:
    from captain.engine.desk import Desk
    from captain.log.reader import Reader


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


def under_way(reader: Reader, here: tuple[str, str]) -> Iterable[Recorded]:
    """Intents of steps that are run now, by captains that live, for this service in this environment."""
    for intent in reader.by_type("step.intent", newest_first=True):
        if not lives(intent) or _ended(reader, intent):
            continue
        start = next(reader.by_type("run.start", run=intent.run), None)
        if start is not None and (start.data["service"], start.data["environment"]) == here:
            yield intent


def busy(intent: Recorded, environment: str) -> Refusal:
    """That something which does more than read is under way."""
    return Refusal(
        f"{intent.actor.name} runs {intent.data['step']} in {environment} since {intent.ts[11:19]} UTC",
        hint="wait for its end",
        exit_code=4,
    )


def no_drill(desk: Desk) -> Callable[[Reader], None]:
    """A check for inside an append: no drill runs in this environment, whoever began it."""
    here = (desk.target.service.service, desk.target.environment)

    def check(reader: Reader) -> None:
        drill = next((one for one in under_way(reader, here) if one.data["safety"] == "drill"), None)
        if drill is not None:
            raise busy(drill, here[1])

    return check


def _ended(reader: Reader, intent: Recorded) -> bool:
    results = reader.by_type("step.result", run=intent.run, after=intent.seq)
    return any(one.data["attempt"] == intent.data["attempt"] for one in results)
