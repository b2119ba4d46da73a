"""Which key may be pressed now, or the Refusal that says why not. Pure; the engine and every face ask here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from captain.errors import Refusal
from captain.measurement import SAFETIES
from captain.run import SignOff, Waiver
from captain.run.countersigning import able, owed
from captain.run.gates import readiness
from captain.run.status import by_itself, not_allowed, status, unsettled
from captain.run.view import View, section_state

if TYPE_CHECKING:
    from captain.checklist import Section, Step


def changing(view: View) -> Refusal | None:
    """Whether anything may be recorded in this run at all."""
    if view.stopped is not None:
        return Refusal(f"nothing can be recorded: {view.stopped}")
    if view.read_only:
        return Refusal("read-only: this captain only looks")
    if view.run.ended:
        return Refusal(f"the run is {view.run.state}: it takes notes only")
    return None


def _holding(view: View) -> Refusal | None:
    if view.lock_holder is not None:
        return Refusal(
            f"{view.target.service.service} in {view.run.environment} is held by {view.lock_holder}",
            hint="measuring, signing and reading still work",
            exit_code=4,
        )
    return None


def _gateless(view: View) -> Refusal | None:
    if view.run.kind == "check":
        return Refusal("a check only measures: it has no gates and starts nothing")
    return None


def rolling(view: View) -> Refusal | None:
    """Refuses what may not happen while a rollback is under way."""
    if view.run.rollback is not None and not view.run.ended:
        return Refusal("the run is rolling back: go on with the rollback, or end it as incomplete")
    return None


def measure(view: View, step: Step) -> Refusal | None:
    """Whether `step` may be measured. Needs no lock."""
    if refusal := changing(view):
        return refusal
    if refusal := _applies(view, step):
        return refusal
    if step.manual is not None and not step.asks:
        return Refusal(f"{step.id} is confirmed by a person", hint="sign it")
    if step.safety != "read" and not in_part(view, step):
        return Refusal(f"{step.id} is {by_itself(view, step)}", hint=_how(view, step))
    if step.action is not None and (step.observe is None or view.run.attempt_of(step.id) is None):
        return Refusal(f"{step.id} is an action and was not started", hint="a starts it")
    attempt = view.run.attempt_of(step.id) if step.action is not None else None
    if attempt is not None and attempt.id in view.alive:
        return Refusal(f"{step.id} is still running: it is looked at when it has ended")
    return None


def in_part(view: View, step: Step) -> bool:
    """Whether the probes of a step that only read are asked without the others.

    They are where the others can never run: the environment does not allow it, or a check only measures. What the
    others would have seen is then unknown, and the conditions say what that means.
    """
    barred = not step.levels <= {"read", *view.target.allow} or view.run.kind == "check"
    return step.safety != "read" and step.reads and barred


def _how(view: View, step: Step) -> str:
    """What to do so that a step that does more than read can run."""
    if step.levels <= {"read", *view.target.allow}:
        return "a runs it"
    allow = ", ".join(one for one in SAFETIES[1:] if one in (*view.target.allow, *step.levels))
    where = view.target.environment
    return f"in captain.yaml: environments: {{ {where}: {{ allow: [{allow}] }} }}"


def trial(view: View, step: Step) -> Refusal | None:
    """Whether a step that does more than read may be run now."""
    if refusal := changing(view) or _gateless(view) or rolling(view):
        return refusal
    if step.safety == "read":
        return Refusal(f"{step.id} only reads", hint="measure it")
    if refusal := _applies(view, step):
        return refusal
    if not step.levels <= {"read", *view.target.allow}:
        return Refusal(f"{step.id} is {not_allowed(view, step)}", hint=_how(view, step))
    if step.safety == "drill" and (refusal := _holding(view)):
        # Whoever deploys here would not know what happens to them.
        return refusal
    if refusal := _here(view, step):
        return refusal
    for known in view.run.trials.values():
        if known.end is None and (known.id in view.alive or known.step in view.asking):
            return Refusal(f"{known.step} is still running")
    for attempt in view.run.attempts.values():
        if attempt.id in view.alive:
            return Refusal(f"{attempt.step or attempt.part} is still running")
    return next((refusal for needed in step.needs if (refusal := _needs(view, step, needed))), None)


def _applies(view: View, step: Step) -> Refusal | None:
    """Whether the step takes part, and this captain can do what it says."""
    if step.disabled is not None:
        return Refusal(f"{step.id} is switched off: {step.disabled}")
    if reason := view.skipped.get(step.id):
        return Refusal(f"{step.id} does not apply: {reason}")
    return Refusal(why) if (why := step.unmeasured) else None


def _here(view: View, step: Step) -> Refusal | None:
    """Whether the step's section is open and its programs accepted."""
    section = view.section
    at = view.step(step.id)
    # The sections of a review are categories: none comes before another.
    review = view.target.checklist.per == "service"
    if not review and (section is None or at is None or at[0].id != section.id):
        return Refusal(f"{step.id} belongs to {at[0].title if at else '?'}, which is not open")
    if view.untrusted:
        return Refusal("the commands of these files were not accepted yet", hint="captain trust", exit_code=2)
    return None


