"""What a timer step (`soak`) of a review must hold so that its time can be counted and its probes asked about it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from captain.checklist import Alias, Step
from captain.documents import Node
from captain.loader.problems import Problems, nearest, show

_OTHER_TIMES = ("every", "within", "for", "fail_after")


def check_soak(node: Node, step: Step, places: Collection[str] | None, problems: Problems) -> None:
    """Note what would never be measured, or not as it is meant. `places`: the environments that are declared."""
    soak, holder = step.soak, node.get("soak")
    if soak is None or holder is None or step.kind != "probe":
        return
    if soak.duration <= timedelta(0):
        problems.key(holder, "for", "a soak needs some time")
    if not 0 < soak.coverage <= 1:
        problems.key(holder, "coverage", "coverage is a share above 0 and at most 1", hint="0.95 is 95 %")
    if soak.environment is not None and places is not None and soak.environment not in places:
        message = f"captain.yaml declares no environment {show(soak.environment)}"
        problems.key(holder, "environment", message, hint=nearest(soak.environment, places))
    for key in _OTHER_TIMES:
        if key in node.mapping:
            problems.key(node, key, f"{key} has no effect beside soak", hint="the time is the soak's")
    for name, ask in step.asks.items():
        said = f"{name}: " if name else ""
        if isinstance(ask, Alias):
            message = f"{said}soak needs a probe that observes coverage, and an alias stands for another step"
            problems.key(node, "soak", message, hint="put the probe itself beside the soak")
        elif ask.probe is not None and (why := ask.probe.over_window(soak.duration)) is not None:
            message = f"{said}soak needs a probe that observes coverage: {why}"
            problems.key(node, "soak", message, hint=_HINT)


_HINT = "prometheus: { mode: range, query: …, reduce: min } observes it"
