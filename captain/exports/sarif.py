"""sarif: the result of a check as SARIF 2.1.0, for code scanning: rules are steps, results what is not good.

What could not be told is a result of kind `open`, and what waits for a person one of kind `review`, both without a
level, as the standard has it. So that nobody takes a report without failures for a clean one, an invocation in which
anything could not be told says of itself that it was not successful.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlsplit

from captain.clock import stamp
from captain.exports import Mark, mark, report
from captain.safe import safe, uncommanding_json

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
FINGERPRINT = "captainStep/v1"
_ANSWERS = {0: "go", 1: "no-go", 3: "could not tell", 4: "waits for a person"}
_LEVELS = {"blocker": "error", "warning": "warning", "info": "note"}
_KINDS: Mapping[Mark, str] = {"fail": "fail", "warn": "fail", "unknown": "open", "waits": "review"}


@report("sarif", suffix=".sarif")
def write(result: Mapping[str, Any]) -> bytes:
    """One run in one log, in ASCII."""
    steps = [(section, step) for section in result["sections"] for step in section["steps"]]
    results = [
        made
        for index, (section, step) in enumerate(steps)
        if (made := _result(result, section, step, index)) is not None
    ]
    run = {
        "tool": {
            "driver": {
                "name": "captain",
                "semanticVersion": result["captain"],
                "rules": [_rule(section, step) for section, step in steps],
            }
        },
        "automationDetails": {"id": "/".join(_path(result, result["run"] or ""))},
        "invocations": [_invocation(result, steps)],
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": _properties(result),
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    text = json.dumps(log, ensure_ascii=True, indent=2, allow_nan=False)
    return uncommanding_json(text).encode("ascii") + b"\n"


def _path(result: Mapping[str, Any], *more: str) -> tuple[str, ...]:
    named = (result["service"], result["environment"], result["checklist"]["id"], *more)
    return tuple(safe(one, 200) for one in named)


def _rule(section: Mapping[str, Any], step: Mapping[str, Any]) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": step["id"],
        "shortDescription": _message(step["title"]),
        "defaultConfiguration": {"level": _LEVELS[step["severity"]]},
        "properties": {"tags": [safe(section["id"], 100)], "severity": step["severity"]},
    }
    if step["why"]:
        rule["fullDescription"] = _message(step["why"])
    if step["help"]:
        rule["help"] = _message(step["help"])
    if step["link"] and _is_address(step["link"]):
        rule["helpUri"] = step["link"]
    return rule


def _result(
    result: Mapping[str, Any], section: Mapping[str, Any], step: Mapping[str, Any], index: int
) -> dict[str, Any] | None:
    """What is to be said of a step; None where it is good or was nobody's business."""
    found = mark(step)
    if found in ("pass", "excused"):
        return None
    judged = "fail" if step["verdict"] in ("fail", "warn") else "open"
    kind = judged if found == "waived" else _KINDS[found]
    path = _path(result, section["id"], step["id"])
    made: dict[str, Any] = {
        "ruleId": step["id"],
        "ruleIndex": index,
        "kind": kind,
        "level": _level(found, step) if kind == "fail" else "none",
        "message": _message(f"{step['title']}: {step['message'] or found}"),
        "locations": [_location(path, step)],
        "partialFingerprints": {FINGERPRINT: _fingerprint(result, step)},
        "properties": {
            "verdict": step["verdict"],
            "state": step["state"],
            "unmet": step["unmet"] is not None,
            "conditions": [f"{safe(one['expect'], 1000)}: {safe(one['resolved'])}" for one in step["conditions"]],
        },
    }
    if found == "waived":
        made["suppressions"] = [{"kind": "external", "status": "accepted", "justification": safe(step["message"])}]
    return made


def _level(found: Mark, step: Mapping[str, Any]) -> str:
    level = _LEVELS[step["severity"]]
    return "warning" if found == "warn" and level == "error" else level


def _location(path: tuple[str, ...], step: Mapping[str, Any]) -> dict[str, Any]:
    location: dict[str, Any] = {
        "logicalLocations": [{"name": step["id"], "fullyQualifiedName": "/".join(path), "kind": "step"}]
    }
    if step["location"] is not None:
        location["physicalLocation"] = {
            "artifactLocation": {"uri": quote(step["location"]["path"], errors="replace"), "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": step["location"]["line"]},
        }
    return location


def _fingerprint(result: Mapping[str, Any], step: Mapping[str, Any]) -> str:
    """The same for a step in every run, whatever it came to and wherever it is written."""
    named = [result["service"], result["environment"], result["checklist"]["id"], step["id"]]
    return sha256(json.dumps(named, ensure_ascii=True).encode("ascii")).hexdigest()


def _invocation(result: Mapping[str, Any], steps: list[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> dict[str, Any]:
    code = result["exit_code"]
    notes = []
    for index, (_, step) in enumerate(steps):
        found = mark(step)
        if found == "unknown" or step["state"] == "not-run":
            level = _LEVELS[step["severity"]] if found == "unknown" else "note"
            said = _message(f"{step['title']}: {step['message'] or found}")
            notes.append({"associatedRule": {"id": step["id"], "index": index}, "level": level, "message": said})
    started = datetime.fromisoformat(result["started_at"])
    return {
        "executionSuccessful": code != 3 and not any(mark(step) == "unknown" for _, step in steps),
        "exitCode": code,
        "exitCodeDescription": _ANSWERS[code],
        "startTimeUtc": result["started_at"],
        "endTimeUtc": stamp(started + timedelta(milliseconds=result["duration_ms"])),
        "toolExecutionNotifications": notes,
    }


def _properties(result: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "service": result["service"],
        "environment": result["environment"],
        "checklist": result["checklist"]["id"],
        "version": result["release"]["version"],
        "commit": result["release"]["commit"],
        "verdict": result["verdict"],
        "reasons": [safe(one) for one in result["gate"]["reasons"]],
    }
    if (score := result.get("score")) is not None:
        found["score"] = {key: score[key] for key in ("low", "high", "label", "coverage", "decision")}
    return found


def _message(text: object) -> dict[str, str]:
    """Outside text as a message: no link of the sort that viewers make of `[text](target)`."""
    return {"text": safe(text).replace("](", "] (")}


def _is_address(link: str) -> bool:
    try:
        return urlsplit(link).scheme in ("http", "https") and link == quote(link, safe="%/:=&?~#+!$,;'@()*[]")
    except ValueError:
        return False
