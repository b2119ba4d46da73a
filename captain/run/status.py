"""What one step means now: its state, its verdict, who must still sign, and whether a gate may count it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from captain.measurement import SAFETIES, Verdict
from captain.run import Attempt, Result, SignOff, Trial, Waiver, countersigning, resting, soaking
from captain.run.facts import named, worse
from captain.run.signing import asked_for, fits, may_excuse, may_reject, may_sign, missing, signed, stands
from captain.run.since import anew, live, overtaken, rebound, signed_too_early
from captain.run.summing import summed_before
from captain.run.view import View, section_state

if TYPE_CHECKING:
    from captain.checklist import SignOffRule, Step

__all__ = [
    "State",
    "Status",
    "asked_for",
    "covers",
    "fits",
    "fresh",
    "live",
    "may_sign",
    "missing",
    "stale_because",
    "stands",
    "status",
    "unmet",
    "unsettled",
    "worse",
]

MAX_ALIASES = 8
TOO_OLD = "measured too long ago"
CLOCK_SLACK = timedelta(seconds=2)
"""A result may be dated so far ahead of the clock; further ahead its age is unknown."""

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
    owed: SignOff | Waiver | None = None
    """What would let the step go once another person countersigns it."""
    counts: bool = False
    """Whether a gate may count it as good."""
    risk: str | None = None
    """Why counting it makes the go a go with risk."""
    stale_why: str | None = None
    """Why it must be measured again, where it must."""

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
    trial = view.run.trials.get(step.id)
    if trial is not None and trial.end is None:
        return _begun(view, trial)
    if result is None and step.safety != "read" and not step.unmeasured and step.id not in view.asking:
        return Status("todo", Verdict.UNKNOWN, by_itself(view, step))
    if result is None:
        if why := step.unmeasured:
            return Status("todo", Verdict.UNKNOWN, why)
        state: State = "measuring" if step.id in view.asking else "todo"
        return Status(state, Verdict.UNKNOWN, "not measured yet")
    age = max(view.now - result.at, timedelta(0))
    message = soaking.counting(view, step, result) if step.soak is not None else result.message
    found = Status("measured", result.verdict, message, result, age=age)
    if step.id in view.asking:
        return _asked_again(found, result)
    why = stale_because(view, step, result)
    return found if why is None else replace(found, state="stale", stale_why=why)


def _asked_again(found: Status, result: Result) -> Status:
    """Being measured: what was seen before is told as old, and never as what is seen now."""
    return replace(found, state="measuring", message=f"asked again now; before: {result.verdict}, {result.message}")


def by_itself(view: View, step: Step) -> str:
    """Why a step that does more than read was not measured, and how it can be."""
    if step.levels <= {"read", *view.target.allow}:
        return f"{step.safety}: it runs only by itself (key a, or captain act)"
    return not_allowed(view, step)


def not_allowed(view: View, step: Step) -> str:
    """That the environment does not let the step do what it does."""
    where = view.target.environment
    missing = [one for one in SAFETIES if one in step.levels - {"read", *view.target.allow}]
    what = " and ".join(missing)
    return f"{what}: environments.{where}.allow does not name it, so it is not run in {where}"


def _begun(view: View, trial: Trial) -> Status:
    if trial.step in view.asking or trial.id in view.alive:
        return Status("measuring", Verdict.UNKNOWN, f"runs since {trial.intent.ts[11:19]} UTC")
    when = trial.intent.ts[:19].replace("T", " ")
    said = f"was started at {when} UTC and nobody saw its end: what it left behind is unknown"
    return Status("measured", Verdict.UNKNOWN, said)


def stale_because(view: View, step: Step, result: Result, depth: int = 0) -> str | None:
    """Why a result is too old to be counted. What a closed gate counted stays as it was."""
    at = view.step(step.id)
    if at is None or view.run.ended or section_state(view.run, view.target, at[0].id) == "closed":
        return None
    if why := overtaken(view, at[0], result):
        return why
    if why := soaking.ended(view, step, result) if step.soak is not None else rebound(view, step, result):
        return why
    if result.max_age_ms and result.at > view.now + CLOCK_SLACK:
        return "measured at a time that the clock has not reached"
    if resting.changed(view, result):
        return "what it read may have changed since"
    if 0 < result.max_age_ms < (view.now - resting.seen_at(view, result)) / timedelta(milliseconds=1):
        return TOO_OLD
    if why := summed_before(view, step, result):
        return why
    if at[0].phase in ("pre", None) and result.seq < view.deployed and live(step) and step.soak is None:
        return "measured before another run changed this environment"
    return _stands_for_older(view, step, result, depth) if depth < MAX_ALIASES else None


def _stands_for_older(view: View, step: Step, result: Result, depth: int) -> str | None:
    """Why an alias that read what was recorded of another step is as old as that."""
    references = [one for ask in step.asks.values() if (one := getattr(ask, "step", None)) is not None]
    for other in map(view.target.step, references):
        if other is None or view.step(other.id) is None:
            continue
        seen = view.run.results.get(other.id)
        if result.verdict.good and (why := _unsigned(view, other, seen)):
            return f"{other.title}: {why}"
        if anew(other) or seen is None:
            continue
        if seen.seq > result.seq:
            return f"{other.title} was measured again since"
        if other.action is None and (why := stale_because(view, other, seen, depth + 1)):
            return f"{other.title}: {why}"
    return None


def _unsigned(view: View, other: Step, seen: Result | None) -> str | None:
    """Why the signatures that an alias of this step counted do not stand any more; None where they do."""
    if other.manual is None and not other.sign_off:
        return None
    verdict, message = (Verdict.UNKNOWN, "") if seen is None else (seen.verdict, seen.message)
    now = _signed(view, other, Status("measured", verdict, message, seen))
    return now.message if now.waits or now.rejected is not None else None


def fresh(found: Status) -> bool:
    """Whether what was measured last is good and not stale, whoever has still to sign it."""
    return found.result is not None and found.stale_why is None and found.verdict.good


def _action(view: View, step: Step) -> Status:
    attempt = view.run.attempt_of(step.id)
    if attempt is None:
        return Status("todo", Verdict.UNKNOWN, step.unmeasured or "not started yet")
    result = view.run.results.get(step.id)
    if result is not None and result.attempt != attempt.id:
        result = None
    age = None if result is None else max(view.now - result.at, timedelta(0))
    if _word_stands(attempt, result):
        return _resolved(attempt, result, age)
    if attempt.resolved is not None and attempt.resolved.data["outcome"] == "not_applied":
        return Status("todo", Verdict.UNKNOWN, str(attempt.resolved.data["note"]), None, attempt)
    if attempt.finished is None and not attempt.external:
        if attempt.id in view.alive:
            return Status("running", Verdict.UNKNOWN, "running", result, attempt, age)
        return Status("measured", Verdict.UNKNOWN, "interrupted: what it did is unknown", result, attempt, age)
    if result is not None:
        found = Status("measured", result.verdict, result.message, result, attempt, age)
        return _asked_again(found, result) if step.id in view.asking else found
    if step.id in view.asking:
        return Status("measuring", Verdict.UNKNOWN, "ended, looking what is really there", None, attempt)
    if attempt.external:
        return Status("measured", Verdict.UNKNOWN, "expected; not seen to arrive yet", None, attempt)
    return Status("measured", Verdict.UNKNOWN, "ended; its effect was not observed yet", None, attempt)


def _word_stands(attempt: Attempt, result: Result | None) -> bool:
    """Whether a person's word on an unknown action is the newest that is known; what is seen later outranks it."""
    said = attempt.resolved
    if said is None or said.data["by"] != "person":
        return False
    if said.data["outcome"] == "not_applied" or result is None:
        return True
    return result.seq < said.seq or result.verdict is Verdict.UNKNOWN


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
    for one in signed(view, step):
        (valid if stands(view, step, one, found.verdict) else lapsed).append(one)
    rejects = [one for one in valid if one.meaning == "reject" and may_reject(view, step.sign_off, one.by)]
    rejected = rejects[0] if rejects else None
    rules = [rule for rule in step.sign_off if asked_for(view, step, rule, found.result)]
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
            message = _early(view, step, lapsed) + f"waits for {roles(waits)}: {step.manual}"
    elif waits and found.verdict.good and found.state == "measured":
        state = "lapsed" if lapsed and not valid else "waiting"
        message = f"waits for {roles(waits)}; {message}"
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


