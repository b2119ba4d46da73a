"""Steps with more, and longer, conditions than an entry would hold: none that is unmet is ever forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest

from captain.engine.fitting import MAX_DATA, fitted, size
from captain.errors import Refusal
from captain.run.facts import named
from tests.engine.stories import captain, found
from tests.shop import CHECKLIST, SERVICE, Shop


def expecting(shop: Shop, conditions: list[str]) -> None:
    old = "/healthz' }}\n        expect: [status == 200]"
    assert old in CHECKLIST
    lines = "".join(f"\n          - '{one}'" for one in conditions)
    shop.write(SERVICE, CHECKLIST.replace(old, f"/healthz' }}}}\n        expect:{lines}"))


async def test_a_waiver_does_not_cover_the_seventieth_condition_that_nobody_saw_fail(shop: Shop) -> None:
    expecting(shop, ["status == 204", *(f"status != {1000 + number}" for number in range(68)), "status < 500"])
    async with captain(shop) as engine:
        await engine.measure("healthy-before")
        await engine.waive("healthy-before", "known", "bob", engine.view().now + timedelta(days=1))
        assert shop.recorded("waiver")[0].data["conditions"] == ["status == 204"]
        assert found(engine, "healthy-before").state == "waived"
        shop.health = 500
        await engine.measure("healthy-before")
        result = found(engine, "healthy-before").result
        assert result is not None
        assert len(result.conditions) == 70
        assert result.unmet == {"status == 204", "status < 500"}
        assert not found(engine, "healthy-before").counts


async def test_conditions_too_many_for_one_entry_are_measured_and_waived_by_nobody(shop: Shop) -> None:
    long = " || ".join(f"status == {number}" for number in range(1000, 1060))
    expecting(shop, [f"{long} || status == {number}" for number in range(2000, 2120)])
    async with captain(shop) as engine:
        await engine.measure("healthy-before")
        assert found(engine, "healthy-before").verdict.value == "fail"
        with pytest.raises(Refusal, match="more conditions are unmet than a waiver can name"):
            await engine.waive("healthy-before", "known", "bob", engine.view().now + timedelta(days=1))
        assert not found(engine, "healthy-before").counts


def test_long_conditions_that_begin_alike_keep_names_of_their_own() -> None:
    first, second = (" || ".join(["status == 200"] * 300) + f" || status == {code}" for code in (500, 501))
    assert named(first) != named(second)
    assert len(named(first).encode()) <= 1024
    assert named("status == 200") == "status == 200"


def test_what_explains_is_shortened_before_what_is_unmet() -> None:
    met = {"role": "expect", "verdict": "pass", "resolved": "r" * 1024}
    conditions = [{**met, "expect": f"met {number}"} for number in range(400)]
    conditions.append({**met, "expect": "unmet", "verdict": "fail"})
    data = {"observed": {f"v{n}": "x" * 1024 for n in range(64)}, "probes": [], "conditions": conditions}
    short = fitted({**data, "truncated": False})
    assert size(short) <= MAX_DATA
    assert short["truncated"]
    assert "unmet" in [one["expect"] for one in short["conditions"]]
