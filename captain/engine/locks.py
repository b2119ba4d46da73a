"""Takes and gives back the environment's lock, with the log entry whose number is the fence."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from captain.clock import boot_id, stamp
from captain.errors import Refusal
from captain.events import Draft, LockSeen
from captain.lock import Holder
from captain.run import fold

if TYPE_CHECKING:
    from captain.engine.desk import Desk
    from captain.log.reader import Reader

TRIES = 10
PAUSE = 0.05
"""Whoever looks at the lock file holds it shared for a moment: that is not a holder."""


async def take(desk: Desk, reason: str) -> bool:
    """Hold the lock. True when it was taken now, False when it was held already.

    Raises Refusal (exit 4) naming the holder, or another run that left its deploy section open.
    """
    if desk.lock.held:
        return False
    run = desk.open_run()
    now = stamp(desk.clock.now())
    holder = Holder(desk.actor.name, desk.actor.host, os.getpid(), boot_id(), now, run.id, 0)
    if not await _acquire(desk, holder):
        seen = desk.lock.holder()
        look(desk)
        raise Refusal(
            f"{run.service} in {run.environment} is held by {seen or 'somebody who just came'}",
            hint="measuring, signing and reading still work",
            exit_code=4,
        )
    data = {
        "service": run.service,
        "environment": run.environment,
        "pid": os.getpid(),
        "reason": reason,
    }

    def nobody_else(reader: Reader) -> None:
        other = left_open(reader, run.service, run.environment, run.id)
        if other is not None:
            raise Refusal(
                f"{other} left its deployment open and nobody holds it",
                hint="resume, abort or roll it back first",
                exit_code=4,
            )

    try:
        recorded = await desk.record(Draft("lock.acquire", run.id, data), check=nobody_else)
    except BaseException:
        desk.lock.release()
        raise
    desk.fence = recorded[-1].seq
    desk.lock.acquire(Holder(desk.actor.name, desk.actor.host, os.getpid(), boot_id(), now, run.id, desk.fence))
    look(desk)
    return True


async def _acquire(desk: Desk, holder: Holder) -> bool:
    for _ in range(TRIES):
        if desk.lock.acquire(holder):
            return True
        seen = desk.lock.holder()
        if seen is not None and seen.pid:
            return False
        await asyncio.sleep(PAUSE)
    return False


def left_open(reader: Reader, service: str, environment: str, but: str) -> str | None:
    """Another run whose deploy section is open by its entries, whether or not anybody holds the lock."""
    for taken in reader.by_type("lock.acquire", newest_first=True):
        if (taken.data["service"], taken.data["environment"]) != (service, environment):
            continue
        if taken.run == but:
            return None
        # Whoever took the lock last found every earlier run closed, so only the last one can be open.
        other = fold(reader.entries(run=taken.run))
        return taken.run if other is not None and other.bars_others else None
    return None


def fenced(desk: Desk) -> Callable[[Reader], None]:
    """A check for inside an append: refuse when another captain took the environment since."""

    def check(reader: Reader) -> None:
        for newest in reader.by_type("lock.acquire", "lock.take", newest_first=True):
            if newest.type == "lock.acquire" and (newest.data["service"], newest.data["environment"]) != (
                desk.target.service.service,
                desk.target.environment,
            ):
                continue
            if newest.seq == desk.fence:
                return
            break
        raise Refusal("another captain took the environment over: nothing was recorded", exit_code=4)

    return check


async def give_back(desk: Desk) -> None:
    """Release the lock, with its entry where one can still be written."""
    if not desk.lock.held:
        return
    try:
        if desk.stopped is None and desk.run is not None:
            await desk.record(Draft("lock.release", desk.run.id, {"of": desk.fence}))
    finally:
        desk.lock.release()
        desk.fence = 0
        look(desk)


def look(desk: Desk) -> None:
    """See who holds the lock now and tell the faces when it changed."""
    holder = desk.lock.holder()
    mine = desk.lock.held
    seen = LockSeen(
        None
        if holder is None
        else f"{holder.name} (pid {holder.pid} on {holder.host}) since {holder.since[11:19]} UTC",
        None if holder is None else holder.since,
        mine,
    )
    if seen != desk.lock_seen:
        desk.lock_seen = seen
        desk.publish(seen)