def _early(view: View, step: Step, lapsed: list[SignOff]) -> str:
    """Who signed too early, as the beginning of a sentence; empty where nobody did."""
    early = [(one, why) for one in lapsed if (why := signed_too_early(view, step, one))]
    return f"signed by {early[-1][0].by} {early[-1][1]}; " if early else ""


def roles(waits: tuple[str, ...]) -> str:
    """Whose sign-offs are missing, in words."""
    return ", ".join(f"a sign-off by the role {role}" if role else "a sign-off" for role in waits)


def _anybody() -> SignOffRule:
    from captain.checklist import SignOffRule

    return SignOffRule()


def _decided(view: View, step: Step, found: Status) -> Status:
    """Waivers and not-applicable, over what was measured. A reject only its own author takes away."""
    if found.rejected is not None:
        return found
    risky = step.severity == "blocker" or (step.severity == "warning" and bool(step.sign_off))
    for one in found.signed:
        if one.meaning == "not_applicable" and may_excuse(view, step, one.by):
            if countersigning.waits(view, step, one):
                found = _owing(found, one, f"called not applicable by {one.by}")
                continue
            return replace(
                found,
                state="not-applicable",
                message=f"not applicable, says {one.by}: {one.note}",
                risk=f"{step.id}: not applicable, says {one.by}" if risky else None,
            )
    waiver = view.run.waiver(step.id)
    if waiver is not None and may_excuse(view, step, waiver.by) and covers(view, step, waiver, found):
        if countersigning.waits(view, step, waiver):
            return _owing(found, waiver, f"waived by {waiver.by}")
        return replace(
            found,
            state="waived",
            waiver=waiver,
            message=f"waived by {waiver.by} till {waiver.expires:%d %b}: {waiver.event.data['reason']}",
            risk=f"{step.id}: waived by {waiver.by}" if risky else None,
        )
    return found


