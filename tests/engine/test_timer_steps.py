"""`soak` in a review: what was deployed is monitored, whoever watches, and judged when its time is over."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import captain as captain_package
from captain.clock import SystemClock
from captain.engine import Engine
from captain.loader import load
from captain.measurement import Verdict
from captain.run.status import Status
from tests.engine.stories import captain, found, to_deploy, until
from tests.prometheus_server import PrometheusServer
from tests.shop import CHECKLIST as DEPLOY
from tests.shop import ME, SERVICE, Shop

REVIEW = """\
checklist: review
title: Review
per: service
defaults: {{ max_age: 5m, within: 1m }}
sections:
  - id: observed
    title: Observed
    steps:
      - id: monitored
        title: Monitored
        prometheus: {{ url: '{url}', mode: range, query: '{query}', reduce: min }}
        soak: {{ for: {time}, coverage: {coverage}{more} }}
        expect: ['value >= 1.0']
"""


@contextlib.asynccontextmanager
async def review(shop: Shop, environment: str = "staging", **keys: Any) -> AsyncIterator[Engine]:
    """The review of the shop, open; its log closed at the end."""
    engine = Engine(
        load("review", environment, cwd=shop.root),
        shop.log(),
        settings=shop.settings,
        actor=ME,
        publish=shop.seen.append,
        environ=shop.environ,
        **keys,
    )
    try:
        await engine.open(None)
        yield engine
    finally:
        await engine.close()


def write(
    shop: Shop, url: str, query: str = 'up{job="shop"}', time: str = "3s", coverage: float = 0.7, more: str = ""
) -> None:
    shop.write(SERVICE.replace("[checklists/deploy.yaml]", "[checklists/deploy.yaml, checklists/review.yaml]"), DEPLOY)
    text = REVIEW.format(url=url, query=query, time=time, coverage=coverage, more=more)
    (shop.root / "checklists" / "review.yaml").write_text(text)


async def deployed(shop: Shop, version: str = "1.4.2") -> datetime:
    """A release in staging, by its own run. Returns when its action ended, as the log says."""
    async with captain(shop, version) as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        await engine.gate("deploy", "go")
        await engine.measure_section("post")
        await engine.gate("post", "go")
    return shop.recorded("action.finished")[-1].at


class At(SystemClock):
    """A clock that stands."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


async def seen(shop: Shop, environment: str = "staging", at: datetime | None = None) -> Status:
    async with review(shop, environment, clock=None if at is None else At(at)) as engine:
        await engine.measure("monitored")
        return found(engine, "monitored")


async def until_over(began: datetime, seconds: float) -> None:
    over = began + timedelta(seconds=seconds)
    await until(lambda: datetime.now(UTC) > over, seconds + 10)


async def test_what_was_deployed_is_pending_until_its_time_is_over_and_then_judged_over_exactly_that_time(
    shop: Shop, prometheus_server: PrometheusServer
) -> None:
    write(shop, prometheus_server.url)
    began = await deployed(shop)
    pending = await seen(shop, at=began + timedelta(seconds=1))
    assert (pending.verdict, pending.state, pending.counts) == (Verdict.UNKNOWN, "measured", False)
    assert pending.message.startswith("monitored 1s ")
    assert f"of 3s, until {began + timedelta(seconds=3):%H:%M} UTC" in pending.message
    await until_over(began, 3)
    async with review(shop) as engine:
        assert found(engine, "monitored").stale_why == "its 3s are over since"
        await engine.measure("monitored")
        done = found(engine, "monitored")
    assert (done.verdict, done.counts) == (Verdict.PASS, True), done.message
    assert done.message.startswith(f"monitored 1.4.2 for 3s, till {began + timedelta(seconds=3):%d %b %H:%M} UTC; ")
    assert done.result is not None
    assert done.result.max_age_ms == 0
    assert float(done.result.observed["coverage"]) >= 0.7


async def test_a_new_deployment_starts_the_time_again_and_ends_what_was_judged_before(
    shop: Shop, prometheus_server: PrometheusServer
) -> None:
    write(shop, prometheus_server.url, time="2s", coverage=0.5)
    await until_over(await deployed(shop), 2)
    assert (await seen(shop)).counts
    async with review(shop) as engine:
        before = found(engine, "monitored")
        again = await deployed(shop, "1.4.3")
        await engine.catch_up()
        after = found(engine, "monitored")
        assert (before.counts, after.counts) == (True, False)
        assert after.stale_why == "measured before shop-staging-1.4.3 changed staging"
    pending = await seen(shop, at=again + timedelta(seconds=1))
    assert (pending.verdict, pending.message.startswith("monitored ")) == (Verdict.UNKNOWN, True)
    await until_over(again, 2)
    assert (await seen(shop)).verdict is Verdict.PASS


async def test_where_nothing_was_deployed_nothing_is_monitored(shop: Shop, prometheus_server: PrometheusServer) -> None:
    write(shop, prometheus_server.url)
    unknown = "the log knows of no deployment into staging, so nothing is monitored yet: captain run deploys"
    assert (await seen(shop)).message == unknown
    async with captain(shop, "1.4.2") as engine:
        await to_deploy(engine)
    nothing = await seen(shop)
    assert (nothing.verdict, "no deployment" in nothing.message) == (Verdict.UNKNOWN, True)


