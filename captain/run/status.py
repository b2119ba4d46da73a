"""What one step means now: its state, its verdict, who must still sign, and whether a gate may count it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from captain.measurement import Verdict
from captain.run import Attempt, Result, SignOff, Waiver
from captain.run.view import View, section_state

if TYPE_CHECKING:
    from captain.checklist import SignOffRule, Step

State = Literal[
    "todo",
    "measuring",
    "running",
    "measured",
    "stale",
    "waiting",
    "lapsed",
    "waived",
    "not-applicable",
    "overridden",
    "not-run",
    "disabled",
]


@dataclass(frozen=True, slots=True)
class Status:
    """One step at one moment."""

    state: State
    verdict: Verdict
    """The true verdict, whatever was waived."""
    message: str
    """One sentence: what was seen, or what is missing."""
    result: Result | None = None
    attempt: Attempt | None = None
    age: timedelta | None = None
    signed: tuple[SignOff, ...] = ()
    """Valid sign-offs."""
    lapsed: tuple[SignOff, ...] = ()
    waiver: Waiver | None = None
    """The waiver that covers it now."""
    waits: tuple[str, ...] = ()
    """Roles whose sign-off is missing, "" for anybody's."""
    rejected: SignOff | None = None
    counts: bool = False
    """Whether a gate may count it as good."""
    risk: str | None = None
    """Why counting it makes the go a go with risk."""

    @property
    def stale(self) -> bool:
        return self.state == "stale"


def status(view: View, step: Step) -> Status:
    """What `step` means in this view."""
    if step.disabled is not None:
        return Status("disabled", Verdict.UNKNOWN, f"switched off: {step.disabled}", counts=True)
    if reason := view.skipped.get(step.id):
        return Status("not-applicable", Verdict.UNKNOWN, reason, counts=True)
    found = _action(view, step) if step.action is not None else _measured(view, step)
    found = _signed(view, step, found)
    found = _decided(view, step, found)
    return replace(found, counts=_counts(found), risk=found.risk or _risk(step, found))


def _measured(view: View, step: Step) -> Status:
    result = view.run.results.get(step.id)
    if result is not None and result.definition != view.definitions.get(step.id):
        result = None
    if step.manual is not None and not step.asks:
        return Status("waiting", Verdict.UNKNOWN, "a person must confirm it")
    if result is None:
        if why := step.unmeasured:
            return Status("todo", Verdict.UNKNOWN, why)
        state: State = "measuring" if step.id in view.asking else "todo"
        return Status(state, Verdict.UNKNOWN, "not measured yet")
    age = max(view.now - result.at, timedelta(0))
    found = Status("measured", result.verdict, result.message, result, age=age)
    if step.id in view.asking:
        return replace(found, state="measuring")
    return replace(found, state="stale") if is_stale(view, step, result, age) else found


def is_stale(view: View, step: Step, result: Result, age: timedelta) -> bool:
    """Whether a result is too old to be counted. What a closed gate counted stays as it was."""
    at = view.target.checklist.find(step.id)
    if at is None or view.run.ended or section_state(view.run, view.target, at[0].id) == "closed":
        return False
    return 0 < result.max_age_ms < age / timedelta(milliseconds=1)