def _owing(found: Status, one: SignOff | Waiver, what: str) -> Status:
    return replace(found, owed=one, message=f"{found.message}; {what}, which waits for a countersign")


def covers(view: View, step: Step, waiver: Waiver, found: Status) -> bool:
    """Whether a waiver holds for what is seen now: no condition is unmet that it did not name."""
    if view.latest >= waiver.expires or waiver.event.data["definition"] != view.definitions.get(step.id):
        return False
    if found.verdict.good and not found.stale:
        return True
    if found.result is None:
        return found.attempt is None or found.state == "todo"
    at = view.step(step.id)
    if step.action is None and at is not None and overtaken(view, at[0], found.result):
        # Whatever was met before the deployment may be unmet after it.
        return _all(step) <= waiver.covers
    return unmet(step, found.result) <= waiver.covers


def unmet(step: Step, result: Result) -> frozenset[str]:
    """The conditions that a result leaves unmet: all of them where nothing could be judged."""
    if not result.conditions and not result.verdict.good:
        return _all(step)
    return result.unmet


def _all(step: Step) -> frozenset[str]:
    return frozenset(map(named, step.expect))


def _counts(found: Status) -> bool:
    if found.state in ("waived", "not-applicable"):
        return True
    if found.rejected is not None or found.waits:
        return False
    return found.state == "measured" and found.verdict.good


def _risk(step: Step, found: Status) -> str | None:
    # What waits for a person or was rejected keeps the gate closed; a warning that is only not met is a risk.
    if step.severity != "warning" or _counts(found) or found.waits or found.rejected is not None:
        return None
    return f"{step.id}: {found.stale_why or found.verdict}"
