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


@pytest.fixture
def result() -> dict[str, Any]:
    """A check's document with a step of every sort."""

    def step(name: str, verdict: str, state: str = "measured", severity: str = "blocker") -> dict[str, Any]:
        return {
            "id": name,
            "title": f"Title of {name}",
            "verdict": verdict,
            "state": state,
            "severity": severity,
            "duration_ms": 210,
            "message": HOSTILE if verdict == "fail" else "status = 200",
            "conditions": [{"expect": "status == 200", "verdict": verdict, "resolved": "status = ü"}],
        }

    return {
        "run": "shop-staging-check-20261123T140000Z",
        "checklist": {"id": "deploy", "sha256": HEX},
        "service": "shop",
        "environment": "staging",
        "release": {"version": None, "commit": None},
        "verdict": "fail",
        "started_at": "2026-11-23T14:02:07.000000Z",
        "sections": [
            {
                "id": "pre",
                "steps": [
                    step("good", "pass"),
                    step("odd", "warn"),
                    step("bad", "fail"),
                    step("dark", "unknown"),
                    step("person", "unknown", "waiting"),
                    step("deploy", "unknown", "not-run"),
                    step("excused", "fail", "waived"),
                    step("hint", "fail", severity="warning"),
                ],
            }
        ],
    }
