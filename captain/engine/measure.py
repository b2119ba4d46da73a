"""Measures steps: attempts, retries, waiting and holding, and the one entry that keeps what came out.

A probe that cannot ask makes the step unknown (or failed where the product is at fault); nothing here passes
without a condition that was true.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from captain.clock import stamp
from captain.engine import resting, timers
from captain.engine.ages import in_ms, max_age_ms
from captain.engine.ask import Answer, ask, clip, evidence, fault, scalars
from captain.engine.definitions import definition
from captain.engine.fitting import fitted
from captain.engine.hold import Hold
from captain.engine.places import places
from captain.engine.plans import Outcome, Plan, Sample, plan_of
from captain.engine.trusting import trusted
from captain.errors import Refusal
from captain.events import Asked, Asking, Draft, Holding, Recorded
from captain.measurement import Verdict
from captain.run.facts import named
from captain.run.status import status
from captain.run.summing import before
from captain.scopes import MAX_ALIASES
from captain.systems.resting import clock as file_clock

if TYPE_CHECKING:
    from captain.checklist import Alias, Ask, Step
    from captain.condition import Condition
    from captain.engine.desk import Desk
    from captain.probes import Probe, Safety


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
    if step.id in desk.asking and purpose != "verify":
        raise Refusal(f"{step.id} is being measured already")
    plan = plan or plan_of(step)
    desk.asking[step.id] = desk.asking.get(step.id, 0) + 1
    try:
        if purpose != "verify" and _starts(desk, step):
            await trusted(desk)
        await prepared(desk, [plan.asks])
        began = file_clock()
        outcome = await run_plan(desk, plan, purpose, release_names)
        if judge is not None:
            outcome.sample.verdict, outcome.sample.message = judge(outcome.sample)
        drafts, blobs = _entry(desk, step, purpose, plan, outcome, attempt)
        recorded = await desk.record(drafts, *await resting.drafts(desk, step, outcome.sample, began), evidence=blobs)
        return recorded[0]
    finally:
        desk.asking[step.id] -= 1
        if not desk.asking[step.id]:
            del desk.asking[step.id]
        desk.answered.set()
        desk.publish(Asked(step.id))


async def run_plan(desk: Desk, plan: Plan, purpose: str, names: Mapping[str, Any] | None, depth: int = 0) -> Outcome:
    """Ask what the plan asks, as often as it says. `depth` counts the aliases on the way. Records nothing."""
    started_at = desk.clock.now()
    began = desk.clock.monotonic()

    def elapsed() -> timedelta:
        return timedelta(seconds=desk.clock.monotonic() - began)

    blocked = _untrusted(desk, plan, purpose)
    if blocked is None and purpose in ("measure", "gate", "check"):
        blocked = _needed(desk, plan.step)
    if blocked is not None:
        return Outcome(Sample((), Verdict.UNKNOWN, blocked, ()), 1, started_at, 0)
    if plan.step.soak is not None and plan.asks is plan.step.asks:
        clock = await timers.begun(desk, plan.step, started_at)
        if isinstance(clock, str):
            return Outcome(Sample((), Verdict.UNKNOWN, clock, ()), 1, started_at, 0)
        plan = timers.over(plan, clock, started_at)
        sample, tries = await _tries(desk, plan, purpose, names, depth)
        return Outcome(timers.judged(plan, sample, clock, started_at), tries, started_at, in_ms(elapsed()))
    if plan.every is None:
        sample, tries = await _tries(desk, plan, purpose, names, depth)
        return Outcome(sample, tries, started_at, in_ms(elapsed()))
    return await _wait(desk, plan, purpose, names, started_at, elapsed, depth)


def _starts(desk: Desk, step: Step, depth: int = 0) -> bool:
    """Whether measuring the step may start a program, its own or one of a step that it stands for."""
    others = [desk.target.step(name) for one in step.asks.values() if (name := getattr(one, "step", None))]
    if step.programs() or depth >= MAX_ALIASES:
        return True
    return any(_starts(desk, other, depth + 1) for other in others if other is not None)


def _untrusted(desk: Desk, plan: Plan, purpose: str) -> str | None:
    from captain.checklist import Ask

    # What proves a rollback was accepted before the deploy section opened, and is never asked about again.
    if not desk.untrusted or purpose == "verify":
        return None
    probes = [one.probe for one in plan.asks.values() if isinstance(one, Ask) and one.probe]
    starts = any(one.starts() for one in probes if _may(one, _permitted(purpose)))
    return "the commands of these files were not accepted yet: captain trust" if starts else None


def _may(probe: Probe, permitted: Safety) -> bool:
    from captain.measurement import SAFETIES

    return SAFETIES.index(probe.safety) <= SAFETIES.index(permitted)


def _needed(desk: Desk, step: Step) -> str | None:
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


async def _tries(
    desk: Desk, plan: Plan, purpose: str, names: Mapping[str, Any] | None, depth: int
) -> tuple[Sample, int]:
    for attempt in range(1, plan.attempts + 1):
        desk.publish(Asking(plan.step.id, attempt, plan.attempts))
        sample = await sample_once(desk, plan, purpose, names, depth)
        if sample.verdict.good or attempt == plan.attempts:
            return sample, attempt
        await asyncio.sleep(plan.pause.total_seconds())
    raise AssertionError("a plan has at least one attempt")


async def _wait(
    desk: Desk,
    plan: Plan,
    purpose: str,
    names: Mapping[str, Any] | None,
    started_at: datetime,
    elapsed: Callable[[], timedelta],
    depth: int,
) -> Outcome:
    """`within` and `for`: keep asking until true, then it must hold."""
    assert plan.every is not None
    hold = Hold(plan)
    ended, ended_at = elapsed(), desk.clock.now()
    while True:
        at = elapsed()
        # A machine that sleeps stops the one clock, and the other goes on.
        idle = max(at - ended, desk.clock.now() - ended_at)
        hold.count += 1
        desk.publish(Asking(plan.step.id, hold.count, 0))
        sample = await sample_once(desk, plan, purpose, names, depth)
        # What cannot be worked out now never can: waiting for it would only take the captain's time.
        ended, ended_at = elapsed(), desk.clock.now()
        over = hold.take(sample, at, ended, idle) or any(one.hopeless for one in sample.answers)
        if hold.held_from is not None and plan.hold is not None:
            desk.publish(Holding(plan.step.id, in_ms(hold.held), in_ms(plan.hold)))
        if over:
            held_ms = in_ms(hold.held) if plan.hold is not None else None
            return Outcome(sample, hold.count, started_at, in_ms(elapsed()), held_ms)
        run = desk.open_run()
        if purpose == "observe" and (run.rollback is not None or run.ended):
            raise Refusal(f"{plan.step.id} is not looked at any longer: the run is {run.state.replace('_', ' ')}")
        pause = plan.every - (elapsed() - at)
        await asyncio.sleep(max(pause.total_seconds(), 0.0))


async def sample_once(desk: Desk, plan: Plan, purpose: str, names: Mapping[str, Any] | None, depth: int = 0) -> Sample:
    """Ask every probe of the plan once and judge the answers."""
    from captain.engine.names import conditions, values

    answers = await _answers(desk, plan, purpose, names, depth)
    expect, warn = conditions(desk, plan.step, plan.asks, plan.expect, plan.warn)
    return _judged(plan, answers, expect, warn, values(desk, plan.step, {a.name: a.observed for a in answers}, names))


async def _answers(
    desk: Desk, plan: Plan, purpose: str, names: Mapping[str, Any] | None, depth: int
) -> tuple[Answer, ...]:
    from captain.checklist import Alias
    from captain.engine import aliases
    from captain.engine.names import template_names, template_values

    scope, values = template_names(desk, plan.step.params), template_values(desk, names)

    async def one(name: str, asked: Ask | Alias, left: timedelta) -> Answer:
        if isinstance(asked, Alias):
            return await aliases.answer(desk, name, asked, purpose, names, depth)
        left = max(left, timedelta(0))
        return await ask(
            *(desk, name, asked, left, scope, values, names),
            permitted=_permitted(purpose),
            step=plan.step,
            window=plan.window,
        )

    if not plan.in_order:
        works = [one(name, asked, plan.timeout) for name, asked in plan.asks.items()]
        return tuple(await (asyncio.gather(*works) if _permitted(purpose) == "read" else _to_the_end(works)))
    answers: list[Answer] = []
    for name, asked in plan.asks.items():
        # The timeout is the whole attempt's, however many probes it takes.
        answers.append(await one(name, asked, plan.timeout - sum((a.duration for a in answers), timedelta(0))))
    return tuple(answers)


async def _to_the_end(works: Iterable[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """All of them side by side. What does more than read cleans up when it is broken off; what it says then counts."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        if any(task.cancelled() for task in tasks):
            raise
    return [task.result() for task in tasks]


