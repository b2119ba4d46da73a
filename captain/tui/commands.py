"""What a key asks and does: the dialog that opens, and the engine call that its answer becomes.

Dialogs are imported when a key is pressed: the first frame needs none of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from captain.errors import Refusal
from captain.run import allowed
from captain.run.view import View

if TYPE_CHECKING:
    from textual.screen import Screen

    from captain.checklist import Section, Step
    from captain.engine import Engine

Ask = Callable[["Screen[Any]"], Awaitable[Any]]
"""Pushes a dialog and waits for its answer; None when it was left."""


async def sign(engine: Engine, ask: Ask, step: Step) -> None:
    """Approve or reject a step."""
    from captain.tui.dialogs.sign import SignDialog

    _may(allowed.sign(engine.view(), step.id))
    answer = await ask(SignDialog(engine.view(), step.id, engine.actor))
    if answer is not None:
        await engine.sign(answer.target, answer.meaning, answer.note, answer.evidence)


async def waive(engine: Engine, ask: Ask, step: Step) -> None:
    """Let the gate open in spite of a step."""
    from captain.tui.dialogs.waive import WaiveDialog

    _may(allowed.sign(engine.view(), step.id))
    answer = await ask(WaiveDialog(engine.view(), step.id, engine.actor))
    if answer is not None:
        await engine.waive(answer.step, answer.reason, answer.owner, answer.until)


async def not_applicable(engine: Engine, ask: Ask, step: Step) -> None:
    """Say that a step does not apply."""
    from captain.tui.dialogs.not_applicable import NotApplicableDialog

    _may(allowed.sign(engine.view(), step.id))
    answer = await ask(NotApplicableDialog(engine.view(), step.id, engine.actor))
    if answer is not None:
        await engine.sign(answer.step, "not_applicable", answer.reason)


async def countersign(engine: Engine, ask: Ask, step: Step) -> None:
    """Stand behind another person's waiver, or their saying that it does not apply."""
    from captain.tui.dialogs.countersign import CountersignDialog

    _may(allowed.countersign(engine.view(), step))
    answer = await ask(CountersignDialog(engine.view(), step.id, engine.actor))
    if answer is not None:
        await engine.countersign(answer.step, answer.note)


async def withdraw(engine: Engine, ask: Ask, step: Step) -> None:
    """Take back something this person signed on a step."""
    from captain.tui.dialogs.withdraw import WithdrawDialog

    if not mine(engine.view(), step):
        raise Refusal(f"you signed nothing on {step.title}")
    answer = await ask(WithdrawDialog(engine.view(), step.id))
    if answer is not None:
        await engine.withdraw(answer.seq, answer.note)


def mine(view: View, step: Step) -> bool:
    """Whether the person here signed or waived something on the step that they may take back."""
    signed = [one.seq for one in view.run.sign_offs if one.on == "step" and one.target == step.id]
    signed += [one.seq for one in view.run.countersigns if one.target == step.id]
    waived = [one.seq for one in view.run.waivers if one.step == step.id]
    return any(allowed.withdraw(view, seq) is None for seq in (*signed, *waived))


async def act(engine: Engine, ask: Ask, step: Step) -> None:
    """Start a step's action, or run a step that does more than read."""
    from captain.tui.dialogs.action import ActionDialog

    _may(allowed.act(engine.view(), step))
    if step.action is None:
        await _try(engine, ask, step)
        return
    again = allowed.again(engine.view(), step)
    answer = await ask(ActionDialog(engine.view(), step.id, engine.shown(step.id)))
    if answer is not None:
        await engine.act(answer.step, confirmed=answer.confirmed, again=again)


async def _try(engine: Engine, ask: Ask, step: Step) -> None:
    from captain.tui.dialogs.trial import TrialDialog

    # The dialog says where an earlier end was not seen.
    again = allowed.again(engine.view(), step)
    answer = await ask(TrialDialog(engine.view(), step.id, engine.does(step.id)))
    if answer is not None:
        await engine.act(answer.step, confirmed=answer.confirmed, again=again)


