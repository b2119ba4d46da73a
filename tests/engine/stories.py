"""Short ways through a release over the shop, and a look at what came of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from captain.engine import Engine
from captain.events import Actor
from captain.log.verify import verify
from captain.run import fold
from captain.run.status import Status, status
from tests.shop import Shop

KAREN = Actor("karen@example.com", "flag", "karen", 1000, "testhost")
BOB = Actor("bob@example.com", "flag", "bob", 1000, "testhost")


@contextlib.asynccontextmanager
async def captain(shop: Shop, version: str | None = "1.5.0", **keys: Any) -> AsyncIterator[Engine]:
    """An engine with an open run, its commands accepted; closed at the end, with nothing left behind."""
    before = asyncio.all_tasks()
    engine = shop.engine(**keys)
    try:
        if version is not None:
            await engine.open(version)
            await accepted(engine)
        yield engine
    finally:
        run = engine.run
        await engine.close()
    # What was cancelled may need a few turns of the loop to end; what is there after half a second stays.
    for _ in range(50):
        running = [task for task in asyncio.all_tasks() - before if not task.done()]
        left = [task for task in running if "/captain/" in repr(task.get_stack())]
        if not left:
            break
        await asyncio.sleep(0.01)
    assert left == [], "tasks were left behind"
    if run is not None:
        with shop.log(read_only=True) as log:
            replayed = fold(log.entries(run=run.id))
            assert replayed is not None
            assert replayed.entries >= run.entries
            if replayed.entries == run.entries:
                assert replayed == run, "live and replayed differ"
    assert verify(shop.settings.log).exit_code == 0


async def accepted(engine: Engine) -> None:
    request = engine.trust()
    if request is not None:
        await engine.accept(request.digest)


def found(engine: Engine, step: str) -> Status:
    view = engine.view()
    at = view.step(step)
    assert at is not None
    return status(view, at[1])


async def to_deploy(engine: Engine, **keys: Any) -> None:
    """Through the pre section of the shop's checklist."""
    await engine.measure_section("pre")
    await engine.sign("on-call-told", "approve", "told them")
    await engine.gate("pre", "go", **keys)


async def until(what: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for something, looking often."""
    for _ in range(int(seconds / 0.02)):
        if what():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen in time")


def types(shop: Shop, *names: str) -> list[str]:
    return [event.type for event in shop.recorded(*names)]
