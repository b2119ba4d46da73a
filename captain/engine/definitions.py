"""What a step asks in these files, as one digest: its definition, and what the names in it stand for.

Only what files say goes in, nothing of a release: an approval that carries over finds the same digest again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from captain.scopes import MAX_ALIASES

if TYPE_CHECKING:
    from captain.checklist import Step, Target

_VARS = re.compile(r"\bvars\b(?:\s*\.\s*([A-Za-z_][A-Za-z0-9_]*))?")


def definition(target: Target, step: Step, depth: int = 0) -> str:
    """The step's definition together with the values of the `vars` that it names and the steps that it stands for."""
    more = {
        "vars": _vars(target, step),
        "aliases": _aliases(target, step, depth),
        "repo": target.service.repo if any(getattr(ask, "kind", "") == "git" for ask in _asks(step)) else None,
    }
    plain = step.definition()
    if not any(more.values()):
        return plain
    text = json.dumps({"step": plain, **more}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def definitions(target: Target) -> dict[str, str]:
    """Of every step of the checklist, by step id."""
    return {step.id: definition(target, step) for _, step in target.checklist.steps()}


def _vars(target: Target, step: Step) -> dict[str, str]:
    values = target.service.vars
    named: set[str] = set()
    # Params are part of the definition as they are written, and may name vars themselves.
    for text in (*_texts(step), *step.params.values()):
        for found in _VARS.finditer(text):
            named |= {found[1]} if found[1] else set(values)
    return {name: values[name] for name in sorted(named) if name in values}


def _aliases(target: Target, step: Step, depth: int) -> dict[str, str]:
    if depth >= MAX_ALIASES:
        return {}
    found: dict[str, str] = {}
    for ask in _asks(step):
        reference = getattr(ask, "step", None)
        other = None if reference is None else target.step(reference)
        if other is not None:
            found[str(reference)] = definition(target, other, depth + 1)
    return found


def _asks(step: Step) -> list[Any]:
    return [*step.asks.values(), *(step.observe.asks.values() if step.observe is not None else ())]


def _texts(step: Step) -> Iterator[str]:
    """Every text of the step that captain resolves or judges."""
    for ask in _asks(step):
        yield from _strings(getattr(ask, "params", None))
    yield from (*step.expect, *step.warn, *step.when)
    if step.observe is not None:
        yield from (*step.observe.expect, *step.observe.warn)
    if step.action is not None:
        yield from _strings([step.action.run, dict(step.action.env), step.action.cwd])
    for rule in step.sign_off:
        yield from rule.when


def _strings(tree: Any) -> Iterator[str]:
    match tree:
        case str():
            yield tree
        case Mapping():
            for item in tree.values():
                yield from _strings(item)
        case list() | tuple():
            for item in tree:
                yield from _strings(item)
