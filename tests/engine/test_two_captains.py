"""Two people, one release: who holds the lock deploys, everybody measures, reads and signs, and nothing is lost."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from captain.clock import SystemClock
from captain.errors import Refusal
from captain.events import Draft, Recorded
from captain.log.store import Log
from captain.log.verify import verify
from tests.engine.stories import BOB, KAREN, accepted, captain, found, to_deploy, types, until
from tests.shop import Shop

WORKER = """
import asyncio, os, sys
from pathlib import Path
from captain.clock import SystemClock
from captain.engine import Engine
from captain.errors import CaptainError
from captain.events import Actor
from captain.loader import load
from captain.log.store import Log
from captain.settings import Settings

async def main(root, me):
    settings = Settings(root / "state" / "log.sqlite")
    actor = Actor(me, "flag", me, 1000, "testhost")
    log = Log.open(settings.log, clock=SystemClock(), actor=actor)
    target = load("deploy", "staging", cwd=root)
    environ = {"PATH": os.environ["PATH"], "HOME": str(root)}
    engine = Engine(target, log, settings=settings, actor=actor, publish=lambda event: None, environ=environ)
    await engine.resume("shop-staging-1.5.0")
    for number in range(4):
        await engine.measure_section("pre")
        await engine.sign("on-call-told", "approve", f"{me} {number}")
        await engine.note(f"{me} {number}")
    print("ready", flush=True)
    while not (root / "go").exists():
        await asyncio.sleep(0.01)
    try:
        await engine.gate("pre", "go")
        print("opened", flush=True)
    except CaptainError as error:
        print("refused", error.message, flush=True)
    await asyncio.sleep(1)
    await engine.close()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


async def test_the_second_captain_is_told_who_holds_it_and_may_still_measure_and_sign(shop: Shop) -> None:
    async with captain(shop) as karen:
        await to_deploy(karen)
        bob = shop.engine(actor=BOB)
        await bob.resume("shop-staging-1.5.0")
        for attempt in (bob.act("roll-out"), bob.gate("deploy", "go"), bob.abort("enough"), bob.reopen("pre", "why")):
            with pytest.raises(Refusal, match=r"held by karen@example.com \(pid \d+ on testhost\) since") as refused:
                await attempt
            assert refused.value.exit_code == 4
        assert shop.effects == []
        await karen.act("roll-out")
        await bob.catch_up()
        with pytest.raises(Refusal, match="held by karen"):
            await bob.plan_rollback()
        await bob.measure("checkout-works")
        await bob.note("looks broken from here")
        await karen.catch_up()
        assert found(karen, "checkout-works").result is not None
        await bob.close()


async def test_each_sees_what_the_other_does_within_two_seconds(shop: Shop) -> None:
    async with captain(shop) as karen:
        bob = shop.engine(actor=BOB)
        await bob.open("1.5.0")
        watching = asyncio.create_task(bob.follow())
        await karen.sign("on-call-told", "approve", "told them")
        await until(lambda: found(bob, "on-call-told").counts, 2.0)
        (shop.root / "delay").write_text("2")
        await karen.measure_section("pre")
        await karen.gate("pre", "go")
        acting = asyncio.create_task(karen.act("roll-out"))
        await until(lambda: found(bob, "roll-out").state == "running", 2.5)
        await acting
        await until(lambda: found(bob, "roll-out").counts, 2.5)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await bob.close()


async def test_only_one_of_two_that_press_go_at_once_opens_the_deployment(shop: Shop) -> None:
    async with captain(shop) as karen:
        bob = shop.engine(actor=BOB)
        await bob.open("1.5.0")
        await karen.measure_section("pre")
        await karen.sign("on-call-told", "approve")
        await bob.catch_up()
        results = await asyncio.gather(karen.gate("pre", "go"), bob.gate("pre", "go"), return_exceptions=True)
        assert sorted(type(one).__name__ for one in results) == ["NoneType", "Refusal"]
        assert types(shop, "gate.decision", "lock.acquire") == ["lock.acquire", "gate.decision"]
        await bob.close()


def workers(shop: Shop, *names: str) -> list[subprocess.Popen[str]]:
    root = Path(__file__).parents[2]
    return [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(shop.root), name],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]


