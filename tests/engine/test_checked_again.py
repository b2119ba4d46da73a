"""One key measures again what is not good and fresh in a review, and that counts as a check."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from captain.errors import Refusal
from tests.shop import Shop
from tests.tui.test_review_stories import REVIEW, SERVICE


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    world = Shop(tmp_path / "shop")
    world.write(SERVICE, REVIEW)
    yield world
    world.close()


def measured(shop: Shop) -> list[str]:
    return [event.data["step"] for event in shop.recorded("step.result")]


async def test_what_is_good_and_fresh_stays(shop: Shop) -> None:
    engine = shop.engine(checklist="readiness")
    await engine.open(None)
    await engine.check_again()
    assert sorted(measured(shop)) == ["healthy", "notes", "staging"]
    await engine.check_again()
    assert sorted(measured(shop)[3:]) == ["notes", "staging"], "what failed may have been put right"
    first, second = shop.recorded("run.checked")
    assert (first.data["measured"], first.data["kept"]) == (3, 0)
    assert (second.data["measured"], second.data["kept"]) == (2, 1)
    assert second.data["verdict"] == "unknown", "a blocker waits for a person"
    await engine.close()


async def test_a_second_time_at_once_measures_nothing_and_is_no_check(shop: Shop) -> None:
    """A key pressed twice: the second check would find every step asked already, and end before any was answered."""
    engine = shop.engine(checklist="readiness")
    await engine.open(None)
    told = await asyncio.gather(*(engine.check_again() for _ in range(3)), return_exceptions=True)
    assert [str(one) for one in told if one is not None] == ["everything is being measured already"] * 2
    assert sorted(measured(shop)) == ["healthy", "notes", "staging"]
    (only,) = shop.recorded("run.checked")
    assert only.data["measured"] == 3
    await engine.close()


async def test_a_check_ends_behind_what_was_begun_before_it(shop: Shop) -> None:
    (shop.root / "slow.py").write_text("import time; time.sleep(1)\n")
    slow = f"command: {{{{ run: ['{sys.executable}', slow.py] }}}}"
    shop.write(SERVICE, REVIEW.replace("file: {{ path: notes.md }}", slow))
    engine = shop.engine(checklist="readiness")
    await engine.open(None)
    request = engine.trust()
    assert request is not None
    await engine.accept(request.digest)
    begun = asyncio.create_task(engine.measure("notes"))
    while not engine.view().asking:
        await asyncio.sleep(0)
    await engine.check_again()
    (only,) = shop.recorded("run.checked")
    assert sorted(measured(shop)) == ["healthy", "notes", "staging"], "and nothing is asked twice"
    assert all(one.seq < only.seq for one in shop.recorded("step.result"))
    await begun
    await engine.close()


async def test_in_a_release_it_measures_and_says_nothing_of_a_check(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    engine = shop.engine()
    await engine.open("1.4.0")
    request = engine.trust()
    assert request is not None
    await engine.accept(request.digest)
    await engine.check_again()
    assert "healthy-before" in measured(shop) and shop.recorded("run.checked", "action.intent") == []
    await engine.close()
    shop.close()


async def test_a_spectator_is_refused_and_nothing_is_recorded(shop: Shop) -> None:
    engine = shop.engine(checklist="readiness")
    run = await engine.open(None)
    await engine.close()
    looking = shop.engine(checklist="readiness", read_only=True)
    await looking.resume(run, quiet=True)
    with pytest.raises(Refusal, match="only looks"):
        await looking.check_again()
    await looking.close()
    assert measured(shop) == []
