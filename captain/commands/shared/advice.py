"""What follows from a score, in lines of text and as JSON: trend, next steps, recommendations, contradictions.

Judges nothing; `captain.score` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from captain.clock import stamp
from captain.commands.shared.out import line

if TYPE_CHECKING:
    from captain.events import Recorded
    from captain.run.view import View
    from captain.score import Score
    from captain.score.advice import Advice
    from captain.score.doubts import Contradiction, Recommendation
    from captain.score.past import Change, Then

MOST = 5
"""Next steps that are shown; the JSON has all of them."""
POINTS = 8
"""Checks of a trend that are shown."""


@dataclass(frozen=True, slots=True)
class Counsel:
    """Everything there is to say beside the number."""

    view: View
    past: tuple[Then, ...]
    change: Change | None
    next: tuple[Advice, ...]
    recommendations: tuple[Recommendation, ...]
    contradictions: tuple[Contradiction, ...]


def counsel(view: View, found: Score, entries: Iterable[Recorded]) -> Counsel:
    """All of it; `entries` are the run's."""
    from captain.score.advice import next_best
    from captain.score.doubts import contradictions, recommendations
    from captain.score.past import change, past

    known = past(entries, view)
    return Counsel(
        view,
        known,
        change(known, found, view.now),
        next_best(view, found),
        recommendations(view),
        contradictions(view, found),
    )


def moved(given: Counsel, category: str) -> str:
    """`  ▲ 15` behind a category that moved."""
    by = given.change.categories.get(category, 0) if given.change is not None else 0
    return f"  {_arrow(by)}" if by else ""


def _arrow(by: int) -> str:
    return f"▲ {by}" if by > 0 else f"▼ {-by}" if by < 0 else "unchanged"


def show_trend(given: Counsel) -> None:
    """The scores of the newest checks, and how far the score came."""
    if given.change is None or len(given.past) < 2:
        return
    from captain.score import interval

    shown = " → ".join(interval(one.low, one.high).removesuffix(" %") for one in given.past[-POINTS:])
    days = (given.view.now - given.change.since).days
    ago = f" ({days} d)" if days else ""
    line(f"Checks so far: {shown} %", f"  {_arrow(given.change.whole)} since {given.change.since:%d %b}{ago}")


def show(given: Counsel) -> None:
    """What to do next, what was recommended, and what does not fit together."""
    if given.next:
        line("")
        line(("Next", "strong"))
    for one in given.next[:MOST]:
        line("  ", (one.what, "warning" if one.urgent else "quiet" if one.verb == "wait" else "strong"), lifts(one))
        if one.command is not None:
            line(f"      {one.command}")
    if more := len(given.next) - MOST:
        line((f"  and {more} more" if more > 0 else "", "quiet"))
    if given.recommendations:
        line("")
        line(("Recommendations and gaps", "strong"))
    for each in given.recommendations:
        _recommended(each)
    if given.contradictions:
        line("")
        line(("Does not fit together", "strong"))
    for doubt in given.contradictions:
        line("  ", (doubt.sentence, "warning"))


def lifts(one: Advice) -> str:
    """`: lifts Backup/DR 60 → 75, the whole 90 → 91`; empty where it lifts nothing by itself."""
    pieces = []
    own = one.gain.category
    if own is not None and own[0] != own[1] and one.category is not None:
        pieces.append(f"{one.category.title} {own[0]} → {own[1]}")
    if one.gain.points:
        pieces.append(f"the whole {one.gain.whole[0]} → {one.gain.whole[1]}")
    blocks = "; without it there is no go" if one.urgent else ""
    return f": lifts {', '.join(pieces)}{blocks}" if pieces else blocks


def _recommended(one: Recommendation) -> None:
    from captain.commands.shared.pages import mark

    word, tone = mark(one.found.verdict, one.found.state)
    line("  ", (f"{word:<10}", tone), f" {one.step.title}  {one.found.message}")
    for asked in one.asked:
        line((f"      asked     {asked}", "quiet"))
    seen = ", ".join(f"{name} = {_written(value)}" for name, value in one.observed.items())
    if seen and one.found.result is not None:
        line((f"      observed  {seen}, at {one.found.result.at:%d %b %H:%M} UTC", "quiet"))
    for each in one.signed:
        note = f": {each.note}" if each.note else ""
        line((f"      {each.meaning.replace('_', ' ')} by {each.by}, {each.event.at:%d %b %H:%M} UTC{note}", "quiet"))


def _written(value: Any) -> str:
    """As conditions write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def document(given: Counsel) -> dict[str, Any]:
    """The same as plain JSON values, nothing left out."""
    return {
        "trend": [
            {
                "at": stamp(one.at),
                "low": one.low,
                "high": one.high,
                "sections": {name: {"low": low, "high": high} for name, (low, high) in one.categories.items()},
            }
            for one in given.past
        ],
        "change": None
        if given.change is None
        else {
            "since": stamp(given.change.since),
            "points": given.change.whole,
            "sections": dict(given.change.categories),
        },
        "next": [_advice(one) for one in given.next],
        "recommendations": [_recommendation(one) for one in given.recommendations],
        "contradictions": [{"step": one.step, "says": one.says, "but": one.but} for one in given.contradictions],
    }


def _advice(one: Advice) -> dict[str, Any]:
    return {
        "step": one.item.step,
        "do": one.verb,
        "what": one.what,
        "command": one.command,
        "urgent": one.urgent,
        "category": None if one.category is None else one.category.id,
        "lifts": {
            "category": None if one.gain.category is None else list(one.gain.category),
            "whole": list(one.gain.whole),
        },
    }


def _recommendation(one: Recommendation) -> dict[str, Any]:
    result = one.found.result
    return {
        "step": one.step.id,
        "section": one.section,
        "title": one.step.title,
        "verdict": one.found.verdict.value,
        "state": one.found.state,
        "message": one.found.stale_why or one.found.message,
        "open": one.open,
        "asked": list(one.asked),
        "observed": dict(one.observed),
        "measured_at": None if result is None else stamp(result.at),
        "evidence": [] if result is None else [each["evidence"] for each in result.event.data["probes"]],
        "signed": [
            {"by": each.by, "meaning": each.meaning, "note": each.note, "at": stamp(each.event.at)}
            for each in one.signed
        ],
    }
