"""Locust's --json: one row for each name and method, no sum and no percentile; both are worked out here."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from captain.systems.report_shapes import (
    json_of,
    mapping,
    mappings,
    milliseconds,
    number,
    percentile,
    since_epoch,
    text,
    whole,
)
from captain.systems.reports import Asked, Facts, reads

_SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


@reads("locust")
def read(data: bytes, asked: Asked) -> Facts:
    """Times are the buckets of Locust: whole milliseconds, from 100 on to two digits."""
    document = json_of(data)
    if not isinstance(document, list):
        raise ValueError("it is no list")
    rows = [row for row in mappings(document, "it") if asked.chosen is None or asked.chosen(_name(row))]
    facts = Facts("locust")
    counted: dict[float, int] = {}
    requests = errors = 0
    for row in rows:
        name = _name(row)
        count, failed = (whole(row.get(key), f"{key} of {name}") for key in ("num_requests", "num_failures"))
        requests, errors = requests + count, errors + failed
        if failed:
            facts.details.append(f"failed {failed} of {count} {name}")
        for bucket, times in mapping(row.get("response_times"), f"response_times of {name}").items():
            counted[_bucket(bucket)] = counted.get(_bucket(bucket), 0) + whole(times, "response_times")
    facts.examined, facts.problems = requests, errors
    if not requests:
        facts.refused = "it counts no request: nothing was loaded"
        return facts
    facts.put({"requests": requests, "errors": errors, "error_ratio": errors / requests})
    for name, share in _SHARES.items() if counted else ():
        facts.observed[name] = milliseconds(percentile(counted, share), "response_times")
    ends = [number(row.get("last_request_timestamp"), "last_request_timestamp") for row in rows]
    began = min(number(row.get("start_time"), "start_time") for row in rows)
    facts.observed["slowest"] = max(milliseconds(row.get("max_response_time"), "max_response_time") for row in rows)
    facts.created = since_epoch(max(ends))
    if (seconds := max(ends) - began) > 0 and seconds < 1e9:
        facts.observed["rps"] = requests / seconds
        facts.observed["duration"] = timedelta(seconds=seconds)
    return facts


def _name(row: dict[str, Any]) -> str:
    return f"{text(row.get('method'))} {text(row.get('name'))}"


def _bucket(written: str) -> float:
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    return number(value, "a response time")
