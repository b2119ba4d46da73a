"""The shipped readiness review over real containers: their logs, what they write, and the queue behind them."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.checklists import well_kept_shop as shop
from tests.checklists.reviewing import Review
from tests.docker_engine import Box
from tests.git_repo import Repo
from tests.http_server import Servers, answer, read_request
from tests.postgres_server import Postgres
from tests.prometheus_server import PrometheusServer
from tests.redis_server import RedisServer, RedisServers


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return shop.make(tmp_path / "shop")


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


def text(value: str) -> str:
    return f'"{value}"'


def record(level: str, message: str, **more: Any) -> str:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"ts": at, "level": level, "logger": "shop", "message": message, **more})


TRACE = (
    'Traceback (most recent call last):\n  File "/app/pay.py", line 3, in pay\n    1 / 0\nZeroDivisionError: division'
)


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def start(box: Box, service: str, lines: list[str], script: str = "exec sleep 600", **config: Any) -> None:
    """A running container of a service that has logged these lines."""
    labels = {"com.docker.compose.project": box.prefix, "com.docker.compose.service": service}
    said = "\n".join(lines)
    made = box.start(service, Cmd=["sh", "-c", f"cat <<'END'\n{said}\nEND\n{script}"], Labels=labels, **config)
    box.until(made, lambda one: bool(one["State"]["Running"]))
    wanted = len(said.splitlines())
    until(lambda: box.engine.client.logs(made, stdout=True, stderr=True).count(b"\n") >= wanted)


def checked(repo: Repo, box: Box, **params: str) -> Review:
    return Review(repo.path, {"project": text(box.prefix), **params}, environ=box.engine.environ)


def good() -> list[str]:
    """As many lines of JSON as a ratio needs, and some more."""
    return [record("INFO", f"request {number}") for number in range(60)]


async def test_lines_of_json_with_their_fields_are_structured(repo: Repo, docker_box: Box) -> None:
    for service in ("backend", "worker"):
        start(docker_box, service, good())
    found = await checked(repo, docker_box).measure("log.structured", "log.levels")
    assert {step: said[0] for step, said in found.items()} == {"log.structured": "pass", "log.levels": "pass"}, found
    repo.write("backend/shop/views.py", "def view():\n    print('hello')\n")
    repo.git("add", "--all")
    verdict, message = await checked(repo, docker_box).verdict("log.structured")
    assert verdict == "warn" and "print" in message
    shop.spoil(repo, "backend/shop/settings.py", "LOGGING =", "OTHER =")
    assert (await checked(repo, docker_box).verdict("log.structured"))[0] == "fail"


async def test_plain_lines_are_half_and_lines_without_levels_nothing(repo: Repo, docker_box: Box) -> None:
    start(docker_box, "backend", [f"2026-11-23 03:00:00 INFO shop: request {number}" for number in range(60)])
    start(docker_box, "worker", [f"2026-11-23 03:00:00 INFO shop: task {number}" for number in range(60)])
    verdict, message = await checked(repo, docker_box).verdict("log.structured")
    assert verdict == "warn" and "json_ratio" in message


async def test_debug_lines_fail_except_where_they_are_allowed(repo: Repo, docker_box: Box) -> None:
    start(docker_box, "backend", [*good(), record("DEBUG", "select 1")])
    start(docker_box, "worker", good())
    verdict, message = await checked(repo, docker_box).verdict("log.levels")
    assert verdict == "fail" and "debug_lines = 1" in message
    assert (await checked(repo, docker_box, debug_allowed="true").verdict("log.levels"))[0] == "pass"
    shop.spoil(repo, "backend/shop/settings.py", 'DEBUG = os.environ.get("DEBUG") == "1"', "DEBUG = True")
    verdict, message = await checked(repo, docker_box, debug_allowed="true").verdict("log.levels")
    assert verdict == "fail" and "debug_on" in message


async def test_too_few_lines_are_unknown(repo: Repo, docker_box: Box) -> None:
    for service in ("backend", "worker"):
        start(docker_box, service, good()[:3])
    verdict, message = await checked(repo, docker_box).verdict("log.structured")
    assert verdict == "unknown" and "fewer than 50 lines" in message


async def test_a_request_leaves_a_whole_record_once_that_was_decided(
    repo: Repo, docker_box: Box, servers: Servers
) -> None:
    url = text(servers.answer(answer(b"page")).url)
    asked = record("INFO", "GET /", method="GET", path="/", status=200, duration=0.01,
                   request_id="captain-readiness-canary")  # fmt: skip
    start(docker_box, "backend", [asked])
    verdict, message = await checked(repo, docker_box, base_url=url, request_logging=text("on")).verdict("log.request")
    assert verdict == "pass", message
    verdict, message = await checked(repo, docker_box, base_url=url).verdict("log.request")
    assert verdict == "warn" and "undecided" in message
    off = await checked(repo, docker_box, request_logging=text("off")).standing("log.request")
    assert off.state == "not-applicable" and "request_logging" in off.message


async def test_a_request_without_a_record_or_with_half_of_one_fails(
    repo: Repo, docker_box: Box, servers: Servers
) -> None:
    url = text(servers.answer(answer(b"page")).url)
    start(docker_box, "backend", [record("INFO", "GET / captain-readiness-canary", method="GET", path="/")])
    on = {"base_url": url, "request_logging": text("on")}
    verdict, message = await checked(repo, docker_box, **on).verdict("log.request")
    assert verdict == "fail" and "canary_missing" in message
    docker_box.clean()
    start(docker_box, "backend", [record("INFO", "GET /")])
    verdict, message = await checked(repo, docker_box, **on).verdict("log.request")
    assert verdict == "fail" and "canary_found" in message
    docker_box.clean()
    start(docker_box, "backend", [record("INFO", "GET /", password="hunter2-of-somebody")])
    verdict, message = await checked(repo, docker_box, base_url=url).verdict("log.request")
    assert verdict == "fail" and "secrets_found" in message, "undecided is no excuse for that"


async def test_traces_are_in_the_log_and_not_on_the_page(repo: Repo, docker_box: Box, servers: Servers) -> None:
    clean = text(servers.answer(answer(b"nothing here", status="404 Not Found")).url)
    for service in ("backend", "worker"):
        start(docker_box, service, [*good(), record("ERROR", "failed", exc_info=TRACE)])
    verdict, message = await checked(repo, docker_box, base_url=clean).verdict("log.traces")
    assert verdict == "pass", message
    leaky = text(servers.answer(answer(TRACE.encode(), status="404 Not Found")).url)
    verdict, message = await checked(repo, docker_box, base_url=leaky).verdict("log.traces")
    assert verdict == "fail" and "Traceback" in message


async def test_where_nothing_failed_a_person_shows_a_trace(repo: Repo, docker_box: Box, servers: Servers) -> None:
    clean = text(servers.answer(answer(b"nothing here", status="404 Not Found")).url)
    for service in ("backend", "worker"):
        start(docker_box, service, good())
    review = checked(repo, docker_box, base_url=clean)
    waiting = await review.status("log.traces")
    assert waiting.waits and not waiting.counts
    assert (await review.status("log.traces", sign=True)).counts


BOUNDED = {"HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}}}


async def test_logs_that_may_grow_for_ever_fail(repo: Repo, docker_box: Box) -> None:
    for service in ("backend", "frontend"):
        start(docker_box, service, [], **json.loads(json.dumps(BOUNDED)))
    start(docker_box, "worker", [])
    verdict, message = await checked(repo, docker_box).verdict("log.rotation")
    assert verdict == "fail" and "log_unbounded = 1" in message
    docker_box.clean()
    for service in ("backend", "frontend", "worker"):
        start(docker_box, service, [], **json.loads(json.dumps(BOUNDED)))
    verdict, message = await checked(repo, docker_box).verdict("log.rotation")
    assert verdict == "pass", message
    shop.spoil(repo, "backend/shop/settings.py", "logging.StreamHandler", "logging.FileHandler")
    verdict, message = await checked(repo, docker_box).verdict("log.rotation")
    assert verdict == "fail" and "plain" in message


async def test_what_a_container_keeps_to_itself_is_state(repo: Repo, docker_box: Box) -> None:
    for service in ("backend", "frontend"):
        start(docker_box, service, [])
    verdict, message = await checked(repo, docker_box).verdict("scal.stateless")
    assert verdict == "pass", message
    shop.spoil(repo, "backend/shop/settings.py", "backends.cache", "backends.file")
    verdict, message = await checked(repo, docker_box).verdict("scal.stateless")
    assert verdict == "fail" and "sessions" in message
    docker_box.clean()
    shop.spoil(repo, "backend/shop/settings.py", "backends.file", "backends.cache")
    start(docker_box, "backend", [], "touch /data/upload; exec sleep 600")
    start(docker_box, "frontend", [])
    made = docker_box.name("backend")
    until(lambda: bool(docker_box.engine.client.diff(made)))
    verdict, message = await checked(repo, docker_box).verdict("scal.stateless")
    assert verdict == "fail" and "writable_changes" in message


async def test_a_queue_that_is_drained_by_workers_counts_and_one_of_old_tasks_does_not(
    repo: Repo, docker_box: Box, redis_servers: RedisServers
) -> None:
    server = redis_servers.start("--maxmemory-policy", "noeviction")
    review = checked(repo, docker_box)
    review.secrets = {"REDIS_URL": server.url()}
    enqueue(server, age=5)
    start(docker_box, "worker", [])
    verdict, message = await review.verdict("scal.queue")
    assert verdict == "warn" and "canary was not run" in message
    server.run("FLUSHALL")
    enqueue(server, age=3600)
    verdict, message = await review.verdict("scal.queue")
    assert verdict == "fail" and "tasks.oldest_age" in message
    docker_box.clean()
    server.run("FLUSHALL")
    enqueue(server, age=5)
    assert (await review.verdict("scal.queue"))[0] == "unknown", "there is no worker to look at"


async def test_a_task_that_goes_all_the_way_is_the_whole_proof(
    repo: Repo, docker_box: Box, redis_servers: RedisServers
) -> None:
    server = redis_servers.start()
    enqueue(server, age=5)
    start(docker_box, "worker", [])
    # What the product's own task would do: store the text under the key.
    program = repo.write(
        "scripts/task-canary",
        f'#!/bin/sh\nexec redis-cli -s {server.unix} SET captain:canary "$CAPTAIN_CANARY" EX 60\n',
    )
    program.chmod(0o755)
    review = checked(repo, docker_box)
    review.secrets, review.allow = {"REDIS_URL": server.url()}, "active"
    verdict, message = await review.act("scal.queue")
    assert verdict == "pass", message


def enqueue(server: RedisServer, age: int, many: int = 1) -> None:
    """Tasks of Dramatiq's that were made so many seconds ago and wait."""
    at = int((datetime.now(UTC).timestamp() - age) * 1000)
    message = {"queue_name": "default", "actor_name": "ok", "args": [], "kwargs": {}, "options": {}}
    for number in range(many):
        name = f"7f3a-{number}"
        whole = {**message, "message_id": name, "message_timestamp": at}
        server.run("HSET", "dramatiq:default.msgs", name, json.dumps(whole))
        server.run("RPUSH", "dramatiq:default", name)


