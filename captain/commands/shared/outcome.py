"""What measured steps come to without a gate's decision: verdict, reasons and exit code. Pure, over `captain.run`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from captain.measurement import Verdict, worst
from captain.run.gates import Unmet, readiness, why_not
from captain.run.status import Status, status
from captain.run.view import View

if TYPE_CHECKING:
    from captain.checklist import Section, Step


@dataclass(frozen=True, slots=True)
class Rules:
    """What is counted."""

    steps: Collection[str] | None = None
    """Only these; None means all."""
    manual: bool = True
    """Whether missing sign-offs count, of steps and of gates."""
    actions: bool = True
    """Whether actions count; a check without a run never starts one."""
    gates: bool = True
    """Whether the signatures of gates count; a run of kind check has no gates."""
    warnings: bool = False
    """Whether a warning is a no."""
    unmeasured: str | None = None
    """Why steps without a result have none: what their message then is."""


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """One step."""

    step: Step
    found: Status
    unmet: Unmet | None
    """Why it keeps the answer from being a go."""
    counted: bool
    """Whether its verdict counts at all."""


@dataclass(frozen=True, slots=True)
class SectionOutcome:
    """One section, as far as it was chosen."""

    section: Section
    steps: tuple[StepOutcome, ...]
    gate: tuple[Unmet, ...]
    """Signatures that the gate itself lacks."""
    risk: tuple[str, ...]

    @property
    def unmet(self) -> tuple[Unmet, ...]:
        return (*(one.unmet for one in self.steps if one.unmet is not None), *self.gate)

    @property
    def verdict(self) -> Verdict:
        """The worst that counts; a section in which nothing could count is unknown."""
        found = [_verdict(one) for one in self.steps if one.counted]
        if any(one.exit_code == 1 for one in self.gate):
            found.append(Verdict.FAIL)
        if self.risk:
            found.append(Verdict.WARN)
        if not found and self.steps and all(one.found.state in _SETTLED for one in self.steps):
            return Verdict.PASS
        return worst(found)


_SETTLED = ("disabled", "not-applicable", "waived", "measured")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything chosen, together."""

    sections: tuple[SectionOutcome, ...]
    warnings: bool

    @property
    def verdict(self) -> Verdict:
        """Sections in which nothing was to be counted leave it alone, unless there is no other."""
        counting = [one.verdict for one in self.sections if any(step.counted for step in one.steps) or one.gate]
        return worst(counting or [one.verdict for one in self.sections])

    @property
    def unmet(self) -> tuple[Unmet, ...]:
        return tuple(one for section in self.sections for one in section.unmet)

    @property
    def exit_code(self) -> int:
        """0 go; else 1 failed, 3 could not tell, 4 waits for a person, the first of them that applies."""
        codes = [one.exit_code for one in self.unmet]
        if self.warnings and self.verdict in (Verdict.WARN, Verdict.FAIL):
            codes.append(1)
        if not codes and self.verdict is Verdict.UNKNOWN:
            codes.append(3)
        return min(codes, default=0)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is no go, one sentence each."""
        found = [one.sentence for one in self.unmet]
        if self.warnings and self.verdict is Verdict.WARN:
            found += [risk for section in self.sections for risk in section.risk]
            found += [
                f"{one.step.title}: {one.found.message}"
                for section in self.sections
                for one in section.steps
                if one.counted and one.found.verdict is Verdict.WARN
            ]
        if not found and self.exit_code == 3:
            found.append("nothing was measured")
        return tuple(dict.fromkeys(found))


def outcome(view: View, rules: Rules) -> Outcome:
    """What the chosen steps of this view come to."""
    sections = []
    for section in view.target.checklist.sections:
        steps = [step for step in section.steps if rules.steps is None or step.id in rules.steps]
        if steps:
            sections.append(_section(view, section, steps, rules))
    return Outcome(tuple(sections), rules.warnings)


def _section(view: View, section: Section, steps: list[Step], rules: Rules) -> SectionOutcome:
    found = tuple(_step(view, step, rules) for step in steps)
    chosen = {step.id for step in steps}
    ready = readiness(view, section)
    gate = tuple(one for one in ready.unmet if one.step is None and rules.gates)
    if not rules.manual:
        gate = tuple(one for one in gate if one.exit_code != 4)
    risk = tuple(one for one in ready.risk if one.partition(":")[0] in chosen)
    counted = {one.step.id for one in found if one.counted}
    return SectionOutcome(section, found, gate, tuple(one for one in risk if one.partition(":")[0] in counted))


def _step(view: View, step: Step, rules: Rules) -> StepOutcome:
    found = status(view, step)
    if step.action is not None and not rules.actions:
        return StepOutcome(step, replace(found, state="not-run", message="not run by check"), None, False)
    if found.state == "todo" and step.asks and step.safety in view.target.allow and view.run.kind == "check":
        found = replace(found, message=f"{step.safety}: not run by check; captain act runs it in a release's run")
    if (
        rules.unmeasured is not None
        and found.state in ("todo", "measuring")
        and step.unmeasured is None
        and (step.safety == "read" or step.reads)
    ):
        found = replace(found, message=rules.unmeasured)
    if found.state in ("disabled", "not-applicable", "waived") or step.severity == "info":
        return StepOutcome(step, found, None, step.severity == "info" and found.state == "measured")
    if not rules.manual and found.rejected is None:
        if step.manual is not None and not step.asks:
            return StepOutcome(step, found, None, False)
        alone = _unsigned(found)
        unmet = None if alone.counts else _unmet(step, alone)
        return StepOutcome(step, found, unmet, True)
    return StepOutcome(step, found, None if found.counts else _unmet(step, found), True)


def _unsigned(found: Status) -> Status:
    """The same without its sign-offs: what the measurement alone says."""
    state = "measured" if found.state in ("waiting", "lapsed") else found.state
    bare = replace(found, state=state, waits=())
    return replace(bare, counts=bare.state == "measured" and bare.verdict.good)


def _unmet(step: Step, found: Status) -> Unmet | None:
    """Why a step that does not count is a no; a warning that is not met is none."""
    if step.severity == "warning" and not (found.waits or found.rejected):
        return None
    return why_not(step, found)


def _verdict(one: StepOutcome) -> Verdict:
    """What a counted step adds: an unmet warning is a warning, an informative step nothing."""
    if one.step.severity == "info":
        return Verdict.PASS
    if one.step.severity == "warning" and one.unmet is None and not one.found.verdict.good:
        return Verdict.WARN
    if one.unmet is not None:
        return Verdict.FAIL if one.unmet.exit_code == 1 else one.found.verdict
    return one.found.verdict
