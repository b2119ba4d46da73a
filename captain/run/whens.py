"""Judges a sign-off rule's `when` against what a result recorded. Knows how observations are written in entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from captain.run import Result
from captain.run.view import View

if TYPE_CHECKING:
    from captain.checklist import Step
    from captain.condition.facts import Observed


def holds(view: View, step: Step, when: tuple[str, ...], result: Result | None) -> bool | None:
    """Whether all conditions of `when` are true; None where it cannot be told."""
    if result is None:
        return None
    from captain.scopes import revive

    return over(view, step, when, {"": revive(step, result.observed)})


def over(view: View, step: Step, when: tuple[str, ...], observed: Observed) -> bool | None:
    """The same over what was observed just now, by probe and in its own types."""
    from captain.condition import activation, compile_condition, conjoin
    from captain.scopes import revive, step_scope

    run = view.run
    before = run.before.get(step.id)
    values = activation(
        observed,
        release=run.release,
        previous=run.previous,
        environment=run.environment,
        vars=view.target.service.vars,
        now=view.now,
        started_at=run.deploy_started_at,
        before={"": revive(step, before.observed)} if before is not None else None,
    )
    scope = step_scope(view.target, step)
    return conjoin(compile_condition(text, scope, observes=False).evaluate(values).value for text in when)
