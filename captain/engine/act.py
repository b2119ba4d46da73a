"""Starts a step's action, at most once per attempt, and judges what came of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from captain.engine import attempts, locks, trials, way_back
from captain.engine.measure import measure
from captain.engine.people import text
from captain.engine.plans import Sample, observe_plan, plan_of
from captain.engine.trusting import trusted
from captain.errors import CaptainError, NeedsConfirmation, Refusal, UsageError
from captain.events import Draft
from captain.measurement import Verdict
from captain.run import Attempt, allowed
from captain.run.status import status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from captain.checklist import Step
    from captain.engine.desk import Desk


async def act(desk: Desk, step_id: str, confirmed: str | None, again: bool) -> None:
    """Start the action and follow it until its effect was looked at. `again` says that a repetition is meant.

    Cancelling leaves the action running: it is followed on in the background while this captain lives.
    """
    step = desk.step(step_id)
    if step.action is None and step.safety != "read":
        await trials.run(desk, step, confirmed, again)
        return
    locks.look(desk)
    if refusal := allowed.act(desk.view(), step):
        raise refusal
    assert step.action is not None
    known = desk.open_run().attempt_of(step.id)
    if known is not None and allowed.again(desk.view(), step) and not again:
        how = "is expected since" if known.external else "was started already at"
        raise Refusal(
            f"{step.title} {how} {known.intent.ts[11:19]} UTC and is {status(desk.view(), step).verdict.value}",
            hint="--again starts it once more",
            exit_code=4,
        )
    name = desk.target.environment
    if (desk.confirms or step.action.confirm) and confirmed != name:
        raise NeedsConfirmation(f"this action needs the environment's name typed: {name}", hint=f"--confirm {name}")
    if desk.acting.locked():
        raise Refusal("another action is being started")
    await asyncio.shield(desk.keep(_begin(desk, step, None if known is None else known.id)))
    await asyncio.shield(desk.keep(follow(desk, step)))


async def _begin(desk: Desk, step: Step, seen: str | None) -> None:
    """Everything before the effect, and its start. A whole: what has begun is not cancelled halfway.

    `seen` is the newest attempt that whoever asked for it knew of.
    """
    async with desk.acting:
        await attempts.hold(desk, f"action {step.id}")
        newest = desk.open_run().attempt_of(step.id)
        if newest is not None and newest.id != seen:
            raise Refusal(f"{newest.intent.actor.name} started {step.title} meanwhile", hint="look again", exit_code=4)
        await trusted(desk)
        if refusal := allowed.act(desk.view(), step):
            raise refusal
        if desk.open_run().point is None and desk.open_run().no_way_back is None:
            ready, why = await way_back.take(desk)
            if not ready:
                raise Refusal(f"the way back is NOT ready: {why}", hint="no action starts without it")
            if refusal := allowed.act(desk.view(), step):
                raise refusal
        await _start(desk, step)


async def _start(desk: Desk, step: Step) -> None:
    start = start_of(desk, step)
    if start is None:
        await _expect(desk, step)
    else:
        await attempts.launch(desk, start)


def start_of(desk: Desk, step: Step) -> attempts.Start | None:
    """What the action starts, everything resolved; None for one that somebody else does."""
    from captain.effects.environ import action_environ
    from captain.engine.names import resolve_text

    action = step.action
    assert action is not None
    previous = desk.open_run().attempt_of(step.id)
    attempt = attempts.new_attempt(desk.clock.now())
    if action.run is None:
        return None
    env = {name: resolve_text(desk, value) for name, value in action.env.items()}
    argv = (
        ("/bin/sh", "-c", action.run)
        if isinstance(action.run, str)
        else tuple(resolve_text(desk, one) for one in action.run)
    )
    # What captain says of the run is not the file's to change.
    extra = {**env, **attempts.captain_values(desk, step.id, attempt)}
    return attempts.Start(
        attempt=attempt,
        argv=argv,
        shown=argv,
        cwd=desk.root / resolve_text(desk, action.cwd),
        env=action_environ(desk.environ, desk.target.service.secrets, extra),
        timeout=action.timeout,
        how="shell" if isinstance(action.run, str) else "run",
        step=step.id,
        idempotent=action.idempotent,
        observe=step.observe is not None,
        trust=desk.trusted,
        retry_of=previous.id if previous else None,
        env_names=tuple(sorted(extra)),
    )


def shown(desk: Desk, step: Step) -> tuple[str, ...]:
    """The arguments as they would be started now, with the names of secrets in place of their values."""
    start = start_of(desk, step) if step.action is not None else None
    return () if start is None else tuple(desk.mask(one) for one in start.argv)


async def _expect(desk: Desk, step: Step) -> None:
    """Somebody else deploys: record that it is expected from now on."""
    action = step.action
    assert action is not None
    previous = desk.open_run().attempt_of(step.id)
    start = attempts.Start(
        attempt=attempts.new_attempt(desk.clock.now()),
        argv=(),
        shown=(action.external or "",),
        cwd=desk.root,
        env={},
        timeout=action.timeout,
        how="external",
        step=step.id,
        observe=step.observe is not None,
        retry_of=previous.id if previous else None,
    )
    from captain.clock import boot_id

    started = {"attempt": start.attempt, "pid": None, "starttime": None, "boot": boot_id()}
    await desk.record(
        attempts.intent(desk, start, program=None, cwd="."),
        Draft("action.started", desk.open_run().id, started),
        check=locks.fenced(desk),
    )


async def follow(desk: Desk, step: Step) -> None:
    """Follow the step's newest attempt to its end, then look what is really there."""
    known = desk.open_run().attempt_of(step.id)
    if known is None:
        return
    if known.finished is None and not known.external:
        await attempts.follow(desk, known.id)
    await observe(desk, step)


