"""How a review looks: the total, a category as a bar, an item as a row, advice in sentences. Pure.

Colours follow the low end: what nobody verified is never drawn as reached.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from textual.content import Content

from captain.run.status import TOO_OLD
from captain.score import FLOOR, READY, interval
from captain.score.advice import Advice
from captain.tui.detail_pieces import without
from captain.tui.present import Look, Role, age, cell, count, fitting, join, span_of, spread, till, whole
from captain.tui.review import Group, Line, Review

NAME = 19
NARROW = 17
SCORE = 8
LABEL = 11
CHANGE = 6
TREND = 6
REMAINING = 28
WIDE = 100
"""Cells from which on a row has a trend and a scale."""
WORDS = {"GO": "✓ GO", "GO WITH RISK": "! GO WITH RISK", "NO-GO": "✗ NO-GO", "NO-GO: unverified": "? NO-GO: unverified"}
ROLES: dict[str, Role] = {
    "GO": "success",
    "GO WITH RISK": "warning",
    "NO-GO": "fail",
    "NO-GO: unverified": "unknown",
}
_REMAINS = {
    "fail": "FAIL",
    "unknown": "unknown",
    "stale": "stale",
    "lapsed": "lapsed",
    "todo": "todo",
    "measuring": "asked now",
    "running": "running",
    "warn": "warn",
    "waived": "waived",
    "pass": "capped",
}
_DOES: dict[str, str] = {"sign": "s", "countersign": "S", "run": "a", "trust": "t"}
"""Key of a verb, where it has one of its own."""


def tone(low: int) -> Role:
    """How a low end is coloured: green from 90, amber from 80."""
    return "success" if low >= FLOOR else "warning" if low >= 80 else "error"


def bar(look: Look, low: int, high: int, cells: int, role: Role | None = None) -> Content:
    """`━` is proven, `╍` nobody verified, `─` is not there. Shape alone tells them apart."""
    # What is not whole never fills the bar, and what is unknown is always seen.
    most = cells if high == 100 else cells - 1
    proven = cells if low == 100 else min(round(low * cells / 100), cells - 1 if low == high else most - 1)
    top = proven if low == high else min(max(round(high * cells / 100), proven + 1), most)
    rest = " " if look.ascii else "─"
    return Content.assemble(
        look.say("━" * proven, role or tone(low)),
        look.say("╍" * (top - proven), role or tone(low)),
        look.say(rest * (cells - top), "dim"),
    )


def percent(look: Look, low: int, high: int, *, muted: bool = False) -> Content:
    """` 75– 85`, each end in its own column."""
    role: Role = "muted" if muted else "bold"
    second = look.say(f"–{high:>3}", "muted") if low != high else Content("    ")
    return Content.assemble(look.say(f"{low:>3}", role), second)


def arrow(look: Look, by: int | None, cells: int = 2) -> Content:
    """`▲ 15`, `▼ 20`, `·` for no change; nothing where nothing is known."""
    if by is None:
        return Content("")
    if by == 0:
        return look.say("·", "dim")
    return Content.assemble(
        look.say("▲" if by > 0 else "▼", "success" if by > 0 else "error"), look.say(f" {abs(by):>{cells}}")
    )


def sparkline(look: Look, points: list[int]) -> Content:
    """Blocks from the lowest point up; a flat one is a line, for it is no solid wall."""
    if len(points) < 2:
        return Content("")
    low, high = min(points), max(points)
    if low == high:
        return look.say("─" * len(points), "dim")
    span = max(20, high - low)
    return look.say("".join("▁▂▃▄▅▆▇█"[round(7 * (one - low) / span)] for one in points), "plot")


# the total


def total_rows(look: Look, review: Review, width: int) -> list[Content]:
    """Verdict with what forbids it; one bar with the interval in words; what it rests on."""
    if not review.score.categories:
        return [verdict(look, review, width), Content(""), look.say("No item counts in a score here.", "muted")]
    low, high = review.whole
    unknown = f"{low} if all that is unknown fails, {high} if it passes"
    meaning = look.say(unknown if low != high else "nothing in it is unknown", "muted")
    drawn = bar(look, low, high, max(10, width - meaning.cell_length - 3))
    return [verdict(look, review, width), spread(width, drawn, meaning, gap=3), rests_on(look, review, width)]


def verdict(look: Look, review: Review, width: int) -> Content:
    """`90–96 %  ✗ NO-GO  Security is at 75–85 %, needs 90 %  and 2 more`."""
    low, high = review.whole
    word = review.decision.word
    head = join([look.say(interval(low, high), "bold"), look.say(WORDS[word], ROLES[word])], "  ")
    reasons = review.decision.reasons
    if not reasons:
        return cell(head, width)
    others = len(reasons) - 1
    more = "" if not others else f"  and {others} more" if width >= WIDE else f"  +{others}"
    why = look.say(whole(reasons[0], max(10, width - head.cell_length - len(more) - 2)))
    return cell(Content.assemble(head, "  ", why, look.say(more, "muted")), width)


def rests_on(look: Look, review: Review, width: int) -> Content:
    """Coverage, change, thresholds."""
    found = review.score
    verified = sum(item.verified for item in found.items if item.earns is not None)
    excused = sum(item.earns is None for item in found.items)
    pieces = [
        look.say(f"coverage {round(float(found.coverage) * 100)} %"),
        look.say(f"{verified} of {len(found.items) - excused} items measured or signed", "muted"),
    ]
    if excused:
        pieces.append(look.say(f"{excused} n/a", "muted"))
    if (moved := change_words(look, review)) is not None:
        pieces.append(moved)
    ready = Content.assemble(
        look.say("ready from ", "muted"),
        look.say(str(READY), "bold"),
        look.say(", each category from ", "muted"),
        look.say(str(FLOOR), "bold"),
    )
    pieces.append(ready)
    while len(pieces) > 2 and join(pieces).cell_length > width:
        pieces.pop(1)
    return cell(join(pieces, " · ", look.style("muted")), width)


def change_words(look: Look, review: Review) -> Content | None:
    """`▲ 3 in 30 d`."""
    if review.change is None or len(review.past) < 1:
        return None
    since = (review.moment.view.now - review.change.since).days
    if not review.change.whole:
        return look.say(f"unchanged in {since} d", "muted") if since else None
    when = f" in {since} d" if since else " today"
    return Content.assemble(arrow(look, review.change.whole, 1), look.say(when, "muted"))


def total_line(look: Look, review: Review, width: int) -> Content:
    """All of it in one row."""
    left = verdict(look, review, width - 16)
    return spread(width, left, look.say(f"coverage {round(float(review.score.coverage) * 100):>3} %", "muted"))


# categories


def head(look: Look, review: Review, width: int) -> Content:
    """The names of the columns, and the scale of the bars."""
    name, cells = _columns(width)
    scale = spread(cells, spread(cells - 4, "0", "50" + " " * max(0, cells // 2 - 5)), "100")
    days = (review.moment.view.now - review.change.since).days if review.change is not None else None
    since = "" if days is None else f"{days} d" if days else "today"
    return Content.assemble(
        " " * name,
        look.say(scale.plain, "muted"),
        "  ",
        cell(look.say("score %", "muted"), SCORE),
        " ",
        cell(look.say("label", "muted"), LABEL),
        cell(look.say(since, "muted"), CHANGE),
        cell(look.say("trend" if review.past else "", "muted"), TREND + 2),
        look.say("remaining", "muted"),
    )


def _columns(width: int) -> tuple[int, int]:
    """Cells of the name and of the bar."""
    wide = width >= WIDE
    name = NAME if wide else NARROW
    rest = width - name - SCORE - LABEL - CHANGE - 3
    return name, max(12, min(48, rest - TREND - 2 - REMAINING)) if wide else max(8, rest - 19)


def category(look: Look, review: Review, group: Group, width: int) -> Content:
    """`Security  ━━━━━━╍╍──  75– 85  Weak  ▲ 15  ▁▂▃  1 FAIL, 1 unknown`."""
    named, cells = _columns(width)
    wide = width >= WIDE
    known = group.range
    quiet = not group.counted
    name = cell(look.say(group.section.title, "muted" if quiet else "plain"), named - 1)
    if known is None:
        text = cell(look.say(_nothing(group), "muted"), cells + SCORE + 3 + LABEL + CHANGE)
        parts: list[Content | str] = [name, " ", text]
    else:
        low, high = known
        assert group.category is not None
        label = "not counted" if quiet else group.category.label
        role: Role = "muted" if quiet or low >= FLOOR else "fail" if low < 80 else "unknown"
        parts = [
            name,
            " ",
            bar(look, low, high, cells, "plot" if quiet else None),
            "  ",
            cell(percent(look, low, high, muted=quiet), SCORE),
            " ",
            cell(look.say(label, role), LABEL),
            cell(arrow(look, review.changed(group.section.id)), CHANGE),
        ]
    if wide:
        parts.append(cell(sparkline(look, review.trend(group.section.id, TREND)), TREND + 2))
    left = Content.assemble(*parts)
    return cell(Content.assemble(left, remaining(look, group, width - left.cell_length)), width)


def _nothing(group: Group) -> str:
    if all(line.found.state in ("disabled", "not-applicable") for line in group.lines):
        return "nothing applies here"
    return f"{count(len(group.open), 'gap')} open" if group.open else "closed"


def remaining(look: Look, group: Group, width: int) -> Content:
    """`1 FAIL, 1 unknown`, the worst first, whole words alone; empty where nothing is left."""
    kinds = Counter(line.kind for line in group.open if line.kind != "waiting")
    waits = Counter(line.mark.word for line in group.open if line.kind == "waiting")
    pieces = [(f"{kinds[kind]} {word}", "plain") for kind, word in _REMAINS.items() if kinds[kind]]
    for word, number in waits.items():
        verb = "waits" if number == 1 else "wait"
        who = {"sign": f"{verb} for a sign-off", "you": f"{verb} for you"}.get(word, f"{verb} for {word}")
        pieces.insert(min(2, len(pieces)), (f"{number} {who}", "hand" if word == "you" else "plain"))
    if group.category is not None and group.category.much_excused:
        pieces.append(("many n/a", "warning"))
    said = [look.say(text, "hand" if role == "hand" else "plain") for text, role in pieces]
    return fitting(said, width, ", ")


# items


def item(look: Look, review: Review, line: Line, titles: int, width: int, frame: int = 0) -> Content:
    """`✗ FAIL    Restore tested within 90 d     last 131 d ago      2 d  blocker`."""
    loud = line.open and line.mark.loud
    mark = look.mark(line.mark, frame)
    if not line.open and line.mark.role == "success":
        # What is done is quiet; only the glyph stays green.
        mark = Content.assemble(mark[:1], look.say(mark.plain[1:], "muted"))
    title = look.say(line.step.title, "bold" if loud else "plain" if line.open else "muted")
    wide = width >= 90
    right = [look.say(_age(review, line), "muted")]
    if wide and any(one.blocker for one in review.lines):
        right.append(cell(look.say("blocker" if line.open and line.blocker else "", "muted"), 7))
    elif line.open and line.blocker:
        right.append(look.say("blocker", "muted"))
    said = _said(review, line) if line.open else ""
    left = Content.assemble(
        mark, cell(title, min(titles, width // 2)) if said else title, "  ", look.say(said, "muted") if said else ""
    )
    return spread(width, left, join(right, "  "), gap=2)


def _said(review: Review, line: Line) -> str:
    found = line.found
    if line.item is not None and line.item.gaps and line.kind == "pass":
        return f"counts half: {', '.join(map(review.moment.title, line.item.gaps))} is open"
    questions = tuple(
        probe.asks() for ask in line.step.asks.values() if (probe := getattr(ask, "probe", None)) is not None
    )
    if found.stale_why == TOO_OLD and found.result is not None and found.age is not None:
        most = span_of(timedelta(milliseconds=found.result.max_age_ms))
        return f"measured {age(found.result.at, review.moment.view.now)} ago, counts for {most}"
    return without(found.stale_why or found.message, questions)


def _age(review: Review, line: Line) -> str:
    found, now = line.found, review.moment.view.now
    if found.state == "waived" and found.waiver is not None:
        return till(found.waiver.expires, now)
    if found.state in ("todo", "measuring", "not-applicable", "disabled"):
        return ""
    if found.result is not None:
        return age(found.result.at, now)
    newest = max((one.event.at for one in found.signed), default=None)
    return "" if newest is None else age(newest, now)


# advice


def next_best(look: Look, one: Advice, width: int, *, first: str = "→ next best: ") -> list[Content]:
    """What lifts the score most, and by how much; two rows where one has no room."""
    key = _DOES.get(one.verb, "")
    does = Content.assemble(
        look.say(first, "hand"),
        look.say(one.what, "bold"),
        look.say(f"  ({key})" if key else "", "muted"),
    )
    said = lifting(one)
    if does.cell_length + len(said[0]) + 2 <= width:
        return [Content.assemble(does, "  ", look.say(said[0], "muted"))]
    room = width - len(first)
    fits = next((text for text in said if len(text) <= room), said[-1])
    return [cell(does, width), cell(Content.assemble(" " * len(first), look.say(fits, "muted")), width)]


def lifting(one: Advice) -> list[str]:
    """`lifts Backup/DR 40 → 60, the whole 84 → 86; no go without it`, and in fewer words where there is less room."""
    own = one.gain.category
    category = own is not None and own[0] != own[1] and one.category is not None
    mine = [f"{one.category.title} {own[0]} → {own[1]}"] if category and one.category and own else []
    whole = [f"the whole {one.gain.whole[0]} → {one.gain.whole[1]}"] if one.gain.points else []
    urgent = "; no go without it" if one.urgent else ""
    if mine or whole:
        choices = [[*mine, *whole], mine or whole, whole or mine]
        return [f"lifts {', '.join(pieces)}{urgent}" for pieces in choices]
    return ["there is no go without it" if one.urgent else "lifts no number by itself"]
