"""One release walked end to end over a real service: forward, and back again."""

from __future__ import annotations

import asyncio

import pytest

from captain.engine import Engine
from captain.errors import NeedsConfirmation, Refusal
from captain.log.verify import verify
from captain.measurement import Verdict
from captain.run import fold
from captain.run.status import status
from tests.shop import Shop


async def opened(shop: Shop, version: str = "1.5.0", environment: str = "staging") -> Engine:
    engine = shop.engine(environment)
    request = None
    await engine.open(version)
    request = engine.trust()
    if request is not None:
        await engine.accept(request.digest)
    return engine


def verdict(engine: Engine, step: str) -> Verdict:
    found = engine.view().step(step)
    assert found is not None
    return status(engine.view(), found[1]).verdict


async def through_pre(engine: Engine, confirmed: str | None = None) -> None:
    await engine.measure_section("pre")
    await engine.sign("on-call-told", "approve", "told them")
    await engine.gate("pre", "go", note="all well", confirmed=confirmed)


async def test_a_good_release_is_walked_to_its_end(shop: Shop) -> None:
    engine = await opened(shop, "1.4.1")
    await through_pre(engine)
    await engine.act("roll-out")
    assert verdict(engine, "roll-out") is Verdict.PASS
    await engine.gate("deploy", "go")
    await engine.measure_section("post")
    await engine.gate("post", "go")
    assert engine.run is not None
    assert engine.run.state == "completed"
    assert shop.effects == ["1.4.1"]
    live = engine.run
    await engine.close()
    assert verify(shop.settings.log).exit_code == 0
    with shop.log(read_only=True) as log:
        assert fold(log.entries(run=live.id)) == live


async def test_a_broken_release_is_rolled_back_and_the_way_back_is_proved(shop: Shop) -> None:
    engine = await opened(shop, "1.5.0")
    assert engine.run is not None
    assert engine.run.previous is not None
    assert engine.run.previous.version == "1.4.0"
    await through_pre(engine)
    await engine.act("roll-out")
    await engine.gate("deploy", "go")
    await engine.measure_section("post")
    assert verdict(engine, "checkout-works") is Verdict.FAIL
    with pytest.raises(Refusal, match="no go") as refused:
        await engine.gate("post", "go")
    assert refused.value.exit_code == 1
    plan = await engine.plan_rollback()
    assert plan.ready
    assert plan.to.version == "1.4.0"
    await engine.roll_back(plan)
    assert engine.run.state == "rolled_back"
    assert shop.current == "1.4.0"
    assert shop.effects == ["1.5.0", "1.4.0"]
    live = engine.run
    await engine.close()
    assert verify(shop.settings.log).exit_code == 0
    with shop.log(read_only=True) as log:
        assert fold(log.entries(run=live.id)) == live


async def test_a_protected_environment_asks_for_its_name_before_every_dangerous_key(shop: Shop) -> None:
    engine = await opened(shop, environment="production")
    await engine.measure_section("pre")
    await engine.sign("on-call-told", "approve")
    with pytest.raises(NeedsConfirmation):
        await engine.gate("pre", "go")
    with pytest.raises(NeedsConfirmation):
        await engine.gate("pre", "go", confirmed="staging")
    await engine.gate("pre", "go", confirmed="production")
    with pytest.raises(NeedsConfirmation):
        await engine.act("roll-out")
    await engine.act("roll-out", confirmed="production")
    plan = await engine.plan_rollback()
    with pytest.raises(NeedsConfirmation):
        await engine.roll_back(plan)
    with pytest.raises(NeedsConfirmation):
        await engine.abort("enough")
    await engine.roll_back(plan, confirmed="production")
    assert engine.run is not None
    assert engine.run.state == "rolled_back"
    await engine.close()


async def test_nothing_untrusted_runs(shop: Shop) -> None:
    engine = shop.engine()
    await engine.open("1.5.0")
    await engine.measure_section("pre")
    await engine.sign("on-call-told", "approve")
    with pytest.raises(Refusal, match="NOT ready"):
        await engine.gate("pre", "go")
    assert shop.effects == []
    await engine.close()


async def test_a_rollback_before_any_start_is_refused_with_a_sentence(shop: Shop) -> None:
    engine = await opened(shop)
    with pytest.raises(Refusal, match="nothing was started"):
        await engine.plan_rollback()
    await engine.abort("not tonight")
    assert engine.run is not None
    assert engine.run.state == "aborted"
    await engine.close()


async def test_a_retried_action_lets_the_gate_open_once_its_effect_is_seen(shop: Shop) -> None:
    engine = await opened(shop, "1.4.1")
    await through_pre(engine)
    await engine.act("roll-out")
    (shop.root / "current").write_text("1.4.0")
    await engine.measure("roll-out")
    assert verdict(engine, "roll-out") is Verdict.FAIL
    await engine.act("roll-out", again=True)
    assert verdict(engine, "roll-out") is Verdict.PASS
    await engine.gate("deploy", "go")
    assert shop.effects == ["1.4.1", "1.4.1"]
    await engine.close()


async def test_a_way_back_to_what_no_longer_runs_is_not_ready(shop: Shop) -> None:
    engine = await opened(shop, "1.4.1")
    (shop.root / "current").write_text("1.3.9")
    with pytest.raises(Refusal, match=r"1\.3\.9 runs now, not 1\.4\.0"):
        await through_pre(engine)
    assert shop.effects == []
    await engine.close()


async def test_a_step_that_cannot_be_worked_out_is_not_waited_for(shop: Shop) -> None:
    shop.environ.pop("SHOP_TOKEN")
    path = shop.root / "checklists" / "deploy.yaml"
    headers = "headers: { X-Token: '${{ secrets.SHOP_TOKEN }}' }"
    step = f"{{ id: waits, title: Waits, http: {{ url: '${{{{ vars.url }}}}/healthz', {headers} }}, within: 10m }}"
    path.write_text(path.read_text().replace("    steps:\n", f"    steps:\n      - {step}\n", 1))
    engine = await opened(shop, "1.4.1")
    async with asyncio.timeout(10):
        await engine.measure("waits")
    assert verdict(engine, "waits") is Verdict.UNKNOWN
    await engine.close()
