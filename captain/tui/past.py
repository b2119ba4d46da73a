"""Earlier runs as the log tells them: the list, and one run with its timeline. Blocking; call it in a thread.

Opens the log read only and closes it again; knows no widget.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from captain.clock import SystemClock
from captain.events import Recorded
from captain.events.sentences import sentence
from captain.measurement import Verdict
from captain.run import Run, fold
from captain.run.status import worse

if TYPE_CHECKING:
    from captain.log.store import Log


@dataclass(frozen=True, slots=True)
class PastRun:
    """One row of the list."""

    run: str
    kind: str
    service: str
    environment: str
    protected: bool
    version: str
    state: str
    verdict: Verdict | None
    """As the run ended; None while it is open."""
    started: datetime
    by: str
    entries: int

    def matches(self, letters: str) -> bool:
        """Whether every word occurs: in the row, or `by:dba`, `kind:check` in that place. Checks hide unless asked."""
        words = letters.lower().split()
        if self.kind == "check" and not any(word.startswith("kind:") for word in words):
            return False
        verdict = "" if self.verdict is None else "FAIL" if self.verdict is Verdict.FAIL else self.verdict.value
        row = " ".join((self.run, self.environment, self.version, self.state, verdict, self.by)).lower()
        places = {"by": self.by.lower(), "kind": self.kind}
        for word in words:
            place, colon, rest = word.partition(":")
            if not (rest in places[place] if colon and place in places else word in row):
                return False
        return True


@dataclass(frozen=True, slots=True)
class Detail:
    """One run, read whole."""

    run: Run
    events: tuple[Recorded, ...]


def _open(path: Path) -> Log:
    from captain.log.store import Log

    return Log.open(path, clock=SystemClock(), read_only=True)


def read_runs(path: Path) -> list[PastRun]:
    """Every run, the newest first. Raises LogError. A log that does not exist yet has none."""
    if not path.exists():
        return []
    with _open(path) as log:
        sizes = {span.run: span.entries for span in log.runs()}
        found: dict[str, PastRun] = {}
        for event in log.by_type("run.start", "run.end", "rollback.intent", "rollback.end"):
            _learn(found, event, sizes)
    return sorted(found.values(), key=lambda one: one.started, reverse=True)


def _learn(found: dict[str, PastRun], event: Recorded, sizes: Mapping[str, int]) -> None:
    data = event.data
    if event.type == "run.start":
        version = data["version"] or (data["commit"] or "")[:7] or "?"
        found.setdefault(
            event.run,
            PastRun(
                event.run,
                data["kind"],
                data["service"],
                data["environment"],
                data["protected"],
                version,
                "open",
                None,
                event.at,
                event.actor.name,
                sizes.get(event.run, 0),
            ),
        )
    elif (known := found.get(event.run)) is not None:
        if event.type == "run.end":
            found[event.run] = replace(known, state=data["state"], verdict=Verdict(data["verdict"]))
        elif known.verdict is None:
            found[event.run] = replace(known, state=data["state"] if event.type == "rollback.end" else "rolling_back")


def read_run(path: Path, run: str) -> Detail | None:
    """One run with all its entries; None where the log knows no such run. Raises LogError."""
    with _open(path) as log:
        events = tuple(log.entries(run))
    folded = fold(events)
    return None if folded is None else Detail(folded, events)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a timeline."""

    at: datetime
    gap: timedelta | None
    """Since the row before; None for the first."""
    who: str
    text: str
    tone: str
    glyph: str


_GLYPHS = {
    "run.start": "○",
    "signoff": "◆",
    "waiver": "≈",
    "rollback.intent": "R",
    "action.intent": "▸",
    "step.note": "·",
}
_QUIET = ("lock.acquire", "lock.release", "action.started", "run.resume", "run.suspended", "trust.given")


def timeline(events: Iterable[Recorded], *, everything: bool = False) -> list[Line]:
    """What happened, who did it and how long it took since the row before.

    Passes one after another are one row, and what only matters to a machine is left out, unless `everything`.
    """
    lines: list[Line] = []
    passes: list[Recorded] = []

    def put(event: Recorded, text: str, tone: str, who: str, glyph: str) -> None:
        gap = event.at - lines[-1].at if lines else None
        lines.append(Line(event.at, gap, who, text, tone, glyph))

    def passed() -> None:
        if len(passes) == 1:
            told = sentence(passes[0])
            put(passes[0], told.text, told.tone, told.who, "✓")
        elif passes:
            again = sum(one.data["attempts"] > 1 for one in passes)
            tail = f", {again} after a retry" if again else ""
            put(passes[-1], f"{len(passes)} measurements pass{tail}", "plain", "captain", "✓")
        passes.clear()

    for event in events:
        if not everything and event.type in _QUIET:
            continue
        if not everything and event.type == "step.result" and event.data["verdict"] == "pass":
            passes.append(event)
            continue
        passed()
        told = sentence(event)
        put(event, told.text, told.tone, told.who, _glyph(event))
    passed()
    return lines


def _glyph(event: Recorded) -> str:
    if event.type == "step.result":
        return {"pass": "✓", "warn": "!", "unknown": "?"}.get(event.data["verdict"], "✗")
    if event.type == "gate.decision":
        return "✓" if event.data["decision"] == "go" else "✗"
    if event.type in ("run.end", "rollback.end"):
        return "✓" if event.data["state"] in ("completed", "rolled_back", "checked") else "✗"
    if event.type == "action.finished":
        return "✓" if event.data["exit_code"] == 0 else "✗"
    return _GLYPHS.get(event.type, " ")


def people(events: Sequence[Recorded]) -> list[str]:
    """Who had a hand in it, in order of appearance."""
    by_hand = ("run.start", "signoff", "waiver", "gate.decision", "step.note", "action.intent", "rollback.intent")
    return list(dict.fromkeys(event.actor.name for event in events if event.type in by_hand))


def worst_seen(run: Run) -> Verdict | None:
    """The worst verdict among the newest results; None where nothing was measured."""
    worst: Verdict | None = None
    for result in run.results.values():
        if worst is None or worse(result.verdict, worst):
            worst = result.verdict
    return worst
