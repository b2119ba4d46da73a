"""What both summaries of k6 have in common. Knows no file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from captain.systems.report_shapes import mapping, maybe_mapping, milliseconds, number, text, whole
from captain.systems.reports import Facts

_DURATIONS = {"p50": "med", "p90": "p(90)", "p95": "p(95)", "p99": "p(99)", "slowest": "max"}


def facts(
    metrics: dict[str, Any],
    values: Callable[[dict[str, Any]], dict[str, Any]],
    crossed: Callable[[Any], bool],
    rate: str,
) -> Facts:
    """`values` gives those of a metric, `crossed` whether a threshold was; `rate` is what a rate is called."""
    found = Facts("k6")
    requests = whole(values(_metric(metrics, "http_reqs")).get("count", 0), "http_reqs.count")
    found.examined = requests
    if not requests:
        found.refused = "it counts no request: nothing was loaded"
        return found
    failed: list[str] = []
    thresholds = 0
    for name, written in metrics.items():
        metric = mapping(written, f"metrics.{text(name)}")
        for threshold, said in maybe_mapping(metric.get("thresholds"), "thresholds").items():
            thresholds += 1
            if _of_nothing(values(metric)):
                found.incomplete = f"the threshold {text(name)} {text(threshold)} held over no sample at all"
            if crossed(said):
                failed.append(text(threshold))
                found.details.append(f"threshold crossed: {text(name)} {text(threshold)}")
    checks = values(_metric(metrics, "checks"))
    failed_checks = whole(checks["fails"], "checks.fails") if "fails" in checks else None
    found.put({"requests": requests, "failed": failed_checks})
    if failed or (thresholds and found.incomplete is None):
        found.observed["thresholds_failed"] = [*failed[:100]]
    found.problems = len(failed) + (failed_checks or 0) if thresholds or failed_checks is not None else None
    if "rate" in (reqs := values(_metric(metrics, "http_reqs"))):
        found.observed["rps"] = number(reqs["rate"], "http_reqs.rate")
    if rate in (errors := values(_metric(metrics, "http_req_failed"))):
        found.observed["error_ratio"] = number(errors[rate], "http_req_failed.rate")
    durations = values(_metric(metrics, "http_req_duration"))
    found.put(
        {
            name: milliseconds(durations[key], f"http_req_duration.{key}")
            for name, key in _DURATIONS.items()
            if key in durations
        }
    )
    return found


def _of_nothing(rate: dict[str, Any]) -> bool:
    """Whether nothing was ever added to a rate: k6 lets any threshold on it hold."""
    return rate.get("passes") == 0 and rate.get("fails") == 0


def _metric(metrics: dict[str, Any], name: str) -> dict[str, Any]:
    return maybe_mapping(metrics.get(name), f"metrics.{name}")


def run_for(state: dict[str, Any]) -> timedelta | None:
    """How long the run was, where it says so."""
    said = state.get("testRunDurationMs")
    return None if said is None else milliseconds(said, "state.testRunDurationMs")