async def test_a_deployment_that_did_not_end_well_is_not_monitored(
    shop: Shop, prometheus_server: PrometheusServer
) -> None:
    write(shop, prometheus_server.url)
    await deployed(shop)
    (shop.root / "deploy.py").write_text("raise SystemExit(3)")
    async with captain(shop, "1.4.3") as engine:
        await to_deploy(engine)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(engine.act("roll-out"), 12)
    broken = await seen(shop)
    assert broken.verdict is Verdict.UNKNOWN
    assert broken.message.startswith("nothing is monitored: in staging, shop-staging-1.4.3 roll-out ")


async def test_a_review_of_production_counts_from_the_deployment_into_staging_where_it_says_so(
    shop: Shop, prometheus_server: PrometheusServer
) -> None:
    write(shop, prometheus_server.url, time="24h", more=", environment: staging")
    began = await deployed(shop)
    pending = await seen(shop, "production")
    assert pending.verdict is Verdict.UNKNOWN
    assert f"of 24h, until {began + timedelta(days=1):%d %b %H:%M} UTC" in pending.message


async def test_what_was_not_measured_is_said_and_never_passes(shop: Shop, prometheus_server: PrometheusServer) -> None:
    # A shop that is gone leaves no series behind, while Prometheus itself goes on.
    write(shop, prometheus_server.url, query='up{job="shop"} == 7 or absent(nothing) > 1', coverage=0.95, time="2s")
    began = await deployed(shop)
    await until_over(began, 2)
    gap = await seen(shop)
    assert gap.verdict is Verdict.UNKNOWN
    assert "0 % of the window was measured, 95 % needed" in gap.message


async def test_what_fails_already_fails_before_the_time_is_over(
    shop: Shop, prometheus_server: PrometheusServer
) -> None:
    write(shop, prometheus_server.url, query='up{job="gone"}', time="24h")
    await deployed(shop)
    failed = await seen(shop)
    assert failed.verdict is Verdict.FAIL
    assert "; it fails so far: " in failed.message
    assert failed.message.startswith("monitored ")


async def test_a_prometheus_that_does_not_answer_leaves_the_countdown(shop: Shop) -> None:
    write(shop, "http://127.0.0.1:1", time="24h")
    await deployed(shop)
    blind = await seen(shop)
    assert (blind.verdict, blind.message.startswith("monitored ")) == (Verdict.UNKNOWN, True)
    assert "127.0.0.1:1" in blind.message


async def test_a_captain_that_is_killed_meanwhile_changes_nothing(
    shop: Shop, prometheus_server: PrometheusServer
) -> None:
    asked = asyncio.Event()

    async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(never_answers, "127.0.0.1", 0) as silent:
        write(shop, f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}", time="3s")
        began = await deployed(shop)
        words = ("-m", "captain", "--log", str(shop.settings.log), "check", "review", "-e", "staging")
        environ = {**shop.environ, "PYTHONPATH": str(Path(captain_package.__file__).parent.parent)}
        killed = await asyncio.create_subprocess_exec(
            sys.executable, *words, cwd=shop.root, env=environ, stdout=DEVNULL, stderr=DEVNULL
        )
        await asyncio.wait_for(asked.wait(), 60)
        killed.kill()
        assert await killed.wait() == -signal.SIGKILL
    assert shop.recorded("run.checked") == []
    write(shop, prometheus_server.url, time="3s")
    await until_over(began, 3)
    done = await seen(shop)
    assert done.verdict is Verdict.PASS, done.message
    assert f"till {began + timedelta(seconds=3):%d %b %H:%M} UTC" in done.message


async def test_a_check_waits_for_nobody_and_says_how_long_it_still_takes(
    shop: Shop, prometheus_server: PrometheusServer
) -> None:
    write(shop, prometheus_server.url, time="24h")
    began = await deployed(shop)
    words = ("-m", "captain", "--log", str(shop.settings.log), "check", "review", "-e", "staging")
    environ = {**shop.environ, "PYTHONPATH": str(Path(captain_package.__file__).parent.parent)}
    check = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=shop.root, env=environ, stdout=PIPE, stderr=DEVNULL
    )
    said, _ = await check.communicate()
    assert check.returncode == 3
    assert f"s of 24h, until {began + timedelta(days=1):%d %b %H:%M} UTC; value = 1" in said.decode()


async def test_a_rollback_that_was_verified_is_what_runs_since(shop: Shop, prometheus_server: PrometheusServer) -> None:
    write(shop, prometheus_server.url, time="24h")
    async with captain(shop, "1.5.0") as engine:
        await to_deploy(engine)
        await engine.act("roll-out")
        await engine.roll_back(await engine.plan_rollback())
    back = shop.recorded("rollback.end")[-1]
    assert back.data["state"] == "rolled_back"
    assert f"until {back.at + timedelta(days=1):%d %b %H:%M} UTC" in (await seen(shop)).message
