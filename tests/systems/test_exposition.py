"""How a scrape is read and counted, and what hostile text comes to."""

from __future__ import annotations

import asyncio
import time
import tracemalloc

import pytest

from captain.errors import ProbeError
from captain.systems.metrics.exposition import MAX_LINE, MAX_SERIES, Exposition, fallen, parse, selector
from captain.threads import on_daemon

SHOP = b"""\
# HELP http_requests_total Requests
# TYPE http_requests_total counter
http_requests_total{endpoint="/items",status="200"} 5
http_requests_total{endpoint="/fail",status="500"} 1
# TYPE http_requests_created gauge
http_requests_created{endpoint="/items",status="200"} 1.7e9
# TYPE seconds histogram
seconds_bucket{endpoint="/items",le="0.1"} 1
seconds_bucket{endpoint="/items",le="1.0"} 1
seconds_bucket{endpoint="/items",le="+Inf"} 1
seconds_sum{endpoint="/items"} 0.05
seconds_count{endpoint="/items"} 1
# TYPE errors counter
errors 3
process_start_time_seconds 1.7e9
"""


def read(body: bytes, *, openmetrics: bool = False, seconds: float = 20, **keys: object) -> Exposition:
    return parse(body, openmetrics=openmetrics, deadline=time.monotonic() + seconds, **keys)  # type: ignore[arg-type]


def test_f20_families_names_and_series_are_three_counts_of_one_scrape() -> None:
    found = read(SHOP)
    assert list(found.families) == [
        *("http_requests_total", "http_requests_created", "seconds", "errors", "process_start_time_seconds"),
    ]
    assert (found.names, found.series, found.errors) == (7, 10, [])
    assert found.families["seconds"].is_histogram
    assert found.families["seconds"].finite_buckets == 2
    assert [len(one.combinations) for one in found.families.values()] == [2, 1, 1, 1, 1]
    assert found.families["errors"].samples == {"errors"}, "a counter keeps the name it was written with"
    assert found.started == 1.7e9


def test_counters_are_what_must_never_go_down() -> None:
    found = read(SHOP)
    assert 'http_requests_total{endpoint="/items", status="200"}' in found.counters
    assert {name.partition("{")[0] for name in found.counters} == {
        *("http_requests_total", "seconds_bucket", "seconds_count", "errors"),
    }
    later = read(SHOP.replace(b'status="200"} 5', b'status="200"} 4').replace(b"errors 3\n", b""))
    assert fallen(found, later) == ['http_requests_total{endpoint="/items", status="200"}', "errors"]
    assert fallen(found, read(SHOP.replace(b"errors 3", b"errors 4"))) == []


def test_values_and_labels_are_looked_up_while_reading() -> None:
    wanted = [selector('http_requests_total{endpoint="/items"}'), selector("http_requests_total"), selector("nothing")]
    found = read(SHOP, wanted=wanted, labels=("endpoint", "status"))
    assert found.wanted == [[5.0], [5.0, 1.0], []]
    assert found.labels["http_requests_total"] == {"/items", "/fail", "200", "500"}


@pytest.mark.parametrize("written", ["", "9lives", "x{", "x{a=b}", 'x{a="b"', 'x{a="b" c="d"}', "x or y", 'x{a=~"b"}'])
def test_a_selector_that_is_none_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="takes"):
        selector(written)
    assert selector(' x{ a="b,\\"c" , d="" } ').labels == {"a": 'b,"c', "d": ""}


@pytest.mark.parametrize(
    ("body", "openmetrics", "words"),
    [
        (b"<!doctype html>\n<html>", False, "line 1"),
        (b'{"status": "ok"}\n', False, "line 1"),
        (b"x 1\nx{a=} 2\n", False, "line 2"),
        (b"x one\n", False, "line 1"),
        (b"x 1 2 3\n", False, "line 1"),
        (b"x 1 # not an exemplar\n", False, "line 1"),
        (b'x{a="b" 1\n', False, "line 1"),
        (b'x{a="b"}\n', False, "line 1"),
        (b'x{a="b",,c="d"} 1\n', False, "line 1"),
        (b"x{1a='b'} 1\n", False, "line 1"),
        (b"x\n", False, "line 1"),
        (b"# TYPE x conter\n", False, "line 1: conter is no type"),
        (b"x \xff\n", False, "line 1 is not UTF-8"),
        (b"x 1\nx 2\n", False, "the series x stands there twice"),
        (b"# TYPE x counter\nx 1\n# TYPE x gauge\n", False, "line 3: the TYPE of x stands there twice"),
        (b"# TYPE x counter\nx_total 1\n", True, "Missing # EOF"),
        (b"# TYPE x counter\nx_total 1\n# EOF\nx_total 2\n", True, "after # EOF"),
        (b"# TYPE x summary\nx{} 1\n# EOF\n", True, "line 2"),
        (b"# TYPE x histogram\nx_bucket 1\n# EOF\n", True, "line 2"),
        (b"\n", True, "blank line"),
    ],
)
def test_what_is_none_of_the_format_is_an_error(body: bytes, openmetrics: bool, words: str) -> None:
    found = read(body, openmetrics=openmetrics)
    assert any(words in error for error in found.errors), found.errors


