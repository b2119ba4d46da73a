"""What the prometheus probe takes from a real Prometheus, and what never becomes a value."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from pydantic import ValidationError

from captain.clock import SystemClock
from captain.condition import Scope, compile_condition, judge, observes
from captain.errors import ProbeError
from captain.measurement import Measurement, Value, Verdict
from captain.probes import Context
from captain.probes.prometheus import PrometheusProbe
from captain.threads import on_daemon
from tests.hostile_server import MANNERS, HostileServer
from tests.http_server import Servers, answer, read_request
from tests.prometheus_server import PrometheusServer

SECRET = "Bearer s3cr3t-token-of-prometheus"
JSON = "Content-Type: application/json"
RATIO = (
    '(sum(rate(http_requests_total{{job="shop", status=~"5..{odd}"}}[1m])) or vector(0))'
    ' / sum(rate(http_requests_total{{job="shop"}}[1m]))'
)
NAIVE = (
    'sum(rate(http_requests_total{job="shop", status=~"5..x"}[1m]))'
    ' / sum(rate(http_requests_total{job="shop"}[1m])) or vector(0)'
)


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


async def ask(url: str, *, within: float = 10, deployed: datetime | None = None, **keys: Any) -> Measurement:
    context = Context(
        root=Path.cwd(),
        repo=None,
        timeout=timedelta(seconds=within),
        environ={},
        secrets={},
        blocking=on_daemon,
        clock=SystemClock(),
        deployed_at=deployed,
    )
    seen = await PrometheusProbe.model_validate({"url": url, **keys}).measure(context)
    assert set(seen.observed) <= set(get_type_hints(PrometheusProbe.Observes))
    return seen


def verdict(observed: Mapping[str, Value], *expect: str) -> Verdict:
    """What a step with these conditions, or the kind's own, would come to."""
    scope = Scope.of({"": {name: one.type for name, one in observes(PrometheusProbe.Observes).items()}}, {}, ())
    conditions = [compile_condition(one, scope) for one in expect or PrometheusProbe.expects(observed)]
    return judge(conditions, (), observed).verdict


def says(document: str, *headers: str, status: str = "200 OK") -> bytes:
    return answer(document.encode(), JSON, *headers, status=status)


def vector(*values: str) -> str:
    result = ", ".join(f'{{"metric": {{"n": "{at}"}}, "value": [1.5, "{value}"]}}' for at, value in enumerate(values))
    return f'{{"status": "success", "data": {{"resultType": "vector", "result": [{result}]}}}}'


# --- what never becomes a value


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
async def test_nan_and_infinity_are_no_value(servers: Servers, value: str) -> None:
    seen = await ask(servers.answer(says(vector(value))).url, query="x")
    assert "value" not in seen.observed
    assert seen.observed["nan_count"] == 1
    assert verdict(seen.observed, "value < 1.0") is Verdict.UNKNOWN
    assert verdict(seen.observed) is Verdict.UNKNOWN


async def test_one_nan_among_many_values_spoils_their_maximum(servers: Servers) -> None:
    seen = await ask(servers.answer(says(vector("1", "NaN", "2"))).url, query="x", reduce="max")
    assert "value" not in seen.observed
    assert "1 of the values are NaN or infinite" in seen.notes[-1]


async def test_an_empty_result_is_unknown_unless_the_author_says_that_none_means_zero(
    prometheus_server: PrometheusServer,
) -> None:
    query = 'http_requests_total{status="599"}'
    seen = await ask(prometheus_server.url, query=query)
    assert seen.observed["series"] == 0
    assert "value" not in seen.observed
    assert verdict(seen.observed, "value == 0.0") is Verdict.UNKNOWN
    seen = await ask(prometheus_server.url, query=query, empty="zero")
    assert seen.observed["value"] == 0.0
    assert any("empty: zero" in note for note in seen.notes)


async def test_several_series_are_no_value_until_something_reduces_them(prometheus_server: PrometheusServer) -> None:
    seen = await ask(prometheus_server.url, query="up")
    assert "value" not in seen.observed
    assert seen.observed["series"] == 2
    assert seen.notes == ("2 series: take one with sum() or max() in the query, or give reduce",)
    wanted = {"max": 1.0, "min": 0.0, "sum": 1.0, "avg": 0.5}
    for reduce, value in wanted.items():
        assert (await ask(prometheus_server.url, query="up", reduce=reduce)).observed["value"] == value
    seen = await ask(prometheus_server.url, query="up", reduce="min")
    assert 'job="gone"' in seen.notes[-1]


