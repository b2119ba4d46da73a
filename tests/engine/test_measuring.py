"""Measuring over real connections: retries, deadlines, hanging servers, cancellation, and whose fault a silence is."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from captain.engine.threads import Threads
from captain.errors import CaptainError, Refusal
from captain.events import Asked, Asking, Holding
from tests.engine.stories import captain, found
from tests.shop import CHECKLIST, SERVICE, Shop

HEAD = """\
checklist: deploy
title: Deployment
sections:
  - id: pre
    title: Before
    phase: pre
    steps:
"""
TAIL = CHECKLIST[CHECKLIST.index("  - id: deploy") :]


def write(shop: Shop, steps: str, port: int | None = None) -> None:
    """A checklist whose first section has these steps; PORT is the shop's unless another is given."""
    steps = steps.replace("{", "{{").replace("}", "}}").replace("PORT", "{port}" if port is None else str(port))
    indented = "".join(f"      {line}\n" for line in steps.strip("\n").splitlines())
    shop.write(SERVICE, HEAD + indented + TAIL)


@contextlib.asynccontextmanager
async def silent_server() -> AsyncIterator[tuple[int, list[int]]]:
    """Accepts, reads, never answers. Its port, and how many are connected now and at most."""
    seen = [0, 0]
    over = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen[0] += 1
        seen[1] = max(seen)
        with contextlib.suppress(ConnectionError):
            reading = asyncio.ensure_future(reader.read(-1))
            ending = asyncio.ensure_future(over.wait())
            await asyncio.wait((reading, ending), return_when=asyncio.FIRST_COMPLETED)
            reading.cancel()
            ending.cancel()
            await asyncio.gather(reading, ending, return_exceptions=True)
        seen[0] -= 1
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], seen
    finally:
        over.set()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.05)


def published(shop: Shop, step: str) -> list[str]:
    return [type(event).__name__ for event in shop.seen if getattr(event, "step", None) == step]


async def test_a_pass_after_a_retry_says_so(shop: Shop) -> None:
    write(
        shop,
        """
- id: health
  title: Health
  http: { url: '${{ vars.url }}/healthz' }
  expect: [status == 200]
  retry: { attempts: 20, every: 50ms }
""",
    )
    shop.health = 503
    async with captain(shop) as engine:
        task = asyncio.create_task(engine.measure("health"))
        while not [event for event in shop.seen if isinstance(event, Asking) and event.attempt == 3]:
            await asyncio.sleep(0.01)
        shop.health = 200
        await task
        result = found(engine, "health").result
        assert result is not None
        assert result.verdict.value == "pass"
        assert 3 <= result.attempts <= 20


async def test_a_retry_gives_up_after_its_attempts_and_keeps_the_last(shop: Shop) -> None:
    write(
        shop,
        """
- id: health
  title: Health
  http: { url: '${{ vars.url }}/healthz' }
  expect: [status == 200]
  retry: { attempts: 3, every: 10ms }
""",
    )
    shop.health = 503
    async with captain(shop) as engine:
        await engine.measure("health")
        result = found(engine, "health").result
        assert result is not None
        assert (result.verdict.value, result.attempts) == ("fail", 3)


async def test_a_server_that_hangs_costs_a_step_its_timeout_and_no_more(shop: Shop) -> None:
    async with silent_server() as (port, _):
        write(
            shop,
            """
- id: health
  title: Health
  http: { url: 'http://127.0.0.1:PORT/' }
  timeout: 400ms
- id: chain
  title: Chain
  in_order: true
  timeout: 400ms
  probes:
    a: { http: { url: 'http://127.0.0.1:PORT/' } }
    b: { http: { url: 'http://127.0.0.1:PORT/' } }
    c: { http: { url: 'http://127.0.0.1:PORT/' } }
  expect: [a.status == 200, b.status == 200, c.status == 200]
""",
            port,
        )
        async with captain(shop) as engine:
            for step in ("health", "chain"):
                began = time.monotonic()
                await engine.measure(step)
                assert time.monotonic() - began < 0.4 + 0.5 + 0.4, step
                assert found(engine, step).verdict.value == "fail"


