"""What the verdict would be after an answer: the run with one more entry, judged by the rules that will judge it.

Pure. The supposed entry is folded as a recorded one would be, so forecast and outcome cannot differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from captain.clock import stamp
from captain.events import Actor, Recorded
from captain.run import apply
from captain.run.countersigning import able, owed
from captain.run.gates import Readiness, readiness
from captain.run.status import status

if TYPE_CHECKING:
    from captain.checklist import Section, Step
    from captain.run.view import View


@dataclass(frozen=True, slots=True)
class Forecast:
    """A section's gate now and then."""

    now: Readiness
    then: Readiness

    @property
    def sentence(self) -> str:
        """`NO-GO stays: 1 FAIL, 1 unknown`, `the gate may open, with risk`."""
        if self.then.go:
            risk = ", with risk" if self.then.risk else ""
            return f"the gate {'may still' if self.now.go else 'may'} open{risk}"
        return f"NO-GO{' stays' if not self.now.go else ''}: {unmet_in_words(self.then)}"


def unmet_in_words(found: Readiness) -> str:
    """`1 FAIL, 1 unknown, 2 wait`."""
    kinds = Counter(one.exit_code for one in found.unmet)
    words = ((1, "FAIL", "FAIL"), (3, "unknown", "unknown"), (4, "waits", "wait"))
    return ", ".join(f"{kinds[code]} {one if kinds[code] == 1 else many}" for code, one, many in words if kinds[code])


def forecast(view: View, section: Section, kind: str, data: Mapping[str, Any]) -> Forecast:
    """The gate of `section` now, and after an entry of that kind by the person at this face."""
    return Forecast(readiness(view, section), readiness(supposing(view, kind, data), section))


def supposing(view: View, kind: str, data: Mapping[str, Any]) -> View:
    """The view after one more entry."""
    last = view.run.last or view.run.start
    actor = replace(last.actor, name=view.me) if view.me else last.actor
    event = Recorded(last.seq + 1, "", stamp(view.now), last.mono, last.boot, actor, kind, view.run.id, data)
    run = apply(view.run, event)
    assert run is not None
    return replace(view, run=run)


def sign_off(
    view: View, on: str, target: str, meaning: str, *, evidence: bool, expires: datetime | None = None
) -> dict[str, Any]:
    """A supposed sign-off's data."""
    seen = None
    if on == "step" and (found := view.step(target)) is not None:
        result = status(view, found[1]).result
        seen = None if result is None else {"of": result.seq, "verdict": str(result.verdict)}
    return {
        "on": on,
        "target": target,
        "meaning": meaning,
        "note": "",
        "roles": [],
        "role_checked": False,
        "definition": view.definitions.get(target),
        "seen": seen,
        "expires": None if expires is None else stamp(expires),
        "evidence": [{"name": "", "media": "", "size": 0, "digest": ""}] if evidence else [],
        "of": None,
    }


def waiver(view: View, step: str, until: datetime, covers: list[str]) -> dict[str, Any]:
    """A supposed waiver's data."""
    found = view.step(step)
    return {
        "step": step,
        "reason": "",
        "owner": view.me,
        "expires": stamp(until),
        "definition": view.definitions.get(step, ""),
        "conditions": covers,
        "seen": None,
        "countersign": "not_required" if found is None else owed(view, found[1], view.me),
    }


def second(view: View, step: Step) -> str:
    """Who has to stand behind it before a blocker may be let go."""
    names = able(view, step, view.me)
    if not names:
        return "countersign impossible: one person; a go with risk"
    return f"waits for a countersign: {', '.join(names[:3])}{', …' if len(names) > 3 else ''}"


def someone(actor: Actor) -> str:
    """A name as dialogs show it, with what is uncertain about it."""
    return f"{actor.name} (name asserted)" if actor.asserted else actor.name
