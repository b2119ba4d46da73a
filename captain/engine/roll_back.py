"""Goes back: a plan that only reads, then exactly that plan, then the proof.

Intent before the first effect, result after the last. Every part is a process of its own that outlives captain;
a part that is started again looks before it acts. Nothing here waits for a probe before the first effect.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from captain.engine import attempts, locks, way_back
from captain.engine.ask import clip
from captain.engine.measure import measure
from captain.engine.names import release_names
from captain.engine.people import text
from captain.engine.plans import plan_of
from captain.errors import CaptainError, NeedsConfirmation, Refusal
from captain.events import Draft
from captain.measurement import Verdict, worst
from captain.release import Release
from captain.run import Attempt, Run, allowed

if TYPE_CHECKING:
    from captain.checklist import Step
    from captain.engine.desk import Desk
    from captain.rollbacks import Line

PLAN_TIME = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class PlanPart:
    """One part, in running order."""

    id: str
    strategy: str
    leaving: str
    to: str
    lines: tuple[Line, ...]
    done: bool
    """Whether an earlier try of this rollback finished it."""
    unknown: bool
    """Whether an earlier try was started and nobody knows what it did."""
    why: str | None
    """Why it cannot be done."""


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """What R would do now. Making it changes nothing."""

    run: str
    leaving: Release
    to: Release
    parts: tuple[PlanPart, ...]
    stops: tuple[str, ...]
    """Actions that are stopped first."""
    verify: tuple[str, ...]
    """Titles of the steps that must pass afterwards."""
    confirm: str | None
    """The environment's name, where it must be typed."""
    going_on: bool
    """Whether a rollback of this run was begun already."""
    basis: tuple[Any, ...]
    """What the plan rests on; execution refuses when it has changed."""

    @property
    def ready(self) -> bool:
        return bool(self.parts) and all(part.why is None for part in self.parts)

    @property
    def why(self) -> str | None:
        """Why it is not ready, worst first."""
        if not self.parts:
            return "no way back was recorded"
        return "; ".join(f"{part.id}: {part.why}" for part in self.parts if part.why) or None

    @property
    def sha256(self) -> str:
        """Digest of what a person confirmed."""
        shown = {
            "run": self.run,
            "to": self.to.label,
            "stops": self.stops,
            "parts": [
                (part.id, part.strategy, part.to, [(one.verb, one.text) for one in part.lines]) for part in self.parts
            ],
            "verify": self.verify,
        }
        return hashlib.sha256(json.dumps(shown, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


async def plan(desk: Desk) -> RollbackPlan:
    """What R would do. Raises Refusal where it may not be pressed."""
    locks.look(desk)
    if refusal := allowed.roll_back(desk.view()):
        raise refusal
    await attempts.look(desk)
    run = desk.open_run()
    kept = {one.part.id: one for one in await desk.own(lambda: way_back.kept(desk))}
    points = run.point.data["targets"] if run.point else []
    other = await desk.own(lambda: way_back.other_commands(desk))
    parts = [
        await _part(desk, run, kept[point["id"]], other) if point["id"] in kept else _gone(point, run)
        for point in reversed(points)
    ]
    stops = tuple(_named(run, known) for known in run.attempts.values() if known.id in desk.alive and known.step)
    going_on = run.rollback is not None
    return RollbackPlan(
        run=run.id,
        leaving=run.release,
        to=run.previous or Release(),
        parts=tuple(parts),
        stops=stops,
        verify=tuple(step.title for step in verify_steps(desk)),
        confirm=desk.confirms,
        going_on=going_on,
        basis=_basis(run),
    )


def _gone(point: Mapping[str, Any], run: Run) -> PlanPart:
    """A part that was taken and that the files in use do not know."""
    name, strategy = str(point["id"]), str(point["strategy"])
    why = f"captain.yaml has no part {name} with the strategy {strategy} any more"
    return PlanPart(name, strategy, str(point["from"] or run.release.label), str(point["to"]), (), False, False, why)


def _basis(run: Run) -> tuple[Any, ...]:
    return (
        run.point.seq if run.point else 0,
        run.rollback.intent.seq if run.rollback else 0,
        tuple((known.id, known.finished is None) for known in run.attempts.values()),
    )


def _named(run: Run, known: Attempt) -> str:
    pid = known.started.data["pid"] if known.started else None
    return f"{known.step} (pid {pid})" if pid else str(known.step)


async def _part(desk: Desk, run: Run, one: way_back.Kept, other: bool) -> PlanPart:
    from captain.rollbacks import Line

    known = _tries(run, one.part.id)
    done = bool(known) and known[-1].succeeded
    unknown = bool(known) and not done and known[-1].outcome in (None, "lost") and known[-1].id not in desk.alive
    lines: tuple[Line, ...] = ()
    if done:
        lines = (Line("verify", f"{one.part.id} is done already"),)
    elif one.target is not None:
        try:
            async with asyncio.timeout(PLAN_TIME.total_seconds()):
                lines = tuple(await one.part.plan(one.target, way_back.context(desk, one.part.id, "")))
        except (TimeoutError, CaptainError) as error:
            # Going back never waits for a look: the part itself looks again before it acts.
            why = error.message if isinstance(error, CaptainError) else f"no answer within {PLAN_TIME.seconds} s"
            lines = (Line("change", f"{one.part.id}: to {one.point['to']} (cannot look now: {why})"),)
    if other and not done and (said := way_back.unaccepted(desk, one.part)):
        lines = (said, *lines)
    return PlanPart(
        id=one.part.id,
        strategy=one.part.name,
        leaving=str(one.point["from"] or run.release.label),
        to=str(one.point["to"]),
        lines=lines,
        done=done,
        unknown=unknown,
        why=None if done else one.why,
    )


def _tries(run: Run, part: str) -> list[Attempt]:
    if run.rollback is None:
        return []
    return [known for known in run.attempts.values() if known.part == part and known.intent.data["rollback"]]


async def execute(desk: Desk, plan: RollbackPlan, confirmed: str | None, cause: str) -> None:
    """Do exactly what the plan said. Cancelling the caller does not stop it."""
    if refusal := allowed.roll_back(desk.view()):
        raise refusal
    if plan.confirm is not None and confirmed != plan.confirm and not plan.going_on:
        raise NeedsConfirmation(
            f"rolling back needs the environment's name typed: {plan.confirm}", hint=f"--confirm {plan.confirm}"
        )
    if _basis(desk.open_run()) != plan.basis:
        raise Refusal("the run moved on since this plan was shown", hint="look at the new plan")
    if not any(part.why is None for part in plan.parts):
        raise Refusal(f"the way back is NOT ready: {plan.why}", hint="put it right by hand, then abort and say so")
    if desk.rolling.locked():
        raise Refusal("a rollback is under way already")
    await asyncio.shield(desk.keep(_locked(desk, plan, confirmed, text(desk, cause))))


async def _locked(desk: Desk, plan: RollbackPlan, confirmed: str | None, cause: str) -> None:
    async with desk.rolling:
        await attempts.hold(desk, "rollback")
        if refusal := allowed.roll_back(desk.view()):
            raise refusal
        if _basis(desk.open_run()) != plan.basis:
            raise Refusal("the run moved on since this plan was shown", hint="look at the new plan")
        await _execute(desk, plan, confirmed, cause)


async def _execute(desk: Desk, plan: RollbackPlan, confirmed: str | None, cause: str) -> None:
    began = desk.clock.monotonic()
    run = desk.open_run()
    if run.rollback is None or run.rollback.end is not None:
        await _intend(desk, plan, confirmed)
    await _stop_running(desk)
    problems: list[str] = []
    for part in plan.parts:
        if part.done:
            continue
        if part.why is not None:
            # What cannot go back is named and stays; what can still goes back, as the plan said.
            problems.append(f"{part.id}: {part.why}")
            continue
        why = await _do(desk, part)
        if why is not None:
            problems.append(f"{part.id}: {why}")
            break
    verified = await verify(desk)
    await _end(desk, "; ".join(problems) or None, verified, cause, began)


async def _intend(desk: Desk, plan: RollbackPlan, confirmed: str | None) -> None:
    run = desk.open_run()
    assert run.point is not None
    data = {
        "rollback": attempts.new_attempt(desk.clock.now()),
        "plan_sha256": plan.sha256,
        "point": run.point.seq,
        "to": way_back.release_data(plan.to),
        "parts": [
            {"id": part.id, "strategy": part.strategy, "from": part.leaving, "to": part.to, "verb": "change"}
            for part in plan.parts
        ],
        "stops": [clip(one, 200) for one in plan.stops],
        "confirmed": confirmed,
        "fence": desk.fence,
    }
    await desk.record(Draft("rollback.intent", run.id, data), check=locks.fenced(desk))


async def _stop_running(desk: Desk) -> None:
    """End what the run's actions still do; survivors are named and the rollback goes on regardless."""
    running = [known for known in desk.open_run().attempts.values() if known.id in desk.alive and known.step]
    for known in running:
        await attempts.stop(desk, known)


async def _do(desk: Desk, part: PlanPart) -> str | None:
    """Run one part; why it failed, or None."""
    run = desk.open_run()
    known = _tries(run, part.id)
    if known and known[-1].id in desk.alive:
        await attempts.follow(desk, known[-1].id)
        return _why(desk, known[-1].id)
    one = next((one for one in await desk.own(lambda: way_back.kept(desk)) if one.part.id == part.id), None)
    if one is None or one.target is None:
        return "its target is gone" if one is None else one.why
    attempt = attempts.new_attempt(desk.clock.now())
    try:
        command = one.part.command(one.target, way_back.context(desk, part.id, attempt))
        assert run.rollback is not None
        rollback = desk.open_run().rollback
        start = attempts.Start(
            attempt=attempt,
            argv=command.argv,
            shown=command.shown,
            cwd=command.cwd,
            env=command.env,
            timeout=one.part.part_timeout,
            how=command.how,
            rollback=rollback.id if rollback else None,
            part=part.id,
            idempotent=command.how == "api",
            trust=desk.trusted,
            retry_of=known[-1].id if known else None,
            files=dict(command.files),
            env_names=tuple(sorted(command.env_names)),
        )
        await attempts.launch(desk, start)
    except CaptainError as error:
        return error.message
    await attempts.follow(desk, attempt)
    return _why(desk, attempt)


def _why(desk: Desk, attempt: str) -> str | None:
    from captain.engine.act import ending

    known = desk.open_run().attempts[attempt]
    return None if known.succeeded else ending(known)


def verify_steps(desk: Desk) -> list[Step]:
    """What proves the rollback: the declared steps, else what `release.running` observes."""
    found = [step for name in desk.target.service.rollback.verify if (step := desk.target.step(name)) is not None]
    if not found and (running := running_step(desk)) is not None:
        found.append(running)
    return found


def running_step(desk: Desk) -> Step | None:
    """`release.running` as a step, where it is declared."""
    from captain.checklist import Step

    running = desk.target.service.release.running
    if running is None:
        return None
    return Step(
        id="release.running",
        title="The release that runs",
        asks={"": running.ask},
        expect=(f"{running.version} == release.version",),
    )


async def verify(desk: Desk) -> list[tuple[str, Verdict, int]]:
    """Measure the proof. `release` is the one gone back to, `previous` the one left."""
    names = release_names(desk, back=True)
    found: list[tuple[str, Verdict, int]] = []
    for step in verify_steps(desk):
        plan = plan_of(step)
        recorded = await measure(desk, step, "verify", plan=plan, release_names=names)
        found.append((step.id, Verdict(recorded.data["verdict"]), recorded.seq))
    return found


async def _end(desk: Desk, why: str | None, verified: list[tuple[str, Verdict, int]], cause: str, began: float) -> None:
    run = desk.open_run()
    assert run.rollback is not None
    proved = bool(verified) and all(verdict.good for _, verdict, _ in verified)
    done = why is None and proved
    if why is None and not proved:
        bad = [f"{step} is {verdict.value}" for step, verdict, _ in verified if not verdict.good]
        why = "not verified: " + (", ".join(bad) or "nothing would prove it")
    data = {
        "rollback": run.rollback.id,
        "state": "rolled_back" if done else "rollback_incomplete",
        "verified": [{"step": step, "verdict": verdict.value, "of": of} for step, verdict, of in verified],
        "why": None if why is None else clip(desk.mask(why)),
        "cause": cause or None,
        "duration_ms": round((desk.clock.monotonic() - began) * 1000),
    }
    drafts = [Draft("rollback.end", run.id, data)]
    if done:
        end = {
            "state": "rolled_back",
            "verdict": worst(verdict for _, verdict, _ in verified).value,
            "reason": cause or None,
            "left_running": None,
            "review_due": None,
        }
        drafts.append(Draft("run.end", run.id, end))
    await desk.record(*drafts, check=locks.fenced(desk))
    if done:
        await _settle(desk)
        await locks.give_back(desk)


async def _settle(desk: Desk) -> None:
    """After the proof: let the strategies remove what they kept for the case that it failed."""
    for one in await desk.own(lambda: way_back.kept(desk)):
        known = _tries(desk.open_run(), one.part.id)
        if one.target is None or not known:
            continue
        for attempt in known:
            try:
                await one.part.settle(one.target, way_back.context(desk, one.part.id, attempt.id), attempt.id)
            except CaptainError as error:
                note = f"{one.part.id}: what was kept could not be removed: {error.message}"
                await desk.record(
                    Draft("step.note", desk.open_run().id, {"step": None, "text": clip(note), "evidence": []})
                )
