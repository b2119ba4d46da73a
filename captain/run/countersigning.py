"""Whether a second person stands behind what a blocker was let go with: a waiver, or not applicable. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from captain.run import SignOff, Waiver
from captain.run.signing import has_role
from captain.run.view import View, section_state

if TYPE_CHECKING:
    from captain.checklist import Step

Owed = Literal["needed", "impossible", "not_required"]


def able(view: View, step: Step, by: str) -> list[str]:
    """Who may countersign what `by` decided: others in `people` with a role of the step's rules, without a rule any."""
    return [
        name
        for name in view.target.service.people
        if name.casefold() != by.casefold()
        and (not step.sign_off or any(has_role(view, rule, name) for rule in step.sign_off))
    ]


def owed(view: View, step: Step, by: str) -> Owed:
    """Whether a second person has to stand behind a decision of `by` that lets the step go."""
    if step.severity != "blocker":
        return "not_required"
    return "needed" if able(view, step, by) else "impossible"


def countersign(view: View, step: Step, one: Waiver | SignOff) -> SignOff | None:
    """The countersign that stands behind it: by another person, able to, after it, for the same definition."""
    names = {name.casefold() for name in able(view, step, one.by)}
    for sign in view.run.countersigns:
        about = sign.target == step.id and sign.event.data["of"] == one.seq < sign.seq
        same = sign.event.data["definition"] == view.definitions.get(step.id)
        if about and same and sign.seq not in view.run.withdrawn and sign.by.casefold() in names:
            return sign
    return None


def waits(view: View, step: Step, one: Waiver | SignOff) -> bool:
    """Whether it does not count before somebody countersigned it. What a closed gate counted stays as it was."""
    # Of a waiver its entry says whether somebody was able to when it was given.
    said = one.event.data["countersign"] if isinstance(one, Waiver) else owed(view, step, one.by)
    if said != "needed":
        return False
    at = view.step(step.id)
    decision = view.run.decisions.get(at[0].id) if at is not None else None
    counted = decision is not None and decision.go and decision.event.seq > one.seq
    if counted and at is not None and section_state(view.run, view.target, at[0].id) == "closed":
        return False
    return countersign(view, step, one) is None
