"""Which keys may be pressed now, why the others may not, and which one is sensible next. Pure; asks run.allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from captain.measurement import Verdict
from captain.run import allowed
from captain.tui.commands import mine
from captain.tui.keys import RUN
from captain.tui.moment import Moment, yours

if TYPE_CHECKING:
    from captain.checklist import Section, Step
    from captain.run.status import Status
    from captain.run.view import View

OPENING = "the run is still being opened"


def dim(moment: Moment | None, step_id: str | None) -> dict[str, str]:
    """Why each key that may not be pressed may not, by id."""
    always = ("run.leave", "run.help", "run.history")
    if moment is None:
        return {key.id: OPENING for key in RUN if key.id not in always}
    view = moment.view
    found = view.step(step_id) if step_id is not None else None
    step = found[1] if found is not None else None
    reasons: dict[str, str] = {}

    def put(key: str, refusal: Exception | str | None) -> None:
        if refusal is not None:
            reasons[key] = str(refusal)

    if step is None:
        for key in ("measure", "sign", "waive", "not_applicable", "countersign", "withdraw", "act", "resolve"):
            put(f"run.{key}", "there is no step here")
    else:
        signing = allowed.sign(view, step.id)
        put("run.measure", signing if by_hand(step) else allowed.measure(view, step))
        if step.id in view.asking:
            put("run.measure", f"{step.title} is being measured already")
        for key in ("sign", "waive", "not_applicable"):
            put(f"run.{key}", signing)
        put("run.countersign", allowed.countersign(view, step))
        put("run.act", allowed.act(view, step))
        put("run.resolve", allowed.resolve(view, step))
        if not mine(view, step):
            put("run.withdraw", allowed.changing(view) or "you signed nothing here")
    changing = allowed.changing(view)
    put("run.measure_section", changing)
    section = gate_of(moment, found[0] if found is not None else None)
    put("run.gate", changing or (allowed.gate(view, section.id) if section is not None else "no section is open"))
    back = allowed.roll_back(view)
    if back is not None and (view.run.started_anything or allowed.abort(view) is not None):
        put("run.roll_back", back)
    here = found[0] if found is not None else None
    put("run.reopen", allowed.reopen(view, here.id) if here is not None else "there is no section here")
    put("run.abort", allowed.abort(view))
    put("run.trust", None if view.untrusted else "there is nothing to accept")
    if view.read_only or view.stopped is not None:
        put("run.note", changing)
    if next_problem(moment, step_id, 1) is None:
        put("run.next_problem", "nothing else needs a hand")
        put("run.previous_problem", "nothing else needs a hand")
    return reasons


def gate_of(moment: Moment | None, here: Section | None) -> Section | None:
    """The section whose gate is decided next; in a review the one under the cursor, for all of them are open."""
    if moment is None:
        return None
    return here if moment.view.run.standing and here is not None else moment.view.section


def by_hand(step: Step) -> bool:
    """Whether enter signs the step, because nothing measures it."""
    return step.manual is not None and not step.asks


def words(moment: Moment | None, step_id: str | None) -> dict[str, str]:
    """Words that say more than the usual ones."""
    out: dict[str, str] = {}
    if moment is None:
        return out
    view = moment.view
    found = view.step(step_id) if step_id is not None else None
    if found is not None and by_hand(found[1]):
        out["run.measure"] = "sign"
    if found is not None and found[1].action is not None and allowed.again(view, found[1]):
        out["run.act"] = "again"
    if moment.readiness is not None and moment.readiness.go:
        out["run.gate"] = "go"
    if view.run.rollback is not None and not view.run.ended:
        out["run.roll_back"] = "go on back"
    elif not view.run.started_anything:
        out["run.roll_back"] = "abort"
    if view.run.state == "rolled_back":
        out["run.note"] = "cause"
    return out


def signs(view: View, step: Step, found: Status) -> bool:
    """Whether signing is what the person here does next. Beside a measured failure a signature counts for nothing."""
    return bool(found.waits) and found.verdict is not Verdict.FAIL and yours(view, step, found)


def chosen(moment: Moment | None, step_id: str | None, dimmed: dict[str, str]) -> str | None:
    """The next sensible key; None while something runs, because waiting is right then."""
    if moment is None or moment.running() is not None:
        return None
    view = moment.view
    if view.run.rollback is not None and not view.run.ended and "run.roll_back" not in dimmed:
        return "run.roll_back"
    if view.run.state == "rolled_back":
        return "run.note"
    if view.run.ended or view.read_only or view.stopped is not None:
        return None
    if view.untrusted:
        return "run.trust"
    section = view.section
    if section is not None and "run.gate" not in dimmed and allowed.go(view, section.id) is None:
        return "run.gate"
    found = view.step(step_id) if step_id is not None else None
    if found is not None and section is not None and found[0].id == section.id:
        step, status = found[1], moment.statuses[found[1].id]
        begins = step.action is not None and status.attempt is None
        if (begins or (step.safety != "read" and not status.counts)) and "run.act" not in dimmed:
            return "run.act"
        if status.owed is not None and "run.countersign" not in dimmed:
            return "run.countersign"
        if signs(view, step, status) and "run.sign" not in dimmed:
            return "run.measure" if by_hand(step) else "run.sign"
        wrong = next_problem(moment, step_id, 1) if "run.next_problem" not in dimmed else None
        if status.state == "todo" and "run.measure" not in dimmed and not _wrong(moment, wrong):
            many = "run.measure_section" not in dimmed and _to_measure(moment, section) > 1
            return "run.measure_section" if many else "run.measure"
    if "run.next_problem" not in dimmed:
        return "run.next_problem"
    if "run.measure" not in dimmed and found is not None and not moment.statuses[found[1].id].counts:
        return "run.measure"
    return None


def next_problem(moment: Moment, step_id: str | None, way: int) -> str | None:
    """The next step that needs a hand, going round.

    First what fails or is unknown in the open section, then what is to do or waits there. Other sections are gone to
    only where the open one has nothing left.
    """
    groups = _in_need(moment)
    ring = [one for group in groups for one in group]
    if step_id in ring:
        after = ring[(ring.index(step_id) + way) % len(ring)]
        return after if after != step_id else None
    order = [step.id for _, step, _ in moment.steps()]
    at = order.index(step_id) if step_id in order else -1 if way > 0 else 0
    around = [order[(at + way * distance) % len(order)] for distance in range(1, len(order) + 1)] if order else []
    return next((one for group in groups for one in around if one in group), None)


def _in_need(moment: Moment) -> list[list[str]]:
    """Steps that need a hand, what is worst first; those of other sections only where the open one has none."""
    section = moment.view.section
    here = section.steps if section is not None else ()
    wrong = [step.id for step in here if moment.problem(step) and _wrong(moment, step.id)]
    rest = [step.id for step in here if step.id not in wrong and _open(moment, step)]
    if wrong or rest:
        return [wrong, rest]
    return [[step.id for _, step, _ in moment.steps() if moment.problem(step)]]


def _to_measure(moment: Moment, section: Section) -> int:
    """How many steps of a section one key would measure for the first time."""
    return sum(
        moment.statuses[step.id].state == "todo" and not step.unmeasured and allowed.measure(moment.view, step) is None
        for step in section.steps
    )


def _wrong(moment: Moment, step_id: str | None) -> bool:
    """Whether the step does not hold, which is more than that its turn or a person is waited for."""
    found = moment.statuses.get(step_id) if step_id is not None else None
    return found is not None and not found.counts and found.state not in ("todo", "waiting", "lapsed")


def _open(moment: Moment, step: Step) -> bool:
    found = moment.statuses[step.id]
    return not found.counts and found.state not in ("measuring", "running", "not-run") and step.severity != "info"