async def observe(desk: Desk, step: Step, *, once: bool = False) -> None:
    """Record the verdict of the newest attempt, from its end and from what is really there."""
    known = desk.open_run().attempt_of(step.id)
    if known is None or (known.resolved is not None and known.resolved.data["outcome"] == "not_applied"):
        return
    if known.external and step.observe is None:
        return
    plan = observe_plan(step) if step.observe is not None else plan_of(step, once=True)
    if once:
        plan.every = plan.within = None
    recorded = await measure(
        desk,
        step,
        "observe" if step.observe is not None else "measure",
        plan=plan,
        attempt=known.id,
        judge=lambda sample: combine(known, sample if step.observe is not None else None),
    )
    known = desk.open_run().attempts[known.id]
    verdict = Verdict(recorded.data["verdict"])
    if step.observe is not None and verdict.good and known.resolved is None and _lost(known):
        data = {
            "attempt": known.id,
            "outcome": "applied",
            "by": "observation",
            "of": recorded.seq,
            "note": None,
            "evidence": [],
        }
        await desk.record(Draft("action.resolved", desk.open_run().id, data))


def _lost(known: Attempt) -> bool:
    return known.external or known.outcome in ("lost", "timed_out", "signalled", "cancelled")


def combine(known: Attempt, sample: Sample | None) -> tuple[Verdict, str]:
    """An action's verdict from how it ended and what was observed (None without an observation)."""
    how = ending(known)
    if sample is None:
        if known.outcome == "exited":
            return (Verdict.PASS, how) if known.exit_code == 0 else (Verdict.FAIL, how)
        return Verdict.UNKNOWN, f"{how}: what it did is unknown"
    if known.succeeded or known.external:
        return sample.verdict, sample.message
    if sample.verdict.good:
        verdict = Verdict.WARN if known.outcome == "exited" else sample.verdict
        return verdict, f"{how}, but {sample.message}"
    if known.outcome == "exited":
        return Verdict.FAIL, f"{how}; {sample.message}"
    return sample.verdict, f"{how}; {sample.message}"


def ending(known: Attempt) -> str:
    """How an attempt ended, in words."""
    if known.finished is None:
        return "expected" if known.external else "not known to have ended"
    if known.outcome == "exited":
        return f"exit {known.exit_code}"
    if known.outcome == "signalled":
        return f"killed by {known.finished.data['signal']}"
    words = {"timed_out": "timed out", "cancelled": "stopped", "lost": "lost: captain did not see its end"}
    return words[known.outcome or "lost"]


async def resolve(desk: Desk, step_id: str, outcome: str, note: str, evidence: Sequence[str]) -> None:
    """A person says what an unknown action did."""
    from captain.engine.people import gather

    step = desk.step(step_id)
    if outcome not in ("applied", "not_applied", "partial"):
        raise UsageError(f"{outcome!r} is no outcome", hint="applied, not_applied or partial")
    await attempts.look(desk)
    if refusal := allowed.resolve(desk.view(), step):
        raise refusal
    note = text(desk, note)
    if not note:
        raise Refusal("say how you know: a note is missing", hint="--note", exit_code=2)
    known = desk.open_run().attempt_of(step_id)
    assert known is not None
    files, blobs = gather(desk, evidence)
    data = {
        "attempt": known.id,
        "outcome": outcome,
        "by": "person",
        "of": None,
        "note": note,
        "evidence": files,
    }
    await desk.record(Draft("action.resolved", desk.open_run().id, data), evidence=blobs)


async def look_again(desk: Desk, step: Step) -> None:
    """Look once more what the step's newest attempt did, its end recorded first."""
    await attempts.look(desk)
    if refusal := allowed.measure(desk.view(), step):
        raise refusal
    await observe(desk, step, once=True)


async def settle(desk: Desk) -> None:
    """After a start: follow what still runs and look again at what ended unseen."""
    if desk.open_run().rollback is not None:
        for attempt in list(desk.alive):
            desk.keep(_quietly(attempts.follow(desk, attempt)))
        return
    for _, step in desk.target.checklist.steps():
        known = desk.open_run().attempt_of(step.id)
        if known is None or desk.open_run().ended:
            continue
        result = desk.open_run().results.get(step.id)
        seen = result is not None and result.attempt == known.id
        if known.id in desk.alive or (not seen and known.resolved is None):
            desk.keep(_quietly(follow(desk, step)))


async def _quietly(work: object) -> None:
    from collections.abc import Awaitable

    assert isinstance(work, Awaitable)
    try:
        await work
    except CaptainError:
        # The step stays unknown on the screen; the next key shows the same error to the person.
        return