async def test_row_68_two_hundred_probes_that_hang_are_capped_and_cancelled_at_once(shop: Shop) -> None:
    async with silent_server() as (port, connected):
        steps = "\n".join(
            f"- {{ id: s{n}, title: S, http: {{ url: 'http://127.0.0.1:PORT/{n}' }}, timeout: 60s }}"
            for n in range(200)
        )
        write(shop, steps, port)
        async with captain(shop, concurrency=16) as engine:
            task = asyncio.create_task(engine.measure_section("pre"))
            ticks = 0
            while connected[1] < 16:
                await asyncio.sleep(0.005)
                ticks += 1
            assert len(engine.view().asking) == 200
            await asyncio.sleep(0.1)
            assert connected[1] == 16
            began = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - began < 1
            assert engine.view().asking == frozenset()
            marker = len(shop.seen)
            await asyncio.sleep(0.2)
            late = [event for event in shop.seen[marker:] if isinstance(event, Asking | Asked | Holding)]
            assert late == []
            asked = {event.step for event in shop.seen if isinstance(event, Asked)}
            assert len(asked) == 200
        assert [event.type for event in shop.recorded("step.result")] == []


async def test_the_product_down_fails_and_the_instrument_down_is_unknown(shop: Shop) -> None:
    write(
        shop,
        """
- id: refused
  title: Refused
  http: { url: 'http://127.0.0.1:9/' }
- id: docker-gone
  title: Docker gone
  docker: { host: 'unix:///nowhere/docker.sock', names: [web] }
- id: accused
  title: Accused
  docker: { host: 'unix:///nowhere/docker.sock', names: [web] }
  on_error: fail
- id: both
  title: Both
  probes:
    a: { http: { url: 'http://127.0.0.1:9/' } }
    b: { http: { url: 'http://127.0.0.1:PORT/healthz' } }
  expect: [a.status == 200 || b.status == 200]
""",
    )
    async with captain(shop) as engine:
        await engine.measure_section("pre")
        assert found(engine, "refused").verdict.value == "fail"
        assert found(engine, "docker-gone").verdict.value == "unknown"
        assert found(engine, "both").verdict.value == "pass"
        for step in ("refused", "docker-gone"):
            assert found(engine, step).message, step
        with pytest.raises(Refusal, match="no go") as refused:
            await engine.gate("pre", "go")
        assert refused.value.exit_code == 1


async def test_several_probes_are_named_and_an_alias_observes_another_step(shop: Shop) -> None:
    write(
        shop,
        """
- id: health
  title: Health
  probes:
    web: { http: { url: '${{ vars.url }}/healthz' } }
    version: { http: { url: '${{ vars.url }}/version' } }
  expect: ['web.status == 200', 'version.json.version == "1.4.0"']
- id: told
  title: Told
  probes:
    other: { alias: health }
  expect: [other.passed]
  needs: [health]
""",
    )
    async with captain(shop) as engine:
        await engine.measure_section("pre")
        assert found(engine, "health").verdict.value == "pass"
        assert found(engine, "told").verdict.value == "pass"
        result = found(engine, "health").result
        assert result is not None
        assert result.observed["web.status"] == 200
        shop.health = 500
        await engine.measure("health")
        await engine.measure("told")
        assert found(engine, "told").verdict.value == "unknown"
        assert found(engine, "told").message == "needs health, which did not pass"


async def test_a_hold_that_is_cancelled_records_nothing_and_starts_anew(shop: Shop) -> None:
    write(
        shop,
        """
- id: steady
  title: Steady
  http: { url: '${{ vars.url }}/healthz' }
  expect: [status == 200]
  every: 50ms
  for: 30s
""",
    )
    async with captain(shop) as engine:
        task = asyncio.create_task(engine.measure("steady"))
        while not [event for event in shop.seen if isinstance(event, Holding) and event.held_ms > 100]:
            await asyncio.sleep(0.01)
        with pytest.raises(Refusal, match="being measured already"):
            await engine.measure("steady")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert found(engine, "steady").state == "todo"
        assert published(shop, "steady")[-1] == "Asked"


