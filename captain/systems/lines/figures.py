"""What a log amounts to: counts, ratios and groups over a window. Pure; what the lines do not tell is left out."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo

from captain.errors import ProbeError
from captain.measurement import Value
from captain.safe import safe
from captain.systems.lines.files import Piece
from captain.systems.lines.lines import LEVELS, has, is_zoneless
from captain.systems.lines.records import Record, records
from captain.systems.lines.secrets import Redactor
from captain.systems.lines.traces import message_fingerprint, trace_fingerprint

ENOUGH = 50
"""Lines without which no ratio means anything."""
_SHORTEST = timedelta(seconds=30)
"""Time without which no rate means anything."""
_GROUPS = 50
_SHOWN = 5
_NEWEST = 20
"""Lines of which one names its time, as the last may be a stack trace."""
_HALF, _NEAR = timedelta(minutes=30), timedelta(minutes=2)
_SAMPLES = 3
_SLOW = re.compile(r"duration: \d+(?:\.\d+)? ms\s+(?:statement|execute|parse|bind)|^# Query_time: \d", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the lines."""

    now: datetime
    since: datetime | None
    """None for all lines that were read."""
    before: timedelta
    """How far before `since` what was there already is looked for."""
    required: Sequence[str]
    canary: str | None
    ignored: Callable[[Record], bool]
    redactor: Redactor
    until: float
    """A moment of time.monotonic() by which it must be done."""
    zone: tzinfo | None = None
    """Of times that name none; None for this machine's."""