def _action(view: View, step: Step) -> Status:
    attempt = view.run.attempt_of(step.id)
    if attempt is None:
        return Status("todo", Verdict.UNKNOWN, step.unmeasured or "not started yet")
    result = view.run.results.get(step.id)
    if result is not None and result.attempt != attempt.id:
        result = None
    age = None if result is None else max(view.now - result.at, timedelta(0))
    if attempt.resolved is not None and attempt.resolved.data["by"] == "person":
        return _resolved(attempt, result, age)
    if attempt.resolved is not None and attempt.resolved.data["outcome"] == "not_applied":
        return Status("todo", Verdict.UNKNOWN, str(attempt.resolved.data["note"]), None, attempt)
    if attempt.finished is None and not attempt.external:
        if attempt.id in view.alive:
            return Status("running", Verdict.UNKNOWN, "running", result, attempt, age)
        return Status("measured", Verdict.UNKNOWN, "interrupted: what it did is unknown", result, attempt, age)
    if result is not None:
        state: State = "measuring" if step.id in view.asking else "measured"
        return Status(state, result.verdict, result.message, result, attempt, age)
    if step.id in view.asking:
        return Status("measuring", Verdict.UNKNOWN, "ended, looking what is really there", None, attempt)
    if attempt.external:
        return Status("measured", Verdict.UNKNOWN, "expected; not seen to arrive yet", None, attempt)
    return Status("measured", Verdict.UNKNOWN, "ended; its effect was not observed yet", None, attempt)


def _resolved(attempt: Attempt, result: Result | None, age: timedelta | None) -> Status:
    assert attempt.resolved is not None
    who = attempt.resolved.actor.name
    outcome = attempt.resolved.data["outcome"]
    if outcome == "applied":
        return Status("measured", Verdict.WARN, f"applied, by the word of {who}", result, attempt, age)
    if outcome == "partial":
        return Status("measured", Verdict.FAIL, f"applied in part, by the word of {who}", result, attempt, age)
    return Status("todo", Verdict.UNKNOWN, f"not applied, by the word of {who}; it may be started again", None, attempt)


def unsettled(view: View, attempt: Attempt) -> bool:
    """Whether nobody knows what this attempt did: neither its end, an observation nor a person says so."""
    if attempt.resolved is not None or attempt.id in view.alive:
        return False
    if attempt.external:
        return False
    result = view.run.results.get(attempt.step or "")
    if result is not None and result.attempt == attempt.id and result.verdict is not Verdict.UNKNOWN:
        return False
    return not (attempt.outcome == "exited" and (attempt.exit_code != 0 or not attempt.intent.data["observe"]))


def _signed(view: View, step: Step, found: Status) -> Status:
    """Which sign-offs stand, which lapsed, whose are missing."""
    valid: list[SignOff] = []
    lapsed: list[SignOff] = []
    for one in view.run.signed("step", step.id):
        (valid if stands(view, step, one, found.verdict) else lapsed).append(one)
    rejected = next((one for one in valid if one.meaning == "reject" and _holds_role(view, step.sign_off, one)), None)
    rules = [rule for rule in step.sign_off if asked_for(view, step, rule, found)]
    if step.manual is not None and not step.sign_off:
        rules = [_anybody()]
    waits = missing(view, rules, valid)
    verdict, state, message = found.verdict, found.state, found.message
    approvals = [one for one in valid if one.meaning == "approve"]
    if rejected is not None:
        message = f"rejected by {rejected.by}: {rejected.note}"
        if step.manual is not None:
            verdict, state = Verdict.FAIL, "measured"
    elif step.manual is not None and not step.asks:
        if not waits:
            verdict, state = Verdict.PASS, "measured"
            message = "approved by " + ", ".join(one.by for one in approvals)
        else:
            state = "lapsed" if lapsed and not valid else "waiting"
            message = f"waits for {_roles(waits)}"
    elif waits and found.verdict.good and found.state == "measured":
        state = "lapsed" if lapsed and not valid else "waiting"
    return replace(
        found,
        state=state,
        verdict=verdict,
        message=message,
        signed=tuple(valid),
        lapsed=tuple(lapsed),
        waits=waits,
        rejected=rejected,
    )


def _roles(waits: tuple[str, ...]) -> str:
    return ", ".join(role or "a sign-off" for role in waits)


def _anybody() -> SignOffRule:
    from captain.checklist import SignOffRule

    return SignOffRule()


