"""What single lines tell, which of them belong together, and what tells one defect from another."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from captain.systems.lines.lines import Line, moment, plain_level, structured, told
from captain.systems.lines.records import Record, records
from captain.systems.lines.secrets import Redactor
from captain.systems.lines.traces import message_fingerprint, trace_fingerprint, trace_of

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def read(text: str, **keys: str) -> list[Record]:
    return list(records([Line(one, None, **keys) for one in text.splitlines()], NOW))


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("[2026-11-23 01:20:00 +0000] [7] [INFO] Starting gunicorn", "INFO"),
        ("2026-11-23 01:20:00,123 ERROR shop.views failed", "ERROR"),
        ("2026/11/23 01:20:00 [error] 7#7: *1 open() failed", "ERROR"),
        ("2026-11-23 01:20:00.123 UTC [318] LOG:  duration: 1 ms", "INFO"),
        ("2026-11-23 01:20:00.123 UTC [318] FATAL:  the database is starting", "CRITICAL"),
        ("WARN  [main] pool is small", "WARNING"),
        ("INFO:     127.0.0.1:5 - GET / 200", "INFO"),
        ("level=warning msg=slow", "WARNING"),
        ('level="error" msg=gone', "ERROR"),
        ('{"severity": "NOTICE", "message": "x"}', "INFO"),
        ('{"log": {"level": "debug"}, "message": "x"}', "DEBUG"),
        ('{"log.level": "fatal", "message": "x"}', "CRITICAL"),
        ('{"level": 50, "pid": 1, "hostname": "web", "msg": "x"}', "ERROR"),
        ('{"level": 30, "message": "x"}', None),
        ('{"level": "loud", "message": "x"}', None),
        ("an ERRORS table was read", None),
        ("plain text", None),
        ("the word comes too late " + "x" * 120 + " ERROR", None),
    ],
)
def test_the_level_of_a_line(text: str, level: str | None) -> None:
    assert told(Line(text), NOW).level == level


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-23T01:20:00.123456789Z hello", datetime(2026, 11, 23, 1, 20, 0, 123456, tzinfo=UTC)),
        ("2026-11-23 01:20:00,5+02:00 hello", datetime(2026, 11, 22, 23, 20, 0, 500000, tzinfo=UTC)),
        ("2026-11-23T01:20:00-0530 hello", datetime(2026, 11, 23, 6, 50, tzinfo=UTC)),
        ("[2026-11-23 01:20:00 +0000] hello", datetime(2026, 11, 23, 1, 20, tzinfo=UTC)),
        ('1.2.3.4 - - [23/Nov/2026:01:20:00 +0100] "GET /"', datetime(2026, 11, 23, 0, 20, tzinfo=UTC)),
        ('{"time": 1795396800}', datetime(2026, 11, 23, 0, 0, tzinfo=UTC) + timedelta(hours=1, minutes=20)),
        ('{"@timestamp": "2026-11-23T01:20:00Z", "m": 1}', datetime(2026, 11, 23, 1, 20, tzinfo=UTC)),
        ("2026-13-45 99:99:99 no such time", None),
        ('{"time": NaN}', None),
        ('{"time": true}', None),
        ("no time", None),
    ],
)
def test_the_time_of_a_line(text: str, at: datetime | None) -> None:
    found = told(Line(text), NOW).at
    if at is not None and "1795396800" in text:
        at = datetime.fromtimestamp(1795396800, UTC)
    assert found == at


def test_a_time_without_zone_is_this_machines_and_one_without_year_is_not_of_the_future() -> None:
    assert moment("2026-11-23 01:20:00") == datetime(2026, 11, 23, 1, 20).astimezone(UTC)
    at = told(Line("Nov 22 01:20:00 host shop[1]: hello"), NOW).at
    assert at == datetime(2026, 11, 22, 1, 20).astimezone(UTC)
    late = told(Line("Dec 24 01:20:00 host shop[1]: hello"), NOW).at
    assert late is not None and late.year == 2025


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ('{"a": 1}', True),
        ("{}", True),
        ("level=info msg=\"a b\" n=1", True),
        ("key=value", False),
        ("GET /?a=1 b=2 c", False),
        ("[1, 2]", False),
        ('"text"', False),
        ("{broken", False),
        ("{" * 5000, False),
        ('{"a":' * 5000, False),
        ("", False),
    ],
)  # fmt: skip
def test_what_counts_as_structured(text: str, known: bool) -> None:
    assert (structured(text) is not None) is known


def test_a_traceback_belongs_to_the_error_before_it_and_to_no_other_stream() -> None:
    trace = 'Traceback (most recent call last):\n  File "/a.py", line 1, in f\n    x\nValueError: no\n'
    (one, two) = read(f"2026-11-23T01:00:00Z ERROR failed\n{trace}2026-11-23T01:00:05Z INFO next\n")
    assert (one.lines, one.level, two.message) == (5, "ERROR", "INFO next")
    lines = [Line("Traceback (most recent call last):", None, "err"), Line("INFO other", None, "out")]
    lines += [Line('  File "/a.py", line 1, in f', None, "err"), Line("ValueError: no", None, "err")]
    assert sorted((one.origin, one.lines) for one in records(lines, NOW)) == [("err", 3), ("out", 1)]


def test_a_line_of_nothing_but_its_time_ends_no_traceback() -> None:
    at = "2026-11-23T01:00:00.1Z"
    inner = [f"{at} Traceback (most recent call last):", f'{at}   File "/a.py", line 1, in f', f"{at} ", at]
    (one,) = read("\n".join([*inner, f"{at} ValueError: no", ""]))
    assert one.traced


def test_a_traceback_after_a_line_of_no_error_stands_alone() -> None:
    text = 'INFO fine\nTraceback (most recent call last):\n  File "/a.py", line 1, in f\nValueError: no\nINFO on\n'
    assert [(one.level, one.lines) for one in read(text)] == [("INFO", 1), (None, 3), ("INFO", 1)]
    twice = 'Traceback (most recent call last):\n  File "/a.py", line 1, in f\nValueError: no\n' * 2
    assert [one.lines for one in read(twice)] == [3, 3]


JAVA = """\
2026-11-23T01:00:00Z ERROR request failed
java.lang.IllegalStateException: no stock for 17
\tat com.shop.Stock.take(Stock.java:55)
\tat com.shop.Web.order(Web.java:12)
Caused by: java.io.IOException: gone
\tat com.shop.Db.read(Db.java:9)
\t... 12 more
2026-11-23T01:00:01Z INFO next
"""
NODE = "TypeError: x is not a function\n    at order (/srv/shop.js:10:5)\n    at next (/srv/web.js:1:1)\n"


def test_stack_traces_of_java_and_node_are_records_too() -> None:
    one, two = read(JAVA)
    assert (one.lines, two.lines) == (7, 1)
    trace = one.trace()
    assert trace is not None
    assert trace_fingerprint(trace) == "java.lang.IllegalStateException at com.shop.Stock.take(Stock.java)"
    (node,) = read(NODE)
    assert trace_fingerprint(node.trace() or "") == "TypeError at order (/srv/shop.js)"


@pytest.mark.parametrize(
    "one",
    [
        'Traceback (most recent call last):\n  File "/a.py", line {}, in f\nKeyError: {}',
        "java.lang.Error: {}\n\tat com.shop.A.b(A.java:{})",
        "Error: {}\n    at f (/a.js:{}:1)",
    ],
)
def test_the_same_defect_has_the_same_fingerprint(one: str) -> None:
    assert trace_fingerprint(one.format(1, 2)) == trace_fingerprint(one.format(31, 42))
    assert trace_fingerprint(one.format(1, 2)) != trace_fingerprint(
        one.format(1, 2).replace("a.", "z.").replace("A", "Z")
    )


def test_words_of_an_error_without_its_numbers_are_its_fingerprint() -> None:
    first = message_fingerprint("shop", "order 17 of 'bob' at 0xff12 failed after 1.5 s")
    assert first == message_fingerprint("shop", "order 8 of 'eve' at 0xaa failed after 20 s")
    assert first == "shop: order … of … at … failed after … s"


def test_a_stack_in_a_field_is_found_and_a_word_like_one_is_not() -> None:
    stack = {"message": "x", "err": {"type": "Error", "stack": "Error: no\n    at f (/a.js:1:1)"}}
    assert trace_of("", stack) == "Error: no\n    at f (/a.js:1:1)"
    assert trace_of("", {"message": "x", "error": "Error happened"}) is None
    assert trace_of("ValueError is what they said", None) is None


HOSTILE = [
    "a=" * 30_000,
    'a="' + "\\" * 60_000,
    "eyJ" * 30_000,
    "eyJ-" * 8_000,
    "://" * 20_000,
    "://a:" * 10_000,
    "password=" * 7_000,
    "cookie:" * 7_000,
    "authorization: bearer " * 2_000,
    "a@" * 30_000,
    "a.b@c" * 20_000,
    "[" * 60_000,
    "2026-" * 10_000,
    'File "' * 10_000,
    "    at " * 9_000,
    "\n    at Error" * 5_000,
    "\u0661" * 30_000,
    "\ud800" * 1_000,
    "'" * 50_000,
    "0" * 60_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_line_takes_long(text: str) -> None:
    redactor = Redactor({})
    began = time.monotonic()
    for record in read(text):
        record.trace()
        redactor.kinds(record.text)
        redactor.hide(record.message)
        message_fingerprint("", record.message)
    trace_of(text, None)
    trace_fingerprint(text)
    plain_level(text)
    assert time.monotonic() - began < 1.0
