"""Several probes of one step: side by side, or one after the other within one deadline."""

from __future__ import annotations

import sys
import time

from tests.engine.stories import captain, found
from tests.engine.test_measuring import write
from tests.shop import Shop

SCRIPT = """
import pathlib, sys, time
with open("order", "a") as file:
    file.write(sys.argv[1] + " begins\\n")
time.sleep(float(sys.argv[2]))
with open("order", "a") as file:
    file.write(sys.argv[1] + " ends\\n")
"""


def probes(shop: Shop, seconds: dict[str, float], more: str) -> None:
    (shop.root / "slow.py").write_text(SCRIPT)
    lines = [f"  {name}: {{ command: {{ run: ['{sys.executable}', slow.py, {name}, '{wait}'] }} }}"
             for name, wait in seconds.items()]  # fmt: skip
    expect = ", ".join(f"{name}.exit_code == 0" for name in seconds)
    listed = "\n  ".join(["probes:", *lines])
    write(shop, f"- id: both\n  title: Both\n  {listed}\n  expect: [{expect}]\n{more}")


def order(shop: Shop) -> list[str]:
    return (shop.root / "order").read_text().splitlines()


async def test_in_order_each_begins_when_the_one_before_has_ended(shop: Shop) -> None:
    probes(shop, {"b": 0.2, "a": 0.0, "c": 0.0}, "  in_order: true")
    async with captain(shop) as engine:
        await engine.measure("both")
        assert found(engine, "both").verdict == "pass"
    assert order(shop) == ["b begins", "b ends", "a begins", "a ends", "c begins", "c ends"]


async def test_otherwise_they_are_asked_together(shop: Shop) -> None:
    probes(shop, {"b": 0.5, "a": 0.5}, "")
    async with captain(shop) as engine:
        await engine.measure("both")
    assert {one.split()[1] for one in order(shop)[:2]} == {"begins"}


async def test_one_deadline_is_shared_and_what_it_leaves_no_time_is_unknown(shop: Shop) -> None:
    """The slow one is stopped at the step's timeout; the one behind it is not asked, and nothing passes on that."""
    probes(shop, {"a": 0.0, "b": 30, "c": 0.0}, "  in_order: true\n  timeout: 1s")
    async with captain(shop) as engine:
        began = time.monotonic()
        await engine.measure("both")
        assert time.monotonic() - began < 2.5
        seen = found(engine, "both")
        assert seen.verdict == "unknown"
        assert "did not end within" in seen.message and "left it no time" in seen.message
    assert order(shop) == ["a begins", "a ends", "b begins"]


async def test_a_slow_first_probe_takes_from_the_time_of_the_next(shop: Shop) -> None:
    probes(shop, {"a": 0.7, "b": 0.7}, "  in_order: true\n  timeout: 1s")
    async with captain(shop) as engine:
        await engine.measure("both")
        assert found(engine, "both").verdict == "unknown"
    assert order(shop) == ["a begins", "a ends", "b begins"]