async def test_an_answer_with_warnings_gives_no_value(servers: Servers) -> None:
    document = vector("0").removesuffix("}") + ', "warnings": ["partial response: store 10.0.0.1 is down"]}'
    seen = await ask(servers.answer(says(document)).url, query="x")
    assert seen.observed == {"mode": "query", "warnings": ["partial response: store 10.0.0.1 is down"]}
    assert "partial response" in seen.notes[0]
    partial = vector("0").removesuffix("}") + ', "isPartial": true}'
    assert "value" not in (await ask(servers.answer(says(partial)).url, query="x")).observed
    hint = vector("0").removesuffix("}") + ', "infos": ["metric might not be a counter"]}'
    seen = await ask(servers.answer(says(hint)).url, query="x")
    assert seen.observed["value"] == 0.0
    assert "Prometheus remarks: metric might not be a counter" in seen.notes


async def test_a_query_that_reads_nothing_measures_nothing(prometheus_server: PrometheusServer) -> None:
    for query in ("vector(0)", "time()", "1"):
        seen = await ask(prometheus_server.url, query=query)
        assert "value" not in seen.observed
        assert "the query reads no series" in seen.notes[-1]


async def test_f19_a_healthy_shop_without_failures_has_a_ratio_of_zero(prometheus_server: PrometheusServer) -> None:
    query = RATIO.format(odd="x")
    prometheus_server.until_busy()
    seen = await ask(prometheus_server.url, query=query)
    assert seen.observed["value"] == 0.0
    assert verdict(seen.observed, "value < 0.01") is Verdict.PASS
    assert seen.observed["sample_age"] < timedelta(seconds=5)  # type: ignore[operator]  # a union of value types
    assert any("no series matches http_requests_total{job=" in note for note in seen.notes)


async def test_f19_a_fallback_around_the_ratio_passes_nothing_up_or_down(prometheus_server: PrometheusServer) -> None:
    app = prometheus_server.app
    right = RATIO.format(odd="x")
    prometheus_server.until_busy()
    seen = await ask(prometheus_server.url, query=NAIVE)
    assert "value" not in seen.observed
    assert any("or vector" in note for note in seen.notes)
    app.stop()
    prometheus_server.until_up(False)
    down = prometheus_server.value(NAIVE)
    assert [one["value"][1] for one in down] == ["0"], "Prometheus itself says 0 with the product down"
    for query in (NAIVE, right, f"100 * ({NAIVE})", 'sum(increase(http_requests_total{job="shop",status="500"}[5m]))'):
        seen = await ask(prometheus_server.url, query=query)
        assert "value" not in seen.observed, query
        assert verdict(seen.observed, "value < 0.01") is Verdict.UNKNOWN
    seen = await ask(prometheus_server.url, query='absent(http_requests_total{job="shop"})')
    assert seen.observed["value"] == 1.0, "asked for absence, absence is an answer"


# --- what is measured


async def test_the_queries_of_a_deploy_are_answered(prometheus_server: PrometheusServer) -> None:
    began = datetime.now(UTC)
    prometheus_server.app.visit("/items", 3)
    started = 'min(process_start_time_seconds{job="shop"})'
    fresh = await ask(prometheus_server.url, query=started)
    assert float(fresh.observed["value"]) < began.timestamp()  # type: ignore[arg-type]  # a union of value types
    assert fresh.asked == f"{started}, of prometheus {prometheus_server.url}"
    old = await ask(prometheus_server.url, query=started, at="deploy-1h", deployed=began)
    assert "value" not in old.observed
    with pytest.raises(ProbeError, match="has not begun to deploy"):
        await ask(prometheus_server.url, query=started, at="deploy")
    with pytest.raises(ProbeError, match="has not come yet"):
        await ask(prometheus_server.url, query=started, at="now+1h")
    with pytest.raises(ProbeError, match="has not come yet"):
        await ask(prometheus_server.url, query=started, at="2100-01-01T00:00:00Z")


async def test_a_window_has_a_value_only_where_it_is_covered(prometheus_server: PrometheusServer) -> None:
    keys: dict[str, Any] = {"mode": "range", "query": 'up{job="gone"}', "reduce": "max"}
    seen = await ask(prometheus_server.url, window="1s", step="250ms", **keys)
    assert seen.observed["value"] == 0.0
    assert seen.observed["coverage"] == 1.0
    assert verdict(seen.observed) is Verdict.FAIL
    seen = await ask(prometheus_server.url, window="1d", step="1m", **keys)
    assert "value" not in seen.observed
    assert seen.observed["coverage"] < 0.1  # type: ignore[operator]  # a union of value types
    assert "of the window only" in seen.notes[-1]
    fallback: dict[str, Any] = {**keys, "query": 'up{job="gone"} or vector(0)'}
    assert "value" not in (await ask(prometheus_server.url, window="1d", step="1m", **fallback)).observed


