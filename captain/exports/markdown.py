"""markdown: a run for a ticket, or the result of a check for a pull request. Outside text stays text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from captain.events import Recorded
from captain.events.sentences import sentence, took
from captain.exports import Mark, Story, export, mark, report
from captain.run import Run, apply
from captain.safe import safe

# Whatever Markdown could take for its own inside a cell; links that renderers make of bare addresses included.
_SPECIAL = re.compile(r"[\\`*_\[\]|~$#]|:(?=//)|(?<=mailto):|(?<=xmpp):|(?<=www)\.", re.IGNORECASE)
# Mentions are looked for in what was rendered, where a backslash is gone already.
_MENTION = re.compile(r"(?<![\w.+-])@(?=\w)")
_MARKS: Mapping[Mark, str] = {
    "pass": "✓ pass",
    "warn": "! warn",
    "unknown": "? unknown",
    "fail": "✗ FAIL",
    "waits": "○ waits",
    "waived": "≈ waived",
}
_ANSWERS = {0: "GO", 1: "NO-GO", 3: "NO-GO: cannot tell", 4: "WAITS for a person"}


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
        word = _MARKS[result.verdict.value]
        lines.append(f"| {name} | {word} | {text(result.message)} | {text(spent)} | {result.seq} |")
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


@report("markdown", suffix=".md")
def write_result(result: Mapping[str, Any]) -> bytes:
    """The answer and why, the score of a review, what is left to do, and a table of the steps of each section."""
    lines = [f"# {_ANSWERS[result['exit_code']]}: {text(result['checklist']['id'])}", "", *_about(result)]
    if result["gate"]["reasons"]:
        lines += ["## Why", "", *(f"- {text(one)}" for one in result["gate"]["reasons"]), ""]
    if (score := result.get("score")) is not None:
        lines += _score(score)
    lines += _remaining(result)
    for section in result["sections"]:
        lines += [f"## {text(section['title'])}", "", "| Step | Result | Message |", "|---|---|---|"]
        lines += [f"| {text(step['title'])} | {_word(step)} | {text(step['message'])} |" for step in section["steps"]]
        lines.append("")
    return "\n".join(lines).encode("utf-8", "replace")


def _about(result: Mapping[str, Any]) -> list[str]:
    release = result["release"]
    facts = [
        ("Service", result["service"]),
        ("Environment", result["environment"]),
        ("Release", " ".join(one for one in (release["version"], release["commit"]) if one)),
        ("Run", result["run"]),
        ("Verdict", result["verdict"]),
        ("Started", f"{result['started_at'][:19]}Z"),
    ]
    return ["| | |", "|---|---|", *(f"| {name} | {text(value)} |" for name, value in facts if value), ""]


def _score(score: Mapping[str, Any]) -> list[str]:
    raw, verified = f"{score['raw']:.1f}", round(score["coverage"] * 100)
    lines = [
        "## Score",
        "",
        f"{_span(score)}, {score['label']} (raw {raw} %, verified {verified} % of the weight): {score['decision']}",
        "",
        *(f"- {text(one)}" for one in score["reasons"]),
        "",
        "| Section | Score | |",
        "|---|---|---|",
    ]
    lines += [f"| {text(one['title'])} | {_span(one)} | {one['label']} |" for one in score["sections"].values()]
    beside = score["beside"].values()
    lines += [f"| {text(one['title'])} | {_span(one)} | {one['label']}, not counted |" for one in beside]
    return [*lines, ""]


def _span(one: Mapping[str, Any]) -> str:
    return f"{one['low']} %" if one["low"] == one["high"] else f"{one['low']}–{one['high']} %"


def _remaining(result: Mapping[str, Any]) -> list[str]:
    """What is not good of the steps that were looked at, worst first, and what is next about each."""
    steps = [step for section in result["sections"] for step in section["steps"]]
    left = [step for step in steps if mark(step) not in ("pass", "excused")]
    if not left:
        return []
    left.sort(key=lambda step: (step["unmet"] is None, step["unmet"]["exit_code"] if step["unmet"] else 0))
    lines = ["## Remaining", "", "| Step | Result | Next |", "|---|---|---|"]
    lines += [f"| {text(step['title'])} | {_word(step)} | {text(_next(result, step))} |" for step in left]
    return [*lines, ""]


def _next(result: Mapping[str, Any], step: Mapping[str, Any]) -> str:
    """The command, and what the checklist says of how it is put right."""
    found, run = mark(step), result["run"]
    check = f"captain check {result['checklist']['id']} -e {result['environment']} --step {step['id']}"
    told = [step["help"], step["link"]]
    if found == "waits" and run is not None and result["kind"] != "check":
        told.append(f"captain sign {run} {step['id']} --approve")
    elif found == "waived":
        told = [f"till {step['waiver']['until'][:10]}, owner {step['waiver']['owner']}"] if step["waiver"] else []
    elif found in ("fail", "unknown"):
        told.append(check)
    return "; ".join(one.rstrip(".") for one in told if one)


def _word(step: Mapping[str, Any]) -> str:
    """A step's result, with its severity where it is no blocker."""
    found = mark(step)
    word = _MARKS.get(found) or f"- {step['state'].replace('-', ' ')}"
    return word if step["severity"] == "blocker" or found in ("pass", "excused") else f"{word} ({step['severity']})"
