"""The shapes of a report's JSON: each taken as what it must be, or a ValueError that says where it is not. Pure."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from captain.documents import parse_json
from captain.safe import safe
from captain.systems.reports import LIMIT

_MOST_FRACTION = re.compile(r"(\.\d{6})\d+")


def json_of(data: bytes) -> Any:
    """The document. Raises ValueError."""
    if not data.strip():
        raise ValueError("it is empty")
    return parse_json(data, max_size=LIMIT)


def mapping(value: Any, what: str) -> dict[str, Any]:
    """A mapping."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no mapping")
    return value


def maybe_mapping(value: Any, what: str) -> dict[str, Any]:
    """A mapping; nothing is an empty one."""
    return {} if value is None else mapping(value, what)


def rows(value: Any, what: str) -> list[Any]:
    """A list; nothing is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{what} is no list")
    return value


def mappings(value: Any, what: str) -> list[dict[str, Any]]:
    """A list of mappings; nothing is an empty one."""
    return [mapping(one, f"an element of {what}") for one in rows(value, what)]


def text(value: Any) -> str:
    """A text as one line, "" of anything else."""
    return safe(value, 300) if isinstance(value, str) else ""


def whole(value: Any, what: str) -> int:
    """A count."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{what} is no count")
    return value


def number(value: Any, what: str) -> float:
    """A finite number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{what} is no number")
    return float(value)


def truth(value: Any, what: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{what} is neither true nor false")
    return value


def milliseconds(value: Any, what: str) -> timedelta:
    """A duration that is written in milliseconds."""
    count = number(value, what)
    if count > 1e15:
        raise ValueError(f"{what} is no duration")
    return timedelta(milliseconds=count)


def moment(value: Any) -> datetime | None:
    """ISO 8601, aware where it names a zone; None of anything else."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        return datetime.fromisoformat(_MOST_FRACTION.sub(r"\1", value.strip()))
    except ValueError:
        return None


def since_epoch(seconds: Any) -> datetime | None:
    """Seconds since 1970; None of anything else."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def percentile(counted: dict[float, int], share: float) -> float:
    """The value that `share` of them are not above, by nearest rank. Raises ValueError where there are none."""
    total = sum(counted.values())
    if not total:
        raise ValueError("there is nothing to count")
    rank, seen = max(1, math.ceil(share * total)), 0
    for value in sorted(counted):
        seen += counted[value]
        if seen >= rank:
            return value
    raise ValueError("there is nothing to count")
