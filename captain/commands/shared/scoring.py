"""The readiness score as plain values and as lines of text. Computes nothing: that is `captain.score`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from captain.commands.shared.out import line

if TYPE_CHECKING:
    from captain.run.view import View
    from captain.score import Category, Decision, Item, Score

_TONES = {"GO": "good", "GO WITH RISK": "warning", "NO-GO": "bad", "NO-GO: unverified": "warning"}


def scored(view: View) -> dict[str, Any] | None:
    """The score of a review as it stands now; None for a checklist of releases."""
    if view.target.checklist.per != "service":
        return None
    from captain.score import decide, score

    found = score(view)
    return document(found, decide(found))


def document(found: Score, decision: Decision) -> dict[str, Any]:
    """The score as plain JSON values. `percent` is the low end: nothing that nobody verified counts."""
    return {
        "percent": found.low,
        "low": found.low,
        "high": found.high,
        "raw": round(float(found.raw), 2),
        "label": found.label,
        "coverage": round(float(found.coverage), 4),
        "decision": decision.word,
        "go": decision.go,
        "reasons": list(decision.reasons),
        "blockers": [item.step for item in found.blockers],
        "gaps": [_item(item) for item in found.gaps],
        "sections": {one.id: _category(one) for one in found.categories},
        "beside": {one.id: _category(one) for one in found.beside},
    }


def closing(score: Mapping[str, Any]) -> None:
    """The last lines: the number with what stands behind it, and the decision, which no number makes."""
    from captain.score import interval

    if score["sections"]:
        # A number says little without how much it is of.
        items = [item for section in score["sections"].values() for item in section["items"]]
        counted = sum(item["credit"] != "excused" for item in items)
        line(
            (f"{interval(score['low'], score['high'])}  {score['label']}", "strong"),
            f"  of {counted} item{'' if counted == 1 else 's'}  "
            f"(raw {score['raw']:.1f} %, verified {round(score['coverage'] * 100)} % of the weight)",
        )
    line((score["decision"], _TONES[score["decision"]]))


def _category(one: Category) -> dict[str, Any]:
    return {
        "title": one.title,
        "percent": one.low,
        "low": one.low,
        "high": one.high,
        "label": one.label,
        "items": [_item(item) for item in one.items],
    }


def _item(item: Item) -> dict[str, Any]:
    return {
        "step": item.step,
        "credit": item.credit,
        "weight": float(item.weight),
        "blocker": item.blocker,
        "gaps": list(item.gaps),
        "message": item.message,
    }
