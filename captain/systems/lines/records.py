"""Lines put together to records: a traceback over many lines is one. Pure; no verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any

from captain.systems.lines.lines import Line, Told, told
from captain.systems.lines.traces import CHAINED, PYTHON, trace_of

LONGEST = 64 * 1024
"""Characters of one record that are kept."""
_SOON = timedelta(seconds=1)
_FRAMES = ('File "', "at ")
_GOES_ON = ("Caused by: ", "Suppressed: ", "... ")


@dataclass(slots=True)
class Record:
    """One thing that was logged."""

    at: datetime | None
    origin: str
    level: str | None
    fields: Mapping[str, Any] | None
    message: str
    stamped: bool
    parts: list[str] = field(default_factory=list)
    lines: int = 1
    structured_lines: int = 0
    tracing: bool = False
    """Whether a traceback began in it whose last line has not come."""
    traced: bool = False
    size: int = 0

    @property
    def text(self) -> str:
        return "\n".join(self.parts)

    def trace(self) -> str | None:
        """The stack trace in it."""
        return trace_of(self.text, self.fields)

    def add(self, text: str) -> None:
        """One more line of it."""
        self.lines += 1
        self.size += len(text)
        if self.size <= LONGEST:
            self.parts.append(text)


def records(lines: Iterable[Line], now: datetime, zone: tzinfo | None = None) -> Iterator[Record]:
    """The records, in the order they began. Empty lines are none, and belong to whatever they stand in."""
    open_ones: dict[str, Record] = {}
    last: dict[str, datetime] = {}
    for line in lines:
        if not line.text.strip():
            continue
        one = told(line, now, zone)
        at = one.at or last.get(line.origin)
        if at is not None:
            last[line.origin] = at
        current = open_ones.get(line.origin)
        if current is not None and _belongs(one, at, current):
            _append(current, one)
            continue
        if current is not None:
            yield current
        open_ones[line.origin] = _begun(one, at, line.origin)
    yield from open_ones.values()


def _begun(one: Told, at: datetime | None, origin: str) -> Record:
    began = Record(at, origin, one.level, one.fields, one.message, one.stamped, [one.text], size=len(one.text))
    began.structured_lines = int(one.fields is not None)
    began.tracing = one.fields is None and one.text.startswith(PYTHON)
    began.traced = began.tracing
    return began


def _append(current: Record, one: Told) -> None:
    current.add(one.text)
    if one.text.startswith(PYTHON):
        current.tracing = current.traced = True
    elif current.tracing and one.text[:1].strip() and not one.text.startswith(CHAINED):
        current.tracing = False  # the line that names the exception


def _belongs(one: Told, at: datetime | None, current: Record) -> bool:
    """Whether a line goes on with the record before it."""
    if one.fields is not None:
        return False
    text = one.text
    if text[:1].isspace() or text.startswith(_GOES_ON):
        # Behind a time two spaces may be nothing but a wide column.
        return not one.stamped or text.lstrip().startswith(_FRAMES) or (current.tracing and one.level is None)
    if current.tracing or (current.traced and text.startswith(CHAINED)):
        return one.level is None or not one.stamped
    if text.startswith(PYTHON):
        soon = at is None or current.at is None or abs(at - current.at) <= _SOON
        # After an error comes its traceback; after the end of a chained one, the next of the chain.
        chained = current.traced and current.parts[-1].startswith(CHAINED)
        return soon and (chained or (not current.traced and current.level in ("ERROR", "CRITICAL")))
    # In a log whose lines begin with a time, one that does not is the rest of a message of several lines.
    return current.stamped and not one.stamped and one.level is None