def sign(view: View, target: str) -> Refusal | None:
    """Whether a step or gate may be signed, waived or called not applicable. Needs no lock."""
    if refusal := changing(view):
        return refusal
    found = view.step(target)
    section = found[0] if found else view.target.checklist.section(target)
    if section is None:
        return Refusal(f"there is no step or section {target}")
    if section_state(view.run, view.target, section.id) == "closed":
        return Refusal(f"{section.title} is closed", hint="reopen it first, while nothing was started")
    if found and found[1].disabled is not None:
        return Refusal(f"{target} is switched off: {found[1].disabled}")
    return None


def countersign(view: View, step: Step) -> Refusal | None:
    """Whether the person at this face may stand behind what lets a blocker go."""
    if refusal := sign(view, step.id):
        return refusal
    one = status(view, step).owed
    if one is None:
        given = view.run.waiver(step.id) or next(
            (each for each in view.run.signed("step", step.id) if each.meaning == "not_applicable"), None
        )
        if given is not None and owed(view, step, given.by) == "impossible":
            return Refusal("countersign impossible: one person", hint="it counts as it is; the record says so")
        return Refusal(f"nothing on {step.title} waits for a countersign")
    if one.by.casefold() == view.me.casefold():
        return Refusal(f"{one.by} decided this: another person has to countersign it")
    if view.me.casefold() not in {name.casefold() for name in able(view, step, one.by)}:
        names = ", ".join(able(view, step, one.by)[:5])
        return Refusal(f"{view.me} cannot countersign {step.id}", hint=f"ask {names}" if names else None)
    return None


def act(view: View, step: Step) -> Refusal | None:
    """Whether the step's action may be started now, or the step run that does more than read."""
    if step.action is None and step.safety != "read":
        return trial(view, step)
    if refusal := changing(view) or _gateless(view) or _holding(view) or rolling(view) or _trying(view):
        return refusal
    if step.action is None:
        return Refusal(f"{step.id} has no action")
    if refusal := _applies(view, step):
        return refusal
    if (rejected := status(view, step).rejected) is not None:
        return Refusal(f"{step.title} is rejected by {rejected.by}: {rejected.note}", hint="only they can take it back")
    if refusal := _here(view, step):
        return refusal
    for other in view.run.attempts.values():
        if other.id in view.alive:
            return Refusal(f"{other.step or other.part} is still running")
    attempt = view.run.attempt_of(step.id)
    if attempt is not None:
        if unsettled(view, attempt):
            return Refusal(
                f"what {step.id} did is unknown", hint="measure it again, resolve it, or roll back", exit_code=3
            )
        if attempt.external and status(view, step).verdict.value == "unknown" and attempt.resolved is None:
            return Refusal(f"{step.id} is expected already", hint="measure it, or resolve it")
    for needed in step.needs:
        if refusal := _needs(view, step, needed):
            return refusal
    return None


def _needs(view: View, step: Step, needed: str) -> Refusal | None:
    found = view.step(needed)
    if found is None or status(view, found[1]).counts:
        return None
    return Refusal(f"{step.id} needs {needed}, which did not pass", exit_code=3)


def again(view: View, step: Step) -> bool:
    """Whether starting the action would be a repetition, which must be asked; so is a run whose end nobody saw."""
    if step.action is None and step.safety != "read":
        trial = view.run.trials.get(step.id)
        return trial is not None and trial.end is None
    attempt = view.run.attempt_of(step.id)
    return attempt is not None and not (attempt.resolved and attempt.resolved.data["outcome"] == "not_applied")


def go(view: View, section_id: str) -> Refusal | None:
    """Whether the gate of a section may be opened now, measuring apart."""
    if refusal := gate(view, section_id):
        return refusal
    section = view.target.checklist.section(section_id)
    assert section is not None
    if refusal := _trying(view):
        return refusal
    for attempt in view.run.attempts.values():
        if attempt.id in view.alive:
            return Refusal(f"{attempt.step or attempt.part} is still running")
        # A retry is refused while the one before is unsettled, so only the newest of a step can be.
        newest = attempt.step is not None and attempt is view.run.attempt_of(attempt.step)
        if newest and unsettled(view, attempt):
            return Refusal(f"what {attempt.step} did is unknown", hint="resolve it, or roll back", exit_code=3)
    found = readiness(view, section)
    if not found.go:
        worst = min(found.unmet, key=lambda one: one.exit_code)
        more = len(found.unmet) - 1
        tail = f", and {more} more" if more else ""
        return Refusal(f"no go: {worst.sentence}{tail}", exit_code=found.exit_code)
    return None


