"""R in every state of a run: before any start, while the action runs, after it, unknown, in post, again."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from captain.effects import attempt as effect
from captain.engine import Engine
from captain.errors import NeedsConfirmation, Refusal
from tests.engine.stories import captain, found, to_deploy, types, until
from tests.shop import CHECKLIST, SERVICE, Shop

STUBBORN = """\
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
here = os.path.dirname(os.path.abspath(__file__))
if sys.argv[1] != "1.4.0":
    child = subprocess.Popen([sys.executable, "-c",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(120)"], start_new_session=True)
    open(os.path.join(here, "child"), "w").write(str(child.pid))
    time.sleep(120)
open(os.path.join(here, "current"), "w").write(sys.argv[1])
"""

TWO_PARTS = """\
rollback:
  plan:
    - {{ id: db, strategy: command, run: ['{python}', deploy.py, 'db-{mark}'] }}
    - {{ id: web, strategy: command, run: ['{python}', deploy.py, '${{{{ previous.version }}}}'] }}
"""


async def begun(engine: Engine, shop: Shop, seconds: str = "60") -> asyncio.Task[None]:
    """The action, started and running."""
    (shop.root / "delay").write_text(seconds)
    await to_deploy(engine)
    task = asyncio.create_task(engine.act("roll-out"))
    await until(lambda: engine.run and [one for one in engine.run.attempts.values() if one.started])
    await until(lambda: shop.effects)
    # The script has read how long it sleeps by then.
    await asyncio.sleep(0.3)
    return task


async def test_before_any_start_it_says_so_and_the_way_back_is_shown(shop: Shop) -> None:
    async with captain(shop) as engine:
        with pytest.raises(Refusal, match="nothing was started") as refused:
            await engine.plan_rollback()
        assert refused.value.hint is not None
        assert "abort" in refused.value.hint
        (way,) = await engine.way_back()
        assert (way.id, way.taken.ready) == ("web", True)
        assert types(shop, "rollback.point") == []
        await to_deploy(engine)
        with pytest.raises(Refusal, match="nothing was started"):
            await engine.plan_rollback()
        await engine.abort("not tonight", left_running="1.4.0, as before")
        assert engine.run is not None
        assert engine.run.state == "aborted"


async def test_while_the_action_runs_its_process_tree_is_stopped_first(shop: Shop) -> None:
    async with captain(shop) as engine:
        task = await begun(engine, shop)
        plan = await engine.plan_rollback()
        assert plan.stops
        assert plan.stops[0].startswith("roll-out (pid ")
        (shop.root / "delay").unlink()
        await engine.roll_back(plan, cause="too slow")
        await asyncio.gather(task, return_exceptions=True)
        assert engine.run is not None
        assert engine.run.state == "rolled_back"
        (stopped, done) = shop.recorded("action.finished")
        assert stopped.data["outcome"] == "cancelled"
        assert done.data["outcome"] == "exited"
        assert shop.effects == ["1.5.0", "1.4.0"]
        assert shop.recorded("rollback.end")[0].data["cause"] == "too slow"


async def test_children_that_ignore_term_do_not_stop_the_rollback(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effect, "Spec", functools.partial(effect.Spec, grace=timedelta(milliseconds=300)))
    (shop.root / "deploy.py").write_text(STUBBORN)
    async with captain(shop) as engine:
        await to_deploy(engine)
        task = asyncio.create_task(engine.act("roll-out"))
        await until((shop.root / "child").exists)
        await until(lambda: types(shop, "action.started"))
        await engine.roll_back(await engine.plan_rollback())
        await asyncio.gather(task, return_exceptions=True)
        assert engine.run is not None
        assert engine.run.state == "rolled_back"
        assert types(shop)[-2:] == ["run.end", "lock.release"]
        pid = int((shop.root / "child").read_text())
        named = shop.recorded("action.finished")[0].data["survivors"]
        if Path(f"/proc/{pid}").exists() and not named:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            assert state == "Z"
        if named:
            os.kill(pid, signal.SIGKILL)


async def test_an_action_that_failed_or_is_unknown_needs_no_resolving_first(shop: Shop) -> None:
    (shop.root / "deploy.py").write_text("import os, signal, sys\nif sys.argv[1] != '1.4.0': os.kill(os.getpid(), 9)\n")
    shop.write(SERVICE, CHECKLIST.replace("within: 10s", "within: 200ms"))
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        assert found(engine, "roll-out").message.startswith("killed by SIGKILL")
        await engine.roll_back(await engine.plan_rollback())
        assert engine.run is not None
        assert engine.run.state == "rolled_back"


async def test_a_part_that_fails_leaves_it_incomplete_and_r_goes_on_where_it_stopped(shop: Shop) -> None:
    plan = TWO_PARTS.replace("{mark}", "back")
    service = SERVICE[: SERVICE.index("rollback:")] + plan + "  verify: [deploy/checkout-works]\n"
    shop.write(service, CHECKLIST)
    (shop.root / "deploy.py").write_text(
        "import pathlib, sys\n"
        "here = pathlib.Path(__file__).parent\n"
        "open(here / 'effects', 'a').write(sys.argv[1] + '\\n')\n"
        "if (here / 'broken').exists() and sys.argv[1] == 'db-back': sys.exit(3)\n"
        "(here / 'current').write_text(sys.argv[1]) if not sys.argv[1].startswith('db') else None\n"
    )
    (shop.root / "broken").touch()
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        plan_one = await engine.plan_rollback()
        assert [part.id for part in plan_one.parts] == ["web", "db"]
        await engine.roll_back(plan_one)
        assert engine.run is not None
        assert engine.run.state == "rollback_incomplete"
        assert not engine.run.ended
        assert shop.recorded("rollback.end")[0].data["why"] == "db: exit 3"
        with pytest.raises(Refusal, match="rolling back"):
            await engine.act("roll-out")
        with pytest.raises(Refusal, match="moved on"):
            await engine.roll_back(plan_one)
        (shop.root / "broken").unlink()
        plan_two = await engine.plan_rollback()
        assert plan_two.going_on
        assert [part.done for part in plan_two.parts] == [True, False]
        await engine.roll_back(plan_two)
        assert engine.run.state == "rolled_back"
        assert shop.effects == ["1.5.0", "1.4.0", "db-back", "db-back"]
        second = shop.recorded("action.intent")[-1].data
        assert second["retry_of"] == shop.recorded("action.intent")[-2].data["attempt"]


async def test_a_rollback_whose_proof_fails_is_incomplete_and_may_be_left_with_a_word(shop: Shop) -> None:
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        shop.broken.add("1.4.0")
        await engine.roll_back(await engine.plan_rollback())
        assert engine.run is not None
        assert engine.run.state == "rollback_incomplete"
        assert shop.recorded("rollback.end")[0].data["why"] == "not verified: checkout-works is fail"
        await engine.abort("the database is broken too", left_running="1.4.0, half")
        assert engine.run.ended
        assert engine.run.state == "rollback_incomplete"


@pytest.mark.parametrize(
    ("damage", "why"), [("gone", "is gone"), ("changed", "was changed"), ("junk", "cannot be read")]
)
async def test_a_target_that_is_gone_or_changed_is_not_ready_and_says_why(shop: Shop, damage: str, why: str) -> None:
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        path = shop.settings.target("shop-staging-1.5.0", "web")
        assert path.stat().st_mode & 0o777 == 0o600
        if damage == "gone":
            path.unlink()
        elif damage == "changed":
            document = json.loads(path.read_text())
            document["target"]["argv"][-1] = "6.6.6"
            path.write_text(json.dumps(document))
        else:
            path.write_text("{")
        plan = await engine.plan_rollback()
        assert not plan.ready
        assert plan.why is not None
        assert why in plan.why
        with pytest.raises(Refusal, match="NOT ready"):
            await engine.roll_back(plan)
        assert shop.effects == ["1.5.0"]


async def test_no_way_back_must_be_typed_with_a_reason_and_r_then_says_it(shop: Shop) -> None:
    service = SERVICE[: SERVICE.index("rollback:")]
    shop.write(service, CHECKLIST)
    async with captain(shop) as engine:
        with pytest.raises(Refusal, match=r"NOT ready: captain\.yaml has no rollback plan"):
            await to_deploy(engine)
        assert engine.view().lock_mine is False
        await engine.gate("pre", "go", no_way_back="first release")
        assert engine.run is not None
        assert engine.run.decisions["pre"].risk[-1] == "no way back"
        await engine.act("roll-out")
        with pytest.raises(Refusal, match="there is no way back: first release"):
            await engine.plan_rollback()


async def test_a_reason_typed_although_there_is_a_way_back_does_not_take_it_away(shop: Shop) -> None:
    async with captain(shop) as engine:
        await to_deploy(engine, no_way_back="just in case")
        assert engine.run is not None
        assert engine.run.no_way_back is None
        await engine.act("roll-out")
        assert (await engine.plan_rollback()).ready


async def test_a_part_that_captain_yaml_lost_is_said_and_not_left_out(shop: Shop) -> None:
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
    shop.write(SERVICE.replace("id: web", "id: other"), CHECKLIST)
    again = shop.engine()
    await again.resume("shop-staging-1.5.0")
    with pytest.raises(Refusal, match="do not know web"):
        await again.adopt("adopt")
    await again.adopt("keep")
    assert (await again.plan_rollback()).ready
    await again.close()


async def test_a_cancelled_key_leaves_the_rollback_running_and_a_second_one_waits(shop: Shop) -> None:
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        (shop.root / "delay").write_text("0.5")
        plan = await engine.plan_rollback()
        task = asyncio.create_task(engine.roll_back(plan))
        await until(lambda: types(shop, "rollback.intent"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with pytest.raises(Refusal, match=r"moved on|under way"):
            await engine.roll_back(plan)
        await until(lambda: engine.run is not None and engine.run.ended)
        assert engine.run is not None
        assert engine.run.state == "rolled_back"
        assert shop.effects == ["1.5.0", "1.4.0"]


async def test_a_protected_environment_stays_protected_when_the_files_change(shop: Shop) -> None:
    async with captain(shop, environment="production") as engine:
        await to_deploy(engine, confirmed="production")
    shop.write(SERVICE.replace("protected: true", "tier: web"), CHECKLIST)
    again = shop.engine("production")
    await again.resume("shop-production-1.5.0")
    await again.adopt("adopt")
    with pytest.raises(NeedsConfirmation):
        await again.act("roll-out")
    await again.act("roll-out", confirmed="production")
    plan = await again.plan_rollback()
    assert plan.confirm == "production"
    await again.close()


async def test_probes_that_hang_do_not_keep_the_way_back_waiting(shop: Shop) -> None:
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        release = threading.Event()
        hung = [asyncio.create_task(engine._desk.blocking(release.wait)) for _ in range(80)]
        await asyncio.sleep(0.05)
        await asyncio.wait_for(engine.roll_back(await engine.plan_rollback()), 20)
        assert engine.run is not None
        assert engine.run.state == "rolled_back"
        release.set()
        await asyncio.gather(*hung)


async def test_a_script_that_changed_since_it_was_accepted_is_said_before_it_is_started(shop: Shop) -> None:
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        said = "commands of these files changed since they were accepted; this part starts deploy.py"

        async def lines() -> list[tuple[str, str]]:
            plan = await engine.plan_rollback()
            return [(line.verb, line.text) for part in plan.parts for line in part.lines]

        assert ("not", said) not in await lines()
        before = (await engine.plan_rollback()).sha256
        (shop.root / "deploy.py").write_text((shop.root / "deploy.py").read_text() + "print('mine now')\n")
        assert (await lines())[0] == ("not", said)
        plan = await engine.plan_rollback()
        assert plan.sha256 != before
        assert plan.ready
        await engine.roll_back(plan)
        assert engine.run is not None
        assert engine.run.state == "rolled_back", "it is said, not asked: going back never waits"
