"""The demo's Prometheus: answers over what the shop counts, in the documented shapes. Knows a handful of queries."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from captain.demo.traffic import Traffic, metric_names

JOB = "shop"
INTERVAL = timedelta(seconds=15)
ALERTS = ("ShopDown", "ShopErrorRate", "ShopDatabaseConnections", "ShopQueueDepth")
_MOST_STEPS = 11_000
_SAMPLED = re.compile(r'label_replace\(min\(timestamp\((?P<name>\w+).*?"captain_selector", "(?P<mark>\d+)"')
"""How captain looks up the samples behind a query."""
_UP = re.compile(r"(?:(?:min|max|avg|sum|count)(?:_over_time)?\()*up\b[^/<>=]*")
_QUANTILE = re.compile(
    r"(?:max|min|avg)?\(?\s*histogram_quantile\(\s*(0?\.\d+)\s*,.*http_request_duration_seconds_bucket.*"
)
_ERRORS = re.compile(r'.*http_requests_total\{[^}]*status=~"5.*/.*')
_COUNT = re.compile(r"count\(\s*count by \(endpoint\)\s*\(http_request\w+[^()]*\)\s*\)")
_TRAFFIC = re.compile(r"sum\(\s*(?:increase|rate)\(http_requests_total[^()]*\)\s*\)")


class Monitor:
    """Answers below /api/v1."""

    def __init__(
        self, traffic: Traffic, instance: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._traffic = traffic
        self._instance = instance
        self._now = now
        self._names = metric_names() | {"up"}

    def answer(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        """Status and document."""
        at = float(query["time"]) if "time" in query else self._now().timestamp()
        if path == "query":
            found = self._evaluated(query.get("query", ""), at)
            return _unknown() if found is None else _success(found)
        if path == "query_range":
            return self._ranged(query)
        if path == "targets":
            return _success({"activeTargets": [self._target()], "droppedTargets": []})
        if path == "rules":
            return _success({"groups": [self._group()]})
        if path == "alerts":
            return _success({"alerts": []})
        if path == "status/buildinfo":
            return _success({"version": "3.7.3"})
        return 404, {"status": "error", "errorType": "not_found", "error": "no such path"}

    def _ranged(self, query: Mapping[str, str]) -> tuple[int, Any]:
        start, end, step = (float(query[name]) for name in ("start", "end", "step"))
        found = self._evaluated(query.get("query", ""), end)
        if found is None or found["resultType"] != "vector" or (end - start) / step > _MOST_STEPS:
            return _unknown()
        moments = [start + place * step for place in range(int((end - start) / step) + 1)]
        series = [
            {"metric": one["metric"], "values": [[moment, one["value"][1]] for moment in moments]}
            for one in found["result"]
        ]
        return _success({"resultType": "matrix", "result": series})

    def _evaluated(self, query: str, at: float) -> dict[str, Any] | None:
        """The result, None for a query that is not known."""
        query = " ".join(query.split())
        if query == "time()":
            return {"resultType": "scalar", "result": [at, str(at)]}
        if query.startswith("label_replace("):
            marks = {
                match["mark"]: self._now().timestamp() - 5
                for match in _SAMPLED.finditer(query)
                if match["name"] in self._names
            }
            return _vector(at, {(("captain_selector", mark),): sampled for mark, sampled in marks.items()})
        values = self._values(query)
        return None if values is None else _vector(at, values)

    def _values(self, query: str) -> Mapping[tuple[tuple[str, str], ...], float] | None:
        by_endpoint = re.search(r"by \([^)]*endpoint", query) is not None
        if _UP.fullmatch(query):
            return {(("instance", self._instance), ("job", JOB)): 1.0}
        if match := _QUANTILE.fullmatch(query):
            found = self._traffic.quantiles(float(match[1]))
            return _labelled(found) if by_endpoint and query.startswith("histogram") else {(): max(found.values())}
        if _ERRORS.fullmatch(query):
            return _labelled(self._traffic.error_ratios()) if by_endpoint else {(): self._traffic.error_ratio()}
        if _COUNT.fullmatch(query):
            return {(): float(len(self._traffic.error_ratios()))}
        if _TRAFFIC.fullmatch(query):
            return {(): float(self._traffic.total())}
        return None

    def _target(self) -> dict[str, Any]:
        return {
            "labels": {"instance": self._instance, "job": JOB},
            "scrapeUrl": f"http://{self._instance}/metrics",
            "lastError": "",
            "lastScrape": _iso(self._now() - timedelta(seconds=5)),
            "health": "up",
            "scrapeInterval": f"{INTERVAL.seconds}s",
        }

    def _group(self) -> dict[str, Any]:
        evaluated = _iso(self._now() - timedelta(seconds=5))
        rules = [
            {"type": "alerting", "name": name, "health": "ok", "state": "inactive", "lastEvaluation": evaluated}
            for name in ALERTS
        ]
        return {"name": "shop", "interval": INTERVAL.seconds, "rules": rules}


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _labelled(values: Mapping[str, float]) -> Mapping[tuple[tuple[str, str], ...], float]:
    return {(("endpoint", endpoint),): value for endpoint, value in values.items()}


def _vector(at: float, values: Mapping[tuple[tuple[str, str], ...], float]) -> dict[str, Any]:
    result = [{"metric": dict(labels), "value": [at, repr(value)]} for labels, value in values.items()]
    return {"resultType": "vector", "result": result}


def _success(data: Any) -> tuple[int, Any]:
    return 200, {"status": "success", "data": data}


def _unknown() -> tuple[int, Any]:
    said = "the demo's Prometheus knows a handful of queries, and this is none of them"
    return 422, {"status": "error", "errorType": "execution", "error": said}
