"""Judges a sign-off rule's `when` against what a result recorded. Knows how observations are written in entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from captain.run import Result
from captain.run.view import View

if TYPE_CHECKING:
    from captain.checklist import Step


def holds(view: View, step: Step, when: tuple[str, ...], result: Result | None) -> bool | None:
    """Whether all conditions of `when` are true; None where it cannot be told."""
    if result is None:
        return None
    from captain.condition import activation, compile_condition, conjoin
    from captain.scopes import revive, step_scope

    run = view.run
    values = activation(
        {"": revive(step, result.observed)},
        release=run.release,
        previous=run.previous,
        environment=run.environment,
        vars=view.target.service.vars,
        now=view.now,
        started_at=run.deploy_started_at,
    )
    scope = step_scope(view.target, step)
    return conjoin(compile_condition(text, scope, observes=False).evaluate(values).value for text in when)
