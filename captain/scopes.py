"""Which names a typed step's expressions may use. The loader does the same for files it has not typed yet."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from captain.clock import parse_stamp
from captain.condition import CelType, Declared, Scope, declare, observes

if TYPE_CHECKING:
    from captain.checklist import Alias as AliasType
    from captain.checklist import Ask, Step, Target

MAX_ALIASES = 8


@cache
def declared(kind: str) -> Mapping[str, Declared]:
    """What a kind observes; nothing for one that this captain does not have."""
    from captain.probes import probes

    found = probes.find(kind)
    return {} if found is None else observes(found.Observes)


def step_scope(target: Target, step: Step, asks: Mapping[str, Ask | AliasType] | None = None) -> Scope:
    """The scope of a step's conditions (of its `observe`, where those asks are given)."""
    probes = {name: _observes(target, ask) for name, ask in (step.asks if asks is None else asks).items()}
    return Scope.of(probes, dict(step.params), tuple(target.service.vars))


def template_scope(target: Target, params: Mapping[str, str]) -> Scope:
    """The scope of `${{ }}`."""
    service = target.service
    return Scope.template(
        vars=tuple(service.vars),
        params=dict(params),
        inputs=tuple(one.id for one in service.inputs),
        secrets=tuple(service.secrets),
    )


def _observes(target: Target, ask: Ask | AliasType, depth: int = 0) -> Mapping[str, CelType] | None:
    from captain.checklist import Alias

    if not isinstance(ask, Alias):
        if ask.probe is None:
            return None
        return {name: one.type for name, one in declared(ask.kind).items()}
    found = {"passed": declare(bool), "warned": declare(bool)}
    other = target.step(ask.step)
    if other is not None and depth < MAX_ALIASES:
        for name, inner in other.asks.items():
            for key, kind in (_observes(target, inner, depth + 1) or {}).items():
                found.setdefault(f"{name}.{key}" if name else key, kind)
    return found


def revive(step: Step, observed: Mapping[str, Any]) -> dict[str, Any]:
    """Observations as an entry holds them, back in their declared types: text in seconds becomes a duration."""
    from captain.checklist import Ask

    return revive_kinds({name: ask.kind for name, ask in step.asks.items() if isinstance(ask, Ask)}, observed)


def revive_kinds(kinds: Mapping[str, str], observed: Mapping[str, Any]) -> dict[str, Any]:
    """The same by the kinds of the probes that observed them, by name."""
    found: dict[str, Any] = {}
    for name, value in observed.items():
        probe, _, short = name.rpartition(".")
        kind = kinds.get(probe) or kinds.get("")
        known = declared(kind).get(short if probe else name) if kind is not None else None
        found[name] = _revived(value, str(known.type) if known is not None else "")
    return found


def _revived(value: Any, kind: str) -> Any:
    from datetime import timedelta

    if not isinstance(value, str):
        return value
    try:
        if "duration" in kind.lower():
            return timedelta(seconds=float(value.removesuffix("s")))
        if "timestamp" in kind.lower():
            return parse_stamp(value)
        if "double" in kind.lower():
            return float(value)
    except ValueError:
        return None
    return value
