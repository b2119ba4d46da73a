"""Evaluates one query and tells a value that was measured from one that was not. Knows no parameters of a probe."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.metrics.prometheus import Answer, Prometheus
from captain.systems.metrics.prometheus_values import (
    Malformed,
    Reduce,
    Series,
    coverage,
    not_finite,
    reduced,
    series_of,
)
from captain.systems.metrics.promql import Reading, Source, reading

MAX_SELECTORS = 64
"""Selectors whose samples are looked up; a query that reads more is not looked into."""
_BATCH = 8
"""Of them in one question."""
COVERED = 0.9
"""Share of a window that must have values: less says nothing about the window."""
_OLD = timedelta(minutes=2)
_MARK = "captain_selector"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class At:
    """A moment to ask about."""

    moment: datetime | None
    """None for the server's now."""
    shift: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    query: str
    at: At
    window: timedelta | None
    """None for one moment."""
    step: timedelta
    reduce: Reduce
    empty_is_zero: bool
    covered: float = COVERED
    """Share of the window that must have values."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came back. `value` is None where none was measured."""

    answer: Answer
    series: tuple[Series, ...]
    nan_count: int
    value: float | None = None
    sample_age: timedelta | None = None
    coverage: float | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """The samples that a query read."""

    age: timedelta | None
    """Age of the oldest of them; None where nothing was there."""
    missing: tuple[str, ...]
    """Selectors without a sample."""
    found: int
    """Selectors with samples."""


async def evaluate(client: Prometheus, question: Question, notes: list[str]) -> Result:
    """Ask. Raises ProbeError, and Malformed where the answer is none that Prometheus documents."""
    moment = await _moment(client, question)
    answer = await _ask(client, question, moment)
    found = tuple(series_of(answer.data))
    wrongs = not_finite(found)
    covered = None
    if question.window is not None:
        covered = coverage(found, math.floor(question.window / question.step) + 1)
    if not found:
        notes.append(
            "the result is empty, which empty: zero makes 0" if question.empty_is_zero else "no series, so no value"
        )
        return Result(answer, found, wrongs, 0.0 if question.empty_is_zero else None, None, covered)
    read = reading(question.query)
    behind, failed = await _behind(client, read, moment)
    age = None if behind is None else behind.age
    notes += _remarks(behind)
    why = _unusable(question, found, wrongs, covered) or _unmeasured(question, read, behind, failed)
    if why:
        notes.append(why)
        return Result(answer, found, wrongs, None, age, covered)
    value, labels = reduced(found, question.reduce)
    if len(found) > 1 and labels:
        shown = ", ".join(f'{safe(name, 60)}="{safe(label, 60)}"' for name, label in labels.items())
        notes.append(f"the {question.reduce} is that of {{{shown}}}")
    return Result(answer, found, wrongs, value, age, covered)


async def _moment(client: Prometheus, question: Question) -> datetime | None:
    """The moment to ask about, None for the server's now where it need not be named."""
    at = question.at
    if at.moment is None and not at.shift and question.window is None:
        return None
    clock = series_of((await client.get("query", query="time()")).data)
    now = datetime.fromtimestamp(clock[0].points[0][1], UTC)
    moment = (at.moment or now) + at.shift
    if moment > now + timedelta(seconds=1):
        raise ProbeError(f"{moment:%Y-%m-%d %H:%M:%S}Z has not come yet, so nothing is measured there")
    return moment


async def _ask(client: Prometheus, question: Question, moment: datetime | None) -> Answer:
    limit = f"{client.left.total_seconds():.3f}"
    if question.window is None or moment is None:
        return await client.get("query", query=question.query, timeout=limit, **_time(moment))
    return await client.get(
        "query_range",
        query=question.query,
        start=_stamp(moment - question.window),
        end=_stamp(moment),
        step=f"{question.step.total_seconds():.3f}",
        timeout=limit,
    )


