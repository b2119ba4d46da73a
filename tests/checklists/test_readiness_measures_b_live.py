"""The shipped readiness review over real systems: metrics, logs, caches, queues, images, buckets and answers."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.checklists import well_kept_shop as shop
from tests.checklists.reviewing import Review
from tests.docker_engine import Box
from tests.forge_server import ForgeServer
from tests.git_repo import Repo
from tests.http_server import Servers, answer, read_request
from tests.postgres_server import Postgres
from tests.prometheus_server import MetricsApp, PrometheusServer
from tests.redis_server import RedisServers
from tests.s3_server import KEY_ID, OWNER, SECRET, S3Server


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


# Monitoring


async def test_metrics_are_scraped_and_not_public(
    repo: Repo, servers: Servers, prometheus_server: PrometheusServer
) -> None:
    params = {
        "prometheus": text(prometheus_server.url),
        "metrics_url": text(f"{prometheus_server.app.url}/metrics"),
        "edge_url": text(servers.answer(answer(status="403 Forbidden")).url),
        "min_metrics": "3",
    }
    prometheus_server.app.visit("/items", 2)
    verdict, message = await Review(repo.path, params).verdict("mon.metrics")
    assert verdict == "pass", message
    public = {**params, "edge_url": text(prometheus_server.app.url)}
    verdict, message = await Review(repo.path, public).verdict("mon.metrics")
    assert verdict == "warn" and "outside.status = 200" in message
    for broken, says in (
        ({"prometheus_job": text("gone")}, "scraped.up"),
        ({"min_metrics": "30"}, "endpoint.app_families"),
        ({"metrics_url": text(f"{prometheus_server.app.url}/items")}, "endpoint"),
    ):
        verdict, message = await Review(repo.path, {**params, **broken}).verdict("mon.metrics")
        assert (verdict, says in message) == ("fail", True), message
    verdict, message = await Review(repo.path, {**params, "prometheus": text("http://127.0.0.1:9")}).verdict(
        "mon.metrics"
    )
    assert verdict == "unknown" and "is Prometheus up" in message


async def test_counters_of_several_processes_fail(repo: Repo, three_workers: MetricsApp) -> None:
    three_workers.visit("/items", 20)
    params = {"metrics_url": text(f"{three_workers.url}/metrics"), "min_metrics": "3"}
    verdict, message = await Review(repo.path, params).verdict("mon.metrics")
    assert verdict == "fail" and "decreasing_counters" in message


async def test_requests_are_counted_by_endpoint_and_the_proof_is_only_sent_where_allowed(
    repo: Repo, metrics_app: MetricsApp
) -> None:
    params = {
        "metrics_url": text(f"{metrics_app.url}/metrics"),
        "base_url": text(metrics_app.url),
        "sample_path": text("/items"),
        "sample_endpoint": text("/items"),
    }
    metrics_app.visit("/items")
    verdict, message = await Review(repo.path, params).verdict("mon.per-endpoint")
    assert verdict == "fail" and "endpoint_labels" in message
    metrics_app.visit("/slow")
    metrics_app.visit("/gone")
    verdict, message = await Review(repo.path, params).verdict("mon.per-endpoint")
    assert verdict == "warn" and "counted was not run" in message
    verdict, message = await Review(repo.path, params, allow="active").act("mon.per-endpoint")
    assert verdict == "pass", message
    metrics_app.visit("/orders/12345")
    verdict, message = await Review(repo.path, params).verdict("mon.per-endpoint")
    assert verdict == "fail" and "raw_ids" in message


def watched(server: PrometheusServer, **more: str) -> dict[str, str]:
    return {
        "prometheus": text(server.url),
        "metrics_url": text(f"{server.app.url}/metrics"),
        "base_url": text(server.app.url),
        **{name: text(value) for name, value in more.items()},
    }


async def test_histograms_cover_what_is_measured(repo: Repo, prometheus_server: PrometheusServer) -> None:
    prometheus_server.until_busy()
    params = watched(prometheus_server)
    prometheus_server.until(lambda: prometheus_server.value("rate(http_request_duration_seconds_bucket[5m]) > 0"))
    verdict, message = await Review(repo.path, params).verdict("mon.histograms")
    assert verdict == "pass", message
    assert "highest.value = 10" in message
    verdict, message = await Review(repo.path, watched(prometheus_server, latency_metric="other")).verdict(
        "mon.histograms"
    )
    assert verdict == "unknown", message


async def test_errors_are_counted_by_status_and_alerted_on(repo: Repo, prometheus_server: PrometheusServer) -> None:
    prometheus_server.until_busy()
    step = "mon.error-rate"
    verdict, message = await Review(repo.path, watched(prometheus_server)).verdict(step)
    assert verdict == "pass", message
    verdict, message = await Review(repo.path, watched(prometheus_server, error_alert="NoSuchAlert")).verdict(step)
    assert verdict == "warn" and "alert.rules_missing" in message
    verdict, message = await Review(repo.path, watched(prometheus_server, status_label="code")).verdict(step)
    assert verdict == "fail" and "labelled.value = 0" in message
    verdict, message = await Review(repo.path, watched(prometheus_server, prometheus_job="gone")).verdict(step)
    assert verdict == "unknown", message


async def test_connections_agree_with_what_the_database_counts(
    repo: Repo, prometheus_server: PrometheusServer, postgres_server: Postgres, postgres_database: str
) -> None:
    secrets = {"DATABASE_URL": postgres_server.dsn(database=postgres_database)}
    prometheus_server.until(lambda: prometheus_server.value("db_connections"))
    params = watched(prometheus_server, connections_alert="SlowShop")
    verdict, message = await Review(repo.path, params, secrets).verdict("mon.db-conns")
    assert verdict == "fail" and "exported.value = 7" in message
    held = [postgres_server.connect(database=postgres_database) for _ in range(6)]
    try:
        verdict, message = await Review(repo.path, params, secrets).verdict("mon.db-conns")
        assert verdict == "pass", message
        params = watched(prometheus_server, connections_alert="NoSuchAlert")
        verdict, message = await Review(repo.path, params, secrets).verdict("mon.db-conns")
        assert verdict == "warn", message
    finally:
        for one in held:
            one.close()


async def test_a_cache_that_nobody_counts_fails(repo: Repo, prometheus_server: PrometheusServer) -> None:
    verdict, message = await Review(repo.path, watched(prometheus_server)).verdict("mon.cache")
    assert verdict == "fail" and "size(endpoint.missing) = 2" in message
    # Of a cache that hits whenever the shop is asked, and never misses where it is slow.
    names = {"cache_hits_metric": "http_requests_total", "cache_misses_metric": "http_request_duration_seconds_count"}
    prometheus_server.until_busy()
    prometheus_server.app.visit("/items", 200)
    query = "sum(increase(http_requests_total[1h])) >= 100"
    prometheus_server.until(lambda: prometheus_server.value(query))
    verdict, message = await Review(repo.path, {**watched(prometheus_server, **names), "min_hit_ratio": "0.3"}).verdict(
        "mon.cache"
    )
    assert verdict == "pass", message
    verdict, message = await Review(repo.path, {**watched(prometheus_server, **names), "min_hit_ratio": "0.9"}).verdict(
        "mon.cache"
    )
    assert verdict == "warn", message


def uptime(forge: ForgeServer, age: timedelta, state: str = "active", conclusion: str = "success") -> None:
    at = (datetime.now(UTC) - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    run = {"id": 1, "run_number": 1, "event": "schedule", "status": "completed", "conclusion": conclusion,
           "run_started_at": at, "created_at": at, "updated_at": at, "head_branch": "main", "head_sha": "a" * 40,
           "html_url": "https://example.com/1"}  # fmt: skip
    path = "repos/acme/shop/actions/workflows/uptime.yml"
    forge.put(path, {"id": 7, "name": "uptime", "path": ".github/workflows/uptime.yml", "state": state})
    forge.put(f"{path}/runs", {"total_count": 1, "workflow_runs": [run]})


async def test_uptime_is_watched_by_a_workflow_that_still_runs(repo: Repo, forge: ForgeServer) -> None:
    checked = Review(repo.path, {"forge_api": text(forge.url.rstrip("/"))}, {"GITHUB_TOKEN": "token-of-a-test"})
    uptime(forge, timedelta(minutes=12))
    verdict, message = await checked.verdict("mon.uptime")
    assert verdict == "pass", message
    for late, says in (
        ((timedelta(hours=2),), "newest_age"),
        ((timedelta(minutes=12), "disabled_inactivity"), "workflow_state"),
        ((timedelta(minutes=12), "active", "failure"), "last_conclusion"),
    ):
        uptime(forge, *late)
        verdict, message = await checked.verdict("mon.uptime")
        assert (verdict, says in message) == ("fail", True), message
    forge.refuse("repos/*", "401 Unauthorized")
    assert (await checked.verdict("mon.uptime"))[0] == "unknown"


# Performance


def cached(servers: RedisServers, *options: str) -> dict[str, str]:
    return {"REDIS_URL": servers.start(*options, password="of-a-test-only").url()}


async def test_a_cache_has_a_limit_and_a_policy_and_the_settings_name_it(
    repo: Repo, redis_servers: RedisServers
) -> None:
    patient = {"ping_max": 'duration("5s")'}
    good = cached(redis_servers, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
    verdict, message = await Review(repo.path, patient, good).verdict("perf.cache")
    assert verdict == "warn" and "canary was not run" in message
    verdict, message = await Review(repo.path, patient, good, allow="active").act("perf.cache")
    assert verdict == "pass", message
    verdict, message = await Review(repo.path, patient, cached(redis_servers)).verdict("perf.cache")
    assert verdict == "fail" and "redis.maxmemory = 0" in message
    shop.spoil(repo, "backend/shop/settings.py", "redis.RedisCache", "locmem.LocMemCache")
    verdict, message = await Review(repo.path, patient, good).verdict("perf.cache")
    assert verdict == "fail" and "local" in message
    nobody = {"REDIS_URL": "redis://127.0.0.1:9/0"}
    verdict, message = await Review(repo.path, patient, nobody).verdict("perf.cache")
    assert verdict == "fail" and "refused" in message


async def test_where_it_stands_a_second_time_a_cache_that_warns_warns(repo: Repo, redis_servers: RedisServers) -> None:
    good = cached(redis_servers, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
    found = await Review(repo.path, {"ping_max": 'duration("5s")'}, good).measure("perf.cache", "scal.cache")
    assert [said[0] for said in found.values()] == ["warn", "warn"], found


async def test_images_are_measured_against_their_limits(repo: Repo, docker_box: Box) -> None:
    ref = docker_box.engine.image()
    images = {"backend_image": text(ref), "frontend_image": text(ref)}
    checked = Review(repo.path, images, environ=docker_box.engine.environ)
    verdict, message = await checked.verdict("perf.image-size")
    assert verdict == "pass", message
    small = Review(repo.path, {**images, "frontend_max": "1 * kB"}, environ=docker_box.engine.environ)
    verdict, message = await small.verdict("perf.image-size")
    assert verdict == "fail" and "frontend.size" in message
    none = Review(repo.path, {**images, "frontend_image": text("no-such-image:1")}, environ=docker_box.engine.environ)
    assert (await none.verdict("perf.image-size"))[0] == "unknown"


EDGE = (
    "Server: cloudflare", "CF-Ray: 8c1-FRA", "Cache-Control: public, max-age=31536000, immutable",
    "Content-Encoding: gzip",
)  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "verdict", "says"),
    [
        ((*EDGE, "CF-Cache-Status: HIT"), "pass", "cdn"),
        ((*EDGE, "CF-Cache-Status: MISS"), "warn", "cache_statuses"),
        ((*EDGE, "CF-Cache-Status: DYNAMIC"), "fail", "cache_statuses"),
        (EDGE[2:], "fail", "cdn"),
        (("Server: cloudflare", "CF-Ray: 8c1-FRA", "CF-Cache-Status: HIT", "Cache-Control: max-age=60"), "fail",
         "max_age"),
    ],
)  # fmt: skip
async def test_the_edge_keeps_static_files(
    repo: Repo, servers: Servers, headers: tuple[str, ...], verdict: str, says: str
) -> None:
    packed = any("gzip" in one for one in headers)
    body = gzip.compress(b"code") if packed else b"code"
    asset = text(f"{servers.answer(answer(body, *headers)).url}/main-4f1c.js")
    found = await Review(repo.path, {"asset_url": asset}).measure("perf.cdn", "scal.cdn")
    assert found["perf.cdn"][0] == verdict and says in found["perf.cdn"][1], found
    assert found["scal.cdn"][0] == verdict, found


async def test_pages_that_load_different_chunks_show_splitting_without_a_build(repo: Repo, servers: Servers) -> None:
    (repo.path / "frontend/.next/diagnostics/route-bundle-stats.json").unlink()

    def talk(peer: socket.socket) -> None:
        path = read_request(peer).split(b" ")[1].decode()
        scripts = "".join(f'<script src="/chunks/{one}.js"></script>' for one in ("a", path.strip("/")))
        page = scripts.encode() if path in ("/one", "/two", "/a") else b"code"
        peer.sendall(answer(page, "Content-Type: text/html"))
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(65536):
            pass

    url = servers.talk(talk).url
    both = {"page_a_url": text(f"{url}/one"), "page_b_url": text(f"{url}/two")}
    verdict, message = await Review(repo.path, both).verdict("perf.code-split")
    assert verdict == "pass", message
    same = {"page_a_url": text(f"{url}/one"), "page_b_url": text(f"{url}/one")}
    verdict, message = await Review(repo.path, same).verdict("perf.code-split")
    assert verdict != "pass", message


# Backup and disaster recovery


def in_frankfurt(server: S3Server, servers: Servers, *, asks_for_keys: bool = True) -> str:
    """The address of a front of that server which says where it is and, as Amazon's does, wants a key."""

    def talk(peer: socket.socket) -> None:
        head = read_request(peer).decode("latin-1")
        method, target = head.split(" ")[:2] if head else ("", "")
        if not head or (asks_for_keys and "authorization:" not in head.lower()):
            return peer.sendall(answer(status="403 Forbidden"))
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, target, headers={"Authorization": OWNER})
            said = connection.getresponse()
            kept = [f"{name}: {value}" for name, value in said.getheaders() if name.lower() in FORWARDED]
            where = "x-amz-bucket-region: eu-central-1"
            peer.sendall(answer(said.read(), *kept, where, status=f"{said.status} x"))
        return None

    return servers.talk(talk).url


