"""Whether a section may close, and why not. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from captain.measurement import Verdict, worst
from captain.run import SignOff, Waiver, countersigning
from captain.run.signing import expired, impossible, may_reject, may_sign, missing
from captain.run.since import before_opening, for_older_commit
from captain.run.status import Status, roles, status
from captain.run.view import View

if TYPE_CHECKING:
    from captain.checklist import Section, SignOffRule, Step


@dataclass(frozen=True, slots=True)
class Unmet:
    """One thing that keeps a gate closed."""

    step: str | None
    """None for the gate itself."""
    sentence: str
    exit_code: int
    """1 failed or rejected, 3 unknown, 4 waits for a person."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a go for a section would rest on."""

    section: str
    unmet: tuple[Unmet, ...]
    risk: tuple[str, ...]
    counted: tuple[tuple[str, Verdict, int | None], ...]
    """Step, true verdict, number of the entry that says so."""
    verdict: Verdict
    """The worst of the blockers, at least warn where a warning is not met."""

    @property
    def go(self) -> bool:
        return not self.unmet

    @property
    def exit_code(self) -> int:
        """0 go, else 1 before 3 before 4."""
        return min((one.exit_code for one in self.unmet), default=0)


def readiness(view: View, section: Section) -> Readiness:
    """Whether the gate of `section` may open now."""
    unmet: list[Unmet] = []
    risk: list[str] = []
    counted: list[tuple[str, Verdict, int | None]] = []
    verdicts: list[Verdict] = []
    for step in section.steps:
        found = status(view, step)
        if found.state == "disabled":
            continue
        counted.append((step.id, found.verdict, found.result.seq if found.result else None))
        if step.severity == "info":
            continue
        if found.risk is not None:
            risk.append(found.risk)
        if found.counts:
            if found.state == "waived":
                verdicts.append(Verdict.WARN)
            elif found.state != "not-applicable":
                verdicts.append(found.verdict)
            continue
        if step.severity == "warning" and not (found.waits or found.rejected):
            verdicts.append(Verdict.WARN)
            continue
        problem = why_not(step, found)
        unmet.append(problem)
        verdicts.append(_as_verdict(problem, found))
    unmet += _gate_signatures(view, section)
    verdict = worst(verdicts) if verdicts else Verdict.PASS
    return Readiness(section.id, tuple(unmet), tuple(risk), tuple(counted), verdict)


def one_person(view: View, section: Section) -> list[str]:
    """Where a second person was owed and `people` names none able to: the record of a go says so."""
    if not view.target.service.people:
        return []
    found = [
        f"{step.id}: countersign impossible: one person"
        for step in section.steps
        if (one := _let_go(view, step)) is not None and countersigning.owed(view, step, one.by) == "impossible"
    ]
    rules = [(step.id, rule) for step in section.steps for rule in step.sign_off]
    rules += [(section.id, rule) for rule in section.gate.sign_off]
    return found + list(
        dict.fromkeys(
            f"{name}: another signer impossible: one person" for name, rule in rules if impossible(view, rule)
        )
    )


def _let_go(view: View, step: Step) -> SignOff | Waiver | None:
    found = status(view, step)
    if found.state == "waived":
        return found.waiver
    given = (one for one in found.signed if one.meaning == "not_applicable")
    return next(given, None) if found.state == "not-applicable" else None


def _as_verdict(problem: Unmet, found: Status) -> Verdict:
    if problem.exit_code == 1 or found.verdict is Verdict.FAIL:
        return Verdict.FAIL
    return Verdict.UNKNOWN if not found.verdict.good else found.verdict


def why_not(step: Step, found: Status) -> Unmet:
    """Why a step that does not count keeps the gate closed."""
    if found.rejected is not None:
        return Unmet(step.id, f"{step.title}: {found.message}", 1)
    if found.owed is not None:
        return Unmet(step.id, f"{step.title}: {found.message}", 4)
    if found.verdict is Verdict.FAIL:
        return Unmet(step.id, f"{step.title}: {found.message}", 1)
    if found.state == "stale":
        return Unmet(step.id, f"{step.title}: {found.stale_why}", 3)
    if found.state in ("waiting", "lapsed"):
        # What could not be measured either is unknown first: a signature alone would not open the gate.
        return Unmet(step.id, f"{step.title}: waits for {roles(found.waits)}", 4)
    if step.action is not None and found.attempt is None:
        return Unmet(step.id, f"{step.title}: not started yet", 4)
    return Unmet(step.id, f"{step.title}: {found.message}", 3)


def _gate_signatures(view: View, section: Section) -> list[Unmet]:
    rules = list(section.gate.sign_off)
    signed = gate_signed(view, section)
    found = [
        Unmet(None, f"gate rejected by {one.by}: {one.note}", 1)
        for one in signed
        if one.meaning == "reject" and may_reject(view, section.gate.sign_off, one.by)
    ]
    waits = [rule for rule in rules if missing(view, [rule], signed) and not own_go_meets(view, rule, signed)]
    found += [Unmet(None, f"the gate waits for {roles((rule.role or '',))}", 4) for rule in waits]
    return found


def gate_signed(view: View, section: Section) -> list[SignOff]:
    """The sign-offs on a section's gate that stand."""
    return [one for one in view.run.signed("gate", section.id) if _stands(view, section, one)]


def _stands(view: View, section: Section, one: SignOff) -> bool:
    if one.seq in view.run.lapsed or expired(view, one) or for_older_commit(view, one):
        return False
    return one.meaning != "approve" or not before_opening(view, section, one)


def own_go_meets(view: View, rule: SignOffRule, signed: list[SignOff]) -> bool:
    """Whether the go of the person at this face is the one signature that a gate's rule still lacks."""
    already = any(one.by.casefold() == view.me.casefold() for one in signed)
    if already or not view.me or rule.evidence == "required":
        return False
    return len(missing(view, [rule], signed)) == 1 and may_sign(view, rule, view.me)
