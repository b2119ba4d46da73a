"""The names that conditions and templates see in this run, and the conditions of its steps, compiled once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from captain.condition import Condition, Scope, activation, compile_condition
from captain.measurement import Value
from captain.release import Release
from captain.run import Run, whens
from captain.run.status import status
from captain.scopes import revive, step_scope, template_scope

if TYPE_CHECKING:
    from captain.checklist import Alias, Ask, Step
    from captain.engine.desk import Desk


def conditions(
    desk: Desk, step: Step, asks: Mapping[str, Ask | Alias], expect: tuple[str, ...], warn: tuple[str, ...]
) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
    """The compiled conditions of a step or of its observation."""
    scope = step_scope(desk.target, step, asks)
    return compiled(expect, scope), compiled(warn, scope)


@lru_cache(maxsize=1024)
def compiled(texts: tuple[str, ...], scope: Scope) -> tuple[Condition, ...]:
    """Conditions of a scope, compiled once."""
    return tuple(compile_condition(text, scope, observes=False) for text in texts)


def uses(desk: Desk, step: Step, name: str) -> bool:
    """Whether a step's conditions name `before`, `signed` or the like."""
    expect, warn = conditions(desk, step, step.asks, step.expect, step.warn)
    found = {read for one in (*expect, *warn) for read in one.names}
    return any(one == name or one.startswith(f"{name}.") for one in found)


def release_names(desk: Desk, *, back: bool = False) -> dict[str, Release | None]:
    """`release` and `previous`; going back, the target is the release and the one left is previous."""
    run = desk.open_run()
    if back:
        return {"release": run.previous, "previous": run.release}
    return {"release": run.release, "previous": run.previous}


def values(
    desk: Desk, step: Step, observed: Mapping[str, Mapping[str, Value]], names: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Everything the conditions of a step may name, observations included."""
    run = desk.open_run()
    releases = names or release_names(desk)
    before = run.before.get(step.id)
    return activation(
        observed,
        release=releases["release"],
        previous=releases["previous"],
        environment=run.environment,
        vars=desk.target.service.vars,
        now=desk.clock.now(),
        started_at=run.deploy_started_at,
        signed=_signed(desk, step, observed),
        before={"": revive(step, before.observed)} if before is not None else None,
        last=desk.last.get(step.id),
    )


def _signed(desk: Desk, step: Step, observed: Mapping[str, Mapping[str, Value]]) -> bool:
    """Whether a sign-off stands that is asked for over what is seen now.

    One that was given while nothing could be measured must not cover what is measured since.
    """
    if desk.target.checklist.find(step.id) is None:
        return False
    view = desk.view()
    if not any(one.meaning == "approve" for one in status(view, step).signed):
        return False
    asked = [not rule.when or whens.over(view, step, rule.when, observed) is not False for rule in step.sign_off]
    return any(asked) or not asked


def template_values(desk: Desk, names: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What `${{ }}` may name."""
    releases = names or release_names(desk)
    return activation(
        {},
        release=releases["release"],
        previous=releases["previous"],
        environment=desk.target.environment,
        vars=desk.target.service.vars,
        inputs={**desk.inputs, **(desk.run.inputs if desk.run is not None else {})},
        secrets=desk.secrets,
    )


def template_names(desk: Desk, params: Mapping[str, str]) -> Scope:
    """The scope of `${{ }}` in a step."""
    return template_scope(desk.target, params)


def resolve_text(desk: Desk, text: str, names: Mapping[str, Any] | None = None) -> str:
    """One text with its templates resolved. Raises CaptainError naming what is missing."""
    from captain.interpolate import compile_template

    if "${{" not in text:
        return text
    scope = template_names(desk, desk.target.service.params)
    return compile_template(text, scope).resolve(template_values(desk, names))


def last_observed(run: Run, evidence: Mapping[int, list[tuple[str, bytes]]]) -> dict[str, Mapping[str, Any]]:
    """What each step of an earlier run observed, lists included, from the evidence that is still there."""
    found: dict[str, Mapping[str, Any]] = {}
    for step_id, result in run.results.items():
        observed: dict[str, dict[str, Any]] = {}
        for name, data in evidence.get(result.seq, []):
            try:
                observed[name] = dict(json.loads(data)["observed"])
            except (ValueError, KeyError, TypeError):
                continue
        if observed:
            found[step_id] = observed
    return found
