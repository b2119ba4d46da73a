"""What Prometheus says of its own work: targets, alerts and rules, counted. Knows no connection and no verdict."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from captain.safe import safe
from captain.systems.metrics.prometheus_values import Malformed

LATE = 3
"""Intervals without a scrape or an evaluation after which what is known is old."""
_SLACK = timedelta(seconds=2)
"""The server's clock is read in whole seconds."""
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhdwy])")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Targets:
    """The targets of a job, or of all."""

    up: int
    down: int
    total: int
    late: int | None
    """Without a scrape for LATE intervals; None where the server's clock is not known."""
    oldest_scrape: timedelta | None
    never: int
    """Not scraped yet."""
    troubles: tuple[str, ...]
    """What Prometheus met at those that are down."""


@dataclass(frozen=True, slots=True)
class Alerts:
    """Alerts by name, the ignored ones left out."""

    firing: tuple[str, ...]
    pending: tuple[str, ...]
    critical: int
    """Firing alerts whose severity is critical."""
    firing_count: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    name: str
    alerting: bool
    trouble: str
    """Why its result cannot be relied upon; "" where it can."""


def jobs_of(data: Any) -> list[str]:
    """The jobs that have active targets."""
    return sorted({_labels(target).get("job", "") for target in _active(data)})


def targets_of(data: Any, job: str | None, now: datetime | None) -> Targets:
    """The active targets of a job. Raises Malformed."""
    chosen = [target for target in _active(data) if job is None or _labels(target).get("job") == job]
    health = [str(target.get("health")) for target in chosen]
    ages: list[timedelta] = []
    late = never = 0
    for target in chosen:
        scraped = _moment(target.get("lastScrape"))
        if scraped is None:
            never += 1
        elif now is not None:
            ages.append(max(now - scraped, timedelta(0)))
            interval = _seconds(target.get("scrapeInterval"))
            late += interval is not None and ages[-1] > LATE * interval + _SLACK
    down = [
        f"{safe(_labels(target).get('instance') or target.get('scrapeUrl'), 80)}: {safe(target.get('lastError'), 160)}"
        for target in chosen
        if target.get("health") == "down"
    ]
    return Targets(
        up=health.count("up"),
        down=health.count("down"),
        total=len(chosen),
        late=None if now is None else late,
        oldest_scrape=max(ages, default=None),
        never=never,
        troubles=tuple(down[:_SHOWN]),
    )


def alerts_of(data: Any, ignored: Callable[[str], bool]) -> Alerts:
    """The active alerts. Raises Malformed."""
    found = [one for one in _list(data, "alerts") if not ignored(_labels(one).get("alertname", ""))]
    firing = [_labels(one) for one in found if one.get("state") == "firing"]
    pending = [_labels(one) for one in found if one.get("state") == "pending"]
    return Alerts(
        firing=_names(firing),
        pending=_names(pending),
        critical=sum(labels.get("severity", "").lower() == "critical" for labels in firing),
        firing_count=len(firing),
    )


def rules_of(data: Any, now: datetime | None) -> list[Rule]:
    """All rules. Raises Malformed."""
    found: list[Rule] = []
    for group in _list(data, "groups"):
        interval = group.get("interval")
        every = timedelta(seconds=interval) if isinstance(interval, int | float) and 0 < interval < 1e9 else None
        for rule in _list(group, "rules"):
            name = safe(rule.get("name", ""), 200)
            found.append(Rule(name, rule.get("type") == "alerting", _trouble(rule, every, now)))
    return found


def _trouble(rule: Mapping[str, Any], every: timedelta | None, now: datetime | None) -> str:
    health = rule.get("health")
    if health != "ok":
        return safe(rule.get("lastError") or f"health {health}", 160)
    evaluated = _moment(rule.get("lastEvaluation"))
    if evaluated is None:
        return "not evaluated yet"
    if every is not None and now is not None and now - evaluated > LATE * every + _SLACK:
        return f"not evaluated for {(now - evaluated).total_seconds():.0f}s"
    return ""


def _names(labels: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(sorted({safe(each.get("alertname", "?"), 200) for each in labels}))


def _active(data: Any) -> list[dict[str, Any]]:
    return _list(data, "activeTargets")


def _list(data: Any, name: str) -> list[dict[str, Any]]:
    found = data.get(name) if isinstance(data, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Malformed(f"no list of {name}")
    return found


def _labels(one: Mapping[str, Any]) -> dict[str, str]:
    labels = one.get("labels")
    return {str(name): str(value) for name, value in labels.items()} if isinstance(labels, dict) else {}


def _moment(text: Any) -> datetime | None:
    """A moment of the API, to the microsecond; None for the zero time of what has not happened."""
    match = _MOMENT.fullmatch(text) if isinstance(text, str) and len(text) < 64 else None
    if match is None or match[1].startswith("0001"):
        return None
    fraction = (match[2] or ".0")[:7]
    try:
        return datetime.fromisoformat(f"{match[1]}{fraction}{match[3]}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _seconds(text: Any) -> timedelta | None:
    """A duration as Prometheus writes it: 15s, 1m, 1h30m."""
    if not isinstance(text, str) or len(text) > 64 or not re.fullmatch(rf"(?:{_DURATION.pattern})+", text):
        return None
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
    return timedelta(seconds=seconds) if seconds < 1e9 else None
