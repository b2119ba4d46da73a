"""What the metrics probe tells of real services, and what it never counts."""

from __future__ import annotations

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
from captain.probes.metrics import MetricsProbe
from captain.threads import on_daemon
from tests.hostile_server import MANNERS, HostileServer
from tests.http_server import Servers, answer
from tests.prometheus_server import MetricsApp, get

TEXT = "Content-Type: text/plain; version=0.0.4"
SECRET = "s3cr3t-token-of-metrics"


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


async def ask(url: str, *, within: float = 10, **keys: Any) -> Measurement:
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
    seen = await MetricsProbe.model_validate({"url": url, "every": "20ms", **keys}).measure(context)
    assert set(seen.observed) <= set(get_type_hints(MetricsProbe.Observes))
    return seen


def verdict(observed: Mapping[str, Value], *expect: str) -> Verdict:
    scope = Scope.of({"": {name: one.type for name, one in observes(MetricsProbe.Observes).items()}}, {}, ())
    conditions = [compile_condition(one, scope) for one in expect or MetricsProbe.default_expect]
    return judge(conditions, (), observed).verdict


async def test_a_service_of_one_process_is_consistent_and_counted(metrics_app: MetricsApp) -> None:
    for path in ("/items", "/fail", "/gone"):
        metrics_app.visit(path, 2)
    seen = await ask(f"{metrics_app.url}/metrics", require=["http_requests_total", "/duration/", "celery_tasks"])
    assert verdict(seen.observed) is Verdict.PASS
    found = seen.observed
    assert (found["status"], found["content_type_ok"], found["parse_errors"]) == (200, True, 0)
    assert (found["decreasing_counters"], found["processes"]) == (0, 1)
    assert found["app_families"] == 4, "counter, histogram and two gauges"
    assert found["missing"] == ["celery_tasks"]
    assert (found["endpoint_labels"], found["raw_ids"], found["max_cardinality"]) == (3, 0, 3)
    assert (found["histogram_families"], found["min_finite_buckets"]) == (1, 14)
    assert found["types"]["histogram"] == 1  # type: ignore[index,call-overload]  # a union of value types
    assert seen.asked == f"GET {metrics_app.url}/metrics ×8"


async def test_f20_the_same_endpoint_counts_differently_by_each_rule(metrics_app: MetricsApp) -> None:
    metrics_app.visit("/items")
    found = (await ask(f"{metrics_app.url}/metrics")).observed
    typed = str(get(f"{metrics_app.url}/metrics")).count("# TYPE ")
    assert found["families"] == typed
    assert found["app_families"] < found["families"] < found["names"] < found["series"]  # type: ignore[operator]


async def test_a_family_without_a_sample_is_announced_and_not_there(servers: Servers) -> None:
    text = "# TYPE http_requests_total counter\n# TYPE orders gauge\norders 3\n# TYPE python_info gauge\n"
    url = servers.answer(answer(text.encode(), "Content-Type: text/plain; version=0.0.4")).url
    seen = await ask(url, require=["http_requests_total", "/orders/", "/^http/"])
    assert seen.observed["missing"] == ["http_requests_total", "/^http/"]
    assert (seen.observed["families"], seen.observed["app_families"], seen.observed["empty_families"]) == (3, 1, 1)
    assert verdict(seen.observed, "size(missing) == 0") is Verdict.FAIL
    assert any("no sample, so they count as missing: http_requests_total" in note for note in seen.notes)


async def test_f21_three_processes_behind_one_port_count_each_for_itself(three_workers: MetricsApp) -> None:
    three_workers.visit("/items", 30)
    seen = await ask(f"{three_workers.url}/metrics", scrapes=25, every="1ms")
    assert seen.observed["processes"] == 3
    assert seen.observed["decreasing_counters"] > 0  # type: ignore[operator]  # a union of value types
    assert verdict(seen.observed) is Verdict.FAIL
    assert any("3 processes answered" in note for note in seen.notes)
    delta = {"request": {"url": f"{three_workers.url}/items"}, "metric": "http_requests_total"}
    seen = await ask(f"{three_workers.url}/metrics", scrapes=25, every="1ms", delta=delta)
    assert "delta_observed" not in seen.observed