async def test_targets_are_counted_with_what_prometheus_met(prometheus_server: PrometheusServer) -> None:
    seen = await ask(prometheus_server.url, mode="targets")
    assert {name: seen.observed[name] for name in ("up", "down", "total", "late")} == {
        "up": 1,
        "down": 1,
        "total": 2,
        "late": 0,
    }
    assert "connection refused" in seen.notes[0]
    assert verdict(seen.observed) is Verdict.FAIL
    seen = await ask(prometheus_server.url, mode="targets", job="shop")
    assert verdict(seen.observed, "up == total && total > 0", "late == 0") is Verdict.PASS
    assert seen.observed["last_scrape_age"] < timedelta(seconds=5)  # type: ignore[operator]
    with pytest.raises(ProbeError, match="no target of job shpo") as raised:
        await ask(prometheus_server.url, mode="targets", job="shpo")
    assert (raised.value.fault, raised.value.hint) == ("unclear", "it has jobs gone, shop")


async def test_alerts_fire_and_the_watchdog_is_ignored(prometheus_server: PrometheusServer) -> None:
    prometheus_server.fire(False)
    seen = await ask(prometheus_server.url, mode="alerts")
    assert (seen.observed["firing"], seen.observed["firing_count"], seen.observed["critical_count"]) == ([], 0, 0)
    assert verdict(seen.observed) is Verdict.PASS
    assert (await ask(prometheus_server.url, mode="alerts", ignore_alerts=[])).observed["firing"] == ["Watchdog"]
    prometheus_server.fire(True)
    seen = await ask(prometheus_server.url, mode="alerts")
    assert (seen.observed["firing"], seen.observed["critical_count"]) == (["SlowShop"], 1)
    assert verdict(seen.observed) is Verdict.FAIL
    seen = await ask(prometheus_server.url, mode="alerts", ignore_alerts=["/^Slow/", "Watchdog"])
    assert seen.observed["firing_count"] == 0
    prometheus_server.fire(False)


async def test_no_alert_means_nothing_where_no_rule_could_fire(servers: Servers) -> None:
    def talk(rules: str) -> str:
        def speak(peer: Any) -> None:
            wanted = read_request(peer)
            body = rules if b"/rules" in wanted else '{"status": "success", "data": {"alerts": []}}'
            peer.sendall(says(body))

        return servers.talk(speak).url

    empty = '{"status": "success", "data": {"groups": []}}'
    seen = await ask(talk(empty), mode="alerts")
    assert "firing_count" not in seen.observed
    assert verdict(seen.observed) is Verdict.UNKNOWN
    sick = '{"name": "Down", "type": "alerting", "health": "err", "lastError": "no such metric"}'
    seen = await ask(
        talk(f'{{"status": "success", "data": {{"groups": [{{"interval": 5, "rules": [{sick}]}}]}}}}'), mode="alerts"
    )
    assert "firing_count" not in seen.observed
    assert seen.observed["rules_unhealthy"] == 1
    assert "rule Down: no such metric" in seen.notes


async def test_rules_are_found_by_name_and_by_pattern(prometheus_server: PrometheusServer) -> None:
    prometheus_server.fire(False)
    seen = await ask(prometheus_server.url, mode="rules", require_rules=["HighErrorRate", "/^Slow/", "/Latency/"])
    assert seen.observed["rules_found"] == ["HighErrorRate", "SlowShop"]
    assert seen.observed["rules_missing"] == ["/Latency/"]
    assert (seen.observed["rules"], seen.observed["rules_unhealthy"]) == (4, 0)
    assert seen.observed["alert_names"] == ["HighErrorRate", "SlowShop", "Watchdog"]
    assert verdict(seen.observed) is Verdict.FAIL
    seen = await ask(prometheus_server.url, mode="rules", require_rules=["HighErrorRate"])
    assert verdict(seen.observed) is Verdict.PASS


async def test_the_version_is_told(prometheus_server: PrometheusServer) -> None:
    seen = await ask(prometheus_server.url, mode="buildinfo")
    assert str(seen.observed["version"]).startswith("2.")
    assert verdict(seen.observed) is Verdict.PASS


# --- what is no answer


async def test_f19_a_bad_query_is_unknown_in_the_words_of_prometheus(prometheus_server: PrometheusServer) -> None:
    with pytest.raises(ProbeError, match=r"bad_data: invalid parameter .*unclosed left parenthesis") as raised:
        await ask(prometheus_server.url, query="sum(up")
    assert raised.value.fault == "instrument"


