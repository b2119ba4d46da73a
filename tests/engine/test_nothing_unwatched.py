"""What nobody watched, ran or ended proves nothing: gaps in a hold, halves of a step, deployments beside a drill."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from captain.checklist import Step
from captain.engine.hold import Hold
from captain.engine.plans import Plan, Sample
from captain.errors import Refusal
from captain.events import Draft
from captain.measurement import Verdict
from tests.engine.stories import BOB, captain, found, to_deploy, until
from tests.engine.test_more_than_reading import write
from tests.shop import CHECKLIST, SERVICE, Shop
from tests.stirring import stirred

SECOND = timedelta(seconds=1)


def holding(*, within: timedelta | None = None) -> Hold:
    step = Step(id="health", title="Health")
    plan = Plan(step, {}, ("ok",), (), timeout=3 * SECOND, every=SECOND, within=within, hold=8 * SECOND)
    return Hold(plan)


def good() -> Sample:
    return Sample((), Verdict.PASS, "as seen", ())


def test_a_hold_proves_nothing_of_a_time_in_which_nobody_asked() -> None:
    """Stopped, or asleep: between two good samples the service may have been down."""
    hold = holding()
    assert not hold.take(good(), 0 * SECOND, 0 * SECOND)
    assert not hold.take(good(), SECOND, SECOND, SECOND)
    last = good()
    assert hold.take(last, 10 * SECOND, 10 * SECOND, 9 * SECOND)
    assert last.verdict is Verdict.UNKNOWN
    assert last.message == "nobody watched for 9 s: that it held is not known"


def test_with_within_a_hold_that_nobody_watched_starts_again() -> None:
    hold = holding(within=60 * SECOND)
    hold.take(good(), 0 * SECOND, 0 * SECOND)
    assert not hold.take(good(), 20 * SECOND, 20 * SECOND, 20 * SECOND)
    assert (hold.held_from, hold.held) == (20 * SECOND, 0 * SECOND)
    for second in range(21, 28):
        assert not hold.take(good(), second * SECOND, second * SECOND, SECOND)
    assert hold.take(good(), 28 * SECOND, 28 * SECOND, SECOND)


def test_a_sample_that_took_longer_than_any_may_was_not_watched_either() -> None:
    hold = holding()
    hold.take(good(), 0 * SECOND, 0 * SECOND)
    last = good()
    assert hold.take(last, SECOND, 9 * SECOND, SECOND) and last.verdict is Verdict.UNKNOWN


def test_a_slow_service_and_a_busy_machine_do_not_break_a_hold() -> None:
    hold = holding()
    for second in range(0, 8, 2):
        assert not hold.take(
            good(), second * SECOND, (second + 2) * SECOND, timedelta(seconds=2.5) if second else SECOND * 0
        )


HALF = """
- id: half
  title: Half
  probes: { up: { http: { url: 'URL/healthz' } }, pot: { stir: { level: active } } }
  expect: EXPECT
"""


@pytest.mark.parametrize("expect", ["['up.status == 200']", "['up.status == 200 || pot.moved']"])
async def test_a_step_whose_active_half_never_ran_is_no_pass(shop: Shop, expect: str) -> None:
    text = HALF.replace("EXPECT", expect).replace("URL", f"http://127.0.0.1:{shop.server.server_address[1]}")
    write(shop, text, allow="[]")
    async with captain(shop) as engine:
        await engine.measure("half")
        status = found(engine, "half")
        assert status.verdict is Verdict.UNKNOWN
        assert "pot was not run: it is active" in status.message
    write(shop, text + "  warn: up.status == 200\n", allow="[]")
    async with captain(shop, "1.6.0") as engine:
        await engine.measure("half")
        assert found(engine, "half").verdict is Verdict.WARN, "the author says that this half suffices"
    assert stirred(shop.root) == []


def drilled(shop: Shop, section: int) -> None:
    """The shop's own checklist with a drill that waits until the file `go` is there."""
    shop.write(SERVICE.replace("staging: {{}}", "staging: {{ allow: [active, drill] }}"), CHECKLIST)
    path = shop.root / "checklists" / "deploy.yaml"
    checklist = yaml.safe_load(path.read_text())
    drill = {"id": "stirred", "title": "Stirred", "stir": {"say": "wait"}, "severity": "info"}
    checklist["sections"][section]["steps"].insert(0, drill)
    path.write_text(yaml.safe_dump(checklist, sort_keys=False))


