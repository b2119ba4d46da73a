"""Go and no-go: measures again what is due, makes sure of the way back, and records the decision."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from captain.engine import attempts, locks, way_back
from captain.engine.ask import clip
from captain.engine.measure import measure, together
from captain.engine.names import uses
from captain.engine.people import text
from captain.engine.plans import plan_of
from captain.engine.trusting import trusted
from captain.errors import NeedsConfirmation, Refusal, UsageError
from captain.events import Draft
from captain.measurement import Verdict, worst
from captain.run import allowed
from captain.run.gates import gate_signed, one_person, own_go_meets, readiness
from captain.run.status import status
from captain.run.view import section_after

if TYPE_CHECKING:
    from captain.checklist import Section, Step
    from captain.engine.desk import Desk
    from captain.log.reader import Reader

GATE_TIME = timedelta(seconds=60)
TRIES = 5
"""How often a decision is weighed again because somebody recorded something meanwhile."""


class _Moved(Refusal):
    """The run went on between the look and the decision."""


async def decide(
    desk: Desk, section_id: str, decision: str, note: str, confirmed: str | None, no_way_back: str | None
) -> None:
    """Open or keep closed the gate of the open section. Raises Refusal with the run's exit code."""
    if decision not in ("go", "no_go"):
        raise UsageError(f"{decision!r} is no decision", hint="go or no_go")
    locks.look(desk)
    if refusal := allowed.gate(desk.view(), section_id):
        raise refusal
    section = desk.target.checklist.section(section_id)
    assert section is not None
    note = text(desk, note)
    if decision == "no_go":
        if not note:
            raise Refusal("a no-go needs its reason", hint="--note", exit_code=2)
        await _settled(desk, section, lambda: [_decision(desk, section, "no_go", note, None, None, None)])
        return
    standing = desk.open_run().standing
    following = None if standing else section_after(desk.target, section.id)
    deploy = following is not None and following.phase == "deploy" and section.phase != "deploy"
    _confirm(desk, section, deploy, confirmed)
    await measure_due(desk, section)
    if refusal := allowed.go(desk.view(), section_id):
        raise refusal
    took = await attempts.hold(desk, f"go for {section.id}") if allowed.needs_lock(desk.view(), section) else False
    try:
        reason = await _prepare(desk, text(desk, no_way_back or "") or None) if deploy else None

        def drafts() -> Sequence[Draft]:
            if refusal := allowed.go(desk.view(), section_id):
                raise refusal
            opens = following.id if following else None
            end = () if following or standing else (_completed(desk),)
            return (
                *_own_signature(desk, section),
                _decision(desk, section, "go", note, confirmed, reason, opens),
                *end,
            )

        await _settled(desk, section, drafts)
    except BaseException:
        if took:
            await _after_all(desk)
        raise
    if following is None:
        await locks.give_back(desk)


async def _settled(desk: Desk, section: Section, drafts: Callable[[], Sequence[Draft]]) -> None:
    """Record what was decided, in the state of the run that it was decided on."""
    for left in reversed(range(TRIES)):
        seen = desk.open_run().last
        fenced = locks.fenced(desk) if desk.lock.held else None

        def unmoved(reader: Reader, seen: Any = seen, fenced: Any = fenced) -> None:
            if fenced is not None:
                fenced(reader)
            run_id = desk.open_run().id
            if seen is not None and next(reader.entries(run=run_id, after=seen.seq), None) is not None:
                raise _Moved(f"somebody else went on with {section.title} at the same moment", hint="look again")

        try:
            await desk.record(*drafts(), check=unmoved)
        except _Moved:
            if not left:
                raise
            await desk.catch_up()
            if refusal := allowed.gate(desk.view(), section.id):
                raise refusal from None
        else:
            return


async def _after_all(desk: Desk) -> None:
    """Give the lock back, unless the go was committed while its caller was cancelled."""
    await desk.catch_up()
    if not desk.open_run().bars_others:
        await locks.give_back(desk)


def _confirm(desk: Desk, section: Section, deploy: bool, confirmed: str | None) -> None:
    wants = section.gate.confirm == "environment" or (deploy and desk.confirms is not None)
    if wants and confirmed != desk.target.environment:
        raise NeedsConfirmation(
            f"this go needs the environment's name typed: {desk.target.environment}",
            hint=f"--confirm {desk.target.environment}",
        )


async def measure_due(desk: Desk, section: Section) -> None:
    """Measure again, all together and within 60 s, the single-shot read probes that are missing or too old."""
    due = [step for step in section.steps if _due(desk, step)]
    if not due:
        return
    try:
        async with asyncio.timeout(GATE_TIME.total_seconds()):
            await together(measure(desk, step, "gate", plan=plan_of(step, once=True)) for step in due)
    except TimeoutError:
        # What did not answer in time stays as old as it was, and is counted as that.
        return


def _due(desk: Desk, step: Step) -> bool:
    if step.action is not None or not step.asks or step.within or step.hold or step.every:
        return False
    view = desk.view()
    if allowed.measure(view, step) is not None or step.id in desk.asking:
        return False
    found = status(view, step)
    if found.state in ("not-applicable", "disabled"):
        return False
    # A waiver covers what was unmet when it was given: what is unmet now must be seen first.
    return found.result is None or found.stale_why is not None


