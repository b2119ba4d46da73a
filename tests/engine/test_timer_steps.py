"""`soak` in a review: what runs is monitored since it was deployed, whoever watches, and judged when its time is over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from captain.engine import Engine
from captain.events import Draft
from captain.loader import load
from captain.measurement import Verdict
from captain.run.status import Status
from tests.engine.stories import captain, found, to_deploy, until
from tests.prometheus_server import PrometheusServer
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
        shop.log(**({"clock": keys["clock"]} if "clock" in keys else {})),
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


from tests.shop import CHECKLIST as DEPLOY  # noqa: E402


async def deployed(shop: Shop, version: str = "1.4.2", environment: str = "staging") -> datetime:
    """A release in that environment, by its own run. Returns when its action ended, as the log says."""
    async with captain(shop, version, environment=environment) as engine:
        await to_deploy(engine, **({"confirmed": environment} if environment == "production" else {}))
        await engine.act("roll-out", **({"confirmed": environment} if environment == "production" else {}))
        await engine.gate("deploy", "go")
        await engine.measure_section("post")
        await engine.gate("post", "go")
    return shop.recorded("action.finished")[-1].at


async def seen(shop: Shop, environment: str = "staging") -> Status:
    async with review(shop, environment) as engine:
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
    pending = await seen(shop)
    assert (pending.verdict, pending.state, pending.counts) == (Verdict.UNKNOWN, "measured", False)
    assert pending.message.startswith("monitored ")
    assert f"of 3s, until {began + timedelta(seconds=3):%H:%M} UTC" in pending.message
    await until_over(began, 3)
    async with review(shop) as engine:
        assert found(engine, "monitored").stale_why == "its 3s are over since"
        await engine.measure("monitored")
        done = found(engine, "monitored")
    assert (done.verdict, done.counts) == (Verdict.PASS, True), done.message
    assert done.result is not None
    assert done.result.max_age_ms == 0
    assert float(done.result.observed["coverage"]) >= 0.7
