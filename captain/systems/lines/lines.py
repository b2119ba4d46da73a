"""One line of a log: its time, its level, its fields. Pure, and linear in the length of the line; no verdict."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

LONGEST = 128 * 1024
"""Characters of one line that are looked at."""
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_SPELLINGS = {
    **dict.fromkeys(("debug", "trace", "fine", "verbose", "dbug"), "DEBUG"),
    **dict.fromkeys(("info", "notice", "log", "information", "informational"), "INFO"),
    **dict.fromkeys(("warning", "warn"), "WARNING"),
    **dict.fromkeys(("error", "err", "severe"), "ERROR"),
    **dict.fromkeys(("critical", "crit", "fatal", "panic", "emerg", "emergency", "alert"), "CRITICAL"),
}
_PINO = {10: "DEBUG", 20: "DEBUG", 30: "INFO", 40: "WARNING", 50: "ERROR", 60: "CRITICAL"}
NAMES: Mapping[str, tuple[str, ...]] = {
    "level": ("level", "levelname", "severity", "log.level", "lvl", "loglevel"),
    "message": ("message", "msg", "event"),
    "ts": ("ts", "time", "timestamp", "@timestamp", "asctime", "datetime"),
    "logger": ("logger", "name", "logger_name", "log.logger"),
}
"""Under which other names a field is looked for."""
_STAMP = re.compile(
    r"\[?(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
    r"(?: ?(Z\b|UTC\b|GMT\b|[+-]\d\d:?\d\d\b))?\]?:?"
)
_ACCESS = re.compile(r"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\]")
_SYSLOG = re.compile(r"(?:<\d{1,3}>)?([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) ")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LEVEL = re.compile(
    r"(?<![\w=])(?:\[(?P<boxed>[a-zA-Z]{3,9})\]|level=\"?(?P<given>[a-zA-Z]{3,13})|(?P<log>LOG):"
    r"|(?P<plain>TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|SEVERE|CRITICAL|CRIT|FATAL|PANIC|EMERG|ALERT))(?!\w)"
)
_FIRST = re.compile(
    r"\s*(trace|debug|info|notice|warn|warning|error|err|severe|critical|crit|fatal|panic|emerg|alert)(?::|\s+-\s)",
    re.IGNORECASE,
)
"""In small letters only where it stands first and a colon or dash follows."""
_WHERE_LEVELS_STAND = 120
_PAIR = re.compile(r"([A-Za-z_][\w.@-]{0,63})=(\"(?:[^\"\\]|\\.)*\"|[^\s\"]*)(?:\s+|$)")
_PAIRS = 100


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it was read."""

    text: str
    at: datetime | None = None
    """When, by whoever kept it; None where only the text can tell."""
    origin: str = ""
    """The container and its stream, or the file: lines of one origin belong together."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a line tells by itself."""

    text: str
    """Without the time it began with."""
    at: datetime | None
    stamped: bool
    """Whether its text began with a time."""
    fields: Mapping[str, Any] | None
    """Of a JSON object or of logfmt."""
    level: str | None
    message: str


def told(line: Line, now: datetime, zone: tzinfo | None = None) -> Told:
    """What a line tells. `now` gives the year to those that name none, `zone` is of times without one."""
    raw = line.text[:LONGEST]
    inner, rest, stamped = _begin(raw, now, zone)
    found = structured(rest.strip())
    if found is None:
        return Told(rest, line.at or inner or _access(raw), stamped, None, plain_level(rest), rest)
    at = line.at or inner or moment(_first(found, "ts"), zone)
    message = _first(found, "message")
    return Told(rest, at, stamped, found, _level(found), message if isinstance(message, str) else rest)


def structured(text: str) -> Mapping[str, Any] | None:
    """The fields of a JSON object or of logfmt; None for anything else."""
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None
    return _logfmt(text)


def has(fields: Mapping[str, Any], name: str) -> bool:
    """Whether a field is there and says something, under its own or a usual other name."""
    return _first(fields, name) not in (None, "")