async def test_requests_are_counted_by_the_series_they_belong_to(metrics_app: MetricsApp) -> None:
    metrics_app.visit("/gone", 3)
    delta = {
        "request": {"url": f"{metrics_app.url}/fail", "count": 5},
        "metric": "http_requests_total",
        "labels": {"endpoint": "/fail", "status": "500"},
    }
    seen = await ask(f"{metrics_app.url}/metrics", delta=delta)
    assert (seen.observed["delta_observed"], seen.observed["delta_elsewhere"]) == (5.0, 0.0)
    assert any("answered 500 ×5" in note for note in seen.notes)
    sent = str(get(f"{metrics_app.url}/headers")).splitlines()
    assert [line for line in sent if line.startswith("captain/") and line.endswith(" shop-staging-1.4.0")] == sent[-5:]
    delta["labels"] = {"endpoint": "/nowhere"}
    seen = await ask(f"{metrics_app.url}/metrics", delta=delta)
    assert (seen.observed["delta_observed"], seen.observed["delta_elsewhere"]) == (0.0, 5.0)
    delta["request"] = {"url": f"{metrics_app.url}/quiet"}
    seen = await ask(f"{metrics_app.url}/metrics", delta=delta)
    assert seen.observed["delta_observed"] == 0.0
    assert verdict(seen.observed, "delta_observed >= 5.0") is Verdict.FAIL


def test_only_sending_requests_is_more_than_reading() -> None:
    plain = MetricsProbe(url="http://shop/metrics")
    assert plain.safety == "read"
    delta = {"request": {"url": "http://shop/"}, "metric": "x"}
    active = MetricsProbe.model_validate({"url": "http://shop/metrics", "delta": delta})
    assert active.safety == "active"
    assert active.asks() == "GET http://shop/metrics ×8, then 5 requests to http://shop/"


async def test_values_are_read_by_name(metrics_app: MetricsApp) -> None:
    metrics_app.visit("/items")
    metrics_app.visit("/fail")
    values = {
        "pool": 'db_connections{pool="main"}',
        "started": "process_start_time_seconds",
        "requests": "http_requests_total",
        "absent": "cache_hits_total",
    }
    seen = await ask(f"{metrics_app.url}/metrics", values=values)
    found: Any = seen.observed["values"]
    assert set(found) == {"pool", "started"}
    assert found["pool"] == 7.0
    assert abs(found["started"] - time.time()) < 600
    assert any("values.requests" in note and "2 series match" in note for note in seen.notes)
    assert verdict(seen.observed, "values.pool == 7.0") is Verdict.PASS
    assert verdict(seen.observed, "values.absent == 0.0") is Verdict.UNKNOWN


async def test_openmetrics_is_read_as_what_it_says_it_is(metrics_app: MetricsApp) -> None:
    metrics_app.visit("/items")
    seen = await ask(f"{metrics_app.url}/metrics", format="openmetrics", require=["http_requests", "/_total$/"])
    assert verdict(seen.observed) is Verdict.PASS
    assert seen.observed["missing"] == []


# --- what is never counted


async def test_a_page_that_is_no_metrics_fails(servers: Servers) -> None:
    page = answer(b"<html>Sign in</html>", "Content-Type: text/html")
    seen = await ask(servers.answer(page).url)
    assert (seen.observed["content_type_ok"], seen.observed["parse_errors"]) == (False, 1)
    assert "series" not in seen.observed
    assert verdict(seen.observed) is Verdict.FAIL


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "404 Not Found", "503 Service Unavailable"])
async def test_an_answer_other_than_200_is_seen_and_nothing_counted(servers: Servers, status: str) -> None:
    seen = await ask(servers.answer(answer(b"x 1\n", TEXT, status=status)).url)
    assert set(seen.observed) == {"status", "content_type_ok", "scrape"}
    assert verdict(seen.observed) is Verdict.FAIL
    assert f"answers {status[:3]}; nothing is counted" in seen.notes


