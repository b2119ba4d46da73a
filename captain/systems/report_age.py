"""How old a report is, from what it says and from what its file or server says. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

AHEAD = timedelta(minutes=5)
"""How far ahead of captain's another clock may go."""
_ZONES = timedelta(hours=14)


def age(created: datetime | None, modified: datetime | None, now: datetime) -> tuple[timedelta | None, list[str]]:
    """Time since it was written, None where that is not known, and what should be said of it.

    Its own time comes first. One without a zone is read as UTC, and no later than the file was last changed.
    """
    notes = []
    at, ahead = created, AHEAD
    if created is not None and created.tzinfo is None:
        notes.append("its time names no zone and is read as UTC")
        at, ahead = created.replace(tzinfo=UTC), _ZONES
        if modified is not None:
            at = min(at, modified)
    at = modified if at is None else at
    if at is None:
        return None, ["nothing says when it was written, so it may be of any age"]
    if at > now + ahead:
        return None, ["it is of the future: the clock here or where it was written is wrong"]
    return max(now - at, timedelta(0)), notes
