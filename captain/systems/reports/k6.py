"""k6's summary as `handleSummary` is given it: values under `values`, a threshold that held is `ok: true`."""

from __future__ import annotations

from typing import Any

from captain.systems.k6 import facts, run_for
from captain.systems.report_shapes import json_of, mapping, maybe_mapping, truth
from captain.systems.reports import Asked, Facts, reads


@reads("k6")
def read(data: bytes, _: Asked) -> Facts:
    """The other form, of --summary-export, says the opposite with the same words, so it is refused."""
    report = mapping(json_of(data), "it")
    metrics = mapping(report.get("metrics"), "metrics")
    found = facts(metrics, _values, _crossed, "rate")
    found.put({"duration": run_for(maybe_mapping(report.get("state"), "state"))})
    return found


def _values(metric: dict[str, Any]) -> dict[str, Any]:
    if metric and "values" not in metric:
        raise ValueError("it is a summary of --summary-export, whose thresholds say the opposite: format: k6-export")
    return maybe_mapping(metric.get("values"), "values")


def _crossed(said: Any) -> bool:
    if isinstance(said, bool):
        raise ValueError("it is a summary of --summary-export, whose thresholds say the opposite: format: k6-export")
    return not truth(mapping(said, "a threshold").get("ok"), "a threshold's ok")