async def test_metrics_that_hold_nothing_do_not_pass(servers: Servers) -> None:
    seen = await ask(servers.answer(answer(b"", TEXT)).url)
    assert seen.observed["series"] == 0
    assert verdict(seen.observed) is Verdict.FAIL
    seen = await ask(servers.answer(answer(b"# TYPE x gauge\nx 1\n", TEXT)).url)
    assert "decreasing_counters" not in seen.observed, "no counter was seen twice, so none is known not to go down"
    assert verdict(seen.observed) is Verdict.UNKNOWN
    seen = await ask(servers.answer(answer(b"# TYPE x counter\nx 1\n", TEXT)).url, scrapes=1)
    assert verdict(seen.observed) is Verdict.UNKNOWN


async def test_ids_in_labels_and_many_combinations_are_named(servers: Servers) -> None:
    uuid = "8c6a3c1e-3d1f-4a53-b1b1-0f3f6a1d2c3b"
    paths = ("/items/1", "/items/12345", f"/carts/{uuid}", "/v1/items")
    body = "# TYPE hits counter\n" + "".join(f'hits{{path="{path}"}} 1\n' for path in paths)
    seen = await ask(servers.answer(answer(body.encode(), TEXT)).url, max_cardinality=3)
    assert (seen.observed["endpoint_labels"], seen.observed["raw_ids"]) == (4, 2)
    assert "more than 3 label combinations: hits (4)" in seen.notes
    seen = await ask(servers.answer(answer(b"# TYPE hits counter\nhits 1\n", TEXT)).url)
    assert "raw_ids" not in seen.observed, "no endpoint was there to look at"


async def test_a_part_of_the_metrics_is_not_counted(servers: Servers) -> None:
    seen = await ask(servers.answer(answer(b"x 1\n" * 1_100_000, TEXT)).url, scrapes=1)
    assert "series" not in seen.observed
    assert seen.notes == ("more than 4 MiB came back: nothing is counted in a part; nothing is counted",)


async def test_a_service_that_is_down_fails() -> None:
    with pytest.raises(ProbeError, match="connection refused") as raised:
        await ask("http://127.0.0.1:9/metrics")
    assert raised.value.fault == "subject"


@pytest.mark.parametrize("manner", MANNERS)
async def test_no_manner_of_a_server_holds_the_probe(hostile_server: HostileServer, manner: str) -> None:
    head = f"HTTP/1.1 200 OK\r\n{TEXT}\r\n\r\n".encode()
    port = hostile_server.port(manner, after=head, unit=b"abcdefgh_total 1\n")
    tracemalloc.start()
    began = time.monotonic()
    try:
        seen = await ask(f"http://127.0.0.1:{port}/metrics", within=1, scrapes=2)
        assert verdict(seen.observed) is not Verdict.PASS
    except ProbeError:
        pass
    took = time.monotonic() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 1.5
    assert peak < 60 * 1024**2


async def test_credentials_are_sent_and_shown_nowhere(servers: Servers) -> None:
    server = servers.answer(answer(b"# TYPE x counter\nx 1\n", TEXT))
    headers = {"Authorization": f"Bearer {SECRET}"}
    seen = await ask(server.url, headers=headers)
    assert SECRET.encode() in server.requests[0]
    assert SECRET not in repr(seen)
    with pytest.raises(ProbeError) as raised:
        await ask("http://127.0.0.1:9/metrics", headers=headers)
    assert SECRET not in f"{raised.value} {raised.value.hint}"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"url": "ftp://shop"}, "is not a URL that starts with"),
        ({"scrapes": "0"}, "greater than or equal to 1"),
        ({"scrapes": "51"}, "less than or equal to 50"),
        ({"exclude": ["/(a+)+/"]}, "repeats a group"),
        ({"values": {"x": "sum(x)"}}, "takes the name of a series"),
        ({"delta": {"request": {"url": "http://shop/", "count": "1000"}, "metric": "x"}}, "less than or equal to 100"),
        ({"delta": {"request": {"url": "http://shop/", "method": "DELETE"}, "metric": "x"}}, "GET"),
    ],
)
def test_what_cannot_be_asked_is_an_error_of_the_file(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MetricsProbe.model_validate({"url": "http://shop/metrics", **keys})
