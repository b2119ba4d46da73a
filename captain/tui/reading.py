"""Reads from the log what panels show beside the run: evidence of a result. Blocking; call it in a thread."""

from __future__ import annotations

import json
from pathlib import Path

from captain.run import Result
from captain.tui.detail import Seen


def evidence_of(log: Path, result: Result) -> Seen:
    """What the probes of this result asked and saw. What was purged is left out."""
    from captain.clock import SystemClock
    from captain.log.store import Log

    asked: list[str] = []
    errors: list[str] = []
    body: str | None = None
    with Log.open(log, clock=SystemClock(), read_only=True) as opened:
        for probe in result.event.data["probes"]:
            kept = opened.evidence(probe["evidence"])
            document = _document(kept.data) if kept is not None else {}
            if isinstance(said := document.get("asked"), str):
                asked.append(said)
            if isinstance(error := document.get("error") or probe["error"], str):
                errors.append(error)
            if body is None and isinstance(text := document.get("body"), str) and text:
                body = text
    return Seen(result.seq, tuple(asked), body, tuple(errors))


def _document(data: bytes) -> dict[str, object]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
