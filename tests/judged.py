"""The verdict of what one kind observed, by its own conditions or by those of a step."""

from __future__ import annotations

from captain.condition import Scope, activation, compile_condition, judge, observes
from captain.measurement import Measurement, Verdict
from captain.probes import Probe


def verdict(kind: type[Probe], seen: Measurement, *expect: str) -> Verdict:
    """As the engine judges it; without `expect` by what the kind expects itself."""
    scope = Scope.of({"": {name: one.type for name, one in observes(kind.Observes).items()}}, {}, ())
    assert set(seen.observed) <= set(kind.Observes.__annotations__), "only declared names are observed"
    conditions = [compile_condition(text, scope) for text in expect or kind.default_expect]
    return judge(conditions, [], activation({"": seen.observed})).verdict
