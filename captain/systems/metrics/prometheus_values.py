"""What the results of queries come to: series of numbers, and one number of them. Asks nobody, judges nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from captain.safe import safe

Reduce = Literal["only", "max", "min", "sum", "avg"]
_LONGEST = 64


class Malformed(ValueError):
    """The result is none that Prometheus documents."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a result."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]
    """Moments of evaluation, in seconds, and values; NaN and infinities among them."""


def series_of(data: Any) -> list[Series]:
    """The series of a result of any type but text. Raises Malformed."""
    if not isinstance(data, dict):
        raise Malformed("no result")
    kind, result = data.get("resultType"), data.get("result")
    if kind == "scalar":
        return [Series({}, [_point(result)])]
    if kind == "string":
        raise Malformed("the query gives a text, not a number")
    if kind not in ("vector", "matrix") or not isinstance(result, list):
        raise Malformed(f"a result of type {safe(kind, 40)}")
    return [_series(one, kind) for one in result]


def _series(one: Any, kind: str) -> Series:
    if not isinstance(one, dict) or not isinstance(one.get("metric"), dict):
        raise Malformed("a series without labels")
    labels = {str(name): str(value) for name, value in one["metric"].items()}
    if "histogram" in one or "histograms" in one:
        raise Malformed("the query gives native histograms; ask histogram_quantile() or histogram_count()")
    points = [one.get("value")] if kind == "vector" else one.get("values")
    if not isinstance(points, list) or not points:
        raise Malformed("a series without values")
    return Series(labels, [_point(point) for point in points])


def _point(value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise Malformed("a value without its time")
    moment, text = value
    if isinstance(moment, bool) or not isinstance(moment, int | float) or not isinstance(text, str):
        raise Malformed("a value without its time")
    try:
        return float(moment), float(text if len(text) <= _LONGEST else "")
    except ValueError:
        raise Malformed(f"{safe(text, 40)!r} is no number") from None


def not_finite(found: Sequence[Series]) -> int:
    """How many values are NaN or infinite."""
    return sum(not math.isfinite(value) for one in found for _, value in one.points)


def reduced(found: Sequence[Series], how: Reduce) -> tuple[float, Mapping[str, str]]:
    """One number of finite values, and the labels of the series it came from where it came from one.

    `only` is the newest value of the first series: whether there are more is for the caller to see.
    """
    values = [(value, one.labels) for one in found for _, value in one.points]
    if how in ("max", "min"):
        return (max if how == "max" else min)(values, key=lambda each: each[0])
    numbers = [value for value, _ in values]
    if how == "sum":
        return math.fsum(numbers), {}
    if how == "avg":
        return math.fsum(numbers) / len(numbers), {}
    return found[0].points[-1][1], found[0].labels


def coverage(found: Sequence[Series], expected: int) -> float:
    """The share of the moments of a range at which there was a value."""
    return min(len({moment for one in found for moment, _ in one.points}) / max(expected, 1), 1.0)
