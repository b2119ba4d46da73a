"""A day as people type it, read as the end of that day where they sit. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, tzinfo

LONGEST = timedelta(days=30)
USUAL = timedelta(days=7)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORMS = ("%Y-%m-%d", "%d.%m.%Y", "%d %b %Y", "%d %B %Y")


def day(text: str, now: datetime, zone: tzinfo | None = None) -> datetime | None:
    """The end of the day that `text` names, in UTC: `2026-11-30`, `30 Nov`, `7d`, `fri`. None when it names none.

    `zone` is where the person sits; None is the machine's. A day without a year is the next one of that name.
    """
    here = now.astimezone(zone)
    words = " ".join(text.lower().split())
    if found := re.fullmatch(r"(\d{1,4}) ?(d|w|days?|weeks?)", words):
        count = int(found[1]) * (7 if found[2].startswith("w") else 1)
        return _end(here + timedelta(days=count)) if count <= 3660 else None
    if words[:3] in _DAYS and words.isalpha():
        ahead = (_DAYS.index(words[:3]) - here.weekday()) % 7
        return _end(here + timedelta(days=ahead or 7))
    for form in _FORMS:
        for typed, yearless in ((words, False), (f"{words} {here.year}", True)):
            try:
                parsed = datetime.strptime(typed, form)
            except ValueError:
                continue
            if yearless and parsed.date() < here.date():
                parsed = parsed.replace(year=here.year + 1, day=min(parsed.day, 28 if parsed.month == 2 else 31))
            return _end(parsed.replace(tzinfo=zone) if zone else parsed)
    return None


def _end(moment: datetime) -> datetime:
    """The last second of that local day. A naive moment is the machine's local time."""
    return datetime.combine(moment.date(), time(23, 59, 59), tzinfo=moment.tzinfo).astimezone(UTC)


def written(moment: datetime, zone: tzinfo | None = None) -> str:
    """A day as captain proposes it: `30 Nov 2026`."""
    here = moment.astimezone(zone)
    return f"{here.day} {here:%b} {here.year}"


def trouble(until: datetime | None, now: datetime, longest: timedelta = LONGEST) -> str | None:
    """Why a waiver cannot end then; None when it can."""
    if until is None:
        return "until: not a day"
    if until <= now:
        return "until is over already"
    # The end of the last allowed day lies some hours behind it; `capped` brings it back.
    if until - now >= longest + timedelta(days=1):
        return f"longest {longest.days} d"
    return None


def capped(until: datetime, now: datetime, longest: timedelta = LONGEST) -> datetime:
    """`until`, never later than allowed."""
    return min(until, now + longest)