async def test_a_balancer_spreads_its_requests(repo: Repo, servers: Servers) -> None:
    turn = iter(range(10_000))

    def talk(peer: socket.socket) -> None:
        read_request(peer)
        peer.sendall(answer(b"ok", f"X-Served-By: web-{next(turn) % instances}"))
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(65536):
            pass

    review = Review(repo.path, {"edge_url": text(servers.talk(talk).url)})
    instances = 3
    spread = await review.status("scal.lb")
    assert spread.verdict == "pass" and spread.waits, "taking one out is for a person to show"
    instances = 1
    verdict, message = await review.verdict("scal.lb")
    assert verdict == "fail" and "instances = 1" in message
    instances = 3
    shop.spoil(repo, "backend/shop/settings.py", "SECURE_PROXY_SSL_HEADER", "OTHER")
    assert (await review.verdict("scal.lb"))[0] == "fail"


async def test_the_cache_is_the_same_one_from_inside(repo: Repo, docker_box: Box, redis_servers: RedisServers) -> None:
    server = redis_servers.start("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
    review = checked(repo, docker_box, ping_max='duration("5s")')
    review.secrets, review.allow = {"REDIS_URL": server.url()}, "active"
    assert (await review.act("perf.cache"))[0] == "pass"
    # The image of these tests has no Python: what stands for it says which Redis it found.
    program = repo.path.parent / "python"
    program.write_text(f"#!/bin/sh\necho {server.client().info('server')['run_id']}\n")
    program.chmod(0o755)
    inside: dict[str, Any] = {"HostConfig": {"Binds": [f"{program}:/bin/python:ro"]}}
    start(docker_box, "backend", [], **inside)
    verdict, message = await review.act("scal.cache")
    assert verdict == "pass", message
    program.write_text("#!/bin/sh\necho another\n")
    verdict, message = await review.act("scal.cache")
    assert verdict == "warn" and 'inside.stdout = "another"' in message


async def test_the_depth_of_the_queue_is_exported_and_alerted_on(
    repo: Repo, redis_servers: RedisServers, prometheus_server: PrometheusServer, servers: Servers
) -> None:
    """The gauge of seven that the shop of these tests exports stands for the depth of the queue."""
    server = redis_servers.start()
    families = (
        "# TYPE dramatiq_messages_total counter\ndramatiq_messages_total 3\n"
        "# TYPE dramatiq_message_duration_milliseconds histogram\n"
        'dramatiq_message_duration_milliseconds_bucket{le="+Inf"} 3\n'
        "dramatiq_message_duration_milliseconds_sum 9\ndramatiq_message_duration_milliseconds_count 3\n"
    )
    plain = "Content-Type: text/plain; version=0.0.4"
    params = {
        "prometheus": text(prometheus_server.url),
        "worker_metrics_url": text(servers.answer(answer(families.encode(), plain)).url),
        "queue_depth_metric": text("db_connections"),
        "tasks_alert": text("SlowShop"),
    }
    review = Review(repo.path, params, {"REDIS_URL": server.url()})
    prometheus_server.until(lambda: prometheus_server.value("db_connections"))
    enqueue(server, 5, 7)
    verdict, message = await review.verdict("mon.tasks")
    assert verdict == "warn" and "canary was not run" in message
    enqueue(server, 5, 40)
    verdict, message = await review.verdict("mon.tasks")
    assert verdict == "fail" and "depth.value = 7" in message
    other = servers.answer(answer(b"# TYPE other counter\nother 1\n", plain))
    review.params = {**params, "worker_metrics_url": text(other.url)}
    verdict, message = await review.verdict("mon.tasks")
    assert verdict == "fail" and "size(families.missing) = 2" in message


async def test_connections_of_all_replicas_fit_into_the_database(repo: Repo, postgres_server: Postgres) -> None:
    review = Review(repo.path, {"max_replicas": "8"}, {"DATABASE_URL": postgres_server.dsn()})
    verdict, message = await review.verdict("scal.pooling")
    assert verdict == "fail" and "params.max_replicas = 8" in message
    review.params = {"max_replicas": "2"}
    # What db.pooling says of its own is another matter.
    assert "params.max_replicas" not in (await review.verdict("scal.pooling"))[1]