async def test_three_processes_lose_no_entry_and_one_opens_the_deployment(shop: Shop) -> None:
    async with captain(shop) as engine:
        names = ("ann", "ben", "cid")
        running = workers(shop, *names)
        assert [await asyncio.to_thread(one.stdout.readline) for one in running if one.stdout] == ["ready\n"] * 3
        (shop.root / "go").touch()
        said = await asyncio.gather(*(asyncio.to_thread(one.communicate, timeout=60) for one in running))
        assert [err for _, err in said if err] == []
        words = [out.split()[0] for out, _ in said]
        assert sorted(words) == ["opened", "refused", "refused"]
        notes = [event.data["text"] for event in shop.recorded("step.note")]
        assert sorted(notes) == sorted(f"{name} {number}" for name in names for number in range(4))
        signed = [event.data["note"] for event in shop.recorded("signoff")]
        assert sorted(signed) == sorted(notes)
        await engine.catch_up()


async def test_a_deployment_that_nobody_holds_bars_other_releases_until_it_is_ended(shop: Shop) -> None:
    async with captain(shop) as karen:
        await to_deploy(karen)
    async with captain(shop, "1.6.0", actor=BOB) as bob:
        await bob.measure_section("pre")
        await bob.sign("on-call-told", "approve")
        with pytest.raises(Refusal, match=r"shop-staging-1.5.0 left its deployment open") as refused:
            await bob.gate("pre", "go")
        assert refused.value.exit_code == 4
        first = shop.engine(actor=KAREN)
        await first.resume("shop-staging-1.5.0")
        await first.abort("not tonight")
        await first.close()
        await bob.gate("pre", "go")


async def test_results_of_an_open_run_are_stale_when_another_run_deployed_since(shop: Shop) -> None:
    async with captain(shop, "1.6.0", actor=BOB) as bob:
        await bob.measure_section("pre")
        assert found(bob, "healthy-before").counts
        async with captain(shop, "1.4.1") as karen:
            await to_deploy(karen)
            await karen.act("roll-out")
        await bob.catch_up()
        assert found(bob, "healthy-before").state == "stale"
        await bob.sign("on-call-told", "approve")
        again = shop.engine(actor=BOB)
        await again.resume("shop-staging-1.6.0")
        assert found(again, "healthy-before").state == "stale"
        await again.close()
        await bob.measure("healthy-before")
        assert found(bob, "healthy-before").counts


async def test_a_replaced_holder_starts_nothing_more(shop: Shop) -> None:
    async with captain(shop) as karen:
        await to_deploy(karen)
        with Log.open(shop.settings.log, clock=SystemClock(), actor=BOB) as log:
            data = {"service": "shop", "environment": "staging", "pid": 1, "reason": "taken over"}
            log.append([Draft("lock.acquire", "shop-staging-1.5.0", data)], actor=BOB)
        with pytest.raises(Refusal, match="took the environment over"):
            await karen.act("roll-out")
        with pytest.raises(Refusal, match="took the environment over"):
            await karen.gate("deploy", "no_go", note="stop")
        assert shop.effects == []
        assert types(shop, "action.intent") == []


async def test_a_run_that_somebody_ended_meanwhile_takes_no_more_decisions(shop: Shop) -> None:
    async with captain(shop) as karen:
        await karen.measure_section("pre")
        bob = shop.engine(actor=BOB)
        await bob.open("1.5.0")
        await bob.abort("not tonight")
        with pytest.raises(Refusal, match=r"bob@example\.com ended the run meanwhile"):
            await karen.sign("on-call-told", "approve")
        with pytest.raises(Refusal, match="takes notes only"):
            await karen.sign("on-call-told", "approve")
        await karen.note("a pity")
        await bob.close()


