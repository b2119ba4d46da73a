"""The demo's Prometheus: answers over what the shop counts, in the documented shapes of its HTTP API."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from captain.demo.promql import NotKnown, Value, Vector, World, evaluate
from captain.demo.traffic import PAST_SECONDS, Traffic

JOB = "shop"
INTERVAL = timedelta(seconds=15)
ALERTS = ("ShopDown", "ShopErrorRate", "ShopDatabaseConnections", "ShopQueueDepth")
_MOST_STEPS = 11_000
_SAMPLE = re.compile(r"(?P<name>[\w:]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class Monitor:
    """Answers below /api/v1. It has scraped the shop this very moment."""

    def __init__(
        self, traffic: Traffic, instance: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._traffic = traffic
        self._instance = instance
        self._now = now

    def answer(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        """Status and document."""
        try:
            found = self._found(path, query)
        except NotKnown as error:
            said = f"the demo's Prometheus is a small one: {error}"
            return 422, {"status": "error", "errorType": "execution", "error": said}
        except (KeyError, ValueError, ZeroDivisionError) as error:
            return 400, {"status": "error", "errorType": "bad_data", "error": f"{type(error).__name__}: {error}"}
        if found is None:
            return 404, {"status": "error", "errorType": "not_found", "error": "no such path"}
        return 200, {"status": "success", "data": found}

    def _found(self, path: str, query: Mapping[str, str]) -> Any:
        match path:
            case "query":
                at = float(query.get("time", self._now().timestamp()))
                return _result(evaluate(query["query"], self._world(at)), at)
            case "query_range":
                return self._ranged(query)
            case "targets":
                return {"activeTargets": [self._target()], "droppedTargets": []}
            case "rules":
                return {"groups": [self._group()]}
            case "alerts":
                return {"alerts": []}
            case "status/buildinfo":
                return {"version": "3.7.3"}
        return None

    def _ranged(self, query: Mapping[str, str]) -> dict[str, Any]:
        start, end, step = (float(query[name]) for name in ("start", "end", "step"))
        if (end - start) / step > _MOST_STEPS:
            raise ValueError(f"more than {_MOST_STEPS} points")
        found = _result(evaluate(query["query"], self._world(end)), end)["result"]
        moments = [start + place * step for place in range(int((end - start) / step) + 1)]
        series = [
            {"metric": one["metric"], "values": [[moment, one["value"][1]] for moment in moments]} for one in found
        ]
        return {"resultType": "matrix", "result": series}

    def _world(self, at: float) -> World:
        target = {("instance", self._instance), ("job", JOB)}
        samples: Vector = {frozenset(target | {("__name__", "up")}): 1.0}
        for line in self._traffic.exposition().splitlines():
            if (match := _SAMPLE.fullmatch(line)) and not line.startswith("#"):
                labels = {("__name__", match["name"]), *_LABEL.findall(match["labels"] or "")}
                samples[frozenset(target | labels)] = float(match["value"])
        return World(samples, now=at, sampled=at, uptime=PAST_SECONDS)

    def _target(self) -> dict[str, Any]:
        return {
            "labels": {"instance": self._instance, "job": JOB},
            "scrapeUrl": f"http://{self._instance}/metrics",
            "lastError": "",
            "lastScrape": _iso(self._now()),
            "health": "up",
            "scrapeInterval": f"{INTERVAL.seconds}s",
        }

    def _group(self) -> dict[str, Any]:
        evaluated = _iso(self._now())
        rules = [
            {"type": "alerting", "name": name, "health": "ok", "state": "inactive", "lastEvaluation": evaluated}
            for name in ALERTS
        ]
        return {"name": "shop", "interval": INTERVAL.seconds, "rules": rules}


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _result(value: Value, at: float) -> dict[str, Any]:
    if isinstance(value, float):
        return {"resultType": "scalar", "result": [at, _number(value)]}
    result = [{"metric": dict(labels), "value": [at, _number(one)]} for labels, one in value.items()]
    return {"resultType": "vector", "result": result}


def _number(value: float) -> str:
    return repr(value).replace("nan", "NaN").replace("inf", "Inf")
