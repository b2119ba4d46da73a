"""Measures timer steps (`soak`): asks their probes about the time since the newest deployment, and judges it.

Nothing is kept here: when the time began stands in the log and what was measured meanwhile in the system that is
asked, so a captain that is closed, killed or started elsewhere says the same.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from captain.engine.deployed import newest
from captain.engine.plans import Plan, Sample
from captain.measurement import Verdict
from captain.probes import Window
from captain.run.soaking import Timer, span, timer

if TYPE_CHECKING:
    from captain.checklist import Step
    from captain.engine.desk import Desk


async def begun(desk: Desk, step: Step, now: datetime) -> Timer | str:
    """The time that runs for a step, or why none does."""
    assert step.soak is not None
    where = step.soak.environment or desk.target.environment
    service = desk.target.service.service
    return timer(step.soak, where, await desk.on_log(lambda: newest(desk.log, service, where)), now)


def over(plan: Plan, clock: Timer, now: datetime) -> Plan:
    """The plan, asked once about what has passed of the time; when it is over, about exactly the time."""
    assert plan.step.soak is not None
    window = Window(clock.since, min(now, clock.until), plan.step.soak.coverage)
    attempts = plan.attempts if clock.over(now) else 1
    return replace(plan, window=window, attempts=attempts)


def judged(plan: Plan, sample: Sample, clock: Timer, now: datetime) -> Sample:
    """The sample as the timer counts it.

    Before the time is over nothing passes. What fails already fails at once: whoever could still turn back should
    know, and the next look tells whether it has mended.
    """
    assert plan.step.soak is not None
    asked = plan.step.soak.coverage
    short = _short(sample, asked)
    said = "" if any(one.error is not None for one in sample.answers) else short or ""
    if clock.over(now):
        monitored = f"monitored {clock.what} for {span(clock.whole)}, till {clock.until:%d %b %H:%M} UTC"
        if short is None or sample.verdict is Verdict.FAIL:
            return replace(sample, message=_joined(monitored, sample.message))
        return replace(sample, verdict=Verdict.UNKNOWN, message=_joined(said, sample.message))
    if sample.verdict is Verdict.FAIL:
        return replace(sample, message=_joined(clock.said(now), f"it fails so far: {sample.message}"))
    so_far = said and f"so far {said}"
    return replace(sample, verdict=Verdict.UNKNOWN, message=_joined(clock.said(now), so_far, sample.message))


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _short(sample: Sample, asked: float) -> str | None:
    """That too little was measured, or that nobody says how much; None where enough was."""
    found = [one.observed.get("coverage") for one in sample.answers]
    known = [one for one in found if isinstance(one, float)]
    if len(known) < len(found) or not known:
        return "what share of the time was measured is not known"
    least = min(known)
    return None if least >= asked else f"{_percent(least)} of the window was measured, {_percent(asked)} needed"


def _percent(share: float) -> str:
    """Rounded down: 94.96 % is not 95."""
    return f"{math.floor(share * 1000 + 1e-9) / 10:g} %"
