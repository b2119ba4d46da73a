"""A story for every format: a run in which somebody tries to break out of every table."""

from __future__ import annotations

from typing import Any

import pytest

from captain.events import decode
from captain.exports import Entry, Story
from captain.log.canonical import encode

RUN = "shop-production-1.5.0"
HOSTILE = '=2+5|<script>alert(1)</script> [ok](javascript:alert(1)) @here\n"quoted" \x1b[2J `x` | end'
HEX = "9f3c" + "0" * 60


def entry(seq: int, kind: str, data: dict[str, Any], *, run: str = RUN, name: str = "karen@example.com") -> Entry:
    body = encode(
        {
            "v": 1,
            "log": "0" * 32,
            "seq": seq,
            "id": f"01J{seq:023d}",
            "prev": "0" * 64,
            "ts": f"2026-11-23T14:02:{seq:02d}.000000Z",
            "mono": seq * 1000,
            "boot": "b",
            "actor": {"name": name, "source": "git", "login": "karen", "uid": 1000, "host": "bastion", "key": None},
            "tool": {"captain": "0.1.0"},
            "type": kind,
            "run": run,
            "data": data,
        }
    )
    return Entry(body, decode(body))


@pytest.fixture
def entries() -> list[Entry]:
    release = {"version": "1.5.0", "commit": "a1b2c3d" + "0" * 33, "images": {}}
    start = {
        "kind": "release",
        "service": "shop",
        "environment": "production",
        "protected": True,
        "checklist": "deploy",
        "tag": "v1.5.0",
        "untagged": False,
        **release,
        "previous": {"version": "1.4.0", "commit": None, "images": {}, "source": "observed", "differs": False},
        "files": [],
        "trust": None,
        "linked": None,
    }
    result = {
        "step": "checkout-works",
        "definition": HEX,
        "purpose": "measure",
        "verdict": "fail",
        "severity": "blocker",
        "message": HOSTILE,
        "attempts": 2,
        "started": "2026-11-23T14:02:02.000000Z",
        "duration_ms": 1234,
        "held_ms": None,
        "max_age_ms": 900000,
        "attempt": None,
        "probes": [],
        "observed": {"status": 500},
        "conditions": [{"expect": "status == 200", "role": "expect", "verdict": "fail", "resolved": "status = 500"}],
        "truncated": False,
    }
    signed = {
        "on": "step",
        "target": "on-call-told",
        "meaning": "approve",
        "note": HOSTILE,
        "roles": [],
        "role_checked": False,
        "definition": HEX,
        "seen": None,
        "expires": None,
        "evidence": [],
        "of": None,
    }
    end = {
        "state": "aborted",
        "verdict": "fail",
        "reason": "+1 bad",
        "left_running": None,
        "review_due": None,
    }
    return [
        entry(1, "log.open", {"format": 1}, run=""),
        entry(2, "run.start", start),
        entry(3, "step.result", result),
        entry(4, "signoff", signed, name="eve|<b>"),
        entry(5, "run.end", end),
    ]


@pytest.fixture
def story(entries: list[Entry]) -> Story:
    """One run."""
    return Story(entries[1:], RUN, {"checkout-works": "Checkout works", "on-call-told": "On-call | told"})


def step(
    name: str, verdict: str, state: str = "measured", severity: str = "blocker", code: int | None = None, **keys: Any
) -> dict[str, Any]:
    """One step of a result document; `code` is the exit code that it keeps the answer at."""
    message = HOSTILE if verdict == "fail" else "status = 200"
    waiver = {"by": "bob", "reason": HOSTILE, "owner": "karen", "until": "2026-12-01T00:00:00.000000Z", "entry": 7}
    return {
        "id": name,
        "title": f"Title of {name}",
        "why": "A broken checkout sells nothing.",
        "help": "Look at the log, then roll back.",
        "link": "https://wiki.example.com/checkout?a=1#top",
        "location": {"path": "checklists/my deploy.yaml", "line": 12},
        "verdict": verdict,
        "state": state,
        "severity": severity,
        "probe": "http",
        "safety": "read",
        "attempts": 1,
        "duration_ms": 210,
        "measured_at": "2026-11-23T14:02:07.000000Z",
        "max_age": "900s",
        "observed": {"status": 200},
        "conditions": [
            {"expect": "status == 200", "role": "expect", "verdict": verdict, "resolved": "status = ü"},
        ],
        "message": message,
        "unmet": None if code is None else {"exit_code": code, "reason": f"Title of {name}: {message}"},
        "evidence_sha256": HEX,
        "evidence": [{"probe": "http", "kind": "http", "sha256": HEX}],
        "signed": [],
        "waits": ["dba"] if state == "waiting" else [],
        "waiver": waiver if state == "waived" else None,
        "action": None,
        **keys,
    }


