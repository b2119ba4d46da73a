"""How an earlier run looks: its row in the list, its facts, its timeline. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from textual.content import Content

from captain.tui.past import Detail, Line, PastRun, people, worst_seen
from captain.tui.present import Look, Role, age, cell, count, join, running_clock, spread, verdict_mark

_STATES: dict[str, tuple[str, Role]] = {
    "open": ("●", "primary"),
    "rolling_back": ("R", "error"),
    "completed": ("✓", "success"),
    "checked": ("✓", "success"),
    "aborted": ("≈", "muted"),
    "superseded": ("–", "muted"),
    "rolled_back": ("✗", "fail"),
    "rollback_incomplete": ("✗", "fail"),
}
_TONES: dict[str, Role] = {"quiet": "muted", "warning": "warning", "bad": "fail", "loud": "hand"}
_GLYPH_ROLES: dict[str, Role] = {"✓": "success", "✗": "fail", "!": "warning", "?": "unknown", "R": "hand", "◆": "hand"}
LABEL = 9
GAP_BAR = 5
"""Cells of the bar that shows where the time went."""


def run_row(look: Look, one: PastRun, now: datetime, width: int, cursor: bool) -> Content:
    """`▌✓ ▲ production 1.4.0  completed   pass   karen   12 d`."""
    glyph, role = _STATES.get(one.state, ("?", "unknown"))
    left = Content.assemble(
        look.say("▌", "primary") if cursor else " ",
        look.say(glyph, role),
        " ",
        look.say("▲ " if one.protected else "  "),
        cell(look.say(one.environment, "plain" if one.protected else "muted"), 11),
        cell(look.say(one.version, "bold"), 9),
        look.say(one.state.replace("_", " "), role if role in ("fail", "error", "primary") else "muted"),
    )
    right = [look.say(age(one.started, now), "muted")]
    if width >= 60:
        verdict = look.say("" if one.verdict is None else verdict_mark(one.verdict).word, "muted")
        right = [cell(verdict, 8), cell(look.say(one.by.partition("@")[0], "muted"), 9), *right]
    return spread(width, left, join(right, " "))


def fact_rows(look: Look, detail: Detail, now: datetime, width: int) -> list[Content]:
    """Release, outcome, people, evidence."""
    run = detail.run

    def fact(label: str, *parts: Content) -> Content:
        return cell(Content.assemble(cell(look.say(label, "muted"), LABEL), *parts), width)

    over = look.say(f"  over {run.previous.label}" if run.previous is not None else "", "muted")
    commit = look.say(f" {(run.release.commit or '')[:7]}", "muted")
    glyph, role = _STATES.get(run.state, ("?", "unknown"))
    last = run.last.at if run.last is not None else run.start.at
    took = running_clock((last - run.start.at).total_seconds() * 1000)
    worst = worst_seen(run)
    seen = look.say("" if worst is None else f"  worst result {verdict_mark(worst).word}", "muted")
    rows = [
        fact("release", look.say(run.release.label, "bold"), commit, over),
        fact(
            "outcome",
            look.say(f"{glyph} {run.state.replace('_', ' ')}", role),
            look.say(f"  {age(run.start.at, now)} ago, in {took}", "muted"),
            seen,
        ),
        fact("people", look.say(" · ".join(people(detail.events)))),
    ]
    waived = [one for one in run.waivers if one.seq not in run.withdrawn]
    signed = [one for one in run.sign_offs if one.seq not in run.withdrawn]
    rows.append(
        fact(
            "signed",
            look.say(count(len(signed), "sign-off")),
            look.say(f", {count(len(waived), 'waiver')}" if waived else "", "warning"),
        )
    )
    if run.end is not None and run.end.data["reason"]:
        rows.append(fact("reason", look.say(run.end.data["reason"])))
    if run.end is not None and run.end.data["left_running"]:
        rows.append(fact("left", look.say(run.end.data["left_running"], "warning")))
    return rows


def timeline_rows(look: Look, told: Sequence[Line], width: int) -> list[Content]:
    """Clock, gap, glyph, who, where the time went, what. Only what failed or went back is loud."""
    longest = max((one.gap.total_seconds() for one in told if one.gap is not None), default=0.0)
    wide = width >= 64
    rows = []
    for one in told:
        seconds = 0.0 if one.gap is None else max(0.0, one.gap.total_seconds())
        gap = "" if one.gap is None else running_clock(seconds * 1000)
        parts: list[Content | str] = [
            look.say(f"{one.at:%H:%M:%S}", "muted"),
            cell(look.say(gap, "plain" if longest and seconds > longest / 2 else "muted"), 8, right=True),
            "  ",
            cell(look.say(one.glyph, _GLYPH_ROLES.get(one.glyph, "muted")), 2),
            cell(look.say(one.who.partition("@")[0], "muted"), 9),
        ]
        if wide:
            bar = "█" * round(GAP_BAR * seconds / longest) if longest else ""
            parts += [cell(look.say(bar, "plot"), GAP_BAR + 1)]
        rows.append(cell(Content.assemble(*parts, look.say(one.text, _TONES.get(one.tone, "plain"))), width))
    return rows
