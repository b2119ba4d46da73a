"""What a database answers, as plain values, and its errors by what they mean. Knows no protocol and no verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal, Protocol

from captain.errors import ProbeError
from captain.measurement import Value
from captain.safe import safe

Why = Literal["denied", "login", "writes", "late", "other"]
"""Why a statement was refused: rights missing, credentials, it writes, it took too long, anything else."""
MAX_DEPTH = 8
"""How deep an array or a JSON document is kept."""
MAX_TABLES = 1000
MAX_COUNTS = 100
"""Tables whose rows are counted at once."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of one statement."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    """Values as the library gives them."""
    more: bool = False
    """Whether there were more rows than were asked for."""

    def dicts(self, clip: Callable[[str], str]) -> list[Value]:
        """Each row by column. A name that comes twice is numbered: `id`, `id_2`."""
        names: list[str] = []
        for column in self.columns:
            count = sum(1 for name in names if name == column or name.startswith(f"{column}_"))
            names.append(column if column not in names else f"{column}_{count + 1}")
        return [{name: plain(value, clip) for name, value in zip(names, row, strict=True)} for row in self.rows]

    def first(self) -> dict[str, Any]:
        """The first row by column, {} where there is none."""
        return dict(zip(self.columns, self.rows[0], strict=True)) if self.rows else {}


@dataclass(frozen=True, slots=True)
class Server:
    """Who answered."""

    version: int
    """150018, 101106, 3040001."""
    name: str
    """As the server writes it."""
    database: str
    now: datetime | None
    """Its clock."""
    can_see_all: bool | None
    """Whether sessions of others are shown to captain's role."""
    tls: str | None
    """The TLS version of captain's own connection, "none" where it is plain; None where there is no connection."""
    standby: bool | None = None


@dataclass(slots=True)
class Findings:
    """What a preset observed."""

    observed: dict[str, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rows: list[Value] | None = None
    """Rows that stand behind it, as evidence."""


@dataclass(frozen=True, slots=True)
class Question:
    """What narrows a preset."""

    tables: tuple[str, ...] = ()
    """Which tables are counted, all of them where there are none."""
    role: str | None = None
    """Whose sessions are looked at."""


class SqlError(Exception):
    """A statement or a connection was refused."""

    def __init__(self, words: str, why: Why = "other") -> None:
        super().__init__(words)
        self.words = safe(" ".join(words.split()), 300)
        self.why: Why = why

    def told(self, asked: str) -> ProbeError:
        """The same for the person at the terminal."""
        if self.why == "login":
            hint = "check user and password in the connection string"
            return ProbeError(f"{asked}: {self.words}", fault="instrument", hint=hint)
        if self.why == "denied":
            return ProbeError(f"{asked}: {self.words}", hint="grant captain's role the right to read it")
        if self.why == "writes":
            return ProbeError(f"{asked}: {self.words}", hint="captain's transactions are read-only")
        if self.why == "late":
            hint = "give the step more `timeout`, or ask for less"
            return ProbeError(f"{asked}: {self.words}", fault="unclear", hint=hint)
        return ProbeError(f"{asked}: {self.words}", fault="unclear")


class Database(Protocol):
    """A connection that only reads. Used on one thread."""

    server: Server

    def ask(self, statement: str, params: Sequence[str] = (), limit: int = 1000) -> Answer:
        """One statement in a read-only transaction of its own, `%s` where a parameter stands. Raises SqlError."""
        ...


def counted(wanted: Sequence[str], count: Callable[[str], int]) -> Findings:
    """How many rows each table holds. What could not be counted is left out and said."""
    found = Findings()
    counts: dict[str, Value] = {}
    for name in wanted[:MAX_COUNTS]:
        try:
            counts[name] = count(name)
        except SqlError as error:
            found.notes.append(f"{safe(name, 100)} was not counted: {error.words}")
    if len(wanted) > MAX_COUNTS:
        found.notes.append(f"only the first {MAX_COUNTS} of {len(wanted)} tables were counted; name them with `tables`")
    found.observed["counts"] = counts
    if counts and len(counts) == len(wanted):
        found.observed["empty_tables"] = sum(1 for rows in counts.values() if not rows)
    return found


def plain(value: Any, clip: Callable[[str], str] = lambda text: text, depth: int = 0) -> Value:
    """A value of a library as captain keeps it.

    Exact numbers without decimals are whole, others are floats, NaN and infinities are nothing; a moment without a
    time zone, a day and a time of day stay text, as nobody knows when they were; bytes are hexadecimal text.
    """
    match value:
        case None | bool():
            return value
        case int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return _number(value)
        case str():
            return clip(value)
        case datetime():
            return value if value.tzinfo is not None else value.isoformat(" ")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value
        case bytes() | bytearray() | memoryview():
            return clip(bytes(value[: 64 * 1024]).hex())
        case Mapping() | list() | tuple() if depth >= MAX_DEPTH:
            return clip(str(value))
        case Mapping():
            return {str(key): plain(one, clip, depth + 1) for key, one in value.items()}
        case list() | tuple():
            return [plain(one, clip, depth + 1) for one in value]
        case _:
            return clip(str(value))


def _number(value: Decimal) -> Value:
    if not value.is_finite():
        return None
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= 0 and value.adjusted() < 18:
        return int(value)
    found = float(value)
    return found if math.isfinite(found) else None
