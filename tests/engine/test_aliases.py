"""A step that stands for another one: asked anew, never older than what it stands for, never a proof by hearsay."""

from __future__ import annotations

import pytest

from captain.errors import Refusal
from tests.engine.stories import captain, found, to_deploy
from tests.shop import CHECKLIST, SERVICE, Shop

ALIAS = """
      - id: still-works
        title: Still works
        {alias}
"""


def with_post(shop: Shop, steps: str, service: str = SERVICE, checklist: str = CHECKLIST) -> None:
    shop.write(service, checklist.rstrip("\n") + steps.replace("{", "{{").replace("}", "}}"))


def stands_for(step: str) -> str:
    return ALIAS.replace("{alias}", f"alias: {step}")


async def test_a_rollback_is_not_proved_by_what_was_seen_before_the_deployment(shop: Shop) -> None:
    shop.broken = {"1.4.0"}
    service = SERVICE.replace("deploy/checkout-works", "deploy/still-works")
    with_post(shop, stands_for("checkout-works"), service)
    (shop.root / "current").write_text("1.3.9")
    async with captain(shop, "1.4.1") as engine:
        await engine.measure("checkout-works")
        assert found(engine, "checkout-works").verdict.value == "pass"
        await to_deploy(engine)
        await engine.act("roll-out")
        shop.broken = {"1.3.9", "1.4.1"}
        await engine.roll_back(await engine.plan_rollback())
        assert engine.run is not None
        assert engine.run.state == "rollback_incomplete"
        assert shop.recorded("rollback.end")[0].data["why"] == "not verified: still-works is fail"


async def test_a_rollback_is_proved_through_an_alias_that_asks_with_the_releases_swapped(shop: Shop) -> None:
    service = SERVICE.replace("deploy/checkout-works", "deploy/twice")
    more = """
      - id: right-version
        title: Right version
        http: { url: '${{ vars.url }}/version' }
        expect: ['json.version == release.version']
        every: 20ms
        for: 60ms
      - id: still-works
        title: Still works
        alias: right-version
      - id: twice
        title: Twice
        probes: { one: { alias: still-works } }
        expect: [one.passed]
"""
    with_post(shop, more, service)
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        await engine.roll_back(await engine.plan_rollback())
        assert engine.run is not None
        assert engine.run.state == "rolled_back"


@pytest.mark.parametrize("other", ["roll-out", "on-call-told"])
async def test_a_rollback_is_never_proved_by_an_action_or_a_signature(shop: Shop, other: str) -> None:
    service = SERVICE.replace("deploy/checkout-works", "deploy/still-works")
    with_post(shop, stands_for(other), service)
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        await engine.roll_back(await engine.plan_rollback())
        assert engine.run is not None
        assert engine.run.state == "rollback_incomplete"
        assert shop.recorded("rollback.end")[0].data["why"] == "not verified: still-works is unknown"


async def test_an_alias_asks_now_and_does_not_give_an_old_answer_a_new_date(shop: Shop) -> None:
    with_post(shop, stands_for("healthy-before"))
    async with captain(shop, "1.4.1") as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        await engine.gate("deploy", "go")
        shop.health = 500
        await engine.measure("still-works")
        assert found(engine, "still-works").verdict.value == "fail"
        result = found(engine, "still-works").result
        assert result is not None
        assert result.max_age_ms == 15 * 60 * 1000, "it counts as long as what it asks"
        with pytest.raises(Refusal, match="no go: Still works"):
            await engine.gate("post", "go")


WARNS = """
      - id: half
        title: Half
        http: { url: '${{ vars.url }}/healthz' }
        expect: [status == 204]
        warn: [status == 200]
"""


async def test_an_alias_is_worth_no_more_than_what_it_stands_for(shop: Shop) -> None:
    with_post(shop, WARNS + stands_for("half"))
    async with captain(shop) as engine:
        await engine.measure("still-works")
        same = found(engine, "still-works")
        assert same.verdict == "warn"
        assert "step half: status == 204: status = 200" in same.message
        shop.health = 500
        await engine.measure("still-works")
        same = found(engine, "still-works")
        assert same.verdict == "fail"
        assert "step half: status == 204: status = 500" in same.message, "that it did not pass says nothing"


