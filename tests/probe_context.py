"""What a probe is given in a test, and whether what it saw passes by the kind's own conditions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from captain.clock import SystemClock
from captain.condition import Scope, compile_condition, observes
from captain.measurement import Measurement
from captain.probes import Context, Probe
from captain.threads import on_daemon


def probe_context(root: Path, within: float, secrets: Mapping[str, str] | None = None, **more: Any) -> Context:
    """A context with that many seconds."""
    return Context(
        root=root,
        repo=None,
        timeout=timedelta(seconds=within),
        environ={},
        secrets=secrets or {},
        blocking=on_daemon,
        clock=SystemClock(),
        **more,
    )


def holds(kind: type[Probe], seen: Measurement, *expect: str) -> bool | None:
    """What the conditions (else the kind's own) say of a measurement: true, false, or None for unknown."""
    scope = Scope.of({"": {name: one.type for name, one in observes(kind.Observes).items()}}, {}, ())
    said = [
        compile_condition(text, scope).evaluate({"now": SystemClock().now(), **seen.observed}).value
        for text in expect or kind.default_expect
    ]
    return False if False in said else None if None in said else True