@pytest.mark.parametrize(
    ("said", "words", "fault"),
    [
        (answer(b"<html>Sign in</html>", "Content-Type: text/html"), "no answer of a Prometheus", "instrument"),
        (answer(b"", status="204 No Content"), "answers 204 and nothing else", "instrument"),
        (answer(b"404 page not found", status="404 Not Found"), "answers 404", "instrument"),
        (answer(b"no", status="401 Unauthorized"), "answers 401: captain is not let in", "instrument"),
        (says('{"status":"error","error":"no"}', status="403 Forbidden"), "answers 403", "instrument"),
        (answer(b"", "Location: /login?next=s3cr3t", status="302 Found"), "answers 302 and points to", "instrument"),
        (answer(b"Service Unavailable", status="503 Service Unavailable"), "answers 503: Service", "unclear"),
        (answer(b"slow down", status="429 Too Many Requests"), "answers 429", "unclear"),
        (says('{"status":"error","errorType":"timeout","error":"query timed out"}'), "query timed out", "unclear"),
        (says('{"status":"success"}'), "no result", "unclear"),
        (says('{"status":"success","data":{"resultType":"vector","result":[[]]}}'), "without labels", "unclear"),
        (says('{"status":"success","data":{"resultType":"string","result":[1,"x"]}}'), "gives a text", "unclear"),
        (says(vector("1_0_x")), "is no number", "unclear"),
        (says(vector("0"), status="500 Internal Server Error"), "status 500", "unclear"),
        (says('{"status":"success","data":'), "no answer of a Prometheus", "instrument"),
    ],
)
async def test_what_is_no_answer_is_an_error_that_says_what_to_do(
    servers: Servers, said: bytes, words: str, fault: str
) -> None:
    with pytest.raises(ProbeError, match=words) as raised:
        await ask(servers.answer(said).url, query="up")
    assert raised.value.fault == fault
    assert "s3cr3t" not in str(raised.value)


async def test_a_prometheus_that_is_not_there_is_unknown_and_never_the_products_fault() -> None:
    with pytest.raises(ProbeError, match=r"prometheus http://127.0.0.1:9: query: connection refused") as raised:
        await ask("http://127.0.0.1:9", query="up")
    assert raised.value.fault == "unclear"
    assert raised.value.hint == "is Prometheus up, and is http://127.0.0.1:9 its address?"
    assert PrometheusProbe.on_error == "unknown"


@pytest.mark.parametrize("manner", MANNERS)
async def test_no_manner_of_a_server_holds_the_probe(hostile_server: HostileServer, manner: str) -> None:
    port = hostile_server.port(manner, after=b"HTTP/1.1 200 OK\r\n\r\n", unit=b'{"status": "success", "x": 1}')
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(ProbeError):
        await ask(f"http://127.0.0.1:{port}", query="up", within=1)
    took = time.monotonic() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 1.5
    assert peak < 40 * 1024**2


async def test_credentials_go_into_headers_and_are_shown_nowhere(servers: Servers) -> None:
    server = servers.answer(says(vector("1")))
    seen = await ask(f"{server.url}/tenant/", query="up", headers={"Authorization": SECRET})
    assert SECRET.encode() in server.requests[0]
    assert server.requests[0].startswith(b"GET /tenant/api/v1/query?query=up&timeout=")
    assert "s3cr3t" not in repr(seen)
    with pytest.raises(ProbeError) as raised:
        await ask("http://127.0.0.1:9", query="up", headers={"Authorization": SECRET})
    assert "s3cr3t" not in f"{raised.value} {raised.value.hint}"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "needs query in mode query"),
        ({"mode": "range"}, "needs query in mode range"),
        ({"query": "up", "job": "shop"}, "takes job only in mode targets"),
        ({"mode": "targets", "query": "up"}, "takes query only in mode query or range"),
        ({"query": "up", "at": "yesterday"}, "takes now, deploy"),
        ({"query": "up", "at": "2026-11-23"}, "takes now, deploy"),
        ({"mode": "range", "query": "up", "window": "30d", "step": "1s"}, "at most 10,000 steps"),
        ({"mode": "rules", "require_rules": ["/(a+)+/"]}, "repeats a group"),
        ({"query": "up", "url": "http://me:pw@prometheus"}, "holds a user or password"),
        ({"query": "up", "url": "http://prometheus/graph?g0"}, "is not the address of an API"),
    ],
)
def test_what_cannot_be_asked_is_an_error_of_the_file(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PrometheusProbe.model_validate({"url": "http://prometheus:9090", **keys})
