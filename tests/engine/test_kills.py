"""captain is killed at any moment: nothing acknowledged is lost, nothing starts twice, the unknown is called that."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from captain.engine import Engine
from captain.log.verify import verify
from captain.run.status import status
from tests.shop import Shop

ALL = os.environ.get("CAPTAIN_TEST_REQUIRE") == "all"
ROUNDS = {"measuring": 15, "action": 20, "rollback": 15} if ALL else {"measuring": 3, "action": 4, "rollback": 4}
SPAN = {"measuring": 0.4, "action": 1.2, "rollback": 1.0}
"""Seconds after `ready` within which the kill falls."""
SEEDS = [(phase, seed) for phase, rounds in ROUNDS.items() for seed in range(rounds)]


def kill_at_random(shop: Shop, phase: str, seed: int) -> list[str]:
    """Run the worker, kill it somewhere, and return the ids it had acknowledged."""
    root = Path(__file__).parents[2]
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.kill_worker", str(shop.root), phase],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    assert worker.stderr is not None
    acked: list[str] = []
    for line in worker.stdout:
        if line.strip() == "ready":
            break
        acked.append(line.strip())
    else:
        raise AssertionError(worker.stderr.read())
    time.sleep(random.Random(f"{phase}-{seed}").uniform(0, SPAN[phase]))
    worker.send_signal(signal.SIGKILL)
    rest, _ = worker.communicate(timeout=10)
    # A line cut in the middle was not acknowledged.
    acked += [line for line in rest.splitlines() if len(line) == 26]
    return acked


async def settled(engine: Engine) -> None:
    """Until everything the resumed captain follows has come to an end."""
    for _ in range(300):
        if not engine.view().alive and not engine.view().asking and not engine.busy:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the resumed captain still follows something")


@pytest.mark.parametrize(("phase", "seed"), SEEDS)
async def test_a_killed_captain_resumes_and_starts_nothing_twice(shop: Shop, phase: str, seed: int) -> None:
    (shop.root / "delay").write_text("0.25")
    acked = kill_at_random(shop, phase, seed)

    engine = shop.engine()
    await engine.resume("shop-staging-1.5.0")
    await settled(engine)
    view = engine.view()
    for _, step in view.target.checklist.steps():
        found = status(view, step)
        assert found.message
        if found.attempt is not None and found.attempt.finished is None:
            assert found.verdict.value == "unknown"
    assert len([one for one in shop.effects if one == "1.5.0"]) <= 1, f"seed {phase}-{seed}"
    if phase == "rollback" and not view.run.ended:
        await engine.roll_back(await engine.plan_rollback())
        assert engine.run is not None
        assert engine.run.state == "rolled_back", f"seed {phase}-{seed}"
    if phase == "rollback":
        assert shop.effects == ["1.5.0", "1.4.0"], f"seed {phase}-{seed}"
        assert shop.current == "1.4.0"
    await engine.close()

    known = {event.id for event in shop.recorded()}
    assert set(acked) <= known, f"seed {phase}-{seed}: acknowledged entries are gone"
    report = verify(shop.settings.log)
    assert report.exit_code == 0, f"seed {phase}-{seed}: {report.findings}"