def _permitted(purpose: str) -> Safety:
    """What probes may do that are asked for this purpose."""
    return "drill" if purpose == "drill" else "active" if purpose == "active" else "read"


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
    notes = [*dict.fromkeys(note for one in answers for note in one.notes)]
    where = places(answers, judged.conditions) if judged.verdict is Verdict.FAIL else ()
    if barred := [one for one in answers if one.barred]:
        # What was not run must not be missed by conditions that do without it: only `warn` says that half suffices.
        half = [one.verdict for one in judged.conditions if one.role == "warn"]
        suffices = bool(half) and all(verdict is Verdict.PASS for verdict in half)
        verdict = judged.verdict
        if verdict.good:
            verdict = Verdict.WARN if suffices else Verdict.UNKNOWN
        asked = [one for one in errors if not one.barred]
        if not verdict.good and any(fault(one, plan.on_error) == "fail" for one in asked):
            verdict = Verdict.FAIL
        said = [one.error.message for one in barred if one.error is not None]
        said += [one.error.advice for one in asked if one.error is not None]
        # What was not observed is told by the errors; what is wrong is not.
        seen = "" if asked and judged.verdict is Verdict.UNKNOWN else judged.message
        message = "; ".join(dict.fromkeys(part for part in (*said, seen, *where, *notes) if part))
        return Sample(answers, verdict, message, judged.conditions)
    if judged.verdict.good or not errors:
        # A pass does not need what could not be asked; half of one is told why.
        why = [one.error.advice for one in errors if one.error is not None and judged.verdict is Verdict.WARN]
        message = "; ".join(dict.fromkeys(part for part in (judged.message, *where, *why, *notes) if part))
        return Sample(answers, judged.verdict, message, judged.conditions)
    faults = [fault(one, plan.on_error) for one in errors]
    message = "; ".join(dict.fromkeys([*(one.error.advice for one in errors if one.error is not None), *notes]))
    if judged.verdict is Verdict.FAIL:
        message = "; ".join((judged.message, *where, message))
        return Sample(answers, Verdict.FAIL, message, judged.conditions)
    if "fail" in faults:
        return Sample(answers, Verdict.FAIL, message, judged.conditions)
    return Sample(answers, Verdict.UNKNOWN, message, judged.conditions)


