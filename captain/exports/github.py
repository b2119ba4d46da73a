"""github: the result of a check as annotations of GitHub Actions: workflow commands, one a line, for stdout.

A runner takes any line of a step for a command that begins with `::`, or holds `##[`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from captain.exports import Mark, mark, report
from captain.safe import safe, uncommanding

Level = Literal["error", "warning", "notice"]
MOST = 10
"""Annotations of one level that GitHub keeps of a step."""
_TEXT = 1000
_ANSWERS = {0: "GO", 1: "NO-GO", 3: "NO-GO, cannot tell", 4: "WAITS for a person"}
_WORDS: Mapping[Mark, str] = {
    "fail": "failed",
    "unknown": "could not be told",
    "waits": "waits for a person",
    "warn": "warns",
    "waived": "is waived",
}


@report("github", suffix=".txt")
def write(result: Mapping[str, Any]) -> bytes:
    """Errors are what keeps the answer from being a go; what does not count is a warning or a notice.

    An answer that is no go always has an error. The last line is the answer in words, and no command.
    """
    found: dict[Level, list[str]] = {"error": [], "warning": [], "notice": []}
    # GitHub keeps few of each level: what failed comes before what is not known, and that before what waits.
    for step in sorted((step for section in result["sections"] for step in section["steps"]), key=_urgency):
        level = _level(step)
        if level is not None:
            found[level].append(_step(level, step))
    code = result["exit_code"]
    if code != 0 and not found["error"]:
        found["error"].append(_command("error", {"title": "captain"}, [_ANSWERS[code], *result["gate"]["reasons"]]))
    lines = [line for level, commands in found.items() for line in _few(level, commands)]
    score = result.get("score")
    number = "" if score is None else f", score {score['low']} to {score['high']} %, {score['decision']}"
    lines.append(f"captain: {_shown(result['checklist']['id'])}: {_ANSWERS[code]}{number}")
    return "\n".join((*lines, "")).encode("utf-8", "replace")


def _urgency(step: Mapping[str, Any]) -> tuple[bool, int]:
    order: list[Mark] = ["fail", "unknown"]
    found = mark(step)
    return step["severity"] != "blocker", order.index(found) if found in order else len(order)


def _level(step: Mapping[str, Any]) -> Level | None:
    found = mark(step)
    if step["unmet"] is not None:
        return "error"
    if found in ("pass", "excused"):
        return None
    if found in ("waived", "waits") or step["severity"] == "info":
        return "notice"
    return "warning"


def _step(level: Level, step: Mapping[str, Any]) -> str:
    place = step["location"]
    keys = {} if place is None else {"file": place["path"], "line": str(place["line"])}
    title = f"{step['title']} {_WORDS.get(mark(step), '')}".rstrip()
    conditions = [f"{one['expect']}   {one['resolved']}" for one in step["conditions"] if one["verdict"] != "pass"]
    return _command(level, {**keys, "title": title}, [step["message"] or step["verdict"], *conditions])


def _few(level: Level, commands: list[str]) -> Iterator[str]:
    """No more than are kept: the last one then says how many there are besides."""
    if len(commands) <= MOST:
        yield from commands
        return
    yield from commands[: MOST - 1]
    yield _command(level, {"title": "captain"}, [f"and {len(commands) - MOST + 1} more, see the log or the summary"])


def _command(level: Level, keys: Mapping[str, str], lines: list[str]) -> str:
    properties = ",".join(f"{name}={_property(value)}" for name, value in keys.items())
    message = _data("\n".join(map(_shown, lines)))
    return f"::{level} {properties}::{message}"


def _shown(text: object) -> str:
    """Outside text as one line that holds no command of the older kind."""
    return uncommanding(safe(text, _TEXT))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(_shown(text)).replace(":", "%3A").replace(",", "%2C")
