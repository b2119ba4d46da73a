"""Measures steps: attempts, retries, waiting and holding, and the one entry that keeps what came out.

A probe that cannot ask makes the step unknown (or failed where the product is at fault); nothing here passes
without a condition that was true.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from captain.clock import stamp
from captain.engine.ask import Answer, ask, clip, evidence, scalars
from captain.errors import Refusal
from captain.events import Asked, Asking, Draft, Holding, Recorded
from captain.measurement import Verdict
from captain.run.status import status

if TYPE_CHECKING:
    from captain.checklist import Alias, Ask, Step
    from captain.condition import Condition, ConditionResult
    from captain.engine.desk import Desk

UNKNOWN_SHARE = 0.1
"""More unknown samples than this in a hold make it unknown."""
MAX_CONDITIONS = 64


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


def plan_of(step: Step, *, once: bool = False) -> Plan:
    """How the step says it is measured. `once` asks a single time, whatever the step waits for."""
    from captain.checklist import COMMAND_TIMEOUT, EVERY, TIMEOUT, Alias

    commands = any(not isinstance(one, Alias) and one.kind == "command" for one in step.asks.values())
    networks = any(not isinstance(one, Alias) and one.probe and one.probe.network for one in step.asks.values())
    plan = Plan(
        step,
        step.asks,
        step.expect,
        step.warn,
        timeout=step.timeout or (COMMAND_TIMEOUT if commands else TIMEOUT),
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
    from captain.checklist import TIMEOUT

    observe = step.observe
    assert observe is not None
    return Plan(
        step,
        observe.asks,
        observe.expect,
        observe.warn,
        timeout=observe.timeout or TIMEOUT,
        every=observe.every,
        within=observe.within,
        on_error=observe.on_error,
    )


async def measure(
    desk: Desk,
    step: Step,
    purpose: str = "measure",
    *,
    plan: Plan | None = None,
    attempt: str | None = None,
    release_names: Mapping[str, Any] | None = None,
    judge: Any = None,
) -> Recorded:
    """Measure the step and record what came out. `judge(outcome)` may change verdict and message (actions)."""
    if step.id in desk.asking:
        raise Refusal(f"{step.id} is being measured already")
    plan = plan or plan_of(step)
    desk.asking[step.id] = 1
    try:
        outcome = await _run(desk, plan, purpose, release_names)
        if judge is not None:
            outcome.sample.verdict, outcome.sample.message = judge(outcome.sample)
        drafts, blobs = _entry(desk, step, purpose, plan, outcome, attempt)
        recorded = await desk.record(drafts, evidence=blobs)
        return recorded[-1]
    finally:
        desk.asking.pop(step.id, None)
        desk.publish(Asked(step.id))


async def _run(desk: Desk, plan: Plan, purpose: str, names: Mapping[str, Any] | None) -> Outcome:
    started_at = desk.clock.now()
    began = desk.clock.monotonic()

    def elapsed() -> timedelta:
        return timedelta(seconds=desk.clock.monotonic() - began)

    blocked = _blocked(desk, plan.step) if purpose in ("measure", "gate", "check") else None
    if blocked is not None:
        return Outcome(Sample((), Verdict.UNKNOWN, blocked, ()), 1, started_at, 0)
    if plan.every is None:
        sample, tries = await _tries(desk, plan, names)
        return Outcome(sample, tries, started_at, _ms(elapsed()))
    return await _wait(desk, plan, names, started_at, elapsed)


def _blocked(desk: Desk, step: Step) -> str | None:
    if desk.untrusted and step.programs():
        return "the commands of these files were not accepted yet: captain trust"
    view = desk.view()
    for needed in step.needs:
        found = view.step(needed)
        if found is None:
            continue
        if view.run.kind == "check" and found[1].action is not None:
            continue
        if not status(view, found[1]).counts:
            return f"needs {needed}, which did not pass"
    return None


async def _tries(desk: Desk, plan: Plan, names: Mapping[str, Any] | None) -> tuple[Sample, int]:
    for attempt in range(1, plan.attempts + 1):
        desk.publish(Asking(plan.step.id, attempt, plan.attempts))
        sample = await sample_once(desk, plan, names)
        if sample.verdict.good or attempt == plan.attempts:
            return sample, attempt
        await asyncio.sleep(plan.pause.total_seconds())
    raise AssertionError("a plan has at least one attempt")


async def _wait(
    desk: Desk, plan: Plan, names: Mapping[str, Any] | None, started_at: datetime, elapsed: Callable[[], timedelta]
) -> Outcome:
    """`within` and `for`: keep asking until true, then it must hold."""
    assert plan.every is not None
    hold = _Hold(plan)
    while True:
        at = elapsed()
        hold.count += 1
        desk.publish(Asking(plan.step.id, hold.count, 0))
        sample = await sample_once(desk, plan, names)
        over = hold.take(sample, at, elapsed())
        if hold.held_from is not None and plan.hold is not None:
            desk.publish(Holding(plan.step.id, _ms(hold.held), _ms(plan.hold)))
        if over:
            held_ms = _ms(hold.held) if plan.hold is not None else None
            return Outcome(sample, hold.count, started_at, _ms(elapsed()), held_ms)
        pause = plan.every - (elapsed() - at)
        await asyncio.sleep(max(pause.total_seconds(), 0.0))


class _Hold:
    """How far waiting and holding have come. Pure: fed with samples and times."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.within = plan.within or timedelta(0)
        total = self.within + (plan.hold or timedelta(0)) + plan.timeout
        self.total = total if plan.deadline is None else min(total, plan.deadline)
        self.count = 0
        self.unknown = 0
        self.false_in_row = 0
        self.held_from: timedelta | None = None
        self.held = timedelta(0)

    def take(self, sample: Sample, asked: timedelta, now: timedelta) -> bool:
        """Whether measuring is over; the sample's verdict and message then say how it ended."""
        if sample.verdict is Verdict.UNKNOWN:
            self.unknown += self.held_from is not None
        elif sample.verdict.good:
            self.false_in_row = 0
            self.held_from = asked if self.held_from is None else self.held_from
        else:
            self.false_in_row += 1
            if self.plan.within is not None:
                self.held_from, self.unknown = None, 0
            elif self.false_in_row >= self.plan.fail_after:
                self.held = timedelta(0) if self.held_from is None else now - self.held_from
                return True
        self.held = timedelta(0) if self.held_from is None else now - self.held_from
        if self.plan.hold is None:
            return self._without_hold(sample, now)
        if self.held_from is not None and self.held >= self.plan.hold and sample.verdict.good:
            _held(sample, self.count, self.unknown)
            return True
        if self.held_from is None and self.plan.within is not None and now >= self.within:
            _late(sample, self.within)
            return True
        if now >= self.total:
            _late(sample, self.total)
            return True
        return False

    def _without_hold(self, sample: Sample, now: timedelta) -> bool:
        if sample.verdict.good or self.plan.within is None:
            return True
        if now >= self.within:
            _late(sample, self.within)
            return True
        return False


