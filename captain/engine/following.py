"""What goes on beside the person's keys: other processes' entries, the lock's holder, the health of the log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from captain.engine import locks
from captain.events import LogHealth

if TYPE_CHECKING:
    from captain.engine.desk import Desk

EVERY = 1.0


async def follow(desk: Desk) -> None:
    """Look every second, until cancelled."""
    health = asyncio.create_task(_health(desk))
    version = await desk.on_log(desk.log.data_version)
    try:
        while True:
            await asyncio.sleep(EVERY)
            now = await desk.on_log(desk.log.data_version)
            if now != version:
                version = now
                await desk.catch_up()
            locks.look(desk)
    finally:
        health.cancel()


async def _health(desk: Desk) -> None:
    """Verify the whole log once in the background, then every new entry."""
    from captain.log.verify import verify, verify_from

    path = desk.log.path
    desk.publish(LogHealth("checking", 0))
    report = await desk.blocking(lambda: verify(path))
    while True:
        findings = [one for one in report.findings if one.severity == "finding"]
        state = {0: "intact", 1: "tampered"}.get(report.exit_code, "unreadable")
        desk.publish(LogHealth(state, report.entries, str(findings[0]) if findings else None))
        upto = report.upto
        if upto is None:
            return
        await _longer(desk, upto.seq)
        report = await desk.blocking(lambda upto=upto: verify_from(path, upto))  # type: ignore[misc]


async def _longer(desk: Desk, seq: int) -> None:
    """Until the log holds an entry behind `seq`; other processes write it too, so there is nothing to wait on."""
    while True:
        if await desk.on_log(desk.log.size) > seq:
            return
        await asyncio.sleep(EVERY)