async def resolve(engine: Engine, ask: Ask, step: Step) -> None:
    """Say what an unknown action did."""
    from captain.tui.dialogs.resolve import ResolveDialog

    _may(allowed.resolve(engine.view(), step))
    answer = await ask(ResolveDialog(engine.view(), step.id))
    if answer is not None:
        await engine.resolve(answer.step, answer.outcome, answer.note)


async def gate(engine: Engine, ask: Ask, section: Section) -> None:
    """Go or no-go; a no-go may go on to a rollback or an abort."""
    from captain.run.view import section_after
    from captain.tui.dialogs.gate import GateDialog

    _may(allowed.gate(engine.view(), section.id))
    following = section_after(engine.target, section.id)
    opens_deploy = following is not None and following.phase == "deploy" and section.phase != "deploy"
    ways = [way.taken for way in await engine.way_back()] if opens_deploy else None
    answer = await ask(GateDialog(engine.view(), section, ways))
    if answer is None:
        return
    await engine.gate(
        answer.section,
        answer.decision,
        note=answer.note,
        confirmed=answer.confirmed,
        no_way_back=answer.no_way_back,
    )
    if answer.next == "roll_back":
        await roll_back(engine, ask)
    elif answer.next == "leave":
        await abort(engine, ask)


async def abort(engine: Engine, ask: Ask) -> None:
    """Give the run up."""
    from captain.tui.dialogs.abort import AbortDialog

    _may(allowed.abort(engine.view()))
    answer = await ask(AbortDialog(engine.view()))
    if answer is not None:
        await engine.abort(answer.reason, left_running=answer.left_running, confirmed=answer.confirmed)


async def roll_back(engine: Engine, ask: Ask) -> None:
    """Show the plan and go back; where nothing was started, offer to give the run up instead."""
    view = engine.view()
    refusal = allowed.roll_back(view)
    if refusal is not None and not view.run.started_anything and allowed.abort(view) is None:
        await abort(engine, ask)
        return
    _may(refusal)
    from captain.tui.screens.rollback import roll_back as go_back

    await go_back(engine, ask)


async def reopen(engine: Engine, ask: Ask, section: Section) -> None:
    """Open a closed section again."""
    from captain.tui.dialogs.reopen import ReopenDialog

    _may(allowed.reopen(engine.view(), section.id))
    answer = await ask(ReopenDialog(engine.view(), section))
    if answer is not None:
        await engine.reopen(answer.section, answer.reason)


async def note(engine: Engine, ask: Ask, step: Step | None) -> None:
    """Write something down: a note on the step, or the cause after a rollback."""
    from captain.tui.dialogs.base import Heading
    from captain.tui.dialogs.note import CauseDialog, NoteDialog

    view = engine.view()
    if view.read_only or view.stopped is not None:
        _may(allowed.changing(view))
    heading = Heading.of(view)
    if view.run.rollback is not None and view.run.ended:
        answer = await ask(CauseDialog(heading))
    else:
        answer = await ask(NoteDialog(heading, None if step is None else (step.id, step.title)))
    if answer is not None and answer.text:
        await engine.note(answer.text, answer.step)


async def trust(engine: Engine, ask: Ask) -> None:
    """Show the commands of these files and accept them."""
    from captain.tui.dialogs.base import Heading
    from captain.tui.dialogs.trust import TrustDialog

    request = engine.trust()
    if request is None:
        raise Refusal("there is nothing to accept")
    answer = await ask(TrustDialog(Heading.of(engine.view()), request))
    if answer is not None:
        await engine.accept(answer.digest)


async def changed(engine: Engine, ask: Ask) -> None:
    """Ask whether the pinned or the present files count."""
    from captain.tui.dialogs.base import Heading
    from captain.tui.dialogs.changed import ChangedDialog

    change = engine.changed_files()
    if change is None:
        return
    answer = await ask(ChangedDialog(Heading.of(engine.view()), change))
    if answer is not None:
        await engine.adopt(answer.decision)


def _may(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise refusal
