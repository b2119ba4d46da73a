"""Rows of the bridge: an open run in two lines, an ended one in one, waivers that end, what runs where. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from textual.content import Content

from captain.measurement import Verdict
from captain.run import Run
from captain.tui.harbour import Reviewed, Sight, open_verdicts, verdict_of
from captain.tui.present import Look, Role, age, cell, join, lines, running_clock, spread, till, verdict_mark

if TYPE_CHECKING:
    from captain.tui.review import Review

BAR_NAME = 16
SCORE = 9
ENVIRONMENT = 15
VERSION = 11
_ENDS: dict[str, tuple[str, Role]] = {
    "completed": ("✓", "success"),
    "rolled_back": ("✗", "fail"),
    "rollback_incomplete": ("✗", "fail"),
    "aborted": ("≈", "muted"),
    "superseded": ("≈", "muted"),
}


def letters(run: Run) -> str:
    """What a filter looks at."""
    return f"{run.id} {run.environment} {run.release.label} {run.state} {run.start.actor.name}".casefold()


def _environment(look: Look, run: Run, *, chip: bool) -> Content:
    if chip and run.protected:
        return look.environment(run.environment, True)
    if run.protected:
        return look.say(f"▲ {run.environment}", "bold")
    return look.say(f"  {run.environment}", "muted")


def open_run(look: Look, run: Run, sight: Sight, width: int) -> Content:
    """Two lines: where, what, how it stands, since when; then why, and what R would do."""
    verdict = verdict_of(run)
    mark = verdict_mark(verdict)
    state = look.say("rolling back", "fail") if run.rollback is not None else None
    if state is None:
        state = (
            Content.assemble(look.say(f"{mark.glyph} {mark.word}", mark.role))
            if open_verdicts(run)
            else look.say("○ todo")
        )
    first = Content.assemble(
        cell(_environment(look, run, chip=True), ENVIRONMENT),
        " ",
        cell(look.say(run.checklist if run.standing else run.release.label, "bold"), VERSION),
        cell(state, 13),
        look.say("review" if run.standing else run.opened or "first section", "muted"),
    )
    last = run.last.at if run.last is not None else run.start.at
    who = run.start.actor.name.partition("@")[0]
    one = spread(width, first, look.say(f"{who}  {age(last, sight.now)}", "muted"), gap=2)
    counts = Counter(open_verdicts(run))
    why = [
        look.say(f"{counts[which]} {verdict_mark(which).word}", verdict_mark(which).role)
        for which in (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN, Verdict.PASS)
        if counts[which]
    ] or [look.say("nothing measured in it yet", "muted")]
    second = Content.assemble(" " * (ENVIRONMENT + 1), join(why, " · ", look.style("muted")))
    return lines([one, spread(width, second, _back(look, run), gap=2)])


def _back(look: Look, run: Run) -> Content:
    if run.no_way_back is not None:
        return look.say("R → NO WAY BACK", "error")
    if run.point is None or not run.point.data["targets"]:
        return Content("")
    targets = run.point.data["targets"]
    if not all(one["ready"] for one in targets):
        return look.say("R → NOT READY", "error")
    return look.say(f"R → {targets[0]['to'] if run.previous is None else run.previous.label}", "muted", 24)


def recent_run(look: Look, run: Run, sight: Sight, width: int) -> Content:
    """One line of an ended run."""
    assert run.end is not None
    glyph, role = _ENDS.get(run.state, ("?", "unknown"))
    left = Content.assemble(
        cell(_environment(look, run, chip=False), ENVIRONMENT),
        " ",
        cell(look.say(run.release.label), VERSION),
        look.say(f"{glyph} {run.state.replace('_', ' ')}", role),
    )
    took = running_clock((run.end.at - run.start.at).total_seconds() * 1000)
    right = Content.assemble(look.say(took, "muted"), cell(look.say(_ago(run, sight), "muted"), 12, right=True))
    return spread(width, left, right, gap=2)


def _ago(run: Run, sight: Sight) -> str:
    assert run.end is not None
    said = age(run.end.at, sight.now)
    return f"{said} ago" if (sight.now - run.end.at).days < 30 else said


def nothing_open(look: Look, sight: Sight) -> Content:
    """One sentence and one key."""
    if not sight.declared:
        return Content.assemble(look.say("no captain.yaml here: ", "muted"), look.say("captain init", "bold"))
    if not sight.total:
        return Content.assemble(
            look.say("No runs yet.  ", "muted"), look.say("n", "hand"), look.say(" start the first release", "muted")
        )
    return Content.assemble(look.say("No open run.  ", "muted"), look.say("n", "hand"), look.say(" new run", "muted"))


def readiness(look: Look, sight: Sight, reviewed: Reviewed | None, width: int) -> list[Content]:
    """What the review comes to, what forbids a go, and a thin bar for each category."""
    found, missing = _scored(look, sight, reviewed)
    if found is None:
        return [missing]
    from captain.tui import review_rows

    rows = [review_rows.verdict(look, found, width), Content("")]
    for group in found.groups:
        if group.counted and group.range is not None:
            low, high = group.range
            cells = max(4, width - BAR_NAME - SCORE)
            drawn = Content.assemble(
                cell(look.say(group.section.title), BAR_NAME),
                review_rows.bar(look, low, high, cells),
                cell(review_rows.percent(look, low, high), SCORE, right=True),
            )
            rows.append(drawn)
    return rows


def readiness_line(look: Look, sight: Sight, reviewed: Reviewed | None, width: int) -> Content:
    """The same in one row."""
    found, missing = _scored(look, sight, reviewed)
    label = look.say("readiness  ", "muted")
    if found is None:
        return cell(Content.assemble(label, missing), width)
    from captain.tui import review_rows

    return cell(Content.assemble(label, review_rows.verdict(look, found, width - label.cell_length)), width)


def _scored(look: Look, sight: Sight, reviewed: Reviewed | None) -> tuple[Review | None, Content]:
    """The review that can be shown, else the one sentence that says why there is none."""
    if sight.review is None:
        if not sight.declared:
            return None, look.say("No review yet.", "muted")
        if sight.standing:
            said = look.say(" opens the first one", "muted")
            return None, Content.assemble(look.say("No review yet.  ", "muted"), look.say("r", "hand"), said)
        named = look.say("captain init", "bold")
        return None, Content.assemble(look.say("No review yet: ", "muted"), named, look.say(" writes one", "muted"))
    if reviewed is None:
        return None, look.say("scoring…", "muted")
    if reviewed.view is None:
        return None, look.say(reviewed.trouble or "it cannot be scored", "warning")
    from captain.tui.moment import Live, moment
    from captain.tui.review import Review

    return Review(moment(reviewed.view, Live()), reviewed.past), Content("")


def ends(look: Look, sight: Sight, width: int) -> list[Content]:
    """Waivers and sign-offs that end within 30 days."""
    found = []
    for one in sight.ends:
        run, near = one.run, (one.when - sight.now).days < 3
        said = look.say(till(one.when, sight.now), "warning" if near else "muted")
        name = look.say(one.step if one.what == "waiver" else f"{one.step}  {one.what}", "plain")
        glyph = look.say("! " if near else "  ", "warning")
        found.append(spread(width, Content.assemble(glyph, name, look.say(f"  {run.environment}", "muted")), said))
    return found or [look.say("Nothing ends within 30 days.", "muted")]


def out(look: Look, sight: Sight, width: int) -> list[Content]:
    """What was completed last in each environment."""
    found = []
    for run in sight.running:
        assert run.end is not None
        left = Content.assemble(
            cell(_environment(look, run, chip=False), ENVIRONMENT), " ", cell(look.say(run.release.label), VERSION)
        )
        commit = look.say((run.release.commit or "")[:7], "muted")
        found.append(spread(width, Content.assemble(left, commit), look.say(age(run.end.at, sight.now), "muted")))
    return found or [look.say("No completed run.", "muted")]


def state(look: Look, width: int, run: Run | None, sight: Sight | None) -> Content:
    """The bar: the run under the cursor."""
    clock = look.say(f"{sight.now:%H:%M:%S} UTC" if sight is not None else "")
    if run is None:
        return spread(width, look.say("opening…" if sight is None else "no run chosen", "muted"), clock)
    if run.ended:
        chip = look.chip(run.state.replace("_", " ").upper(), "environment")
    else:
        role: Role = "chip-error" if verdict_of(run) is Verdict.FAIL or run.rollback is not None else "chip-hand"
        chip = look.chip("OPEN", role)
    return spread(width, Content.assemble(chip, "  ", look.say(run.id, "bold")), clock, gap=2)