def plain_level(text: str) -> str | None:
    """The level a text names near its beginning."""
    if match := _FIRST.match(text[:_WHERE_LEVELS_STAND]):
        return _SPELLINGS[match[1].lower()]
    for match in _LEVEL.finditer(text[:_WHERE_LEVELS_STAND]):
        word = match["boxed"] or match["given"] or match["log"] or match["plain"]
        if level := _SPELLINGS.get(word.lower()):
            return level
    return None


def moment(value: object, zone: tzinfo | None = None) -> datetime | None:
    """A time as logs write it: ISO text, or seconds or milliseconds since 1970."""
    try:
        if isinstance(value, str):
            match = _STAMP.match(value)
            return _stamp(match, zone) if match else None
        if isinstance(value, int | float) and not isinstance(value, bool) and 1e8 < value < 1e14:
            return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def is_zoneless(line: Line, now: datetime) -> bool:
    """Whether its time depends on the zone that it is read in."""
    east = told(line, now, timezone(timedelta(hours=1))).at
    return east is not None and east != told(line, now, UTC).at


def _level(fields: Mapping[str, Any]) -> str | None:
    value = _first(fields, "level")
    if isinstance(value, str):
        return _SPELLINGS.get(value.strip().lower())
    # 30 is a warning to Python and an information to pino, which names its pid and host besides.
    if isinstance(value, int) and "pid" in fields and "hostname" in fields:
        return _PINO.get(value)
    return None


def _first(fields: Mapping[str, Any], name: str) -> Any:
    for each in NAMES.get(name, (name,)):
        if each in fields:
            return fields[each]
        outer, dot, inner = each.partition(".")
        if dot and isinstance(within := fields.get(outer), dict) and inner in within:
            return within[inner]
    return None


def _logfmt(text: str) -> Mapping[str, str] | None:
    """At least two pairs and nothing else."""
    found: dict[str, str] = {}
    at, text = 0, text.strip()
    while at < len(text) and len(found) < _PAIRS:
        if (match := _PAIR.match(text, at)) is None:
            return None
        found[match[1]] = match[2].strip('"')
        at = match.end()
    return found if len(found) > 1 else None


def _begin(text: str, now: datetime, zone: tzinfo | None) -> tuple[datetime | None, str, bool]:
    """The time at the beginning, the text after it, and whether there was one."""
    try:
        if match := _STAMP.match(text):
            return _stamp(match, zone), text[match.end() :].removeprefix(" "), True
        if match := _SYSLOG.match(text):
            day, hour, minute, second = (int(match[part]) for part in (2, 3, 4, 5))
            at = _here(datetime(now.year, _MONTHS.index(match[1]) + 1, day, hour, minute, second), zone)
            at = at.replace(year=at.year - 1) if at > now + timedelta(days=1) else at
            return at, text[match.end() :], True
    except (ValueError, OverflowError):
        pass
    return None, text, False


def _stamp(match: re.Match[str], here: tzinfo | None) -> datetime:
    micros = int((match[7] or "0").ljust(6, "0")[:6])
    year, month, day, hour, minute, second = (int(match[part]) for part in range(1, 7))
    return _zoned(datetime(year, month, day, hour, minute, second, micros), match[8], here)


def _here(at: datetime, zone: tzinfo | None) -> datetime:
    """A time without a zone: this machine's unless said otherwise, as most libraries write it."""
    return at.astimezone(UTC) if zone is None else at.replace(tzinfo=zone).astimezone(UTC)


def _zoned(at: datetime, zone: str | None, here: tzinfo | None = None) -> datetime:
    if zone is None:
        return _here(at, here)
    if zone in ("Z", "UTC", "GMT"):
        return at.replace(tzinfo=UTC)
    digits = zone.replace(":", "")
    away = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5]))
    return at.replace(tzinfo=UTC) - (away if digits[0] == "+" else -away)


def _access(text: str) -> datetime | None:
    """The time of an access log, which stands after the client."""
    if (match := _ACCESS.search(text[:300])) is None or match[2] not in _MONTHS:
        return None
    try:
        year, day, hour, minute, second = (int(match[part]) for part in (3, 1, 4, 5, 6))
        return _zoned(datetime(year, _MONTHS.index(match[2]) + 1, day, hour, minute, second), match[7])
    except (ValueError, OverflowError):
        return None