async def _prepare(desk: Desk, reason: str | None) -> str | None:
    """Before the deploy section opens: the way back, and what conditions will compare with.

    Returns the reason why it opens without a way back; None where there is one.
    """
    await trusted(desk)
    ready, why = await way_back.take(desk)
    if not ready and reason is None:
        raise Refusal(
            f"the way back is NOT ready: {why}",
            hint='put it right, or type "no way back" with a reason (--no-way-back REASON)',
        )
    before = [
        step
        for _, step in desk.target.checklist.steps()
        if step.asks and step.safety == "read" and uses(desk, step, "before") and step.unmeasured is None
    ]
    # What was not seen before is left out; conditions on it are unknown and say so.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GATE_TIME.total_seconds()):
            await together(measure(desk, step, "before", plan=plan_of(step, once=True)) for step in before)
    return None if ready else reason


def _own_signature(desk: Desk, section: Section) -> Sequence[Draft]:
    """The go of a person who holds a role is their signature, recorded as one."""
    view = desk.view()
    signed = gate_signed(view, section)
    if not any(own_go_meets(view, rule, signed) for rule in section.gate.sign_off):
        return ()
    data: dict[str, Any] = {
        "on": "gate",
        "target": section.id,
        "meaning": "approve",
        "note": "by giving the go",
        "roles": list(desk.target.service.roles_of(desk.actor.name)),
        "role_checked": bool(desk.target.service.people),
        "definition": None,
        "seen": None,
        "expires": None,
        "evidence": [],
        "of": None,
    }
    return (Draft("signoff", view.run.id, data),)


def _decision(
    desk: Desk,
    section: Section,
    decision: str,
    note: str,
    confirmed: str | None,
    no_way_back: str | None,
    opens: str | None,
) -> Draft:
    view = desk.view()
    found = readiness(view, section)
    risk = [*found.risk]
    risk += one_person(view, section)
    if no_way_back is not None:
        risk.append("no way back")
    data = {
        "section": section.id,
        "decision": decision,
        "note": note,
        "counted": [{"step": step, "verdict": verdict.value, "of": of} for step, verdict, of in found.counted],
        "risk": [clip(one) for one in risk],
        "overridden": [],
        "confirmed": confirmed,
        "no_way_back": no_way_back,
        "opens": opens,
    }
    return Draft("gate.decision", view.run.id, data)


def _completed(desk: Desk) -> Draft:
    data = {
        "state": "completed",
        "verdict": run_verdict(desk).value,
        "reason": None,
        "left_running": None,
        "review_due": None,
    }
    return Draft("run.end", desk.open_run().id, data)


def run_verdict(desk: Desk) -> Verdict:
    """The worst of the sections; a go with risk anywhere makes it at least warn."""
    view = desk.view()
    found = [readiness(view, section) for section in desk.target.checklist.sections]
    verdicts = [one.verdict for one in found]
    if any(one.risk for one in found) or any(one.risk for one in view.run.decisions.values()):
        verdicts.append(Verdict.WARN)
    return worst(verdicts)


async def reopen(desk: Desk, section_id: str, reason: str) -> None:
    """Open a closed section again, while nothing was started."""
    locks.look(desk)
    if refusal := allowed.reopen(desk.view(), section_id):
        raise refusal
    reason = text(desk, reason)
    if not reason:
        raise Refusal("reopening needs its reason", hint="--note", exit_code=2)
    draft = Draft("section.reopened", desk.open_run().id, {"section": section_id, "reason": reason})
    await desk.record(draft, check=lambda reader: _nothing_started(desk, reader))
    await locks.give_back(desk)


def _nothing_started(desk: Desk, reader: Reader) -> None:
    if next(reader.by_type("action.intent", run=desk.open_run().id), None) is not None:
        raise Refusal("somebody started the deployment at the same moment", hint="look again", exit_code=4)


async def abort(desk: Desk, reason: str, left_running: str | None, confirmed: str | None) -> None:
    """Give the run up, or end an incomplete rollback, saying what is left running."""
    locks.look(desk)
    view = desk.view()
    if refusal := allowed.abort(view):
        raise refusal
    reason = text(desk, reason)
    if not reason:
        raise Refusal("giving up needs its reason", hint="--reason", exit_code=2)
    started = view.run.started_anything
    if started and desk.confirms and confirmed != desk.target.environment:
        raise NeedsConfirmation(
            f"the deployment was started: type the environment's name, {desk.target.environment}",
            hint=f"--confirm {desk.target.environment}",
        )
    try:
        if view.run.bars_others or view.run.rollback is not None:
            await attempts.hold(desk, "abort")
            if refusal := allowed.abort(desk.view()):
                raise refusal
        data = {
            "state": "rollback_incomplete" if desk.open_run().rollback is not None else "aborted",
            "verdict": run_verdict(desk).value,
            "reason": reason,
            "left_running": text(desk, left_running or "") or None,
            "review_due": None,
        }

        def nobody_deploys(reader: Reader) -> None:
            if desk.lock.held:
                locks.fenced(desk)(reader)
            else:
                _nothing_started(desk, reader)

        await desk.record(Draft("run.end", view.run.id, data), check=nobody_deploys)
    finally:
        await _after_all(desk)


async def end_check(desk: Desk, verdict: str) -> None:
    """Close a run of kind check."""
    data = {"state": "checked", "verdict": verdict, "reason": None, "left_running": None, "review_due": None}
    await desk.record(Draft("run.end", desk.open_run().id, data))


async def checked(desk: Desk, verdict: str, measured: int, kept: int) -> None:
    """Say in a standing run that a check of it ended, and how much of it was measured anew."""
    draft = Draft("run.checked", desk.open_run().id, {"verdict": verdict, "measured": measured, "kept": kept})
    await desk.record(draft)


async def suspend(desk: Desk, signal_name: str) -> None:
    """Leave a line in the log on HUP or TERM."""
    if desk.run is not None and not desk.run.ended and not desk.read_only and desk.stopped is None:
        await desk.record(Draft("run.suspended", desk.run.id, {"signal": signal_name}))
