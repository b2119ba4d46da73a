"""tap: the result of a check as test harnesses read it, TAP version 14: a point per step, and one for the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from captain.exports import Mark, mark, report
from captain.safe import safe, uncommanding_json

_ANSWERS = {0: "go", 1: "no-go", 3: "could not tell", 4: "waits for a person"}
# A # would begin a directive wherever it stands behind a space, and \\ escapes it.
_SPECIAL = re.compile(r"[\\#]")


@report("tap", suffix=".tap")
def write(result: Mapping[str, Any]) -> bytes:
    """A harness is green where captain's exit code is 0, and only there: the last test point is the answer itself.

    What fails and does not count is `not ok` with TODO; what nobody was to measure is `ok` with SKIP.
    """
    steps = [(section, step) for section in result["sections"] for step in section["steps"]]
    lines = ["TAP version 14", f"1..{len(steps) + 1}"]
    heading = (result["service"], result["environment"], result["release"]["version"], result["checklist"]["id"])
    lines.append(f"# {_plain(' '.join(one for one in heading if one))}")
    shown = None
    for number, (section, step) in enumerate(steps, 1):
        if section["id"] != shown:
            shown = section["id"]
            lines.append(f"# {_plain(section['title'])}")
        lines += _point(number, step)
    lines += _answer(len(steps) + 1, result)
    return "\n".join((*lines, "")).encode("utf-8", "replace")


def _point(number: int, step: Mapping[str, Any]) -> Iterator[str]:
    found = mark(step)
    name = f"{number} - {_plain(step['id'])}: {_plain(step['title'])}"
    if found == "excused":
        yield f"ok {name} # SKIP {_plain(step['message'])}"
    elif found in ("pass", "warn"):
        yield f"ok {name}"
    elif step["unmet"] is not None:
        yield f"not ok {name}"
    else:
        yield f"not ok {name} # TODO {_why(found, step)}"
    if found not in ("pass", "excused"):
        yield from _diagnostics(found, step)


def _why(found: Mark, step: Mapping[str, Any]) -> str:
    """Why something that is not good does not count."""
    if found == "waived":
        return _plain(step["message"])
    severity = "" if step["severity"] == "blocker" else f" ({step['severity']})"
    return f"{found}{severity}, not counted"


def _diagnostics(found: Mark, step: Mapping[str, Any]) -> Iterator[str]:
    conditions = [one for one in step["conditions"] if one["verdict"] != "pass"]
    values = {
        "message": step["message"],
        "severity": step["severity"],
        "verdict": step["verdict"],
        "state": step["state"],
        "result": found,
    }
    yield "  ---"
    yield from (f"  {key}: {_quoted(value)}" for key, value in values.items())
    if step["duration_ms"] is not None:
        yield f"  duration_ms: {step['duration_ms']}"
    if conditions:
        yield "  conditions:"
        for one in conditions:
            yield f"    - expect: {_quoted(one['expect'])}"
            yield f"      verdict: {_quoted(one['verdict'])}"
            yield f"      resolved: {_quoted(one['resolved'])}"
    if step["location"] is not None:
        yield "  at:"
        yield f"    file: {_quoted(step['location']['path'])}"
        yield f"    line: {step['location']['line']}"
    yield "  ..."


def _answer(number: int, result: Mapping[str, Any]) -> Iterator[str]:
    code = result["exit_code"]
    yield f"{'ok' if code == 0 else 'not ok'} {number} - answer: {_ANSWERS[code]}"
    reasons, score = result["gate"]["reasons"], result.get("score")
    if not reasons and score is None:
        return
    yield "  ---"
    yield f"  exit_code: {code}"
    if reasons:
        yield "  reasons:"
        yield from (f"    - {_quoted(one)}" for one in reasons)
    if score is not None:
        yield "  score:"
        yield f"    low: {score['low']}"
        yield f"    high: {score['high']}"
        yield f"    decision: {_quoted(score['decision'])}"
    yield "  ..."


def _plain(text: object) -> str:
    """Outside text as a part of a line: it begins no directive."""
    return _SPECIAL.sub(r"\\\g<0>", safe(text, 1000))


def _quoted(text: object) -> str:
    """Outside text as a YAML scalar, in double quotes: JSON's are YAML's."""
    return uncommanding_json(json.dumps(safe(text, 2000), ensure_ascii=False))
