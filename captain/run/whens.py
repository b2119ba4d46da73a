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
    from captain import condition
    from captain.run.names import scope_of, values_of

    scope = scope_of(view, step)
    values = values_of(view, step, result)
    judged = [condition.compile(text, scope).evaluate(values).value for text in when]
    if any(value is False for value in judged):
        return False
    return True if all(judged) else None