def _held(sample: Sample, count: int, unknown: int) -> None:
    if unknown > UNKNOWN_SHARE * count:
        sample.verdict = Verdict.UNKNOWN
        sample.message = f"held, but {unknown} of {count} samples were unknown"


def _late(sample: Sample, limit: timedelta) -> None:
    seconds = limit.total_seconds()
    said = f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min"
    sample.message = f"not true within {said}: {sample.message}"
    if sample.verdict.good:
        # Only a hold that never completed ends here on a good sample: it was not proved to hold.
        sample.verdict = Verdict.UNKNOWN


async def sample_once(desk: Desk, plan: Plan, names: Mapping[str, Any] | None) -> Sample:
    """Ask every probe of the plan once and judge the answers."""
    from captain.engine.names import conditions, values

    answers = await _answers(desk, plan, names)
    expect, warn = conditions(desk, plan.step, plan.asks, plan.expect, plan.warn)
    return _judged(plan, answers, expect, warn, values(desk, plan.step, {a.name: a.observed for a in answers}, names))


async def _answers(desk: Desk, plan: Plan, names: Mapping[str, Any] | None) -> tuple[Answer, ...]:
    from captain.checklist import Alias
    from captain.engine.names import alias_answer, template_names, template_values

    scope, values = template_names(desk, plan.step.params), template_values(desk, names)

    async def one(name: str, asked: Ask | Alias) -> Answer:
        if isinstance(asked, Alias):
            return alias_answer(desk, name, asked)
        return await ask(desk, name, asked, plan.timeout, scope, values)

    if plan.in_order:
        return tuple([await one(name, asked) for name, asked in plan.asks.items()])
    return tuple(await asyncio.gather(*(one(name, asked) for name, asked in plan.asks.items())))