@dataclass(slots=True)
class Figures:
    """What conditions see, and what a person should."""

    observed: dict[str, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    """Hidden secrets; a few lines without structure, then what the groups are."""


@dataclass(slots=True)
class _Group:
    count: int = 0
    first_at: datetime | None = None


@dataclass(slots=True)
class _Seen:
    """Everything that is counted in one pass."""

    lines: int = 0
    records: int = 0
    structured: int = 0
    structured_records: int = 0
    known: int = 0
    levels: Counter[str] = field(default_factory=Counter)
    missing: set[str] = field(default_factory=set)
    errors: int = 0
    tracebacks: int = 0
    slow: int = 0
    secrets: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    groups: dict[str, _Group] = field(default_factory=dict)
    canary: Record | None = None
    first: datetime | None = None
    """From when on the lines are known to be all there are."""
    samples: list[str] = field(default_factory=list)
    unlevelled: int = 0
    """Records that name no level and are not ignored."""
    unlevelled_sample: str = ""
    doubts: list[str] = field(default_factory=list)
    """Why what was counted is not all there is to know."""
    levelled: bool = True
    """Whether at least half of the records of every piece name a level."""

    @property
    def unsure(self) -> bool:
        """Whether that no error was seen may be because some do not say what they are."""
        return not self.errors and self.unlevelled > 0


def figures(pieces: Sequence[Piece], asked: Question) -> Figures:
    """The observations. Raises ProbeError where the window cannot be kept, or there is too much to go through."""
    found, seen = Figures(), _Seen()
    earlier: set[str] = set()
    anything_earlier, spans, complete = False, False, True
    talking: dict[str, int] = {}
    for piece in pieces:
        oldest: datetime | None = None
        newest: datetime | None = None
        known, counted = seen.known, seen.records
        for record in _in_time(records(piece.lines, asked.now, asked.zone), asked.until):
            if record.at is not None:
                oldest = record.at if oldest is None else min(oldest, record.at)
                newest = record.at if newest is None else max(newest, record.at)
            if asked.since is None or (record.at is not None and record.at >= asked.since):
                _count(record, seen, asked)
            elif record.at is not None and record.at >= asked.since - asked.before:
                anything_earlier = True
                if (name := _group(record, asked)) is not None:
                    earlier.add(name)
        whole = piece.whole or piece.origin
        talking[whole] = talking.get(whole, 0) + seen.records - counted
        seen.levelled = seen.levelled and (seen.known - known) * 2 >= seen.records - counted
        if asked.since is None:
            continue
        if asked.zone is None and (hours := _hours_apart(piece, newest, asked.now)):
            seen.doubts.append(
                f"{safe(piece.origin, 100)}: its times name no zone and are {hours:+g} h from when it was written: "
                "give `timezone`"
            )
        if oldest is None and any(line.text.strip() for line in piece.lines):
            raise ProbeError(
                f"logs {safe(piece.origin, 100)}: no line has a time that captain can read",
                hint="since cannot be kept; `since: all` judges the last `tail` lines, however old",
            )
        spans = spans or (oldest is not None and oldest < asked.since)
        complete = complete and not (piece.cut and (oldest is None or oldest >= asked.since))
    if seen.lines and (silent := [safe(name, 100) for name, count in talking.items() if not count]):
        seen.doubts.append(f"no line of {', '.join(silent[:_SHOWN])}: silence is no health, so ask those that talk")
    if asked.since is not None and spans and complete:
        seen.first = asked.since
    _tell(found, seen, asked, complete)
    if complete and seen.lines and not seen.doubts:
        _tell_new(found, seen, earlier if anything_earlier else None)
    return found


def _hours_apart(piece: Piece, newest: datetime | None, now: datetime) -> float:
    """How many hours or half hours the newest line is from when its file was written; 0 for anything else."""
    if piece.modified is None or newest is None or not any(is_zoneless(line, now) for line in piece.lines[-_NEWEST:]):
        return 0
    apart = newest - piece.modified
    halves = round(apart / _HALF)
    near = abs(apart - halves * _HALF) < _NEAR and abs(halves) <= 28
    return halves / 2 if near else 0


def _in_time(found: Iterator[Record], until: float) -> Iterator[Record]:
    for record in found:
        if time.monotonic() > until:
            raise ProbeError("logs: too many lines to go through in time", hint="lower tail, or give it more timeout")
        yield record


def _count(record: Record, seen: _Seen, asked: Question) -> None:
    seen.lines += record.lines
    seen.records += 1
    seen.structured += record.structured_lines
    if record.at is not None and (seen.first is None or record.at < seen.first):
        seen.first = record.at
    if record.fields is not None:
        seen.structured_records += 1
        fields = record.fields
        seen.missing.update(name for name in asked.required if not has(fields, name))
    elif len(seen.samples) < _SAMPLES:
        seen.samples.append(safe(asked.redactor.hide(record.parts[0]), 300))
    text = record.text
    if kinds := asked.redactor.kinds(text):
        seen.secrets += 1
        seen.kinds.update(kinds)
    if asked.canary is not None and seen.canary is None and asked.canary in text:
        seen.canary = record
    trace = record.trace()
    if record.level is not None:
        seen.levels[record.level] += 1
    seen.known += record.level is not None or trace is not None
    if asked.ignored(record):
        return
    if record.level is None and trace is None:
        seen.unlevelled += 1
        seen.unlevelled_sample = seen.unlevelled_sample or safe(asked.redactor.hide(record.parts[0]), 80)
    seen.tracebacks += trace is not None
    seen.errors += _is_error(record, trace)
    seen.slow += _SLOW.search(text) is not None
    if (name := _group(record, asked)) is not None:
        group = seen.groups.setdefault(name, _Group())
        group.count += 1
        group.first_at = group.first_at or record.at


def _is_error(record: Record, trace: str | None) -> bool:
    return record.level in ("ERROR", "CRITICAL") or (record.level is None and trace is not None)


def _group(record: Record, asked: Question) -> str | None:
    """The fingerprint of an error, None for any other record."""
    trace = record.trace()
    if trace is not None:
        return safe(asked.redactor.hide(trace_fingerprint(trace)), 200)
    if not _is_error(record, None) or asked.ignored(record):
        return None
    logger = (record.fields or {}).get("logger") or ""
    # Hidden before it is cut: half a secret would not be recognised.
    return message_fingerprint(logger if isinstance(logger, str) else "", asked.redactor.hide(record.message))


def _tell(found: Figures, seen: _Seen, asked: Question, complete: bool) -> None:
    observed, notes = found.observed, found.notes
    observed |= {"lines": seen.lines, "records": seen.records, "complete": complete}
    if asked.canary is not None and (seen.canary is not None or complete):
        observed["canary_found"] = seen.canary is not None
        if seen.canary is not None and seen.canary.at is not None:
            observed["canary"] = seen.canary.at
        if seen.canary is not None and (fields := seen.canary.fields) is not None:
            observed["canary_missing"] = [name for name in sorted(asked.required) if not has(fields, name)]
    if not seen.lines:
        notes.append("no line: silence proves nothing, so nothing is counted")
        notes += seen.doubts
        return
    found.samples = [*seen.samples, *(f"{group.count} x {name}" for name, group in _largest(seen))]
    if seen.lines >= ENOUGH:
        observed["json_ratio"] = seen.structured / seen.lines
        observed["level_known_ratio"] = seen.known / seen.records
    else:
        notes.append(f"fewer than {ENOUGH} lines: no json_ratio and no level_known_ratio")
    if seen.structured_records:
        observed["fields_missing"] = list[Value](sorted(seen.missing))
    elif seen.lines >= ENOUGH:
        observed["fields_missing"] = list[Value](sorted(asked.required))
    if not seen.levelled:
        notes.append(f"{seen.records - seen.known} of {seen.records} records name no level: no errors, no warnings")
    elif seen.unsure:
        notes.append(
            f"{seen.unlevelled} records name no level that captain knows, such as {seen.unlevelled_sample!r}: they may "
            "be errors, so none is not counted as 0; name harmless ones in `ignore`"
        )
    _tell_rate(observed, seen, asked)
    if seen.kinds:
        notes.append("secrets: " + ", ".join(f"{kind} ({count})" for kind, count in seen.kinds.most_common()))
    if not complete:
        notes.append("there is more than was read since then, so nothing is counted: raise tail, or shorten since")
        return
    observed["secrets_found"] = seen.secrets
    observed["levels"] = {name: seen.levels[name] for name in LEVELS if seen.levels[name]}
    if seen.doubts:
        notes += seen.doubts
        notes.append("so errors, stack traces and slow queries are not counted")
        return
    observed |= {"tracebacks": seen.tracebacks, "slow_queries": seen.slow}
    if seen.levelled:
        observed |= {"warnings": seen.levels["WARNING"], "debug_lines": seen.levels["DEBUG"]}
        if not seen.unsure:
            observed["errors"] = seen.errors


def _tell_rate(observed: dict[str, Value], seen: _Seen, asked: Question) -> None:
    """Errors per minute of the time that the lines are known to cover."""
    if not seen.levelled or seen.unsure or seen.doubts or seen.first is None:
        return
    covered = asked.now - seen.first
    if covered >= _SHORTEST:
        observed["errors_per_min"] = seen.errors / (covered / timedelta(minutes=1))


def _tell_new(found: Figures, seen: _Seen, earlier: set[str] | None) -> None:
    listed: list[Value] = []
    for name, group in _largest(seen):
        one: dict[str, Value] = {"fingerprint": name, "count": group.count}
        if group.first_at is not None:
            one["first_at"] = group.first_at
        if earlier is not None:
            one["new"] = name not in earlier
        listed.append(one)
    found.observed["groups"] = listed
    if earlier is None:
        found.notes.append("nothing of before was read to compare with, so there is no new_groups")
        return
    if seen.unsure:
        return
    found.observed["new_groups"] = sum(name not in earlier for name in seen.groups)


def _largest(seen: _Seen) -> list[tuple[str, _Group]]:
    return sorted(seen.groups.items(), key=lambda each: (-each[1].count, each[0]))[:_GROUPS]
