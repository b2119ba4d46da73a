"""What a service says of itself in the text formats of Prometheus and OpenMetrics, counted. Asks and judges nobody.

prometheus_client reads the lines. Bounds are kept here: of a line, of all series and of the time.
"""

from __future__ import annotations

import io
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from captain.errors import ProbeError
from captain.safe import safe

MAX_LINE = 16 * 1024
"""Characters of one line: reading it takes the square of them."""
MAX_SERIES = 50_000
MAX_ERRORS = 100
_SHOWN = 200
_BOUNDS = frozenset(("le", "quantile"))
_TYPE = re.compile(r"#\s*TYPE\s+(\S+)\s+(\S+)")
_TYPES = frozenset(("counter", "gauge", "histogram", "summary", "untyped"))
_LABEL = r'(?:[a-zA-Z_]\w*+|"(?:[^"\\]|\\.)*+")[ \t]*+=[ \t]*+"(?:[^"\\]|\\.)*+"[ \t]*+'
_SAMPLE = re.compile(
    rf"[ \t]*+[a-zA-Z_:][\w:]*+[ \t]*+(?:\{{[ \t]*+(?:{_LABEL}(?:,[ \t]*+{_LABEL})*+,?+[ \t]*+)?+\}}[ \t]*+)?+"
    r"(?<=[ \t}])[^ \t]++(?:[ \t]++-?+\d++)?+[ \t]*+",
    re.ASCII,
)
"""The library reads more than the format allows, and would drop a label that it cannot read."""
_SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?", re.DOTALL)
_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)', re.DOTALL)
_ESCAPES = {"\\\\": "\\", "\\n": "\n", '\\"': '"'}


@dataclass(frozen=True, slots=True)
class Selector:
    """Which series are meant: a name and labels they must have among others."""

    name: str
    labels: Mapping[str, str]

    def takes(self, name: str, labels: Mapping[str, str]) -> bool:
        return name == self.name and all(labels.get(key) == value for key, value in self.labels.items())


def selector(written: str) -> Selector:
    """`name` or `name{label="value"}`. Raises ValueError with a sentence."""
    match = _SELECTOR.fullmatch(written.strip())
    if match is None:
        raise ValueError('takes the name of a series, such as db_connections or db_connections{pool="main"}')
    labels: dict[str, str] = {}
    at, inside = 0, match[2] or ""
    while at < len(inside.rstrip()):
        found = _MATCHER.match(inside, at)
        if found is None:
            raise ValueError('takes labels as {name="value", other="value"}, compared as they stand')
        labels[found[1]] = re.sub(r'\\[\\n"]', lambda each: _ESCAPES[each[0]], found[2])
        at = found.end()
    return Selector(match[1], labels)


@dataclass(slots=True)
class Family:
    """One metric with all its series."""

    name: str
    """As its TYPE line says it, else as its samples do."""
    type: str
    samples: set[str] = field(default_factory=set)
    """Names of its samples, which is what Prometheus stores them under."""
    combinations: set[int] = field(default_factory=set)
    """Label sets, bounds of buckets and quantiles left out."""
    bounds: set[float] = field(default_factory=set)
    """Upper bounds of its buckets."""

    @property
    def finite_buckets(self) -> int:
        return sum(map(math.isfinite, self.bounds))

    @property
    def is_histogram(self) -> bool:
        """Whether it is one that quantiles can be taken of."""
        return (
            self.type == "histogram"
            and math.inf in self.bounds
            and {f"{self.name}_sum", f"{self.name}_count"} <= self.samples
        )


@dataclass(slots=True)
class Exposition:
    """One scrape."""

    families: dict[str, Family] = field(default_factory=dict)
    series: int = 0
    counters: dict[str, float] = field(default_factory=dict)
    """By series as written: what must never go down."""
    labels: dict[str, set[str]] = field(default_factory=dict)
    """Values by family, of the labels that were asked for."""
    wanted: list[list[float]] = field(default_factory=list)
    """Values by selector."""
    started: float | None = None
    """process_start_time_seconds."""
    errors: list[str] = field(default_factory=list)
    """What no reader may accept."""

    @property
    def names(self) -> int:
        """Distinct names of series."""
        return sum(len(family.samples) for family in self.families.values())


