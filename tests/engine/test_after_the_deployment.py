"""Production answers 500 after the deployment: nothing that was seen before it may say otherwise."""

from __future__ import annotations

import pytest

from captain.errors import Refusal
from tests.engine.stories import captain, found, to_deploy
from tests.shop import CHECKLIST, SERVICE, Shop


async def test_a_release_that_breaks_production_is_not_completed_on_what_was_measured_before_it(shop: Shop) -> None:
    async with captain(shop) as engine:
        for section in ("pre", "deploy", "post"):
            await engine.measure_section(section)
        assert found(engine, "checkout-works").verdict.value == "pass"
        await to_deploy(engine)
        await engine.act("roll-out")
        assert found(engine, "checkout-works").stale
        await engine.gate("deploy", "go")
        with pytest.raises(Refusal, match="no go: Checkout works") as refused:
            await engine.gate("post", "go")
        assert refused.value.exit_code == 1
        assert engine.run is not None
        assert not engine.run.ended
        newest = engine.run.results["checkout-works"]
        assert (newest.purpose, newest.verdict.value) == ("gate", "fail")


async def test_a_hold_that_the_gate_cannot_measure_must_be_measured_again(shop: Shop) -> None:
    old = "http: {{ url: '${{{{ vars.url }}}}/checkout' }}\n        expect: [status == 200]"
    assert old in CHECKLIST
    shop.write(SERVICE, CHECKLIST.replace(old, f"{old}\n        every: 10ms\n        for: 50ms"))
    async with captain(shop, "1.4.1") as engine:
        await engine.measure("checkout-works")
        await to_deploy(engine)
        await engine.act("roll-out")
        await engine.gate("deploy", "go")
        with pytest.raises(Refusal, match="measured before Roll out ran, so measure it again") as refused:
            await engine.gate("post", "go")
        assert refused.value.exit_code == 3
        await engine.measure_section("post", only_due=True)
        await engine.gate("post", "go")
        assert engine.run is not None
        assert engine.run.state == "completed"