def stands(view: View, step: Step, one: SignOff, verdict: Verdict) -> bool:
    """Whether a sign-off still holds: same definition, not expired, verdict no worse than the one seen."""
    if one.event.data["definition"] != view.definitions.get(step.id):
        return False
    if one.expires is not None and view.now >= one.expires:
        return False
    seen = one.event.data["seen"]
    if seen is None or one.meaning != "approve":
        return True
    return not worse(verdict, Verdict(seen["verdict"]))


def worse(now: Verdict, seen: Verdict) -> bool:
    """Whether `now` is a worse verdict than `seen`."""
    order = (Verdict.PASS, Verdict.WARN, Verdict.UNKNOWN, Verdict.FAIL)
    return order.index(now) > order.index(seen)


def _holds_role(view: View, rules: tuple[SignOffRule, ...], one: SignOff) -> bool:
    return any(fits(view, rule, one) for rule in rules) if rules else True


def fits(view: View, rule: SignOffRule, one: SignOff) -> bool:
    """Whether this person's sign-off can meet this rule."""
    return may_sign(view, rule, one.by)


def may_sign(view: View, rule: SignOffRule, name: str) -> bool:
    """Whether a person of that name can meet this rule. Without `people` anybody has every role."""
    if rule.not_starter and second_person(view) and name.casefold() == view.run.start.actor.name.casefold():
        return False
    if rule.role is None or not view.target.service.people:
        return True
    return rule.role in view.target.service.roles_of(name)


def second_person(view: View) -> bool:
    """Whether `people` names somebody besides the one who started the run."""
    starter = view.run.start.actor.name.casefold()
    return any(name.casefold() != starter for name in view.target.service.people)


def missing(view: View, rules: list[SignOffRule], valid: list[SignOff]) -> tuple[str, ...]:
    """The roles whose approvals are missing, once per missing signature."""
    waits: list[str] = []
    for rule in rules:
        good = [one for one in valid if one.meaning == "approve" and fits(view, rule, one)]
        if rule.evidence == "required":
            good = [one for one in good if one.event.data["evidence"]]
        waits += [rule.role or ""] * (rule.count - len(good))
    return tuple(waits)


def asked_for(view: View, step: Step, rule: SignOffRule, found: Status) -> bool:
    """Whether a rule applies: its `when` is true, or cannot be told."""
    if not rule.when:
        return True
    from captain.run.whens import holds

    return holds(view, step, rule.when, found.result) is not False


def _decided(view: View, step: Step, found: Status) -> Status:
    """Waivers and not-applicable, over what was measured."""
    for one in found.signed:
        if one.meaning == "not_applicable":
            blocker = step.severity == "blocker"
            return replace(
                found,
                state="not-applicable",
                message=f"not applicable, says {one.by}: {one.note}",
                risk=f"{step.id}: not applicable, says {one.by}" if blocker else None,
            )
    waiver = view.run.waiver(step.id)
    if waiver is not None and covers(view, step, waiver, found):
        return replace(
            found,
            state="waived",
            waiver=waiver,
            message=f"waived by {waiver.by} till {waiver.expires:%d %b}: {waiver.event.data['reason']}",
            risk=f"{step.id}: waived by {waiver.by}" if step.severity == "blocker" else None,
        )
    return found


def covers(view: View, step: Step, waiver: Waiver, found: Status) -> bool:
    """Whether a waiver holds for what is seen now: no condition is unmet that it did not name."""
    if view.now >= waiver.expires or waiver.event.data["definition"] != view.definitions.get(step.id):
        return False
    if found.result is None:
        return True
    return found.result.unmet <= waiver.covers or found.verdict.good


def _counts(found: Status) -> bool:
    if found.state in ("waived", "not-applicable"):
        return True
    if found.rejected is not None or found.waits:
        return False
    return found.state == "measured" and found.verdict.good


def _risk(step: Step, found: Status) -> str | None:
    if step.severity != "warning" or _counts(found):
        return None
    return f"{step.id}: {found.verdict}"
