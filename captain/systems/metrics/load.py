"""A profile of requests over time, and what a burst comes to: rates, percentiles, recovery. Pure; sends nothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

REACHED = 0.95
"""Share of the target rate below which a burst was not what was asked for."""
BUSY = 0.7
"""Share of one processor from which on it is the generator that is measured, not the product."""
LAG = 0.05
"""Seconds by which the generator may be late before it is in its own way."""
LATE_SHARE = 0.95
"""Percentile of lateness that counts: a single hiccup does not spoil a burst, it only makes it look slower."""
TIMEOUT = "timeout"
_NEEDED = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_WINDOW = 1.0
_BACK_RATIO, _BACK_SECONDS = 1.25, 0.02
"""p95 is back where it is at most this much over the base, or this close to it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A time of constant load: so many requests a second, or so many users that ask one after another."""

    seconds: float
    rps: float | None = None
    users: int | None = None


@dataclass(frozen=True, slots=True)
class Shot:
    """One request."""

    stage: int
    """Which stage; -1 for the warm-up."""
    due: float
    """When it was to be sent, in seconds from the start of the profile."""
    late: float
    """By how much the generator was late."""
    took: float
    """From when it was due to its end: a request that had to wait its turn waited."""
    outcome: int | str
    """The status, or why there was none."""

    @property
    def good(self) -> bool:
        """Answered as asked: 2xx."""
        return isinstance(self.outcome, int) and 200 <= self.outcome < 300


@dataclass(slots=True)
class Burst:
    """Everything a burst recorded."""

    stages: Sequence[Stage]
    shots: list[Shot] = field(default_factory=list)
    lag: float = 0.0
    """How late the generator's loop was, at LATE_SHARE."""
    busy: float = 0.0
    """Share of one processor that it used."""
    queued: int = 0
    """Requests that waited because every connection was in use."""
    stopped: bool = False
    """Whether max_requests ended it."""
    hopeless: bool = False
    """Whether it was given up because requests went out far too late."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a burst comes to, the warm-up left out. What cannot be said is None or missing."""

    requests: int
    good: int
    timeouts: int
    statuses: dict[str, int]
    reasons: dict[str, int]
    """Why there was no answer."""
    target: float | None
    achieved: float
    percentiles: dict[str, float]
    """Of answers as asked, and of requests that were not answered in time with the time they waited."""
    saturated: str
    """How the generator was in its own way; "" where it was not."""
    recovered: bool | None
    """Whether p95 came back after the last peak; None without a peak between two calmer stages."""
    recovery: float | None
    late: float
    """By how much requests were sent late, at LATE_SHARE."""
    windows: list[dict[str, float | int]]
    """Second by second."""


def percentile(ordered: Sequence[float], share: float) -> float:
    """By nearest rank."""
    return ordered[min(max(math.ceil(share * len(ordered)) - 1, 0), len(ordered) - 1)]


def summed(burst: Burst) -> Summary:
    """What the shots come to."""
    shots = [shot for shot in burst.shots if shot.stage >= 0]
    counts = Counter(shot.outcome for shot in shots)
    times = sorted(shot.took for shot in shots if shot.good or shot.outcome == TIMEOUT)
    good = sum(shot.good for shot in shots)
    planned = sum(stage.seconds for stage in burst.stages)
    target = None
    if all(stage.rps is not None for stage in burst.stages):
        target = sum((stage.rps or 0.0) * stage.seconds for stage in burst.stages) / planned
    sent = max((shot.due + shot.late for shot in shots), default=0.0)
    achieved = len(shots) / max(planned if not burst.stopped else sent, sent, 0.001)
    late = percentile(sorted(shot.late for shot in shots), LATE_SHARE) if shots else 0.0
    recovered, recovery = _recovery(burst.stages, shots)
    return Summary(
        requests=len(shots),
        good=good,
        timeouts=counts[TIMEOUT],
        statuses={str(code): count for code, count in sorted(counts.items(), key=str) if isinstance(code, int)},
        reasons={why: count for why, count in counts.items() if isinstance(why, str)},
        target=target,
        achieved=achieved,
        percentiles=_percentiles(times),
        saturated=_saturated(burst, counts[TIMEOUT], len(shots), target, achieved, late),
        recovered=recovered,
        recovery=recovery,
        late=late,
        windows=_seconds(shots),
    )


def _percentiles(ordered: Sequence[float]) -> dict[str, float]:
    """Those that so few values can tell: a 99th percentile needs a hundred."""
    found = {
        name: percentile(ordered, share) for name, share in _NEEDED.items() if len(ordered) >= round(1 / (1 - share))
    }
    return found | ({"max": ordered[-1]} if ordered else {})


def _saturated(burst: Burst, timeouts: int, requests: int, target: float | None, achieved: float, late: float) -> str:
    if target is None:
        own = burst.busy > BUSY or burst.lag > LAG
        return f"{burst.busy:.0%} of a processor used, its loop {burst.lag * 1000:.0f} ms late" if own else ""
    # Requests are due whatever the product does, so being late with them is nobody else's doing.
    if burst.hopeless or achieved < REACHED * target or late > LAG:
        return f"{achieved:.0f} of {target:.0f} requests a second, {late * 1000:.0f} ms late"
    # Connections that are all held by requests nobody answers are the product's doing.
    if burst.queued > requests * (1 - REACHED) and timeouts < requests * 0.01:
        return "every connection was in use; give more connections"
    return ""


def _recovery(stages: Sequence[Stage], shots: Sequence[Shot]) -> tuple[bool | None, float | None]:
    """Whether and how long after the last peak the 95th percentile is back at that of the first stage."""
    rates = [stage.rps if stage.rps is not None else float(stage.users or 0) for stage in stages]
    mixed = len({stage.rps is None for stage in stages}) > 1
    if mixed or len(stages) < 3 or not rates[0] < max(rates) > rates[-1]:
        return None, None
    last_peak = max(at for at, rate in enumerate(rates) if rate == max(rates))
    peak_end = sum(stage.seconds for stage in stages[: last_peak + 1])
    base = sorted(_waited(shot) for shot in shots if shot.stage == 0)
    after = [shot for shot in shots if shot.due >= peak_end]
    if len(base) < 20 or not after:
        return None, None
    limit = max(percentile(base, 0.95) * _BACK_RATIO, percentile(base, 0.95) + _BACK_SECONDS)
    end = sum(stage.seconds for stage in stages)
    bad_until = 0.0
    for start in range(math.ceil((end - peak_end) / _WINDOW)):
        window = sorted(
            _waited(shot) for shot in after if start * _WINDOW <= shot.due - peak_end < (start + 1) * _WINDOW
        )
        if not window or percentile(window, 0.95) > limit:
            bad_until = (start + 1) * _WINDOW
    recovered = bad_until < end - peak_end
    return recovered, bad_until if recovered else None


def _waited(shot: Shot) -> float:
    return shot.took if shot.good else math.inf


def _seconds(shots: Sequence[Shot]) -> list[dict[str, float | int]]:
    found: dict[int, list[Shot]] = {}
    for shot in shots:
        found.setdefault(int(shot.due), []).append(shot)
    return [
        {
            "second": second,
            "requests": len(ones),
            "errors": sum(not shot.good for shot in ones),
            "p95_ms": round(percentile(sorted(shot.took for shot in ones), 0.95) * 1000, 1),
        }
        for second, ones in sorted(found.items())[:600]
    ]
