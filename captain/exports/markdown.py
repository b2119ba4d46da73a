"""markdown: a run for a ticket: what it was, its steps, its timeline. Outside text stays text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from captain.events import Recorded
from captain.events.sentences import sentence, took
from captain.exports import Story, export
from captain.run import Run, apply
from captain.safe import safe

# Whatever Markdown could take for its own inside a cell; links that renderers make of bare addresses included.
_SPECIAL = re.compile(r"[\\`*_\[\]|~$#]|:(?=//)|(?<=mailto):|(?<=xmpp):|(?<=www)\.", re.IGNORECASE)
# Mentions are looked for in what was rendered, where a backslash is gone already.
_MENTION = re.compile(r"(?<![\w.+-])@(?=\w)")
_MARKS = {"pass": "✓ pass", "warn": "! warn", "unknown": "? unknown", "fail": "✗ FAIL"}


@export("markdown", suffix=".md")
def write(story: Story) -> Iterator[bytes]:
    """A heading, a table of the newest result of each step (of one run), and a table of everything that happened."""
    run: Run | None = None
    timeline = []
    for entry in story.entries:
        if story.run is not None:
            run = apply(run, entry.event)
        timeline.append(_happened(entry.event, story))
    lines = [f"# {text(story.run) if story.run else 'captain log'}", ""]
    if run is not None:
        lines += [*_facts(run), *_steps(run, story)]
    lines += ["## Timeline", "", *_header(story), *timeline]
    for line in lines:
        yield line.encode("utf-8", "replace") + b"\n"


def text(value: object, limit: int = 2000) -> str:
    """Outside text as one line that Markdown and HTML show as it is: no link, no mention, no cell border."""
    shown = safe(value, limit).replace("&", "&amp;").replace("<", "&lt;")
    return _MENTION.sub("@\u200b", _SPECIAL.sub(r"\\\g<0>", shown))


def _facts(run: Run) -> list[str]:
    release = run.release
    facts = [
        ("Service", run.service),
        ("Environment", run.environment + (", protected" if run.protected else "")),
        ("Release", f"{release.label} {release.commit or ''}".strip()),
        ("Over", run.previous.label if run.previous is not None else None),
        ("Checklist", run.checklist),
        ("State", run.state.replace("_", " ")),
        ("Verdict", run.end.data["verdict"] if run.end is not None else None),
        ("Opened", f"{run.start.ts} by {run.start.actor.name}"),
        ("Ended", run.end.ts if run.end is not None else None),
    ]
    rows = [f"| {name} | {text(value)} |" for name, value in facts if value is not None]
    return ["| | |", "|---|---|", *rows, ""]


def _steps(run: Run, story: Story) -> list[str]:
    if not run.results and not run.sign_offs:
        return []
    lines = ["## Steps", "", "| Step | Verdict | Message | Took | Entry |", "|---|---|---|---|---|"]
    for step, result in run.results.items():
        spent = took(result.event.data["duration_ms"])
        name = text(story.titles.get(step, step))
        lines.append(f"| {name} | {_MARKS[result.verdict]} | {text(result.message)} | {text(spent)} | {result.seq} |")
    for one in run.sign_offs:
        if one.seq not in run.withdrawn:
            name = text(story.titles.get(one.target, one.target))
            word = one.meaning.replace("_", " ")
            lines.append(f"| {name} | {word} | {text(one.by)}: {text(one.note)} | | {one.seq} |")
    return [*lines, ""]


def _header(story: Story) -> list[str]:
    if story.run is not None:
        return ["| Entry | Time | Who | What |", "|---|---|---|---|"]
    return ["| Entry | Time | Run | Who | What |", "|---|---|---|---|---|"]


def _happened(event: Recorded, story: Story) -> str:
    told = sentence(event, story.titles)
    run = "" if story.run is not None else f" {text(event.run)} |"
    return f"| {event.seq} | {event.ts[:19]}Z |{run} {text(told.who)} | {text(told.text)} |"