async def test_measured_together_an_alias_comes_after_the_step_it_reads(shop: Shop) -> None:
    """Whatever their order in the file: a hold is not asked anew, so the alias would find nothing, or what is old."""
    steady = """
      - id: steady
        title: Steady
        http: { url: '${{ vars.url }}/healthz' }
        every: 10ms
        for: 200ms
"""
    with_post(shop, stands_for("steady") + steady)
    async with captain(shop) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        await engine.gate("deploy", "go")
        for _ in range(2):
            await engine.measure_section("post")
            assert found(engine, "still-works").counts, found(engine, "still-works").message


async def test_an_alias_of_a_hold_reads_it_and_is_as_old_as_it_is(shop: Shop) -> None:
    more = """
      - id: steady
        title: Steady
        http: { url: '${{ vars.url }}/healthz' }
        every: 10ms
        for: 30ms
      - id: still-steady
        title: Still steady
        alias: steady
"""
    with_post(shop, more)
    async with captain(shop, "1.4.1") as engine:
        await engine.measure("steady")
        await to_deploy(engine)
        await engine.act("roll-out")
        await engine.gate("deploy", "go")
        await engine.measure("still-steady")
        assert found(engine, "still-steady").verdict.value == "unknown"
        assert "Steady" in found(engine, "still-steady").message or "steady" in found(engine, "still-steady").message
        await engine.measure("steady")
        assert found(engine, "still-steady").stale_why == "Steady was measured again since"
        await engine.measure("still-steady")
        assert found(engine, "still-steady").counts


async def test_an_alias_waits_for_the_signature_that_its_step_waits_for(shop: Shop) -> None:
    signed = CHECKLIST.replace(
        "expect: [status == 200]\n      - id: on-call",
        "expect: [status == 200]\n        sign_off: {{ role: dba }}\n      - id: on-call",
    )
    assert signed != CHECKLIST
    with_post(shop, stands_for("healthy-before"), checklist=signed)
    async with captain(shop) as engine:
        await engine.measure("healthy-before")
        await engine.measure("still-works")
        assert found(engine, "still-works").verdict.value == "unknown"
        assert found(engine, "still-works").message.endswith("waits for a sign-off by the role dba")
        await engine.sign("healthy-before", "approve")
        await engine.measure("still-works")
        assert found(engine, "still-works").verdict.value == "pass"


async def test_an_alias_of_what_a_person_confirms_passes_once_it_is_signed_and_no_longer(shop: Shop) -> None:
    """Nothing else could make it known: a review with such a blocker would never be a go."""
    with_post(shop, stands_for("on-call-told"))
    async with captain(shop) as engine:
        await engine.measure("still-works")
        assert found(engine, "still-works").verdict.value == "unknown"
        await engine.sign("on-call-told", "approve")
        await engine.measure("still-works")
        assert found(engine, "still-works").counts
        signed = engine.view().run.sign_offs[-1].seq
        await engine.withdraw(signed, "too early")
        assert not found(engine, "still-works").counts
        assert (found(engine, "still-works").stale_why or "").startswith("On-call told: waits for a sign-off")
        await engine.sign("on-call-told", "reject", "nobody answered")
        await engine.measure("still-works")
        assert found(engine, "still-works").verdict.value == "fail"
        assert "rejected by" in found(engine, "still-works").message


async def test_an_alias_loses_the_signature_that_its_step_loses(shop: Shop) -> None:
    signed = CHECKLIST.replace(
        "expect: [status == 200]\n      - id: on-call",
        "expect: [status == 200]\n        sign_off: {{ role: dba }}\n      - id: on-call",
    )
    with_post(shop, stands_for("healthy-before"), checklist=signed)
    async with captain(shop) as engine:
        await engine.measure("healthy-before")
        await engine.sign("healthy-before", "approve")
        await engine.measure("still-works")
        assert found(engine, "still-works").counts
        await engine.withdraw(engine.view().run.sign_offs[-1].seq, "another database")
        assert not found(engine, "still-works").counts


async def test_an_alias_starts_no_program_that_nobody_accepted(shop: Shop) -> None:
    more = """
      - id: writes
        title: Writes
        command: { run: [touch, started] }
      - id: still-works
        title: Still works
        alias: writes
"""
    with_post(shop, more)
    engine = shop.engine()
    await engine.open("1.5.0")
    await engine.measure("still-works")
    assert found(engine, "still-works").verdict.value == "unknown"
    assert "not accepted" in found(engine, "still-works").message
    assert not (shop.root / "started").exists()
    await engine.close()
