"""A run in lines of text: steps with their verdicts, what is missing, and the command to type next. Judges nothing."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from captain.commands.shared.out import line
from captain.commands.shared.outcome import Outcome, StepOutcome
from captain.measurement import Verdict
from captain.run.status import unsettled

if TYPE_CHECKING:
    from captain.checklist import Step
    from captain.engine import Engine
    from captain.run import Run
    from captain.run.gates import Readiness
    from captain.run.view import View

_MARKS = {
    Verdict.PASS: ("✓ pass", "good"),
    Verdict.WARN: ("! warn", "warning"),
    Verdict.UNKNOWN: ("? unknown", "warning"),
    Verdict.FAIL: ("✗ FAIL", "bad"),
}
_STATES = {
    "todo": "○ todo",
    "measuring": "… asking",
    "running": "… running",
    "stale": "? stale",
    "waiting": "○ waits",
    "lapsed": "○ lapsed",
    "waived": "~ waived",
    "not-applicable": "- n/a",
    "not-run": "- not run",
    "disabled": "- off",
}


_ANSWERS = {0: ("GO", "good"), 1: ("NO-GO", "bad"), 3: ("NO-GO  cannot tell", "warning"), 4: ("WAITS", "warning")}


def mark(verdict: Verdict, state: str = "measured") -> tuple[str, str]:
    """Glyph and word of a step, and their colour. Never colour alone."""
    if state in ("measured", "overridden") or (verdict is Verdict.FAIL and state != "measuring"):
        return _MARKS[verdict]
    return _STATES[state], "quiet" if state in ("not-applicable", "not-run", "disabled", "waived") else "warning"


def head(run: Run) -> str:
    """Which run it is."""
    return heading(run.service, run.environment, run.release.version, run.release.commit, run.checklist)


def heading(service: str, environment: str, version: str | None, commit: str | None, checklist: str) -> str:
    """What is released, where to, which version and commit as far as they are known, and by which checklist."""
    release = " ".join(one for one in (version, (commit or "")[:7]) if one)
    return f"{' › '.join(one for one in (service, environment, release) if one)}  {checklist}"


def steps(outcome: Outcome) -> None:
    """Every section with its steps."""
    titles = [one.step.title for section in outcome.sections for one in section.steps]
    width = min(max(map(len, titles), default=0), 40)
    for section in outcome.sections:
        line("")
        line((section.section.title, "strong"))
        for one in section.steps:
            _step(one, width)


def _step(one: StepOutcome, width: int) -> None:
    found = one.found
    # What a person refused is no pass, whatever was measured.
    word, tone = mark(found.verdict, found.state) if found.rejected is None else ("✗ rejected", "bad")
    settled = found.verdict.good and found.state != "measuring" and found.rejected is None
    tried = "  after a retry" if settled and found.result is not None and _retried(one) else ""
    weight = "" if one.step.severity == "blocker" else f"  ({one.step.severity})"
    line("  ", (f"{word:<10}", tone), f" {one.step.title:<{width}}  {found.message}{tried}{weight}")
    if found.result is None or found.verdict is Verdict.PASS or found.state == "measuring":
        return
    for condition in found.result.conditions:
        told = condition["expect"] in found.message and condition["resolved"] in found.message
        if condition["role"] == "expect" and condition["verdict"] != "pass" and not told:
            line(" " * 15, f"{condition['expect']}   {condition['resolved']}")


def _retried(one: StepOutcome) -> bool:
    waits = one.step.within or one.step.hold or one.step.every
    return not waits and one.found.result is not None and one.found.result.attempts > 1


def verdict(outcome: Outcome) -> None:
    """The last line: the answer, and why."""
    line("")
    code = outcome.exit_code
    word, tone = _ANSWERS[code]
    risk = [one for section in outcome.sections for one in section.risk] if code == 0 else []
    line((word, tone), f"  with risk: {', '.join(risk)}" if risk else "")
    for reason in outcome.reasons:
        line(f"  {reason}")


def stands(view: View) -> None:
    """How the gate of the open section stands."""
    section = view.section
    if section is None:
        return
    from captain.run.gates import readiness

    ready = readiness(view, section)
    line("")
    word, tone = _ANSWERS[ready.exit_code]
    line(f"{section.title}: ", (word, tone), f"  with risk: {', '.join(ready.risk)}" if ready.go and ready.risk else "")
    for one in ready.unmet:
        line(f"  {one.sentence}")


def next_command(engine: Engine) -> str:
    """What to type next in a run."""
    view = engine.view()
    run = view.run
    name = run.id
    if run.ended:
        return f"captain show {name}"
    if view.untrusted and engine.trust() is not None:
        return f"captain trust {run.checklist} -e {run.environment}"
    if run.rollback is not None:
        return f"captain rollback {name}{_confirm(view)}"
    section = view.section
    if section is None:
        return f"captain show {name}"
    for step in section.steps:
        attempt = run.attempt_of(step.id)
        if attempt is not None and unsettled(view, attempt):
            return f"{_look(view)} --step {step.id}"
    from captain.run.gates import readiness

    ready = readiness(view, section)
    if run.standing:
        # Its sections are categories: the first that lacks something is next.
        found = ((one, readiness(view, one)) for one in view.target.checklist.sections)
        lacking = next(((one, what) for one, what in found if not what.go), None)
        return _look(view) if lacking is None else _for_gate(view, lacking[0].id, lacking[1])
    return _for_gate(view, section.id, ready)


def _for_gate(view: View, section: str, ready: Readiness) -> str:
    from captain.run import allowed

    name = view.run.id
    if ready.go:
        return f"captain gate {name} {section} --go{_confirm(view)}"
    first = min(ready.unmet, key=lambda one: (one.exit_code not in (1, 3), one.exit_code))
    found = view.step(first.step) if first.step is not None else None
    step = found[1] if found is not None else None
    if step is not None and step.action is not None and first.exit_code != 1 and not allowed.again(view, step):
        return f"captain act {name} {step.id}{_confirm(view)}"
    if step is not None and step.safety != "read" and step.safety in view.target.allow:
        return f"captain act {name} {step.id}{_confirm(view)}"
    if first.exit_code == 4:
        proof = " --evidence …" if _proof(view, section, step) else ""
        return f"captain sign {name} {first.step or section} --approve{proof}"
    if view.run.started_anything and first.exit_code == 1:
        return f"captain rollback {name}{_confirm(view)}"
    return f"{_look(view)} --section {section}"


def _proof(view: View, section: str, step: Step | None) -> bool:
    """Whether an approval of the step, or of the section's gate, needs evidence."""
    at = view.target.checklist.section(section)
    rules = step.sign_off if step is not None else at.gate.sign_off if at is not None else ()
    return any(rule.evidence == "required" for rule in rules)


def _look(view: View) -> str:
    run = view.run
    if run.standing:
        return f"captain check {shlex.quote(run.checklist)} -e {run.environment}"
    return f"captain check {shlex.quote(run.checklist)} -e {run.environment} --run {run.id}"


def _confirm(view: View) -> str:
    return f" --confirm {view.target.environment}" if view.target.protected else ""
