"""What the demo's forge and Prometheus answer: of what they know as the real ones, of all else that they do not."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from captain.demo import GOOD, NEW
from captain.demo.forge import REPO, Forge
from captain.demo.prometheus import Monitor
from captain.demo.promql import NotKnown, World, evaluate
from captain.demo.traffic import Traffic

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
RELEASED, NEWEST = "a" * 40, "b" * 40


def series(name: str, value: float, **labels: str) -> tuple[frozenset[tuple[str, str]], float]:
    return frozenset({("__name__", name), *labels.items()}), value


SAMPLES = dict(
    [
        series("up", 1, job="shop"),
        series("asked_total", 90, path="/a", status="200"),
        series("asked_total", 10, path="/a", status="500"),
        series("asked_total", 100, path="/b", status="200"),
        series("took_bucket", 50, le="0.1"),
        series("took_bucket", 90, le="0.5"),
        series("took_bucket", 100, le="+Inf"),
    ]
)
MOMENT = World(SAMPLES, now=NOW.timestamp(), sampled=NOW.timestamp() - 5, uptime=100.0)


def number(query: str) -> float:
    found = evaluate(query, MOMENT)
    if isinstance(found, dict):
        (found,) = found.values()
    return found


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("up", 1),
        ('sum(asked_total{path="/a"})', 100),
        ('sum by (status) (asked_total{status=~"5.."})', 10),
        ("sum(rate(asked_total[5m]))", 2),
        ("sum(increase(asked_total[1m]))", 120),
        ('sum(rate(asked_total{status=~"5.."}[5m])) / sum(rate(asked_total[5m]))', 0.05),
        ('(sum(asked_total{status="418"}) or vector(0)) / sum(asked_total)', 0),
        ("count(count by (path) (asked_total))", 2),
        ("max(asked_total) - min(asked_total) * 2", 80),
        ('sum(asked_total{path!~"/a|/c"} > 99)', 100),
        ("histogram_quantile(0.7, sum by (le) (rate(took_bucket[5m])))", 0.3),
        ("histogram_quantile(0.99, took_bucket)", 0.5),
        ('count by (to) (label_replace(asked_total{path="/b"}, "to", "$1", "path", "/(.*)"))', 1),
        ("time() - max(timestamp(up))", 5),
        ("avg_over_time(up[24h])", 1),
    ],
)
def test_queries_come_out_as_prometheus_would_have_them(query: str, value: float) -> None:
    assert math.isclose(number(query), value, abs_tol=1e-9)


@pytest.mark.parametrize("query", ['up{job="other"}', "nothing", "sum(nothing)", "up > 1"])
def test_what_is_not_there_is_empty_and_not_zero(query: str) -> None:
    assert evaluate(query, MOMENT) == {}


@pytest.mark.parametrize(
    "query", ["", "up up", "predict_linear(up[1h], 3600)", "up offset 5m", "sum(", "topk(1, up)", "{"]
)
def test_what_is_not_known_is_refused(query: str) -> None:
    with pytest.raises(NotKnown):
        evaluate(query, MOMENT)


def asked(query: str, traffic: Traffic) -> tuple[int, Any]:
    return Monitor(traffic, "127.0.0.1:1", lambda: NOW).answer("query", {"query": query})


def test_an_unknown_query_is_an_error_and_an_unknown_path_none_at_all() -> None:
    status, body = asked("quantile_over_time(0.9, up[5m])", Traffic())
    assert (status, body["status"], body["errorType"]) == (422, "error", "execution")
    assert Monitor(Traffic(), "127.0.0.1:1").answer("admin/tsdb/snapshot", {})[0] == 404


def test_failing_checkouts_are_seen() -> None:
    ratio = 'sum(rate(http_requests_total{status=~"5..", endpoint="/checkout"}[5m])) > 0'
    traffic = Traffic()
    assert asked(ratio, traffic)[1]["data"]["result"] == []
    traffic.count("/checkout", 500, 0.01)
    assert len(asked(ratio, traffic)[1]["data"]["result"]) == 1


def test_the_forge_knows_its_own_repository_alone() -> None:
    forge = Forge(RELEASED, NEWEST, lambda: NOW)
    assert forge.answer("repos/acme/other/branches/main", {}) is None
    assert forge.answer(f"repos/{REPO}/secrets", {}) is None
    assert forge.answer(f"repos/{REPO}/branches/main", {"page": "2"}) is None
    runs: Any = forge.answer(f"repos/{REPO}/commits/{NEWEST}/check-runs", {})
    assert {run["head_sha"] for run in runs["check_runs"]} == {NEWEST}
    assert (forge.commit_of(GOOD), forge.commit_of(NEW), forge.commit_of("9.9.9")) == (RELEASED, NEWEST, "")
