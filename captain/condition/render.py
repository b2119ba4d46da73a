"""Values as people read them beside a condition. Knows neither names nor expressions."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

MAX_SHOWN = 80
_LONE = re.compile("[\ud800-\udfff]")


class Gone:
    """What is not there."""


GONE = Gone()


def aware(value: datetime) -> datetime:
    """The moment with a zone; one without is taken for UTC."""
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def moment(value: datetime) -> str:
    """2026-11-23T14:02:07Z, with a fraction where there is one."""
    text = aware(value).astimezone(UTC).isoformat()
    return text.replace("+00:00", "Z")


def shown(value: Any) -> str:
    """A value as people read it beside a condition: 812ms, 3m12s, 200, "degraded"; at most about 80 characters."""
    if value is GONE:
        return "?"
    text = "".join(_pieces(value, [MAX_SHOWN]))
    if len(text) > MAX_SHOWN + 1:
        text = text[:MAX_SHOWN] + "…"
    return text


def _pieces(value: Any, left: list[int]) -> Iterator[str]:
    """Bits of the text until enough are there, so that a large document costs no more than a small one."""
    match value:
        case list() | tuple():
            yield "["
            for index, item in enumerate(value):
                if left[0] <= 0:
                    yield "…"
                    break
                yield ", " if index else ""
                yield from _pieces(item, left)
            yield "]"
        case Mapping():
            yield "{"
            for index, (key, item) in enumerate(value.items()):
                if left[0] <= 0:
                    yield "…"
                    break
                yield (", " if index else "") + _quoted(str(key)) + ": "
                left[0] -= len(str(key)) + 4
                yield from _pieces(item, left)
            yield "}"
        case _:
            text = _scalar(value)
            left[0] -= len(text) + 2
            yield text


def _scalar(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return _quoted(value)
        case timedelta():
            return brief(value)
        case datetime():
            return moment(value)
        case float():
            return repr(value) if len(repr(value)) <= 8 else f"{value:.6g}"
        case _:
            return str(value)


def _quoted(text: str) -> str:
    cut = text if len(text) <= MAX_SHOWN - 2 else text[: MAX_SHOWN - 3] + "…"
    return json.dumps(_LONE.sub("\ufffd", cut), ensure_ascii=False)


def brief(value: timedelta) -> str:
    """A duration as people say it: 812ms, 1.5s, 3m12s, 2h5m, 12d4h."""
    total = value / timedelta(seconds=1)
    if total < 0:
        return f"-{brief(-value)}"
    if total == 0:
        return "0s"
    if total < 1:
        unit, amount = ("ms", total * 1e3) if total >= 1e-3 else ("us", total * 1e6)
        return f"{amount:.4g}{unit}"
    if total < 60:
        return f"{total:.4g}s" if total < 59.995 else "59.99s"
    if total < 3600:
        minutes, seconds = divmod(total, 60)
        tail = f"{math.floor(seconds * 10) / 10:g}s" if seconds >= 0.1 else ""
        return f"{int(minutes)}m{tail}"
    if total < 86400:
        hours, minutes = divmod(int(total) // 60, 60)
        return f"{hours}h{minutes}m" if minutes else f"{hours}h"
    whole_days, hours = divmod(int(total) // 3600, 24)
    return f"{whole_days}d{hours}h" if hours else f"{whole_days}d"
