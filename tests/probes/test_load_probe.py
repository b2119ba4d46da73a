"""How a burst of requests measures real services, and when it says nothing about them."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from pydantic import ValidationError

from captain.clock import SystemClock
from captain.condition import Scope, compile_condition, judge, observes
from captain.errors import ProbeError
from captain.measurement import Measurement, Value, Verdict
from captain.probes import Context
from captain.probes.load import LoadProbe
from captain.systems.metrics.burst import send
from captain.systems.metrics.load import summed
from captain.threads import on_daemon
from tests.hostile_server import MANNERS, HostileServer
from tests.http_server import Servers, answer, read_request
from tests.prometheus_server import MetricsApp, get

SECRET = "s3cr3t-token-of-load"


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


async def ask(*urls: str, within: float = 60, **keys: Any) -> Measurement:
    context = Context(
        root=Path.cwd(),
        repo=None,
        timeout=timedelta(seconds=within),
        environ={},
        secrets={},
        blocking=on_daemon,
        clock=SystemClock(),
        run="shop-staging-1.4.0",
    )
    chosen = {"profile": [{"rps": "50", "duration": "1s"}], "warmup": "100ms", "request_timeout": "2s"} | keys
    seen = await LoadProbe.model_validate({"urls": urls, **chosen}).measure(context)
    assert set(seen.observed) <= set(get_type_hints(LoadProbe.Observes))
    return seen


def verdict(observed: Mapping[str, Value], *expect: str) -> Verdict:
    scope = Scope.of({"": {name: one.type for name, one in observes(LoadProbe.Observes).items()}}, {}, ())
    conditions = [compile_condition(one, scope) for one in expect or LoadProbe.default_expect]
    return judge(conditions, (), observed).verdict


async def test_a_product_that_holds_up_passes_with_marked_requests(metrics_app: MetricsApp) -> None:
    seen = await ask(f"{metrics_app.url}/items", f"{metrics_app.url}/quiet")
    found = seen.observed
    assert verdict(found) is Verdict.PASS
    assert (found["requests"], found["errors"], found["timeouts"], found["generator_saturated"]) == (50, 0, 0, False)
    assert (found["rps_target"], found["status_counts"]) == (50.0, {"200": 50})
    assert verdict(found, 'p95 < duration("1s")', "rps_achieved >= 0.95 * rps_target", "p50 <= max") is Verdict.PASS
    assert "p99" not in found, "fifty answers cannot tell a 99th percentile"
    assert verdict(found, 'p99 < duration("1s")') is Verdict.UNKNOWN
    sent = str(get(f"{metrics_app.url}/headers")).splitlines()
    assert len(sent) == 50 + 5 + 2, "the burst, the warm-up and one question for each URL"
    assert all(line.startswith("captain/") and line.endswith(" shop-staging-1.4.0") for line in sent)


async def test_users_ask_one_after_another(metrics_app: MetricsApp) -> None:
    found = (await ask(f"{metrics_app.url}/slow", profile=[{"users": "4", "duration": "700ms"}])).observed
    assert 4 <= found["requests"] <= 16  # type: ignore[operator]  # a union of value types
    assert "rps_target" not in found
    capped = await ask(f"{metrics_app.url}/slow", profile=[{"users": "4", "duration": "700ms"}], max_requests="3")
    assert capped.observed["requests"] == 3


async def test_a_failing_product_fails(metrics_app: MetricsApp) -> None:
    seen = await ask(f"{metrics_app.url}/fail")
    assert (seen.observed["error_ratio"], seen.observed["status_counts"]) == (1.0, {"500": 50})
    assert "requests" not in seen.observed, "nothing may be divided by requests that came to nothing"
    assert not {"p50", "max"} & set(seen.observed)
    assert verdict(seen.observed) is Verdict.FAIL


async def test_a_redirect_is_not_what_was_asked_for(metrics_app: MetricsApp) -> None:
    seen = await ask(f"{metrics_app.url}/moved")
    assert verdict(seen.observed) is Verdict.FAIL
    assert "answered 302 ×50" in seen.notes


async def test_a_request_that_waited_behind_a_slow_one_was_slow(metrics_app: MetricsApp) -> None:
    seen = await ask(f"{metrics_app.url}/serial", profile=[{"rps": "20", "duration": "1s"}], warmup="0s")
    assert seen.observed["generator_saturated"] is False
    assert seen.observed["requests"] == 20
    assert verdict(seen.observed, 'p50 > duration("400ms")', 'max > duration("800ms")') is Verdict.PASS


async def test_a_generator_that_cannot_keep_up_says_nothing_about_the_product(metrics_app: MetricsApp) -> None:
    seen = await ask(f"{metrics_app.url}/quiet", profile=[{"rps": "5000", "duration": "1s"}], warmup="0s")
    assert set(seen.observed) <= {"generator_saturated", "rps_target", "requests"}
    assert seen.observed["generator_saturated"] is True
    assert verdict(seen.observed) is Verdict.UNKNOWN
    assert verdict(seen.observed, "errors == 0", 'p95 < duration("1h")') is Verdict.UNKNOWN
    assert "nothing is known of the product" in seen.notes[0]


async def test_too_few_connections_are_captains_own_doing(metrics_app: MetricsApp) -> None:
    keys: dict[str, Any] = {
        "profile": [{"rps": "10", "duration": "700ms"}],
        "connections": "1",
        "request_timeout": "5s",
    }
    seen = await ask(f"{metrics_app.url}/slow", **keys)
    assert seen.observed["generator_saturated"] is True
    assert "give more connections" in seen.notes[0]


async def test_a_product_that_hangs_in_the_middle_fails(metrics_app: MetricsApp) -> None:
    keys: dict[str, Any] = {"profile": [{"rps": "50", "duration": "1500ms"}], "request_timeout": "700ms"}
    asking = asyncio.create_task(ask(f"{metrics_app.url}/items", **keys))
    assert metrics_app.process is not None
    await _until_seen(metrics_app, 20)
    metrics_app.process.send_signal(signal.SIGSTOP)
    seen = await asking
    metrics_app.process.send_signal(signal.SIGCONT)
    assert seen.observed["timeouts"] > 0  # type: ignore[operator]  # a union of value types
    assert verdict(seen.observed) is Verdict.FAIL


async def test_a_product_that_dies_in_the_middle_fails(metrics_app: MetricsApp) -> None:
    asking = asyncio.create_task(ask(f"{metrics_app.url}/items", profile=[{"rps": "50", "duration": "1500ms"}]))
    assert metrics_app.process is not None
    await _until_seen(metrics_app, 20)
    metrics_app.process.kill()
    seen = await asking
    assert "connection refused ×" in seen.notes[0]
    assert verdict(seen.observed) is Verdict.FAIL


async def test_cancelling_ends_it_at_once(metrics_app: MetricsApp) -> None:
    asking = asyncio.create_task(ask(f"{metrics_app.url}/items", profile=[{"rps": "50", "duration": "20s"}]))
    await _until_seen(metrics_app, 20)
    began = time.monotonic()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert time.monotonic() - began < 1
    seen = _seen(metrics_app)
    await asyncio.sleep(0.2)
    assert _seen(metrics_app) == seen


async def test_nothing_is_sent_any_more_when_captain_is_killed(metrics_app: MetricsApp) -> None:
    program = (
        "import asyncio, sys, pathlib, datetime\n"
        "from captain.systems.metrics.generator import burst\n"
        "plan = dict(urls=[sys.argv[1]], headers={}, stages=[dict(seconds=30, rps=50)], warmup=0, max_requests=9999,\n"
        "    timeout=1, connections=10, keep_alive=True, ca_file=None, verify=True)\n"
        "asyncio.run(burst(plan, cwd=pathlib.Path('/'), environ={}, timeout=datetime.timedelta(seconds=60)))\n"
    )
    root = str(Path(__file__).parents[2])
    captain = subprocess.Popen([sys.executable, "-c", program, f"{metrics_app.url}/items"], env={"PYTHONPATH": root})
    await _until_seen(metrics_app, 10)
    captain.kill()
    captain.wait(5)
    await asyncio.sleep(0.2)
    seen = _seen(metrics_app)
    await asyncio.sleep(0.2)
    assert _seen(metrics_app) == seen


async def test_the_screen_keeps_its_turns_while_a_burst_runs(metrics_app: MetricsApp) -> None:
    asking = asyncio.create_task(ask(f"{metrics_app.url}/quiet", profile=[{"rps": "200", "duration": "1s"}]))
    lags: list[float] = []
    while not asking.done():
        due = time.monotonic() + 0.005
        await asyncio.sleep(0.005)
        lags.append(time.monotonic() - due)
    await asking
    assert sorted(lags)[int(len(lags) * 0.95)] < 0.05


# --- what is not sent at all


async def test_a_product_that_is_down_gets_no_burst() -> None:
    with pytest.raises(ProbeError, match="connection refused") as raised:
        await ask("http://127.0.0.1:9/")
    assert raised.value.fault == "subject"


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_a_closed_door_gets_no_burst(servers: Servers, status: str) -> None:
    server = servers.answer(answer(b"", status=status))
    with pytest.raises(ProbeError, match="captain is not let in, nothing more was sent") as raised:
        await ask(server.url)
    assert (raised.value.fault, len(server.requests)) == ("instrument", 1)


async def test_a_profile_longer_than_the_step_is_not_begun(servers: Servers) -> None:
    server = servers.answer(answer(b""))
    with pytest.raises(ProbeError, match="the attempt has 10s: nothing was sent") as raised:
        await ask(server.url, within=10, profile=[{"rps": "1", "duration": "60s"}])
    assert raised.value.hint == "give the step timeout: 70s"
    assert server.requests == []


@pytest.mark.parametrize("manner", MANNERS)
async def test_no_manner_of_a_server_holds_the_probe(hostile_server: HostileServer, manner: str) -> None:
    port = hostile_server.port(manner, after=b"HTTP/1.1 200 OK\r\n\r\n")
    began = time.monotonic()
    keys: dict[str, Any] = {"profile": [{"rps": "5", "duration": "200ms"}], "warmup": "0s", "request_timeout": "600ms"}
    if manner == "die":
        assert verdict((await ask(f"http://127.0.0.1:{port}/", **keys)).observed) is Verdict.PASS, "it did answer"
    else:
        with pytest.raises(ProbeError):
            await ask(f"http://127.0.0.1:{port}/", **keys)
    assert time.monotonic() - began < 4


async def test_a_flood_fills_no_memory(servers: Servers) -> None:
    def flood(peer: socket.socket) -> None:
        read_request(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 16 * 1024 * 1024)

    url = servers.talk(flood).url
    plan = {
        "urls": [url],
        "headers": {},
        "stages": [{"seconds": 0.5, "rps": 10}],
        "warmup": 0,
        "max_requests": 100,
        "timeout": 5,
        "connections": 10,
        "keep_alive": True,
        "ca_file": None,
        "verify": True,
    }
    tracemalloc.start()
    found = summed(await send(plan))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.reasons == {"more than 8 MiB": 5}
    assert peak < 60 * 1024**2, "the server's own sixteen MiB each are among them"


async def test_credentials_are_sent_and_shown_nowhere(servers: Servers) -> None:
    server = servers.answer(answer(b"x"))
    seen = await ask(server.url, headers={"Authorization": f"Bearer {SECRET}"}, keep_alive="false")
    assert {SECRET.encode() in request for request in server.requests} == {True}
    assert seen.observed["requests"] == 50
    assert SECRET not in repr(seen)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"profile": []}, "at least 1 item"),
        ({"profile": [{"duration": "1s"}]}, "takes either rps or users"),
        ({"profile": [{"rps": "1", "users": "1", "duration": "1s"}]}, "takes either rps or users"),
        ({"profile": [{"rps": "1", "duration": "0s"}]}, "more than nothing"),
        ({"profile": [{"rps": "0", "duration": "1s"}]}, "greater than 0"),
        ({"profile": [{"rps": "100", "duration": "10m"}]}, "needs 60,000 requests, more than max_requests allows"),
        ({"urls": []}, "at least 1 item"),
        ({"urls": ["http://me:pw@shop/"]}, "holds a user or password"),
        ({"method": "POST"}, "Extra inputs"),
    ],
)
def test_what_cannot_be_sent_is_an_error_of_the_file(keys: dict[str, Any], words: str) -> None:
    plain = {"urls": ["http://shop/"], "profile": [{"rps": "10", "duration": "5s"}]}
    assert LoadProbe.model_validate(plain).safety == "active"
    with pytest.raises(ValidationError, match=words):
        LoadProbe.model_validate(plain | keys)


def _seen(app: MetricsApp) -> int:
    return len(str(get(f"{app.url}/headers")).splitlines())


async def _until_seen(app: MetricsApp, count: int) -> None:
    while await asyncio.to_thread(_seen, app) < count:
        await asyncio.sleep(0.02)
