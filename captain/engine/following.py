"""What goes on beside the person's keys: other processes' entries, the lock's holder, the health of the log."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from captain.engine import attempts, locks, standing
from captain.errors import CaptainError, Refusal
from captain.events import LogHealth

if TYPE_CHECKING:
    from captain.engine.desk import Desk
    from captain.log.report import Upto

EVERY = 1.0
HEAD_EVERY = 5
"""Looks between two at the commit of a standing run."""


async def follow(desk: Desk) -> None:
    """Look every second, until cancelled. What cannot be read is said, and tried again."""
    health = asyncio.create_task(_health(desk))
    try:
        await _entries(desk)
    finally:
        health.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await health


async def _entries(desk: Desk) -> None:
    version: int | None = None
    looks = 1
    while True:
        try:
            now = await desk.on_log(desk.log.data_version)
            if now != version:
                await desk.catch_up()
                version = now
            locks.look(desk)
            if desk.run is not None:
                await attempts.look(desk)
                if desk.run.standing and not looks % HEAD_EVERY:
                    await standing.follow(desk)
            looks += 1
        except Refusal:
            # Somebody was faster; the next look shows what they did.
            version = None
        except CaptainError as error:
            version = None
            desk.publish(LogHealth("unreadable", 0, error.message))
        await asyncio.sleep(EVERY)


async def _health(desk: Desk) -> None:
    """Verify the whole log once in the background, then every new entry. Tampering stays said."""
    from captain.log.verify import verify, verify_from

    path = desk.log.path
    desk.publish(LogHealth("checking", 0))
    upto: Upto | None = None
    while True:
        known = upto
        report = await desk.own(lambda: verify(path) if known is None else verify_from(path, known))  # noqa: B023  # awaited at once
        desk.publish(LogHealth(report.state, report.entries, report.why))
        if report.tampered:
            return
        upto = report.upto
        await _longer(desk, report.entries)


async def _longer(desk: Desk, seq: int) -> None:
    """Until the log holds an entry behind `seq`; other processes write it too, so there is nothing to wait on."""
    while True:
        await asyncio.sleep(EVERY)
        with contextlib.suppress(CaptainError):
            # What cannot be read now is said by whoever reads the entries.
            if await desk.on_log(desk.log.size) != seq:
                return
