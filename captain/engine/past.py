"""What the log holds of earlier results, gates and rollbacks of this service, for probes. Writes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from captain.clock import parse_stamp
from captain.engine.alive import lives
from captain.measurement import Verdict
from captain.probes import Entry, Kept, Scored
from captain.scopes import revive_kinds

if TYPE_CHECKING:
    from captain.engine.desk import Desk
    from captain.events import Recorded
    from captain.log.reader import Reader

_READ = ("measure", "gate", "observe", "check", "active", "drill")
"""Purposes of results that say how a step stands; not what was seen before a deployment or to prove a rollback."""


@dataclass(frozen=True, slots=True)
class Past:
    """The log as one step of this run may read it."""

    desk: Desk
    step: str | None
    """Whose own results of this run are not looked at: it would stand for itself."""

    async def newest(self, kind: Kept, name: str, environment: str) -> Entry | None:
        """The newest entry of that kind about a step or section."""
        desk = self.desk
        checklist, _, short = name.rpartition("/")
        wanted = (desk.target.service.service, environment, checklist or desk.target.checklist.checklist)
        return await desk.on_log(lambda: _Search(self, desk.log, wanted).newest(kind, short))

    async def score(self, checklist: str, environment: str) -> Scored | None:
        """What the run that stands of a checklist comes to now."""
        from captain.engine.scoring import standing_score

        return await standing_score(self.desk, checklist, environment)


_Numbered = tuple[int, Entry]
"""With the number of the entry in the log: the newest is the one with the highest, whatever the clocks said."""


class _Search:
    """One look, on the thread of the log."""

    def __init__(self, past: Past, log: Reader, wanted: tuple[str, str, str]) -> None:
        self._past = past
        self._log = log
        self._wanted = wanted
        self._starts: dict[str, Recorded | None] = {}
        self._bounds: dict[str, list[Recorded]] = {}

    def newest(self, kind: Kept, name: str) -> Entry | None:
        if kind == "gate":
            found = [self._gates(name)]
        elif kind == "rehearsal":
            found = [self._rollbacks(), self._results(name, ("drill",)), self._lost(name, ("drill",))]
        else:
            only = ("drill",) if kind == "drill" else ("active", "drill")
            found = [self._results(name, only if kind == "drill" else _READ), self._lost(name, only)]
        newest = max((one for each in found if (one := next(each, None))), key=lambda one: one[0], default=None)
        return None if newest is None else newest[1]

    def _start(self, event: Recorded, *, any_checklist: bool = False) -> Recorded | None:
        """The start of an entry's run, None where it is another service's, environment's or checklist's."""
        if event.run not in self._starts:
            self._starts[event.run] = next(self._log.by_type("run.start", run=event.run), None)
        start = self._starts[event.run]
        if start is None:
            return None
        here = (start.data["service"], start.data["environment"], start.data["checklist"])
        return start if here[: 2 if any_checklist else 3] == self._wanted[: 2 if any_checklist else 3] else None

    def _results(self, step: str, purposes: tuple[str, ...]) -> Iterator[_Numbered]:
        run = self._past.desk.run
        for event in self._log.by_type("step.result", newest_first=True, holding=f'"step":{json.dumps(step)}'):
            own = run is not None and event.run == run.id and step == self._past.step
            if event.data["step"] != step or event.data["purpose"] not in purposes or own:
                continue
            start = self._start(event)
            if start is not None:
                kinds = {str(one["name"]): str(one["kind"]) for one in event.data["probes"]}
                observed = _nested(revive_kinds(kinds, event.data["observed"]))
                yield self._entry(event, start, Verdict(event.data["verdict"]), observed)

    def _lost(self, step: str, safeties: tuple[str, ...]) -> Iterator[_Numbered]:
        """What was begun and nobody saw the end of: an older pass must not stand for it. What runs still is none."""
        for event in self._log.by_type("step.intent", newest_first=True, holding=f'"step":{json.dumps(step)}'):
            start = self._start(event) if event.data["step"] == step and event.data["safety"] in safeties else None
            if start is None:
                continue
            ends = self._log.by_type("step.result", run=event.run, after=event.seq, holding=event.data["attempt"])
            if not lives(event) and next(ends, None) is None:
                yield self._entry(event, start, Verdict.UNKNOWN, {})
            return

    def _gates(self, section: str) -> Iterator[_Numbered]:
        for event in self._log.by_type("gate.decision", "section.reopened", newest_first=True):
            start = self._start(event) if event.data["section"] == section else None
            if start is not None and event.type == "section.reopened":
                yield self._entry(event, start, Verdict.FAIL, {})
            elif start is not None:
                go = event.data["decision"] == "go"
                risky = bool(event.data["risk"] or event.data["overridden"])
                verdict = Verdict.FAIL if not go else Verdict.WARN if risky else Verdict.PASS
                yield self._entry(event, start, verdict, {"risk": len(event.data["risk"])})

    def _rollbacks(self) -> Iterator[_Numbered]:
        ended: set[str] = set()
        for event in self._log.by_type("rollback.end", "rollback.intent", newest_first=True):
            start = self._start(event, any_checklist=True)
            if start is not None and event.type == "rollback.intent":
                # Begun and never ended: an older rollback that was verified must not stand for it.
                if event.data["rollback"] not in ended:
                    yield self._entry(event, start, Verdict.UNKNOWN, {})
            elif start is not None:
                ended.add(event.data["rollback"])
                good = event.data["state"] == "rolled_back" and bool(event.data["verified"])
                observed = {"verified": len(event.data["verified"])}
                yield self._entry(event, start, Verdict.PASS if good else Verdict.FAIL, observed)

    def _entry(self, event: Recorded, start: Recorded, verdict: Verdict, observed: dict[str, Any]) -> _Numbered:
        took = event.data.get("duration_ms")
        duration = None if took is None else timedelta(milliseconds=took)
        commit = self._commit(event, start)
        return event.seq, Entry(verdict, event.at, duration, commit, event.actor.name, event.run, observed)

    def _commit(self, event: Recorded, start: Recorded) -> str | None:
        """Which commit an entry is about: a review goes on with whatever HEAD names, as it was bound last before it.

        None for what was begun at one commit and ended at another.
        """
        if event.run not in self._bounds:
            self._bounds[event.run] = list(self._log.by_type("run.bound", run=event.run))
        bounds = [start, *(one for one in self._bounds[event.run] if one.seq < event.seq)]
        newest, began = bounds[-1], event.data.get("started")
        commit: str | None = newest.data["commit"]
        if len(bounds) > 1 and began is not None and parse_stamp(began) < newest.at:
            return commit if bounds[-2].data["commit"] == commit else None
        return commit


def _nested(observed: dict[str, Any]) -> dict[str, Any]:
    """`backend.size` as size of backend, the way conditions write it."""
    found: dict[str, Any] = {}
    for name, value in observed.items():
        probe, _, short = name.rpartition(".")
        inner = found.setdefault(probe, {}) if probe else found
        if isinstance(inner, dict):
            inner[short] = value
    return found
