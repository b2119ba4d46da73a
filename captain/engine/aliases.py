"""What an alias observes: the step it stands for, asked anew where captain can ask, else as far as the run knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from captain.engine.ask import Answer
from captain.engine.plans import Sample, plan_of
from captain.errors import ProbeError
from captain.events import Asked
from captain.measurement import Measurement, Value, Verdict
from captain.run.since import anew
from captain.run.status import roles, status
from captain.scopes import MAX_ALIASES, revive

if TYPE_CHECKING:
    from captain.checklist import Alias, Step
    from captain.engine.desk import Desk


async def answer(
    desk: Desk, name: str, alias: Alias, purpose: str, names: Mapping[str, Any] | None, depth: int
) -> Answer:
    """Whether the other step passes, and what it sees. What cannot be told is an error: the step is then unknown."""
    asked = f"step {alias.step}"
    began = desk.clock.monotonic()
    observed: dict[str, Value] = {}
    notes: tuple[str, ...] = ()
    step = desk.target.step(alias.step)
    if step is None:
        why: str | None = "there is no such step"
    elif depth >= MAX_ALIASES:
        why = "it stands for too many others"
    elif why := _barred(desk, step):
        pass
    elif anew(step) or (purpose == "verify" and anew(step, holds=True)):
        sample = await _ask(desk, step, purpose, names, depth + 1)
        observed, why = _seen(desk, step, sample, purpose)
        notes = _notes(asked, sample.verdict, sample.message)
    elif purpose == "verify":
        why = "what proves a rollback is measured anew, and this step is not captain's to measure"
    else:
        observed, why, notes = _recorded(desk, step, asked)
    error = None if why is None else ProbeError(f"{asked}: {why}", fault="instrument")
    took = timedelta(seconds=desk.clock.monotonic() - began)
    return Answer(name, "alias", took, asked, Measurement(observed, asked, notes=notes), error)


def _barred(desk: Desk, step: Step) -> str | None:
    if step.disabled is not None:
        return f"switched off: {step.disabled}"
    if step.unmeasured is not None:
        return step.unmeasured
    if desk.target.checklist.find(step.id) is not None and (skipped := desk.skipped.get(step.id)):
        return f"does not apply: {skipped}"
    shown = () if desk.trust_request is None else desk.trust_request.programs
    if any(program not in shown for program in step.programs()):
        return "nobody was asked to accept its commands"
    return None


async def _ask(desk: Desk, step: Step, purpose: str, names: Mapping[str, Any] | None, depth: int) -> Sample:
    from captain.engine.measure import run_plan

    try:
        plan = plan_of(step, once=purpose != "verify")
        return (await run_plan(desk, plan, purpose, names, depth)).sample
    finally:
        if step.id not in desk.asking:
            desk.publish(Asked(step.id))


def _seen(desk: Desk, step: Step, sample: Sample, purpose: str) -> tuple[dict[str, Value], str | None]:
    observed: dict[str, Value] = {}
    for one in sample.answers:
        for key, value in one.observed.items():
            observed[f"{one.name}.{key}" if one.name else key] = value
    for name in ("passed", "warned"):
        observed.pop(name, None)
    if sample.verdict is Verdict.UNKNOWN:
        return observed, sample.message
    observed["warned"] = sample.verdict is Verdict.WARN
    if not sample.verdict.good or purpose == "verify" or not step.sign_off:
        observed["passed"] = sample.verdict.good
        return observed, None
    if desk.target.checklist.find(step.id) is None:
        return observed, "its sign-off stands in another checklist"
    found = status(desk.view(), step)
    if found.rejected is None and found.waits:
        return observed, f"waits for {roles(found.waits)}"
    observed["passed"] = found.rejected is None
    return observed, None


def _notes(asked: str, verdict: Verdict, message: str) -> tuple[str, ...]:
    """Why the other step is not all well: `passed = false` alone says nothing."""
    return (f"{asked}: {message}",) if verdict in (Verdict.WARN, Verdict.FAIL) else ()


def _recorded(desk: Desk, step: Step, asked: str) -> tuple[dict[str, Value], str | None, tuple[str, ...]]:
    """Actions, holds and what a person confirms: as the run knows them, while that still counts."""
    if desk.target.checklist.find(step.id) is None:
        return {}, "a step of another checklist has no result in this run", ()
    view = desk.view()
    found = status(replace(view, asking=view.asking - {step.id}), step)
    if found.result is None:
        if step.manual is not None and found.state == "measured" and found.verdict is not Verdict.UNKNOWN:
            return {"passed": found.verdict.good, "warned": False}, None, _notes(asked, found.verdict, found.message)
        return {}, found.message, ()
    if found.stale or found.verdict is Verdict.UNKNOWN or found.state in ("waiting", "lapsed"):
        return {}, found.stale_why or found.message, ()
    passed = found.verdict.good and found.state == "measured"
    observed = {**revive(step, found.result.observed), "passed": passed, "warned": found.verdict is Verdict.WARN}
    return observed, None, _notes(asked, found.verdict, found.message)