async def test_an_end_is_recorded_once_however_many_look(shop: Shop) -> None:
    (shop.root / "delay").write_text("0.3")
    async with captain(shop) as karen:
        await to_deploy(karen)
        task = asyncio.create_task(karen.act("roll-out"))
        await until(lambda: types(shop, "action.started"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        others = [shop.engine(actor=BOB), shop.engine(actor=KAREN)]
        for one in others:
            await one.resume("shop-staging-1.5.0", quiet=True)
        await karen.close()
        await until(lambda: shop.current == "1.5.0")
        await asyncio.sleep(0.3)
        await asyncio.gather(*(one.measure("roll-out") for one in others))
        assert types(shop, "action.finished") == ["action.finished"]
        for one in others:
            await one.catch_up()
            assert found(one, "roll-out").verdict.value == "pass"
            await one.close()
    assert shop.effects == ["1.5.0"]


async def test_a_captain_whose_lock_holder_was_killed_sees_the_part_that_still_runs(shop: Shop) -> None:
    """Two starts of one rollback part would be a double effect."""
    root = Path(__file__).parents[2]
    (shop.root / "delay").write_text("0.1")
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.kill_worker", str(shop.root), "rollback"],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert worker.stdout is not None
    line = ""
    while line.strip() != "ready":
        line = await asyncio.to_thread(worker.stdout.readline)
    bob = shop.engine(actor=BOB)
    (shop.root / "delay").write_text("1.5")
    await bob.resume("shop-staging-1.5.0")
    await until(lambda: "rollback.intent" in types(shop) and types(shop).count("action.started") == 2)
    await bob.catch_up()
    worker.send_signal(signal.SIGKILL)
    await asyncio.to_thread(worker.communicate)
    started = time.monotonic()
    await bob.roll_back(await bob.plan_rollback())
    assert time.monotonic() - started < 30
    assert bob.run is not None
    assert bob.run.state == "rolled_back"
    assert shop.effects == ["1.5.0", "1.4.0"]
    await bob.close()
    assert verify(shop.settings.log).exit_code == 0


async def test_a_face_sees_its_own_entries_once_and_in_the_order_of_the_log(shop: Shop) -> None:
    seen: list[Recorded] = []
    async with captain(
        shop, publish=lambda event: seen.append(event) if isinstance(event, Recorded) else None
    ) as karen:
        bob = shop.engine(actor=BOB)
        await bob.open("1.5.0")
        await asyncio.gather(
            *(one.note(f"{index}") for index in range(10) for one in (karen, bob)), karen.measure_section("pre")
        )
        await karen.catch_up()
        assert [event.seq for event in seen] == sorted({event.seq for event in seen})
        assert len([event for event in seen if event.type == "step.note"]) == 20
        await bob.close()


async def test_whoever_looks_at_the_lock_is_no_holder(shop: Shop) -> None:
    async with captain(shop) as karen:
        bob = shop.engine(actor=BOB)
        await bob.open("1.5.0")
        await accepted(bob)
        stop = False

        async def look() -> None:
            while not stop:
                bob._desk.lock.holder()
                await asyncio.sleep(0)

        looking = asyncio.create_task(look())
        await to_deploy(karen)
        stop = True
        await looking
        await bob.close()


async def test_an_action_that_a_colleague_started_already_is_not_started_once_more_unasked(shop: Shop) -> None:
    async with captain(shop, "1.4.1") as karen:
        await to_deploy(karen)
        await karen.act("roll-out")
    bob = shop.engine(actor=BOB)
    await bob.resume("shop-staging-1.4.1", quiet=True)
    with pytest.raises(Refusal, match=r"Roll out was started already at \d\d:\d\d:\d\d UTC and is pass") as refused:
        await bob.act("roll-out")
    assert refused.value.exit_code == 4
    assert shop.effects == ["1.4.1"]
    await bob.act("roll-out", again=True)
    assert shop.effects == ["1.4.1", "1.4.1"]
    await bob.close()


@pytest.mark.parametrize("again", [False, True])
async def test_a_start_that_this_captain_had_not_seen_yet_stops_its_own(shop: Shop, again: bool) -> None:
    async with captain(shop, "1.4.1") as karen:
        await to_deploy(karen)
        bob = shop.engine(actor=BOB)
        await bob.resume("shop-staging-1.4.1", quiet=True)
        await karen.act("roll-out")
    with pytest.raises(Refusal, match=r"karen@example\.com started Roll out meanwhile") as refused:
        await bob.act("roll-out", again=again)
    assert refused.value.exit_code == 4
    assert shop.effects == ["1.4.1"]
    await bob.close()
