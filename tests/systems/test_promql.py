"""What captain can tell from the text of a query before Prometheus sees it."""

from __future__ import annotations

import pytest

from captain.systems.metrics.promql import reading

RIGHT = (
    '(sum(rate(http_requests_total{status=~"5..", endpoint!~"/metrics|/health.*"}[5m])) or vector(0))'
    " / sum(rate(http_requests_total[5m]))"
)
NAIVE = 'sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m])) or vector(0)'


@pytest.mark.parametrize(
    ("query", "selectors"),
    [
        ("up", ["up"]),
        ('up{job="shop"}', ['up{job="shop"}']),
        ('{__name__=~"shop_.*", job="a}b"}', ['{__name__=~"shop_.*", job="a}b"}']),
        ('min(process_start_time_seconds{job="shop"})', ['process_start_time_seconds{job="shop"}']),
        ("sum by (le, endpoint) (rate(x_bucket[5m]))", ["x_bucket"]),
        ("sum(x) by (job) / on (job) group_left (team) y", ["x", "y"]),
        ("sum without (pod) (x offset 5m) > bool 3", ["x"]),
        ("max_over_time(rate(x[1m])[10m:30s])", ["x"]),
        ("histogram_quantile(0.95, sum by (le) (rate(d_bucket[1m])))", ["d_bucket"]),
        ('label_replace(x, "a", "$1", "b", "(.*)")', ["x"]),
        ("x and y unless z # and not this one", ["x", "y", "z"]),
        ("x @ 1609746000 + x @ end()", ["x"]),
        ("time() - node:boot:seconds", ["node:boot:seconds"]),
        ("1e3 * x + Inf", ["x"]),
        ("vector(0)", []),
        ("topk by (job) (3, x)", ["x"]),
        ("quantile(0.9, x) or absent(y)", ["x", "y"]),
        ("sum(", []),
        ("x{", ["x{"]),
        ("by (", []),
        ("", []),
    ],
)
def test_a_query_names_the_series_it_reads(query: str, selectors: list[str]) -> None:
    assert list(reading(query).selectors) == selectors


@pytest.mark.parametrize(
    ("query", "without"),
    [
        (NAIVE, NAIVE.removesuffix(" or vector(0)")),
        ("x or vector(0)", "x"),
        ("((x or on() vector(0)))", "x"),
        ("(a / b) or (vector(1e3))", "(a / b)"),
        ("x OR vector(-1) # never empty", "x"),
        ("a or b or vector(0)", "a or b"),
        (RIGHT, None),
        ("x or y", None),
        ("x or vector(scalar(y))", None),
        ("sum(x or vector(0))", None),
        ("or vector(0)", None),
        ("vector(0)", None),
        ('x{a=" or vector(0)"}', None),
        ("", None),
    ],
)
def test_f19_a_fallback_around_the_whole_query_is_seen(query: str, without: str | None) -> None:
    assert reading(query).without_fallback == without


def test_a_query_about_another_time_or_about_absence_is_seen() -> None:
    assert reading("x offset 1d").shifted
    assert reading("x @ start()").shifted
    assert not reading('x{a="@ offset"}').shifted
    assert reading('absent(up{job="x"})').asks_absence
    assert not reading("absent_total").asks_absence


def test_a_long_hostile_query_takes_no_time() -> None:
    for query in ("(" * 8000, "x{" * 4000, '"' * 8000, "or " * 2600, "[" * 4000 + "]" * 4000):
        reading(query)
