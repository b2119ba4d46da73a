"""The advice page: what to do next, what does not fit together, what was recommended and what that rests on. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from textual.content import Content

from captain.run import SignOff
from captain.score.advice import Advice
from captain.score.doubts import WORDS, Contradiction, Recommendation
from captain.tui.present import MARK_WIDTH, Look, Role, age, cell, lines, spread
from captain.tui.review import Review
from captain.tui.review_rows import next_best
from captain.tui.widgets.rows import Draw

MOST = 5
"""Next steps that are shown; the others follow when these are done."""
LABEL = 9


def rows(look: Look, review: Review) -> list[tuple[str | None, Draw]]:
    """Each row that is about a step has its name behind a sign of the part it stands in: `next:tls`."""
    out: list[tuple[str | None, Draw]] = []

    def part(title: str, found: list[tuple[str | None, Draw]]) -> None:
        if found:
            gap: list[tuple[str | None, Draw]] = [(None, lambda width: Content(""))] if out else []
            head: Draw = partial(_head, look, title)
            out.extend([*gap, (None, head), *found])

    part(
        "Does not fit together",
        [
            (None if one.step is None else f"doubt-{at}:{one.step}", partial(_doubt, look, one))
            for at, one in enumerate(review.contradictions)
        ],
    )
    part("What to do next", [(f"next:{one.item.step}", partial(_next, look, one)) for one in review.next[:MOST]])
    part(
        "Recommendations and gaps",
        [(f"asked:{one.step.id}", partial(_recommended, look, review, one)) for one in review.recommendations],
    )
    return out


def _head(look: Look, title: str, width: int) -> Content:
    return cell(look.say(title, "muted"), width)


def _doubt(look: Look, one: Contradiction, width: int) -> Content:
    return lines(
        [
            cell(Content.assemble(look.say("! ", "warning"), look.say(one.says, "bold")), width),
            cell(Content.assemble(look.say("  but ", "muted"), look.say(one.but)), width),
        ]
    )


def _next(look: Look, one: Advice, width: int) -> Content:
    found = next_best(look, one, width, first="→ ")
    if one.command is not None and len(found) == 1 and width >= 90:
        found.append(cell(look.say(f"  {one.command}", "muted"), width))
    return lines(found)


def _recommended(look: Look, review: Review, one: Recommendation, width: int) -> Content:
    mark = review.moment.mark(one.step)
    now = review.moment.view.now
    when = look.say("" if one.found.result is None else age(one.found.result.at, now), "muted")
    said = one.found.stale_why or one.found.message
    title = look.say(one.step.title, "bold" if one.open and mark.loud else "plain" if one.open else "muted")
    first = spread(width, Content.assemble(look.mark(mark), title, "  ", look.say(said, "muted")), when, gap=2)
    rest = [
        cell(Content.assemble(" " * MARK_WIDTH, cell(look.say(label, "muted"), LABEL), look.say(text, role)), width)
        for label, text, role in _rests_on(review, one)
    ]
    return lines([first, *rest])


def _rests_on(review: Review, one: Recommendation) -> Iterator[tuple[str, str, Role]]:
    for asked in one.asked:
        yield "asked", asked, "plain"
    seen = [f"{condition['resolved']}" for condition in (one.found.result.conditions if one.found.result else ())]
    if text := ", ".join(filter(None, seen)):
        yield "seen", text, "plain"
    for each in one.signed:
        yield "signed", _signed(review, each), "error" if each.meaning == "reject" else "plain"
    if not one.signed and one.found.waits:
        yield "signed", "nobody yet", "muted"


def _signed(review: Review, one: SignOff) -> str:
    note = f': "{one.note}"' if one.note else ""
    return f"{WORDS[one.meaning]} by {one.by} {age(one.event.at, review.moment.view.now)} ago{note}"
