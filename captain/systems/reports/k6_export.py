"""k6's --summary-export: values beside their thresholds, where `true` is a threshold that was crossed."""

from __future__ import annotations

from typing import Any

from captain.systems.k6 import facts
from captain.systems.report_shapes import json_of, mapping, truth
from captain.systems.reports import Asked, Facts, reads


@reads("k6-export")
def read(data: bytes, _: Asked) -> Facts:
    """The other form, of handleSummary, says the opposite, so it is refused."""
    report = mapping(json_of(data), "it")
    return facts(mapping(report.get("metrics"), "metrics"), _values, _crossed, "value")


def _values(metric: dict[str, Any]) -> dict[str, Any]:
    if "values" in metric:
        raise ValueError("it is a summary of handleSummary, whose thresholds say the opposite: format: k6")
    return metric


def _crossed(said: Any) -> bool:
    if isinstance(said, dict):
        raise ValueError("it is a summary of handleSummary, whose thresholds say the opposite: format: k6")
    return truth(said, "a threshold")