REJECT: dict[str, Any] = {
    "by": "bob",
    "meaning": "reject",
    "note": HOSTILE,
    "at": "2026-11-23T14:02:07.000000Z",
    "asserted": False,
    "lapsed": False,
    "entry": 9,
}


def document(steps: list[dict[str, Any]], **keys: Any) -> dict[str, Any]:
    """A result document of one section, its exit code that of its steps."""
    code = min((one["unmet"]["exit_code"] for one in steps if one["unmet"]), default=0)
    release: dict[str, Any] = {
        "version": None,
        "commit": None,
        "tag": None,
        "untagged": False,
        "images": {},
        "digests": {},
    }
    return {
        "captain": "0.1.0",
        "run": "shop-staging-deploy",
        "kind": "standing",
        "checklist": {"id": "deploy", "sha256": HEX},
        "service": "shop",
        "environment": "staging",
        "release": {**release, "previous": None},
        "verdict": {0: "pass", 1: "fail"}.get(code, "unknown"),
        "exit_code": code,
        "started_at": "2026-11-23T14:02:07.000000Z",
        "duration_ms": 412,
        "gate": {"go": code == 0, "reasons": [one["unmet"]["reason"] for one in steps if one["unmet"]]},
        "sections": [{"id": "pre", "title": "Before | it", "phase": "pre", "verdict": "fail", "steps": steps}],
        **keys,
    }


def item(name: str, credit: str) -> dict[str, Any]:
    return {"step": name, "credit": credit, "weight": 1.0, "blocker": False, "gaps": [], "message": HOSTILE}


def category(low: int, high: int, label: str, *items: dict[str, Any]) -> dict[str, Any]:
    shown = {"title": "Security | @here", "percent": low, "low": low, "high": high, "label": label}
    return {**shown, "items": list(items)}


SCORE: dict[str, Any] = {
    "percent": 80,
    "low": 80,
    "high": 95,
    "raw": 81.25,
    "label": "Fair",
    "coverage": 0.8571,
    "decision": "NO-GO: unverified",
    "go": False,
    "reasons": [HOSTILE],
    "blockers": ["dark"],
    "gaps": [item("gap.1", "failed")],
    "sections": {"sec": category(80, 95, "Fair", item("dark", "unverified"))},
    "beside": {"add": category(100, 100, "Excellent", item("good", "full"))},
}


@pytest.fixture
def result() -> dict[str, Any]:
    """A review's document with a step of every sort."""
    bare: dict[str, Any] = {
        "why": None,
        "help": None,
        "link": "javascript:alert(1)",
        "location": None,
        "duration_ms": None,
    }
    steps = [
        step("good", "pass"),
        step("odd", "warn"),
        step("bad", "fail", code=1),
        step("dark", "unknown", code=3, **bare),
        step("old", "pass", "stale", code=3),
        step("refused", "pass", signed=[REJECT], code=1),
        step("person", "unknown", "waiting", code=4, conditions=[]),
        step("deploy", "unknown", "not-run", message="not run by check"),
        step("other", "unknown", "not-applicable"),
        step("excused", "fail", "waived"),
        step("hint", "fail", severity="warning"),
        step("aside", "unknown", severity="info"),
    ]
    return document(steps, score=SCORE)
