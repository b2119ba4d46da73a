"""What a rollback has done so far, as rows: its parts, its proof and its entries. From the recorded run alone.

So a rollback that another captain began, or this one before it was closed, shows the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from captain.events import Output, Recorded
from captain.run import Attempt
from captain.tui.moment import Moment
from captain.tui.present import Look, Role, cell, mark_of, running_clock, spread, took, verdict_mark
from captain.tui.wayback import goal

if TYPE_CHECKING:
    from captain.run import Rollback

VERB = 9
TIME = 8


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the plan and what became of it."""

    id: str
    to: str
    state: str
    """A name that present.mark_of knows."""
    word: str | None
    """Instead of the state's own word."""
    took_ms: int | None
    attempt: Attempt | None


def parts(moment: Moment) -> list[Part]:
    """The parts in running order."""
    run = moment.view.run
    if run.rollback is None:
        return []
    return [_part(moment, run.rollback, one) for one in run.rollback.intent.data["parts"]]


def _part(moment: Moment, rollback: Rollback, data: Mapping[str, str]) -> Part:
    run = moment.view.run
    tries = [run.attempts[name] for name in rollback.attempts if run.attempts[name].part == data["id"]]
    attempt = tries[-1] if tries else None
    if attempt is None:
        # A part that never began when the rollback ended will not begin any more.
        return Part(data["id"], data["to"], "not-run" if rollback.end is not None else "todo", None, None, None)
    if attempt.id in moment.view.alive:
        return Part(data["id"], data["to"], "running", None, moment.elapsed_ms(attempt), attempt)
    spent = attempt.finished.data["duration_ms"] if attempt.finished is not None else None
    state = "pass" if attempt.succeeded else "unknown" if attempt.outcome in (None, "lost") else "fail"
    return Part(data["id"], data["to"], state, None, spent, attempt)


def plan_rows(look: Look, moment: Moment, width: int, frame: int = 0) -> list[Content]:
    """`✓ pass   change  web → 1.3.9   0:14`, and under what runs or failed the last words it said."""
    rows: list[Content] = []
    for part in parts(moment):
        mark = mark_of(part.state)
        tone: Role = "bold" if mark.loud else "plain" if part.state == "todo" else "muted"
        to = goal(look, moment.view.run.rollback.to.label if moment.view.run.rollback else "", part.to, width)
        name = Content.assemble(look.say(f"{part.id} → ", tone), to)
        clock = look.say("" if part.took_ms is None else running_clock(part.took_ms), "bold" if mark.loud else "muted")
        head = Content.assemble(look.mark(mark, frame), cell(look.say("change", "muted"), VERB), name)
        rows.append(spread(width, head, cell(clock, TIME, right=True)))
        said = _last_words(moment, part)
        if said is not None and part.state != "pass":
            rows.append(cell(Content.assemble(" " * (10 + VERB), look.say(said, "muted")), width))
    return rows


def _last_words(moment: Moment, part: Part) -> str | None:
    if part.attempt is None:
        return None
    output = moment.live.output.get(part.attempt.id)
    if output:
        return output[-1].text
    if part.state == "unknown":
        return "nobody saw its end; it looks before it acts when it is started again"
    if part.state == "fail" and part.attempt.finished is not None:
        data = part.attempt.finished.data
        return {
            "exited": f"exit {data['exit_code']}",
            "signalled": f"ended by {data['signal']}",
            "timed_out": "ran out of time",
        }.get(data["outcome"], str(data["outcome"]))
    return None


def verify_titles(moment: Moment) -> list[tuple[str, str]]:
    """(id, title) of the steps that must pass afterwards; those already measured also where the files changed."""
    target = moment.view.target
    found: dict[str, str] = {}
    for name in target.service.rollback.verify:
        checklist, _, step_id = name.rpartition("/")
        at = target.checklist.find(step_id) if checklist in ("", target.checklist.checklist) else None
        if at is not None:
            found[step_id] = at[1].title
    if not found and target.service.release.running is not None:
        found["release.running"] = "The release that runs"
    for step_id in moment.view.run.verified:
        found.setdefault(step_id, moment.title(step_id))
    return list(found.items())


def verify_rows(look: Look, moment: Moment, width: int, frame: int = 0) -> list[Content]:
    """`✓ pass   verify  Health checks passing   status = 200`."""
    run = moment.view.run
    rows: list[Content] = []
    ended = run.rollback is not None and run.rollback.end is not None
    for step_id, title in verify_titles(moment):
        result = run.verified.get(step_id)
        if result is None:
            asked = step_id in moment.live.asking or step_id in moment.view.asking
            mark = mark_of("measuring" if asked else "not-run" if ended else "todo")
            said, clock = "", ""
        else:
            mark = verdict_mark(result.verdict)
            said = result.message
            clock = took(result.event.data["duration_ms"])
        head = Content.assemble(
            look.mark(mark, frame),
            cell(look.say("verify", "muted"), VERB),
            look.say(title, "bold" if mark.loud else "plain"),
            look.say(f"  {said}", "error" if mark.word == "FAIL" else "muted"),
        )
        rows.append(spread(width, head, cell(look.say(clock, "muted"), TIME, right=True)))
    return rows


def output_rows(look: Look, moment: Moment, width: int, height: int) -> list[Content]:
    """The last lines that the newest part printed; the newest four are bright."""
    lines: Sequence[Output] = ()
    for part in parts(moment):
        if part.attempt is not None and part.attempt.id in moment.live.output:
            lines = tuple(moment.live.output[part.attempt.id])
    shown = lines[-max(0, height) :] if height > 0 else ()
    rows = []
    for at, line in enumerate(shown):
        bright = at >= len(shown) - 4
        when = cell(look.say(running_clock(line.at_ms), "muted"), 6, right=True)
        rows.append(cell(Content.assemble(when, "  ", look.say(line.text, "plain" if bright else "muted")), width))
    return rows or [look.say("nothing printed yet", "muted")]


def entries(moment: Moment) -> list[Recorded]:
    """What was recorded since the rollback began, oldest first."""
    run = moment.view.run
    if run.rollback is None:
        return []
    found: list[Recorded | None] = [run.rollback.intent, run.rollback.end]
    for attempt in run.attempts.values():
        found += [attempt.intent, attempt.started, attempt.finished, attempt.resolved]
    found += [result.event for result in run.verified.values()]
    found += [run.end, run.last]
    since = run.rollback.intent.seq
    unique = {one.seq: one for one in found if one is not None and one.seq >= since}
    return [unique[seq] for seq in sorted(unique)]
