"""What is asked of a step, how often and for how long: read off the step, before anything is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from captain.engine.ask import Answer
from captain.measurement import SAFETIES, Safety, Verdict

if TYPE_CHECKING:
    from captain.checklist import Alias, Ask, Step
    from captain.condition import ConditionResult
    from captain.probes import Window


@dataclass(slots=True)
class Plan:
    """What is asked of a step, and how long it may take."""

    step: Step
    asks: Mapping[str, Ask | Alias]
    expect: tuple[str, ...]
    warn: tuple[str, ...]
    timeout: timedelta
    attempts: int = 1
    pause: timedelta = timedelta(seconds=2)
    every: timedelta | None = None
    within: timedelta | None = None
    hold: timedelta | None = None
    fail_after: int = 1
    in_order: bool = False
    on_error: str | None = None
    window: Window | None = None
    """What a timer step asks about, once its time runs."""
    deadline: timedelta | None = None
    """Cuts the step's own deadline: a gate's or a check's."""


@dataclass(slots=True)
class Sample:
    """One attempt, judged."""

    answers: tuple[Answer, ...]
    verdict: Verdict
    message: str
    conditions: tuple[ConditionResult, ...]


@dataclass(slots=True)
class Outcome:
    """What a step's measuring came to."""

    sample: Sample
    attempts: int
    started: datetime
    duration_ms: int
    held_ms: int | None = None


def plan_of(step: Step, *, once: bool = False, permitted: Safety = "read") -> Plan:
    """How the step says it is measured. `once` asks a single time, whatever the step waits for.

    What does more than is `permitted` is not asked, so its patience is not the step's.
    """
    from captain.checklist import EVERY, TIMEOUT, Alias

    probes = [one.probe for one in step.asks.values() if not isinstance(one, Alias) and one.probe]
    asked = [one for one in probes if SAFETIES.index(one.safety) <= SAFETIES.index(permitted)]
    usual = [one.timeout for one in asked]
    networks = any(one.network for one in asked)
    plan = Plan(
        step,
        step.asks,
        step.expect,
        step.warn,
        timeout=step.timeout or max(usual, default=TIMEOUT),
        fail_after=step.fail_after,
        in_order=step.in_order,
        on_error=step.on_error,
    )
    if once:
        return plan
    if step.every or step.within or step.hold:
        plan.every, plan.within, plan.hold = step.every or EVERY, step.within, step.hold
    elif step.retry is not None and networks:
        plan.attempts, plan.pause = step.retry.attempts, step.retry.every
    return plan


def observe_plan(step: Step) -> Plan:
    """How captain looks for the effect of the step's action."""
    from captain.checklist import TIMEOUT, Alias

    observe = step.observe
    assert observe is not None
    usual = [one.probe.timeout for one in observe.asks.values() if not isinstance(one, Alias) and one.probe]
    return Plan(
        step,
        observe.asks,
        observe.expect,
        observe.warn,
        timeout=observe.timeout or max(usual, default=TIMEOUT),
        every=observe.every,
        within=observe.within,
        on_error=observe.on_error,
    )