def _entry(
    desk: Desk, step: Step, purpose: str, plan: Plan, outcome: Outcome, attempt: str | None
) -> tuple[Draft, list[Any]]:
    sample = outcome.sample
    blobs = [evidence(desk, one) for one in sample.answers if one.kind != "alias"]
    kinds = [one for one in sample.answers if one.kind != "alias"]
    observed = scalars({one.name: one.observed for one in sample.answers}, desk.mask)
    data = {
        "step": step.id,
        "definition": definition(desk.target, step),
        "purpose": purpose,
        "verdict": sample.verdict.value,
        "severity": step.severity,
        "message": clip(desk.mask(sample.message)),
        "attempts": outcome.attempts,
        "started": stamp(outcome.started),
        "duration_ms": outcome.duration_ms,
        "held_ms": outcome.held_ms,
        "max_age_ms": max_age_ms(desk, step, half=step.safety != "read" and _permitted(purpose) == "read"),
        "attempt": attempt,
        "probes": [
            {
                "name": one.name,
                "kind": one.kind,
                "duration_ms": in_ms(one.duration),
                "error": None if one.error is None else clip(desk.mask(one.error.message)),
                "evidence": blob.digest,
            }
            for one, blob in zip(kinds, blobs, strict=True)
        ],
        "observed": observed,
        "conditions": [
            {
                "expect": named(one.expect),
                "role": one.role,
                "verdict": one.verdict.value,
                "resolved": clip(desk.mask(one.resolved), 1024),
            }
            for one in sample.conditions
        ],
        "truncated": any(one.measurement is not None and one.measurement.truncated for one in sample.answers),
    }
    return Draft("step.result", desk.open_run().id, fitted(data)), blobs


def ordered(steps: Iterable[Step]) -> list[list[Step]]:
    """Steps in waves: each needs and stands for only steps of earlier ones (or none of these); what sums up is last."""
    left = list(steps)
    first = before(left)
    waves: list[list[Step]] = []
    while left:
        names = {step.id for step in left}
        wave = [step for step in left if not names & first[step.id]] or left
        waves.append(wave)
        done = {step.id for step in wave}
        left = [step for step in left if step.id not in done]
    return waves


async def measure_all(desk: Desk, steps: Iterable[Step], purpose: str = "measure") -> None:
    """Measure these steps side by side, each after what it needs. One that is refused does not stop the others."""
    steps = list(steps)
    await prepared(desk, [step.asks for step in steps])
    for wave in ordered(steps):
        await together(measure(desk, step, purpose) for step in wave if step.id not in desk.asking)


async def asked_by_others(desk: Desk, steps: Collection[str]) -> None:
    """Wait for those of the steps that somebody else here began to measure."""
    while any(step in desk.asking for step in steps):
        desk.answered.clear()
        await desk.answered.wait()


async def prepared(desk: Desk, asked: Iterable[Mapping[str, Ask | Alias]]) -> None:
    """Have the libraries of these probes loaded: each kind's once, off the event loop, before anything is timed."""
    from captain.checklist import Ask

    asks = [one for each in asked for one in each.values() if isinstance(one, Ask)]
    probes = [probe for one in asks if (probe := one.probe) is not None]
    inner = [probe for one in probes for ask in one.inner.values() if (probe := ask.probe) is not None]
    kinds = {type(one) for one in (*probes, *inner)} - desk.prepared.keys()
    for kind in kinds:
        desk.prepared[kind] = desk.keep(desk.own(partial(_prepare, kind)))
    waiting = [desk.prepared[type(one)] for one in (*probes, *inner)]
    await asyncio.gather(*map(asyncio.shield, waiting))


def _prepare(kind: type[Probe]) -> None:
    # What cannot be loaded is told by the probe that misses it.
    with contextlib.suppress(Exception):
        kind.prepare()


async def together(works: Iterable[Awaitable[object]]) -> None:
    """All of them to their end, side by side; then the first error that is no mere refusal."""
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, BaseException) and not isinstance(result, Refusal):
            raise result