def _judged(
    plan: Plan,
    answers: tuple[Answer, ...],
    expect: tuple[Condition, ...],
    warn: tuple[Condition, ...],
    values: Mapping[str, Any],
) -> Sample:
    from captain.condition import judge

    judged = judge(expect, warn, values)
    errors = [one for one in answers if one.error is not None]
    if judged.verdict.good or not errors:
        return Sample(answers, judged.verdict, judged.message, judged.conditions)
    faults = [_fault(plan, one) for one in errors]
    message = "; ".join(one.error.message for one in errors if one.error is not None)
    if "fail" in faults or judged.verdict is Verdict.FAIL:
        return Sample(answers, Verdict.FAIL, message, judged.conditions)
    return Sample(answers, Verdict.UNKNOWN, message, judged.conditions)


def _fault(plan: Plan, answer: Answer) -> str:
    from captain.probes import probes

    assert answer.error is not None
    if answer.error.fault == "subject":
        return "fail"
    if answer.error.fault == "instrument":
        return "unknown"
    kind = probes.find(answer.kind)
    return plan.on_error or (kind.on_error if kind else "unknown")


def _entry(
    desk: Desk, step: Step, purpose: str, plan: Plan, outcome: Outcome, attempt: str | None
) -> tuple[Draft, list[Any]]:
    sample = outcome.sample
    blobs = [evidence(desk, one) for one in sample.answers if one.kind != "alias"]
    kinds = [one for one in sample.answers if one.kind != "alias"]
    observed = scalars({one.name: one.observed for one in sample.answers})
    data = {
        "step": step.id,
        "definition": desk.definitions.get(step.id) or step.definition(),
        "purpose": purpose,
        "verdict": sample.verdict.value,
        "severity": step.severity,
        "message": clip(desk.mask(sample.message)),
        "attempts": outcome.attempts,
        "started": stamp(outcome.started),
        "duration_ms": outcome.duration_ms,
        "held_ms": outcome.held_ms,
        "max_age_ms": max_age_ms(step),
        "attempt": attempt,
        "probes": [
            {
                "name": one.name,
                "kind": one.kind,
                "duration_ms": _ms(one.duration),
                "error": None if one.error is None else clip(desk.mask(one.error.message)),
                "evidence": blob.digest,
            }
            for one, blob in zip(kinds, blobs, strict=True)
        ],
        "observed": {
            name: clip(desk.mask(value), 1024) if isinstance(value, str) else value for name, value in observed.items()
        },
        "conditions": [
            {
                "expect": clip(one.expect),
                "role": one.role,
                "verdict": one.verdict.value,
                "resolved": clip(desk.mask(one.resolved), 1024),
            }
            for one in sample.conditions[:MAX_CONDITIONS]
        ],
        "truncated": any(one.measurement is not None and one.measurement.truncated for one in sample.answers),
    }
    return Draft("step.result", desk.open_run().id, data), blobs


def max_age_ms(step: Step) -> int:
    """How long a result of this step counts; 0 is as long as its section is open."""
    from captain.checklist import Alias

    if step.max_age is not None:
        return _ms(step.max_age)
    if step.hold is not None or step.action is not None or step.safety != "read":
        return 0
    ages = [one.probe.max_age for one in step.asks.values() if not isinstance(one, Alias) and one.probe]
    return _ms(min(ages)) if ages else 0


def ordered(steps: Iterable[Step]) -> list[list[Step]]:
    """Steps in waves: each wave needs only steps of earlier ones (or none of these)."""
    left = list(steps)
    waves: list[list[Step]] = []
    while left:
        names = {step.id for step in left}
        wave = [step for step in left if not names & set(step.needs)] or left
        waves.append(wave)
        left = [step for step in left if step not in wave]
    return waves


async def measure_all(desk: Desk, steps: Iterable[Step], purpose: str = "measure") -> None:
    """Measure these steps side by side, each after what it needs. One that is refused does not stop the others."""
    for wave in ordered(steps):
        results = await asyncio.gather(
            *(measure(desk, step, purpose) for step in wave if step.id not in desk.asking), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, Refusal):
                raise result


def _ms(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))
