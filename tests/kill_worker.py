"""A captain to be killed: walks a release, says what was acknowledged, and never ends by itself.

`python -m tests.kill_worker ROOT PHASE`; on stdout `ready`, then one line per committed entry.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from captain.clock import SystemClock
from captain.engine import Engine
from captain.events import Actor, Event, Recorded
from captain.loader import load
from captain.log.store import Log
from captain.settings import Settings

VERSION = "1.5.0"


def acknowledge(event: Event) -> None:
    if isinstance(event, Recorded):
        print(event.id, flush=True)


async def main(root: Path, phase: str) -> None:
    settings = Settings(root / "state" / "log.sqlite")
    actor = Actor("karen@example.com", "flag", "karen", 1000, "testhost")
    target = load("deploy", "staging", cwd=root)
    log = Log.open(settings.log, clock=SystemClock(), actor=actor)
    environ = {"PATH": os.environ["PATH"], "HOME": str(root)}
    engine = Engine(target, log, settings=settings, actor=actor, publish=acknowledge, environ=environ)
    await engine.open(VERSION)
    request = engine.trust()
    if request is not None:
        await engine.accept(request.digest)
    if phase == "measuring":
        print("ready", flush=True)
        while True:
            await engine.measure_section("pre")
    await engine.measure_section("pre")
    await engine.sign("on-call-told", "approve", "told")
    if phase == "action":
        print("ready", flush=True)
    await engine.gate("pre", "go")
    await engine.act("roll-out")
    if phase == "rollback":
        await engine.gate("deploy", "go")
        plan = await engine.plan_rollback()
        print("ready", flush=True)
        await engine.roll_back(plan)
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