def test_exemplars_of_openmetrics_are_read() -> None:
    body = (
        b"# TYPE seconds histogram\n"
        b'seconds_bucket{le="1.0"} 1 # {trace_id="abc"} 0.5 1.7e9\nseconds_bucket{le="+Inf"} 1\n'
        b"seconds_sum 0.5\nseconds_count 1\n# TYPE x counter\nx_total 3\nx_created 1.7e9\n# EOF\n"
    )
    found = read(body, openmetrics=True)
    assert (found.errors, found.series, found.families["seconds"].is_histogram) == ([], 6, True)
    assert found.counters["x_total"] == 3.0
    assert "x_created" not in found.counters


@pytest.mark.parametrize(
    "body",
    [
        b"x" * (MAX_LINE + 1),
        b"".join(b"x%d 1\n" % at for at in range(MAX_SERIES + 2)),
        b"\n" * (MAX_SERIES + 1),
        b"#\n" * (4 * MAX_SERIES + 1),
        b"# TYPE x gauge\n" + b"".join(b'x{a="%d"} 1\n' % at for at in range(2 * MAX_SERIES)),
    ],
)
def test_more_than_a_service_has_to_say_is_refused(body: bytes) -> None:
    with pytest.raises(ProbeError, match="stopped there"):
        read(body)


def test_what_may_be_said_takes_bounded_memory() -> None:
    body = b"# TYPE x gauge\n" + b"".join(b'x{a="%d"} 1\n' % at for at in range(MAX_SERIES // 5))
    tracemalloc.start()
    assert read(body).series == MAX_SERIES // 5
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 15 * 1024**2


@pytest.mark.parametrize(
    "line",
    [
        b"x 1",
        b" x\t1.5e3  1700000000 ",
        b"x{} NaN",
        b'x{a="b",} +Inf',
        b'x{ a = "b\\"c\\n" , d="{},=" }-1',
        b'{"http.requests", a="b"} 1',
        b"# anything",
        b"",
    ],
)
def test_what_the_format_allows_is_read(line: bytes) -> None:
    assert read(line + b"\n").errors == []


@pytest.mark.parametrize(
    "line",
    [
        b"x" + b" " * 15000,
        b"x{" + b" " * 15000,
        b'x{a="' + b"\\" * 15000,
        b'x{a="b"' + b"  ," * 5000,
        b"x{" + b'a="b",' * 2500,
        b"x " + b"1" * 15000 + b" x",
    ],
)
def test_no_line_takes_long(line: bytes) -> None:
    began = time.monotonic()
    read(line + b"\n")
    assert time.monotonic() - began < 0.3


def test_reading_ends_at_the_deadline() -> None:
    line = b"x{" + b",".join(b'a%d=""' % at for at in range(1500)) + b"} 1\n"
    began = time.monotonic()
    with pytest.raises(ProbeError, match="took too long"):
        read(b"".join(line.replace(b"x{", b"x%d{" % at) for at in range(300)), seconds=0.2)
    assert time.monotonic() - began < 0.5


async def test_reading_a_mebibyte_leaves_the_loop_its_turns() -> None:
    body = b"".join(b'http_requests_total{endpoint="/items/%d",status="200"} 1\n' % at for at in range(18_000))
    assert len(body) > 1024**2
    longest, last, done = 0.0, time.monotonic(), False

    async def turns() -> None:
        nonlocal longest, last
        while not done:
            await asyncio.sleep(0.001)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()

    watching = asyncio.create_task(turns())
    found = await on_daemon(lambda: read(body))
    done = True
    await watching
    assert found.series == 18_000
    assert longest < 0.15
