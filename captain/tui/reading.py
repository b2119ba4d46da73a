"""Reads from the log what panels show beside the run: evidence of a result, earlier checks of a review.

Blocking; call it in a thread.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from captain.run import Result
from captain.run.view import View
from captain.tui.detail import Seen

if TYPE_CHECKING:
    from captain.score.past import Then


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


def past_of(log: Path, view: View) -> tuple[Then, ...]:
    """What the review of this view scored at each of its checks."""
    from captain.clock import SystemClock
    from captain.log.store import Log
    from captain.score.past import past

    with Log.open(log, clock=SystemClock(), read_only=True) as opened:
        return past(opened.entries(run=view.run.id), view)


def _document(data: bytes) -> dict[str, object]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
