"""The R line: what R would do, in every state of a run. Always true, or it says that it does not know."""

from __future__ import annotations

from textual.content import Content

from captain.run import allowed
from captain.tui.moment import Moment, Way
from captain.tui.present import Look, running_clock, spread, whole

ARROW = 4
"""Cells of `R → `."""


def way_back(look: Look, moment: Moment | None, width: int) -> Content:
    """One row. Not ready: the whole row in the colour of failure, reason first."""
    if moment is None:
        return _row(look, width, look.say("opening…", "muted"))
    run, live = moment.view.run, moment.live
    if run.kind == "check":
        return _row(look, width, look.say("a check changes nothing", "muted"))
    if run.standing:
        return _row(look, width, look.say("a review changes nothing", "muted"))
    if run.rollback is not None:
        return _rollback(look, moment, width)
    if run.ended:
        refusal = allowed.roll_back(moment.view)
        return _row(look, width, look.say(refusal.message if refusal else run.state, "muted"))
    if run.no_way_back is not None:
        return _bad(look, width, f"NO WAY BACK: {run.no_way_back}")
    way = _recorded(moment) or live.way
    if not run.started_anything:
        return _not_started(look, moment, way, width)
    refusal = allowed.roll_back(moment.view)
    if refusal is not None and moment.view.lock_holder is None and not moment.view.read_only:
        return _bad(look, width, f"NOT READY: {refusal.message}")
    if live.way_error is not None:
        return _bad(look, width, f"NOT READY: {live.way_error}")
    if way is None:
        return _row(look, width, look.say("looking whether the way back exists…", "muted"))
    if not way.ready:
        return _bad(look, width, f"NOT READY: {way.why or 'the target is gone'}", way.to)
    right = look.say(refusal.message, "warning") if refusal is not None else Content("")
    room = width - ARROW - (right.cell_length + 1 if right.plain else 0)
    return _row(look, width, _target(look, moment, way, room, "ready ✓"), right)


def _recorded(moment: Moment) -> Way | None:
    """The way back as it was recorded, unless it was looked at again since."""
    point = moment.view.run.point
    if moment.live.way is not None or point is None:
        return moment.live.way
    return of_targets([(one["to"], one["ready"], one["why"]) for one in point.data["targets"]])


def of_targets(targets: list[tuple[str, bool, str | None]]) -> Way:
    """The way back from what the strategies found: (to, ready, why) of each part."""
    if not targets:
        return Way("", False, "no rollback is written in captain.yaml")
    broken = next((one for one in targets if not one[1]), None)
    to = targets[0][0] + (f" and {len(targets) - 1} more" if len(targets) > 1 else "")
    return Way(to, broken is None, None if broken is None else broken[2])


def goal(look: Look, release: str, to: str, room: int, proved: str = "") -> Content:
    """The release first, then how, then what was proved of it, in at most `room` cells.

    `1.3.9 sha256:9f3c… ready ✓`, `1.3.9  python3 deploy.py 1.3.9  ready ✓`. `release` is the label of the release
    before, empty where it is not known; `to` is a strategy's own line. How yields first, by whole words.
    """
    words = to.split(" ")
    if release and words[0].endswith(f":{release}") and words[-1].startswith("sha256:"):
        # The version is said once: of an image that carries it the digest is what is new.
        words = words[-1:]
    elif release and words[0] == release:
        words = words[1:]
    elif words[0].startswith("/"):
        words = [words[0].rpartition("/")[2], *words[1:]]
    name, how = look.say(release, "bold"), look.say(" ".join(words), "muted")
    gap = " " if not how.plain or how.plain.startswith("sha256:") else "  "
    end = look.say(f"{gap if release or how.plain else ''}{proved}" if proved else "", "success")
    room -= name.cell_length + end.cell_length + (len(gap) if release else 0)
    if how.cell_length > room:
        cut = whole(how.plain, room)
        how = look.say(cut, "muted") if cut != how.plain else Content("")
    return Content.assemble(name, gap if release and how.plain else "", how, end)


def _not_started(look: Look, moment: Moment, way: Way | None, width: int) -> Content:
    nothing = look.say("nothing started: R offers abort", "muted")
    why = moment.live.way_error if way is None or way.ready else way.why or "no target"
    if why is not None:
        return _bad(look, width, f"NOT READY: {why}", "nothing started")
    if way is None:
        return _row(look, width, nothing, look.say("way back: looking…", "muted"))
    back = look.say("way back ", "muted")
    room = width - ARROW - nothing.cell_length - back.cell_length - 1
    return _row(look, width, nothing, Content.assemble(back, _target(look, moment, way, room, "exists ✓")))


def _rollback(look: Look, moment: Moment, width: int) -> Content:
    run = moment.view.run
    assert run.rollback is not None
    to = run.rollback.to.label
    if run.rollback.end is not None:
        data = run.rollback.end.data
        if data["state"] == "rolled_back":
            done = Content.assemble(look.say(f"rolled back to {to} ", "bold"), look.say("verified ✓", "success"))
            return _row(look, width, done)
        return _bad(look, width, f"ROLLBACK INCOMPLETE: {data['why'] or 'see the log'}", to)
    if run.ended:
        return _bad(look, width, f"ROLLBACK INCOMPLETE: run {run.state}", to)
    alive = moment.running()
    if alive is None:
        return _bad(look, width, f"ROLLBACK STOPPED HALFWAY on the way to {to}: R goes on")
    spent = running_clock((moment.view.now - run.rollback.intent.at).total_seconds() * 1000)
    part = len(run.rollback.attempts)
    parts = len(run.rollback.intent.data["parts"])
    left = Content.assemble(
        look.say(f"rolling back to {to}", "fail"), look.say(f"  part {part} of {parts}  {spent}", "muted")
    )
    return _row(look, width, left)


def _target(look: Look, moment: Moment, way: Way, room: int, proved: str) -> Content:
    previous = moment.view.run.previous
    return goal(look, "" if previous is None else previous.label, way.to, room, proved)


def _row(look: Look, width: int, left: Content, right: Content | None = None) -> Content:
    return spread(width, Content.assemble(look.say("R", "hand"), look.say(" → "), left), right or Content(""))


def _bad(look: Look, width: int, reason: str, to: str = "") -> Content:
    row = Content.assemble(look.say("R", "fail"), look.say(f" → {reason}", "wrong"))
    right = look.say(f"  {to}" if to else "", "error")
    # The reason is what must be read; where to yields before a letter of it.
    return spread(width, row, right if row.cell_length + right.cell_length < width else "")