async def test_no_action_starts_beside_a_drill(shop: Shop) -> None:
    drilled(shop, 1)
    async with captain(shop) as engine:
        await to_deploy(engine)
        drill = asyncio.ensure_future(engine.act("stirred"))
        await until(lambda: stirred(shop.root))
        with pytest.raises(Refusal, match="stirred is still running"):
            await engine.act("roll-out")
        (shop.root / "go").touch()
        await drill
        await engine.act("roll-out")
    assert shop.effects == ["1.5.0"]


async def test_nobody_else_deploys_beside_a_drill(shop: Shop) -> None:
    drilled(shop, 0)
    async with captain(shop) as one:
        drill = asyncio.ensure_future(one.act("stirred"))
        await until(lambda: stirred(shop.root))
        async with captain(shop, "1.6.0", actor=BOB) as two:
            await to_deploy(two)
            with pytest.raises(Refusal, match=r"karen@example.com runs stirred in staging since"):
                await two.act("roll-out")
            (shop.root / "go").touch()
            await drill
            await two.act("roll-out")
    assert shop.effects == ["1.6.0"]


async def test_two_calls_at_once_run_it_once(shop: Shop) -> None:
    write(shop)
    async with captain(shop) as engine:
        got = await asyncio.gather(engine.act("stirred"), engine.act("stirred"), return_exceptions=True)
        assert [type(one) for one in got].count(Refusal) == 1
    assert stirred(shop.root) == ["begun", "cleaned"]
    assert len(shop.recorded("step.intent")) == 1


async def test_what_nobody_saw_the_end_of_runs_again_only_where_that_is_meant(shop: Shop) -> None:
    write(shop)
    async with captain(shop) as engine:
        run = engine.view().run.id
        await engine._desk.record(Draft("step.intent", run, lost(engine)))
        with pytest.raises(Refusal, match="nobody saw its end: it may still go on") as caught:
            await engine.act("stirred")
        assert (caught.value.exit_code, caught.value.hint) == (4, "look first; --again runs it once more")
        assert stirred(shop.root) == []
        await engine.act("stirred", again=True)
        assert found(engine, "stirred").verdict is Verdict.PASS


def lost(engine: Any) -> dict[str, Any]:
    """The intent of a captain that was killed."""
    return {
        "attempt": "lost-1",
        "step": "stirred",
        "definition": engine.view().definitions["stirred"],
        "safety": "drill",
        "does": ["stirs"],
        "confirmed": None,
        "trust": None,
        "pid": 2**22 + 1,
        "starttime": 1,
    }


NESTED = """
- id: fault
  title: Fault
  drill:
    probes: { order: { http: { url: 'http://127.0.0.1:9/orders', method: POST } } }
    steps: [{ do: run, args: { run: ['true'] } }, { until: 'order.status == 201', within: 1s }]
"""


async def test_a_probe_inside_a_drill_that_does_more_than_read_is_told_and_must_be_allowed_too(shop: Shop) -> None:
    write(shop, NESTED, allow="[drill]")
    async with captain(shop) as engine:
        with pytest.raises(Refusal, match=r"active: environments\.staging\.allow does not name it") as caught:
            await engine.act("fault")
        assert "allow: [active, drill]" in str(caught.value.hint)
    write(shop, NESTED)
    async with captain(shop, "1.6.0") as engine:
        assert "meanwhile order: POST http://127.0.0.1:9/orders" in engine.does("fault")


async def test_a_gate_that_was_reopened_is_not_ok(shop: Shop) -> None:
    shop.write(SERVICE, CHECKLIST)
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.reopen("pre", "too early")
        await engine.abort("not today")
    write(shop, "- { id: asked, title: Asked, record: { gate: pre }, expect: ok }", allow="[]")
    async with captain(shop, "1.6.0") as engine:
        await engine.measure("asked")
        assert found(engine, "asked").verdict is Verdict.FAIL


async def test_a_rollback_that_never_ended_hides_no_older_one(shop: Shop, tmp_path: Path) -> None:
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        await engine.roll_back(await engine.plan_rollback())
    write(
        shop, "- { id: asked, title: Asked, record: { step: checkout-works, kind: rehearsal }, expect: ok }", allow="[]"
    )
    async with captain(shop, "1.6.0") as engine:
        await engine.measure("asked")
        assert found(engine, "asked").verdict is Verdict.PASS, found(engine, "asked").message
        intent = shop.recorded("rollback.intent")[-1]
        begun = {**intent.data, "rollback": "begun-and-lost"}
        await engine._desk.record(Draft("rollback.intent", intent.run, begun))
        await engine.measure("asked")
        assert found(engine, "asked").verdict is not Verdict.PASS