FORWARDED = ("content-type", "date", "last-modified", "etag", "x-amz-server-side-encryption")


async def test_a_copy_elsewhere_is_fresh_encrypted_and_private(
    repo: Repo, servers: Servers, s3_server: S3Server
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    bucket = s3_server.bucket()
    s3_server.put(bucket, "pg/shop.dump", b"x" * 5000, x_amz_server_side_encryption="AES256")
    params = {
        "offsite_endpoint": text(in_frankfurt(s3_server, servers)),
        "offsite_prefix": text(f"{bucket}/pg/"),
    }
    verdict, message = await Review(repo.path, params, keys).verdict("dr.offsite")
    assert verdict == "fail" and "versioned = false" in message
    versions = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    assert s3_server.call("PUT", f"/{bucket}?versioning", versions)[0] == 200
    verdict, message = await Review(repo.path, params, keys).verdict("dr.offsite")
    assert verdict == "pass", message
    open_to_all = {**params, "offsite_endpoint": text(in_frankfurt(s3_server, servers, asks_for_keys=False))}
    verdict, message = await Review(repo.path, open_to_all, keys).verdict("dr.offsite")
    assert verdict == "fail" and "public = true" in message
    beside = {**params, "primary_region": text("eu-central-1")}
    verdict, message = await Review(repo.path, beside, keys).verdict("dr.offsite")
    assert verdict == "fail" and "region" in message
    verdict, message = await Review(repo.path, params).verdict("dr.offsite")
    assert verdict == "unknown" and "AWS_ACCESS_KEY_ID is not set" in message


async def test_a_nightly_dump_does_not_keep_a_promise_of_five_minutes(repo: Repo, postgres_server: Postgres) -> None:
    secrets = {"DATABASE_URL": postgres_server.dsn()}
    params = {"backups": text(f"{repo.path.parent}/backups/*.dump")}
    verdict, message = await Review(repo.path, params, secrets).verdict("dr.rto-rpo")
    assert verdict == "fail" and "archiver.archive_timeout = 0s" in message
    with postgres_server.setting(archive_timeout="60s"):
        before = postgres_server.run("select archived_count from pg_stat_archiver")[0][0]
        postgres_server.run(
            "create table wal_of_review as select 1", "select pg_switch_wal()", "drop table wal_of_review"
        )
        postgres_server.until(lambda: postgres_server.run("select archived_count from pg_stat_archiver")[0][0] > before)
        verdict, message = await Review(repo.path, params, secrets).verdict("dr.rto-rpo")
        assert verdict == "warn" and "drill" in message, "nobody has restored it yet"
        longer = {**params, "rpo": 'duration("10m")'}
        verdict, message = await Review(repo.path, longer, secrets).verdict("dr.rto-rpo")
        assert verdict == "fail" and "rpo" in message, "the document says another time"


async def test_a_rehearsal_on_paper_needs_somebody_who_vouches(repo: Repo) -> None:
    checked = Review(repo.path)
    for step in ("dr.runbook", "dr.incident"):
        waiting = await checked.status(step)
        assert waiting.verdict == "pass" and waiting.waits and not waiting.counts
    signed = await checked.status("dr.runbook", sign=True)
    assert signed.counts and not signed.waits


# Documentation


def says(servers: Servers, pages: dict[str, Any]) -> str:
    """The address of a server with these pages of JSON; of anything else it answers 404."""

    def talk(peer: socket.socket) -> None:
        path = read_request(peer).split(b" ")[1].decode()
        if path in pages:
            peer.sendall(answer(json.dumps(pages[path]).encode(), "Content-Type: application/json"))
        else:
            peer.sendall(answer(status="404 Not Found"))
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(65536):
            pass

    return servers.talk(talk).url


async def test_the_schema_of_the_api_covers_what_is_asked_for(
    repo: Repo, servers: Servers, prometheus_server: PrometheusServer
) -> None:
    prometheus_server.until_busy()
    prometheus_server.until(lambda: prometheus_server.value('increase(http_requests_total{endpoint="/items"}[1h]) > 0'))
    seen = {one["metric"]["endpoint"] for one in prometheus_server.value("increase(http_requests_total[1h]) > 0")}
    schema = {"openapi": "3.1.0", "paths": {path: {} for path in seen}}
    path = "/api/schema/?format=json"
    params = watched(prometheus_server, base_url=says(servers, {path: schema}))
    verdict, message = await Review(repo.path, params).verdict("doc.api")
    assert verdict == "pass", message
    for broken in ({**schema, "paths": {"/other": {}}}, {**schema, "openapi": "2.0"}):
        params = watched(prometheus_server, base_url=says(servers, {path: broken}))
        assert (await Review(repo.path, params).verdict("doc.api"))[0] == "fail"
    params = watched(prometheus_server, base_url=says(servers, {}))
    assert (await Review(repo.path, params).verdict("doc.api"))[0] == "fail"
    guarded = servers.answer(answer(b'{"detail": "no"}', "Content-Type: application/json", status="401 Unauthorized"))
    assert (await Review(repo.path, watched(prometheus_server, base_url=guarded.url)).verdict("doc.api"))[
        0
    ] == "unknown"


async def test_alerts_are_named_in_the_guide(repo: Repo, prometheus_server: PrometheusServer) -> None:
    verdict, message = await Review(repo.path, watched(prometheus_server)).verdict("doc.trouble")
    assert verdict == "fail" and "alerts" in message, "it names one of three"
    shop.spoil(repo, "docs/troubleshooting.md", "SlowShop", "SlowShop, HighErrorRate, Watchdog")
    verdict, message = await Review(repo.path, watched(prometheus_server)).verdict("doc.trouble")
    assert verdict == "pass", message
    shop.spoil(repo, "docs/troubleshooting.md", "## ", "")
    verdict, message = await Review(repo.path, watched(prometheus_server)).verdict("doc.trouble")
    assert verdict == "fail" and "symptoms" in message


async def test_a_picture_is_compared_by_a_person(repo: Repo) -> None:
    (repo.path / "docs/architecture.md").unlink()
    (repo.path / "docs/architecture.png").write_bytes(b"\x89PNG" + b"\0" * 2000)
    shop.commit(repo)
    waiting = await Review(repo.path).status("doc.arch")
    assert waiting.verdict == "unknown" and waiting.waits
    assert (await Review(repo.path).status("doc.arch", sign=True)).counts
