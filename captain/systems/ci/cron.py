"""The longest time between two runs of cron expressions. Pure; knows no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_BEGIN = date(2024, 1, 1)
_LOOKED_AT = 9 * 366
"""Days that are expanded: two leap years, so that the rarest day that exists comes twice."""
_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Cron:
    """One expression of five fields, in the meaning that crontab(5) gives them."""

    minutes: frozenset[int]
    """Of the day."""
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    either: bool
    """Both kinds of days are restricted: one of them is enough."""

    def on(self, day: date) -> bool:
        """Whether it runs that day."""
        if day.month not in self.months:
            return False
        by_date, by_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_date or by_week if self.either else by_date and by_week


def parse_cron(written: str) -> Cron:
    """Raises ValueError with a sentence for anything but five fields of numbers, names, lists, ranges and steps."""
    fields = written.split()
    if len(fields) != 5 or len(written) > 500:
        raise ValueError("takes five fields: minute hour day month weekday")
    minute, hour, day, month, weekday = fields
    hours, minutes = _field(hour, 0, 23), _field(minute, 0, 59)
    return Cron(
        frozenset(one * 60 + other for one in hours for other in minutes),
        _field(day, 1, 31),
        _field(month, 1, 12, _MONTHS, 1),
        frozenset(one % 7 for one in _field(weekday, 0, 7, _DAYS)),
        either=not day.startswith("*") and not weekday.startswith("*"),
    )


def longest_gap(crons: Sequence[Cron]) -> timedelta | None:
    """The longest time between two runs of all of them together, None where they run less than twice."""
    longest, last = -1, None
    known: dict[tuple[bool, ...], list[int]] = {}
    for offset in range(_LOOKED_AT):
        day = _BEGIN + timedelta(days=offset)
        runs = tuple(cron.on(day) for cron in crons)
        if runs not in known:
            union: set[int] = set().union(*(cron.minutes for cron, on in zip(crons, runs, strict=True) if on))
            known[runs] = sorted(union)
            longest = max(longest, *(later - earlier for earlier, later in pairwise(known[runs])), -1)
        minutes = known[runs]
        if not minutes:
            continue
        if last is not None:
            longest = max(longest, offset * _DAY + minutes[0] - last)
        last = offset * _DAY + minutes[-1]
    return timedelta(minutes=longest) if longest > 0 else None


def _field(written: str, low: int, high: int, names: Sequence[str] = (), first: int = 0) -> frozenset[int]:
    found: set[int] = set()
    for part in written.split(","):
        span, slash, step = part.partition("/")
        begin, dash, end = span.partition("-")
        if span == "*":
            lowest, highest = low, high
        else:
            lowest = _number(begin, names, first)
            highest = _number(end, names, first) if dash else high if slash else lowest
        width = _number(step) if slash else 1
        if not (low <= lowest <= highest <= high and width > 0):
            raise ValueError(f"{part[:40]} is not within {low} to {high}")
        found.update(range(lowest, highest + 1, width))
    return frozenset(found)


def _number(written: str, names: Sequence[str] = (), first: int = 0) -> int:
    if written.lower() in names:
        return list(names).index(written.lower()) + first
    if written.isascii() and written.isdigit() and len(written) <= 3:
        return int(written)
    raise ValueError(f"{written[:40]} is no number")
