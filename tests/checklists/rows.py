"""The 121 rows of the checklist that captain's own lists stand for, and the step that answers each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from captain.checklist import Alias, Ask, Checklist, Step

ROWS = Path(__file__).parents[1] / "data" / "checklist-rows.json"
DEPLOYMENT = {
    "pre.tests": "tests-passing",
    "pre.security": "security-scan-clean",
    "pre.clean-tree": "no-uncommitted-changes",
    "pre.backup": "backups-verified",
    "pre.rollback-plan": "rollback-plan-tested",
    "dep.pipeline": "automated-pipeline",
    "dep.zero-downtime": "zero-downtime",
    "dep.health": "health-check-monitoring",
    "dep.rollback-on-failure": "rollback-on-failure",
    "post.health": "health-checks-passing",
    "post.metrics": "metrics-collecting",
    "post.errors": "no-error-spikes",
    "post.baseline": "performance-baseline",
}
"""By row: the step of the list `deploy`."""
WAITS = {
    "ci.zero-downtime": "watch",
    "scal.lb": "watch",
    "dep.zero-downtime": "watch",
    "post.errors": "comparison",
    "post.baseline": "comparison",
    "pre.rollback-plan": "rehearsal",
    "ci.rollback": "rehearsal",
}
"""Rows of which a part is asked of people until captain can watch, compare or rehearse itself."""
SECTIONS = {
    "infra": "infrastructure",
    "db": "database",
    "sec": "security",
    "ci": "ci-cd",
    "mon": "monitoring",
    "log": "logging",
    "perf": "performance",
    "dr": "backup",
    "doc": "documentation",
    "scal": "scalability",
}
"""By a score line's last word: the section it is computed from."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the checklist."""

    id: str
    line: int
    title: str

    @property
    def computed(self) -> str | None:
        """What a score line is computed from: a section, or "" for the whole; None for any other row."""
        head, _, name = self.id.partition(".")
        return None if head != "score" else SECTIONS.get(name, "")

    @property
    def step(self) -> str:
        """The step that answers it, with its checklist."""
        found = DEPLOYMENT.get(self.id)
        return f"deploy/{found}" if found else f"readiness/{self.id}"


def rows() -> list[Row]:
    """All of them, by line."""
    return [Row(**each) for each in json.loads(ROWS.read_text(encoding="utf-8"))]


def kinds(step: Step, lists: dict[str, Checklist]) -> list[str]:
    """What measures a step: the kinds of its probes, those of the steps it stands for among them."""
    asks = {**step.asks, **(step.observe.asks if step.observe is not None else {})}
    found = [ask.kind for ask in asks.values() if isinstance(ask, Ask)]
    for ask in asks.values():
        if isinstance(ask, Alias):
            name, _, step_id = ask.step.rpartition("/")
            other = lists[name or "readiness"].find(step_id)
            found += kinds(other[1], lists) if other is not None else []
    return sorted({*found, *(["soak"] if step.soak is not None else [])})


def how(row: Row, step: Step, lists: dict[str, Checklist]) -> str:
    """How a row is answered, in a few words. Raises ValueError where nothing would be proved."""
    measured = kinds(step, lists)
    waits = f"; waits for: {WAITS[row.id]}" if row.id in WAITS else ""
    rules = step.sign_off
    if not measured and (not rules or any(one.evidence != "required" or one.valid_for is None for one in rules)):
        raise ValueError(f"{row.id}: {step.id} is a bare tick-box")
    if not measured and not waits:
        raise ValueError(f"{row.id}: {step.id} is not measured, and nothing says what it waits for")
    if not measured:
        return f"manual, with evidence and expiry{waits}"
    if any(one.evidence != "required" for one in rules):
        raise ValueError(f"{row.id}: {step.id} is signed without evidence")
    alias = (
        next((one.step for one in step.asks.values() if isinstance(one, Alias)), None) if len(step.asks) == 1 else None
    )
    stands = f" (as {alias})" if alias is not None else ""
    return f"measured{stands}: {', '.join(measured)}{' + sign-off' if rules else ''}{waits}"