def parse(
    body: bytes,
    *,
    openmetrics: bool,
    deadline: float,
    wanted: Sequence[Selector] = (),
    labels: Sequence[str] = (),
    monotonic: Callable[[], float] = time.monotonic,
) -> Exposition:
    """Read one scrape. The first line that is none ends it, as it does for Prometheus; what came before is kept.

    Raises ProbeError past a bound or the deadline.
    """
    read = _reader(openmetrics)
    found = Exposition(wanted=[[] for _ in wanted])
    lines = _Lines(body, found, deadline, monotonic, strict=not openmetrics)
    seen: set[int] = set()
    try:
        for metric in read(lines):
            name, renamed = _written_name(metric, lines.types, openmetrics)
            family = found.families.setdefault(name, Family(name, _type(metric.type)))
            for sample in metric.samples:
                series = sample.name.removesuffix("_total") if renamed else sample.name
                _fold(found, family, series, sample.labels, float(sample.value), wanted, labels)
                key = hash((series, tuple(sorted(sample.labels.items())), sample.timestamp))
                if key in seen:
                    _complain(found, f"the series {_shown(series, sample.labels)} stands there twice")
                seen.add(key)
    except ProbeError:
        raise
    except UnicodeDecodeError:
        _complain(found, f"line {lines.number} is not UTF-8")
    except Exception as error:  # a reader of untrusted text: whatever it trips over is an error of that text
        words = safe(" ".join(str(error).split()), _SHOWN) or "is none of the format"
        _complain(found, f"line {lines.number}: {words}")
    return found


def _reader(openmetrics: bool) -> Callable[[Any], Iterable[Any]]:
    if openmetrics:
        from prometheus_client.openmetrics import parser as strict

        return strict.text_fd_to_metric_families
    from prometheus_client import parser

    return parser.text_fd_to_metric_families


class _Lines:
    """The lines of a body, one at a time and none of them too long."""

    def __init__(
        self, body: bytes, found: Exposition, deadline: float, monotonic: Callable[[], float], *, strict: bool
    ) -> None:
        self._body = io.BytesIO(body)
        self._found = found
        self._deadline = deadline
        self._monotonic = monotonic
        self._strict = strict
        self._samples = 0
        self.number = 0
        self.types: dict[str, str] = {}

    def __iter__(self) -> Iterator[str]:
        for raw in self._body:
            self.number += 1
            if len(raw) > MAX_LINE:
                raise ProbeError(f"line {self.number} has more than {MAX_LINE:,} characters, stopped there")
            self._samples += not raw.startswith(b"#")
            if self.number > 4 * MAX_SERIES or self._samples > MAX_SERIES:
                raise ProbeError(f"more than {MAX_SERIES:,} series, stopped there")
            if self._monotonic() > self._deadline:
                raise ProbeError(f"reading it took too long, stopped at line {self.number}", fault="unclear")
            line = raw.decode("utf-8")
            if match := _TYPE.match(line):
                if match[1] in self.types:
                    _complain(self._found, f"line {self.number}: the TYPE of {safe(match[1], 80)} stands there twice")
                self.types[match[1]] = match[2]
                if self._strict and match[2] not in _TYPES:
                    raise ValueError(f"{match[2]} is no type")
            elif self._strict and not _is_plain(line.rstrip("\r\n")):
                raise ValueError(f"{line.strip()[:80]!r} is no sample")
            yield line


def _is_plain(line: str) -> bool:
    """Whether a line of the text format is a comment, empty or a sample; names in quotes are left to the library."""
    return not line.strip() or line.lstrip()[0] in "#{" or _SAMPLE.fullmatch(line) is not None


def _fold(
    found: Exposition,
    family: Family,
    series: str,
    given: Mapping[str, str],
    value: float,
    wanted: Sequence[Selector],
    labels: Sequence[str],
) -> None:
    found.series += 1
    family.samples.add(series)
    plain = tuple(sorted(item for item in given.items() if item[0] not in _BOUNDS))
    family.combinations.add(hash(plain))
    if family.type == "histogram" and "le" in given:
        family.bounds.add(float(given["le"]))
    if _only_rises(family.type, family.name, series):
        found.counters[_shown(series, given)] = value
    if series == "process_start_time_seconds":
        found.started = value
    for name in labels:
        if name in given:
            found.labels.setdefault(family.name, set()).add(given[name])
    for values, one in zip(found.wanted, wanted, strict=True):
        if one.takes(series, given):
            values.append(value)


def _written_name(metric: Any, types: Mapping[str, str], openmetrics: bool) -> tuple[str, bool]:
    """The family's name as written, and whether the library gave its samples a `_total` they do not have."""
    name = str(metric.name)
    if openmetrics or metric.type != "counter":
        return name, False
    return (f"{name}_total", False) if types.get(f"{name}_total") == "counter" else (name, True)


def _type(kind: str) -> str:
    return "unknown" if kind == "untyped" else safe(kind, 40)


def _only_rises(kind: str, family: str, series: str) -> bool:
    if kind == "counter":
        return not series.endswith("_created")
    return kind in ("histogram", "summary") and series in (f"{family}_count", f"{family}_bucket")


def _shown(name: str, labels: Mapping[str, str]) -> str:
    inside = ", ".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return safe(f"{name}{{{inside}}}" if inside else name, MAX_LINE)


def _complain(found: Exposition, words: str) -> None:
    if len(found.errors) < MAX_ERRORS:
        found.errors.append(safe(words, _SHOWN))


def fallen(before: Exposition, after: Exposition) -> list[str]:
    """Counters that went down from one scrape to the next, or are gone."""
    return [
        name
        for name, value in before.counters.items()
        if not (math.isnan(value) or after.counters.get(name, -math.inf) >= value)
    ]