async def test_a_gate_measures_again_what_is_missing_or_stale_and_what_a_waiver_hides(shop: Shop) -> None:
    write(
        shop,
        """
- id: fresh
  title: Fresh
  http: { url: '${{ vars.url }}/healthz' }
  max_age: 1h
- id: old
  title: Old
  http: { url: '${{ vars.url }}/healthz' }
  max_age: 10ms
- id: waived
  title: Waived
  http: { url: '${{ vars.url }}/checkout' }
  expect: [status == 500, 'json.ok == true']
  max_age: 10ms
- id: missing
  title: Missing
  http: { url: '${{ vars.url }}/healthz' }
""",
    )
    (shop.root / "current").write_text("1.5.0")
    async with captain(shop, "1.6.0") as engine:
        for step in ("fresh", "old", "waived"):
            await engine.measure(step)
        await engine.waive("waived", "known", "bob", engine.view().now + timedelta(days=1))
        await asyncio.sleep(0.05)
        with contextlib.suppress(Refusal):
            # What is older than 10 ms may be stale again before the decision; only that it was asked matters.
            await engine.gate("pre", "go")
        again = [event.data["step"] for event in shop.recorded("step.result") if event.data["purpose"] == "gate"]
        assert sorted(again) == ["missing", "old", "waived"]


async def test_signing_and_measuring_go_on_while_a_probe_hangs(shop: Shop) -> None:
    async with silent_server() as (port, _):
        write(
            shop,
            """
- { id: hangs, title: Hangs, http: { url: 'http://127.0.0.1:PORT/' }, timeout: 30s }
- { id: told, title: Told, manual: Tell them. }
""",
            port,
        )
        async with captain(shop) as engine:
            task = asyncio.create_task(engine.measure("hangs"))
            await asyncio.sleep(0.05)
            await engine.sign("told", "approve", "told them")
            assert found(engine, "told").counts
            assert found(engine, "hangs").state == "measuring"
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_blocking_calls_that_hang_do_not_keep_the_next_one_waiting() -> None:
    threads = Threads(2, "test-hung")
    release = threading.Event()
    hung = [asyncio.create_task(threads(release.wait)) for _ in range(6)]
    await asyncio.sleep(0.05)
    for task in hung:
        task.cancel()
    await asyncio.gather(*hung, return_exceptions=True)
    assert await asyncio.wait_for(threads(lambda: "answered"), 5) == "answered"
    release.set()
    await asyncio.sleep(0.05)
    assert await asyncio.gather(*(threads(lambda n=n: n) for n in range(20))) == list(range(20))  # type: ignore[misc]
    threads.stop()
    with pytest.raises(CaptainError, match="closing"):
        await threads(lambda: None)
    for _ in range(100):
        if not [thread for thread in threading.enumerate() if thread.name.startswith("test-hung")]:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("threads were left behind")


async def test_what_was_not_begun_when_its_caller_left_is_left_out_unless_somebody_must_hear() -> None:
    threads = Threads(1, "test-left")
    release, done = threading.Event(), []
    first = asyncio.create_task(threads(release.wait))
    await asyncio.sleep(0.02)
    second = asyncio.create_task(threads(lambda: done.append("second")))
    third = asyncio.create_task(threads(lambda: done.append("third"), lambda _: done.append("heard")))
    await asyncio.sleep(0.02)
    second.cancel()
    third.cancel()
    await asyncio.gather(second, third, return_exceptions=True)
    release.set()
    await first
    assert await threads(lambda: "on") == "on"
    assert done == ["third", "heard"]
    threads.stop()


async def test_a_library_that_cannot_be_loaded_stops_only_the_probe_that_needs_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from captain.probes.http import HttpProbe

    def broken() -> None:
        raise ImportError("half installed")

    monkeypatch.setattr(HttpProbe, "prepare", broken)
    async with captain(shop) as engine:
        await engine.measure("healthy-before")
        assert found(engine, "healthy-before").verdict == "pass"
    assert not [event for event in shop.seen if type(event).__name__ == "Stopped"]
