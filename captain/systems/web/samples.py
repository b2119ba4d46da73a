"""The same question many times, one after another, and what the answers have in common. Judges nothing."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from captain.errors import ProbeError
from captain.measurement import Value
from captain.release import Release

T = TypeVar("T")

_P95_NEEDS = 20
"""Samples below which the 95th percentile is the slowest of them."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is kept of one of many answers."""

    status: int
    latency: timedelta
    instance: str | None
    """Who gave it."""
    version: str | None
    cache: str
    missing: tuple[str, ...]
    """Protections it lacks."""

    @property
    def ok(self) -> bool:
        return self.status < 400


async def repeated(
    ask: Callable[[timedelta], Awaitable[T]], count: int, timeout: timedelta, asked: str
) -> list[T | ProbeError]:
    """As many answers as asked for, an error in the place of each that failed.

    Raises ProbeError where there was not time for all of them: half a sample looks like a whole one. Where one
    question alone took half of the time, its own error is raised.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout.total_seconds()
    answers: list[T | ProbeError] = []
    while len(answers) < count:
        left = timedelta(seconds=end - loop.time())
        try:
            if left <= timedelta(0):
                raise _too_slow(asked, len(answers), count, timeout)
            answers.append(await ask(left))
        except ProbeError as error:
            if loop.time() < end:
                answers.append(error)
                continue
            raise error if left >= timeout / 2 else _too_slow(asked, len(answers), count, timeout) from error
    return answers


def _too_slow(asked: str, had: int, count: int, timeout: timedelta) -> ProbeError:
    return ProbeError(
        f"{asked}: {had} of {count} requests were answered within {timeout.total_seconds():g}s",
        fault="unclear",
        hint="give the step more timeout, or ask for fewer samples",
    )


def sampled(answers: Sequence[Look | ProbeError]) -> tuple[dict[str, Value], list[str]]:
    """Counts and latencies over all of them, those that failed included, and sentences about them."""
    looks = [one for one in answers if isinstance(one, Look)]
    ok = sum(look.ok for look in looks)
    # An error page is quick: what failed must not make the others look faster.
    latencies = [one.latency if isinstance(one, Look) and one.ok else None for one in answers]
    found: dict[str, Value] = {"samples": len(answers), "ok_samples": ok, "failed_samples": len(answers) - ok}
    for name, percent in {"p50": 50, "p95": 95, "slowest": 100}.items():
        if (value := percentile(latencies, percent)) is not None:
            found[name] = value
    found["cache_statuses"] = [look.cache for look in looks]
    few = f"of {len(answers)} samples p95 is the slowest; {_P95_NEEDS} tell more"
    return found, [few] if len(answers) < _P95_NEEDS else []


def percentile(latencies: Sequence[timedelta | None], percent: int) -> timedelta | None:
    """The nearest rank: the smallest value that `percent` of all are not above.

    None stands for one that never came, slower than any other; where the rank falls on it there is no value.
    """
    if not latencies:
        return None
    ordered = sorted(latencies, key=lambda one: timedelta.max if one is None else one)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def shares(names: Sequence[Hashable]) -> tuple[int, float]:
    """How many different ones, and the part of the most frequent one."""
    return len(set(names)), Counter(names).most_common(1)[0][1] / len(names)


def missing_anywhere(wanted: Sequence[str], looks: Sequence[Look]) -> list[str]:
    """The protections that at least one answer lacks."""
    return [name for name in wanted if any(name in look.missing for look in looks)]


def version_of(looks: Sequence[Look], release: Release | None) -> tuple[str | None, bool | None]:
    """What the answers call themselves where they agree, else the one that is not the release; and whether all are it.

    One answer of another version is a mismatch; one that says nothing leaves no match to speak of.
    """
    versions = [look.version for look in looks]
    matches = [None if release is None or name is None else release.is_called(name) for name in versions]
    if False in matches:
        return versions[matches.index(False)], False
    agreed = versions[0] if len(set(versions)) == 1 else None
    return agreed, None if None in matches else True
