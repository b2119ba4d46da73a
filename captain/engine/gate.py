"""Go and no-go: measures again what is due, makes sure of the way back, and records the decision."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from captain.engine import locks, way_back
from captain.engine.ask import clip
from captain.engine.measure import measure, plan_of
from captain.engine.names import uses
from captain.engine.people import text
from captain.errors import CaptainError, NeedsConfirmation, Refusal
from captain.events import Draft
from captain.measurement import Verdict, worst
from captain.run import allowed
from captain.run.gates import own_go_meets, readiness
from captain.run.status import status
from captain.run.view import section_after

if TYPE_CHECKING:
    from captain.checklist import Section, Step
    from captain.engine.desk import Desk

GATE_TIME = timedelta(seconds=60)


async def decide(
    desk: Desk, section_id: str, decision: str, note: str, confirmed: str | None, no_way_back: str | None
) -> None:
    """Open or keep closed the gate of the open section. Raises Refusal with the run's exit code."""
    if refusal := allowed.gate(desk.view(), section_id):
        raise refusal
    section = desk.view().section
    assert section is not None
    note = text(desk, note)
    if decision == "no_go":
        if not note:
            raise Refusal("a no-go needs its reason", hint="--note", exit_code=2)
        await desk.record(_decision(desk, section, "no_go", note, None, None, None))
        return
    following = section_after(desk.target, section.id)
    deploy = following is not None and following.phase == "deploy" and section.phase != "deploy"
    _confirm(desk, section, deploy, confirmed)
    await measure_due(desk, section)
    if refusal := allowed.go(desk.view(), section_id):
        raise refusal
    took = await locks.take(desk, f"go for {section.id}") if allowed.needs_lock(desk.view(), section) else False
    try:
        reason = text(desk, no_way_back or "") or None
        if deploy:
            await _prepare(desk, following, reason)
            if refusal := allowed.go(desk.view(), section_id):
                raise refusal
        drafts = [*_own_signature(desk, section)]
        drafts.append(_decision(desk, section, "go", note, confirmed, reason, following.id if following else None))
        if following is None:
            drafts.append(_completed(desk))
        check = locks.fenced(desk) if desk.lock.held else None
        await desk.record(*drafts, check=check)
    except BaseException:
        if took:
            await locks.give_back(desk)
        raise
    if following is None:
        await locks.give_back(desk)


def _confirm(desk: Desk, section: Section, deploy: bool, confirmed: str | None) -> None:
    wants = section.gate.confirm == "environment" or (deploy and desk.target.protected)
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
            await asyncio.gather(*(measure(desk, step, "gate", plan=plan_of(step, once=True)) for step in due))
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
    return found.state in ("todo", "stale") and not found.counts


async def _prepare(desk: Desk, following: Section | None, reason: str | None) -> None:
    """Before the deploy section opens: the way back, and what conditions will compare with."""
    ready, why = await way_back.take(desk)
    if not ready and reason is None:
        raise Refusal(
            f"the way back is NOT ready: {why}",
            hint='put it right, or type "no way back" with a reason (--no-way-back REASON)',
        )
    before = [
        step
        for _, step in desk.target.checklist.steps()
        if step.asks and uses(desk, step, "before") and step.unmeasured is None
    ]
    if not before:
        return
    try:
        async with asyncio.timeout(GATE_TIME.total_seconds()):
            await asyncio.gather(*(measure(desk, step, "before", plan=plan_of(step, once=True)) for step in before))
    except (TimeoutError, CaptainError):
        # What was not seen before is left out; conditions on it are unknown and say so.
        return


def _own_signature(desk: Desk, section: Section) -> Sequence[Draft]:
    """The go of a person who holds a role is their signature, recorded as one."""
    view = desk.view()
    signed = view.run.signed("gate", section.id)
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
    if refusal := allowed.reopen(desk.view(), section_id):
        raise refusal
    reason = text(desk, reason)
    if not reason:
        raise Refusal("reopening needs its reason", hint="--note", exit_code=2)
    await desk.record(Draft("section.reopened", desk.open_run().id, {"section": section_id, "reason": reason}))
    await locks.give_back(desk)


async def abort(desk: Desk, reason: str, left_running: str | None, confirmed: str | None) -> None:
    """Give the run up, or end an incomplete rollback, saying what is left running."""
    view = desk.view()
    if refusal := allowed.abort(view):
        raise refusal
    reason = text(desk, reason)
    if not reason:
        raise Refusal("giving up needs its reason", hint="--reason", exit_code=2)
    started = view.run.started_anything
    if started and desk.target.protected and confirmed != desk.target.environment:
        raise NeedsConfirmation(
            f"the deployment was started: type the environment's name, {desk.target.environment}",
            hint=f"--confirm {desk.target.environment}",
        )
    state = "rollback_incomplete" if view.run.rollback is not None else "aborted"
    data = {
        "state": state,
        "verdict": run_verdict(desk).value,
        "reason": reason,
        "left_running": text(desk, left_running or "") or None,
        "review_due": None,
    }
    if started:
        await locks.take(desk, "abort")
    check = locks.fenced(desk) if desk.lock.held else None
    await desk.record(Draft("run.end", view.run.id, data), check=check)
    await locks.give_back(desk)


async def end_check(desk: Desk, verdict: str) -> None:
    """Close a run of kind check."""
    data = {"state": "checked", "verdict": verdict, "reason": None, "left_running": None, "review_due": None}
    await desk.record(Draft("run.end", desk.open_run().id, data))


async def suspend(desk: Desk, signal_name: str) -> None:
    """Leave a line in the log on HUP or TERM."""
    if desk.run is not None and not desk.run.ended and not desk.read_only and desk.stopped is None:
        await desk.record(Draft("run.suspended", desk.run.id, {"signal": signal_name}))
