"""Servers that hang, drip, flood or die: the step ends in time, memory stays bounded, the screen stays live."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from captain.engine import Engine
from captain.events import Event
from captain.tui.app import CaptainApp
from captain.tui.moment import Known
from captain.tui.screens.run import RunScreen
from tests.hostile_server import MANNERS, HostileServer
from tests.memory import grown
from tests.one_step import OneStep
from tests.tui.snapshots import until

TIMEOUT = 0.6
"""Seconds: the step's own deadline."""
OVER = 0.5
"""What a step may take longer than its deadline."""
MEMORY = 64 * 1024 * 1024
"""Bytes that a flood of 100 MB may cost at most."""
LAG = 0.4
"""Seconds for which the screen may not react."""

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 200000000\r\n\r\n"

ENGINE = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nContent-Length: 200000000\r\n\r\n"
HOST = "host: 'tcp://127.0.0.1:PORT'"

KINDS: dict[str, tuple[str, bytes]] = {
    "http": ("http: { url: 'http://127.0.0.1:PORT/' }", OK),
    "tcp": ("tcp: { host: 127.0.0.1, port: PORT, banner: true }\nexpect: 'banner == \"SSH-2.0\"'", b""),
    "tls": ("tls: { host: 127.0.0.1, port: PORT }", b""),
    "tls of a database": ("tls: { host: 127.0.0.1, port: PORT, starttls: postgres }", b"S"),
    "prometheus": ("prometheus: { url: 'http://127.0.0.1:PORT', query: up }\nexpect: value > 0.0", OK),
    "metrics": ("metrics: { url: 'http://127.0.0.1:PORT/metrics' }", OK),
    "ci": ("ci: { provider: github, api: 'http://127.0.0.1:PORT', repo: acme/shop, commit: a1b2c3d }", OK),
    "backup": ("backup: { source: s3, prefix: backups/shop, endpoint: 'http://127.0.0.1:PORT', anonymous: true }", OK),
    "docker": (f"docker: {{ {HOST} }}", ENGINE),
    "image": (f"image: {{ ref: 'shop:1.4.0', {HOST} }}", ENGINE),
    "service": (f"service: {{ names: [shop_web], {HOST} }}", ENGINE),
    "logs": (f"logs: {{ source: docker, names: [web], {HOST} }}", ENGINE),
    "redis": ("redis: { url_env: REDIS_URL }", b""),
    "queue": ("queue: { broker: dramatiq, url_env: REDIS_URL }", b""),
    "postgres": ("sql: { engine: postgres, dsn_env: DATABASE_URL, query: select true }", b"N"),
    "mysql": ("sql: { engine: mysql, dsn_env: MYSQL_URL, query: select 1 = 1 }", b""),
    "migrations": ("migrations: { tool: table, dsn_env: DATABASE_URL, files: '*.sql' }", b"N"),
}
"""By kind, the step's probe and what its server says before it misbehaves."""
SECRETS = {
    "DATABASE_URL": "postgresql://shop:hunter22pw@127.0.0.1:PORT/shop",
    "MYSQL_URL": "mysql://shop:hunter22pw@127.0.0.1:PORT/shop",
    "REDIS_URL": "redis://:hunter22pw@127.0.0.1:PORT/0",
}


def world(tmp_path: Path, port: int) -> OneStep:
    return OneStep(tmp_path, {name: value.replace("PORT", str(port)) for name, value in SECRETS.items()})


def step(kind: str, port: int) -> str:
    return f"{KINDS[kind][0].replace('PORT', str(port))}\ntimeout: {TIMEOUT * 1000:g}ms"


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_step_ends_within_its_deadline_and_is_no_pass(
    hostile_server: HostileServer, tmp_path: Path, kind: str, manner: str
) -> None:
    port = hostile_server.port(manner, after=KINDS[kind][1])
    asked = world(tmp_path, port)
    asked.write(step(kind, port))
    async with asked.engine() as engine:
        with grown() as memory:
            began = time.monotonic()
            await engine.measure("it", "check")
            took = time.monotonic() - began
    result = asked.result().data
    assert took < TIMEOUT + OVER, f"{took:.2f} s"
    assert memory.bytes < MEMORY, f"{memory.bytes / 1e6:.0f} MB"
    said = result["message"] or result["observed"]
    assert said, "nobody would know what happened"
    if manner != "flood":
        assert result["verdict"] in ("unknown", "fail"), result


async def test_the_screen_stays_live_while_everything_it_asks_misbehaves(
    hostile_server: HostileServer, tmp_path: Path
) -> None:
    asked = OneStep(tmp_path, dict(SECRETS))
    ports = [(kind, hostile_server.port(manner, after=KINDS[kind][1])) for manner in MANNERS for kind in KINDS]
    asked.write(*(step(kind, port) for kind, port in ports))

    async def opener(publish: Callable[[Event], None]) -> Engine:
        engine = asked.make(publish)
        await engine.open(None, kind="check")
        return engine

    app = CaptainApp(
        asked.settings.log, known=Known("shop", "staging", False, ""), opener=opener, environ={}, calm=True
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await until(
            pilot, lambda: bool(app.engines) and isinstance(app.screen, RunScreen) and app.screen.moment is not None
        )
        worst = 0.0
        await pilot.press("m")
        ends = time.monotonic() + TIMEOUT + OVER
        while time.monotonic() < ends:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            worst = max(worst, time.monotonic() - began - 0.01)
        began = time.monotonic()
        await pilot.press("j")
        worst = max(worst, time.monotonic() - began)
    assert app.failures == []
    assert worst < LAG, f"{worst:.2f} s"