def _trying(view: View) -> Refusal | None:
    """Refuses to deploy, to close or to end while something that does more than read is under way."""
    running = (one for one in view.run.trials.values() if one.end is None and one.id in view.alive)
    return next((Refusal(f"{one.step} is still running") for one in running), None)


def gate(view: View, section_id: str) -> Refusal | None:
    """Whether a decision on this section's gate may be taken at all."""
    if refusal := changing(view) or _gateless(view) or rolling(view):
        return refusal
    section = view.section
    if view.target.checklist.section(section_id) is None:
        return Refusal(f"there is no section {section_id}")
    if view.run.standing:
        return None
    if section is None or section.id != section_id:
        state = section_state(view.run, view.target, section_id)
        return Refusal(f"{section_id} is closed" if state == "closed" else f"{section_id} is not open yet")
    return _holding(view) if needs_lock(view, section) else None


def needs_lock(view: View, section: Section) -> bool:
    """Whether deciding on `section` needs the environment's lock: a pre section that opens another does not."""
    from captain.run.view import section_after

    if section.phase in ("deploy", "post"):
        return True
    following = section_after(view.target, section.id)
    return following is not None and following.phase == "deploy"


def reopen(view: View, section_id: str) -> Refusal | None:
    """Whether a closed section may be opened again."""
    if refusal := changing(view) or rolling(view):
        return refusal
    if view.target.checklist.section(section_id) is None:
        return Refusal(f"there is no section {section_id}")
    if section_state(view.run, view.target, section_id) != "closed":
        return Refusal(f"{section_id} is not closed")
    if view.run.started_anything:
        return Refusal("the deployment was started: a closed section stays closed", hint="roll back, or go on")
    return _holding(view)


def resolve(view: View, step: Step) -> Refusal | None:
    """Whether a person may say what an unknown action did."""
    if refusal := changing(view):
        return refusal
    attempt = view.run.attempt_of(step.id)
    if attempt is None:
        return Refusal(f"{step.id} was not started")
    if attempt.id in view.alive:
        return Refusal(f"{step.id} is still running")
    if attempt.external and attempt.resolved is None and status(view, step).verdict.value == "unknown":
        return None
    if not unsettled(view, attempt):
        return Refusal(f"what {step.id} did is known: {status(view, step).message}")
    return None


def abort(view: View) -> Refusal | None:
    """Whether the run may be given up."""
    if refusal := changing(view):
        return refusal
    if any(attempt.id in view.alive for attempt in view.run.attempts.values()):
        return Refusal("an action is still running", hint="roll back stops it, or wait for its end")
    if refusal := _trying(view):
        return refusal
    return _holding(view) if view.run.bars_others or view.run.rollback else None


def roll_back(view: View) -> Refusal | None:
    """Whether a rollback may start, or go on."""
    if view.stopped is not None or view.read_only:
        return changing(view)
    run = view.run
    if run.kind == "check":
        return Refusal("a check changes nothing: there is nothing to roll back")
    if run.standing:
        return Refusal("a review changes nothing: there is nothing to roll back")
    if run.state == "rolled_back":
        return Refusal("this run is rolled back already")
    if run.state == "completed":
        return Refusal(
            "rolling back a completed run is not in this captain yet",
            hint="start the earlier release as a run of its own",
        )
    if run.ended:
        return Refusal(f"the run is {run.state}")
    if not run.started_anything:
        return Refusal(
            "nothing was started by this run: there is nothing to roll back",
            hint="abort gives the run up; rolling back the release that runs now is not in this captain yet",
        )
    if refusal := _holding(view):
        return refusal
    if run.point is None or run.no_way_back is not None:
        reason = run.no_way_back or "no way back was recorded"
        return Refusal(f"there is no way back: {reason}", hint="put it right by hand, then abort and say what is left")
    return None


def withdraw(view: View, seq: int) -> Refusal | None:
    """Whether a sign-off or waiver may be taken back by the person at this face."""
    if refusal := changing(view):
        return refusal
    signed: list[SignOff | Waiver] = [*view.run.sign_offs, *view.run.countersigns, *view.run.waivers]
    one = next((found for found in signed if found.seq == seq), None)
    if one is None or seq in view.run.withdrawn:
        return Refusal(f"entry {seq} is no sign-off that stands")
    if one.by.casefold() != view.me.casefold():
        return Refusal(f"entry {seq} was signed by {one.by}: only they can take it back")
    return None