def _stamp(moment: datetime) -> str:
    return f"{moment.timestamp():.3f}"


def _time(moment: datetime | None) -> dict[str, str]:
    return {} if moment is None else {"time": _stamp(moment)}


async def sources(client: Prometheus, read: Reading, moment: datetime | None) -> Sources | None:
    """The samples that stand behind a query at a moment. None where its text does not let one ask for them."""
    if read.shifted or not 0 < len(read.sources) <= MAX_SELECTORS:
        return None
    ages: dict[Source, float] = {}
    for start in range(0, len(read.sources), _BATCH):
        some = read.sources[start : start + _BATCH]
        query = " or ".join(
            f'label_replace({_sampled(one)}, "{_MARK}", "{place}", "", "")' for place, one in enumerate(some)
        )
        marks = {str(place): one for place, one in enumerate(some)}
        for one in series_of((await client.get("query", query=query, **_time(moment))).data):
            asked, sampled = one.points[-1]
            if (source := marks.get(one.labels.get(_MARK, ""))) is not None:
                ages[source] = max(asked - sampled, 0.0)
    missing = dict.fromkeys(source.selector for source in read.sources if source not in ages)
    # What is read at another time is older than the query by its own words.
    finite = [age for source, age in ages.items() if math.isfinite(age) and not source.modifiers]
    return Sources(timedelta(seconds=max(finite)) if finite else None, tuple(missing), len(ages))


def _sampled(source: Source) -> str:
    """A query for when the oldest sample was taken that can be behind this source."""
    taken = f"timestamp({source.selector} {source.modifiers})"
    # Series that ended without saying so are found for minutes, and a shorter range does not reach them.
    return f"min({taken})" if source.span is None else f"min({taken} >= time() - {source.span:.3f})"


async def _behind(client: Prometheus, read: Reading, moment: datetime | None) -> tuple[Sources | None, str]:
    """The samples behind the value, where its text lets one look them up, and why that failed where it did."""
    try:
        return await sources(client, read, moment), ""
    except (ProbeError, Malformed) as error:
        return None, str(error)


def _remarks(behind: Sources | None) -> list[str]:
    notes = []
    if behind is not None and behind.missing and behind.found:
        notes.append(f"no series matches {_listed(behind.missing)}: right where none happened, else check the names")
    if behind is not None and behind.age is not None and behind.age > _OLD:
        notes.append(f"the oldest sample behind the value is {behind.age.total_seconds():.0f}s old")
    return notes


def _unusable(question: Question, found: tuple[Series, ...], wrongs: int, covered: float | None) -> str | None:
    """Why the result does not come to one value, or None."""
    if wrongs:
        return f"{wrongs} of the values are NaN or infinite, so there is no value"
    if question.reduce == "only" and len(found) > 1:
        return f"{len(found)} series: take one with sum() or max() in the query, or give reduce"
    if covered is not None and covered < question.covered:
        return f"there are values at {covered:.0%} of the window only, which says nothing about the rest"
    return None


def _unmeasured(question: Question, read: Reading, behind: Sources | None, failed: str) -> str | None:
    """Why nothing was measured although there is a result, or None."""
    if not read.sources:
        return "the query reads no series, so nothing was measured"
    if question.empty_is_zero:
        return None
    if failed:
        return f"the samples behind the value could not be looked up, so there is no value: {failed}"
    if behind is None:
        # Whoever reads nothing gives nothing, but for an `or`.
        why = (
            "an `or` answers though nothing is read, and what this query reads cannot be looked up, so it has no value"
        )
        return f"{why}: put offset and @ behind selectors, at most {MAX_SELECTORS}" if read.either else None
    if not behind.found and not read.asks_absence:
        return (
            f"nothing the query reads is scraped at that moment ({_listed(behind.missing)}), so the value says nothing"
        )
    return None


def _listed(selectors: tuple[str, ...]) -> str:
    return ", ".join(safe(selector, 120) for selector in selectors[:_SHOWN])
