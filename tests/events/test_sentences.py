"""Every kind of entry is told in words that a person who was not there understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from captain.events import Actor, Recorded
from captain.events.sentences import sentence
from captain.events.shapes import ENTRY_TYPES, Shape, shape_of

KAREN = Actor("karen@example.com", "git", "karen", 1000, "desk")


def entry(kind: str, data: Mapping[str, Any], actor: Actor = KAREN) -> Recorded:
    return Recorded(7, "id", "2026-11-23T14:02:07.123456Z", 1, "boot", actor, kind, "shop-production-1.4.0", data)


def _any(shape: Shape, filled: bool) -> Any:
    what, detail, nullable = shape
    if nullable and not filled:
        return None
    if what == "object":
        return {key: _any(one, filled) for key, one in detail.items()}
    if what == "list":
        return [_any(detail, filled)] if filled else []
    if what == "map":
        return {"web": _any(detail, filled)} if filled else {}
    plain = {
        "T": "text",
        "I": 3,
        "B": filled,
        "H": "a" * 64,
        "S": "2026-11-23T14:02:07.123456Z",
        "V": "fail",
        "X": 1,
        "U": "01A",
        "N": "web",
    }
    return min(detail) if what == "word" else plain[what]


@pytest.mark.parametrize("filled", [True, False])
@pytest.mark.parametrize("kind", sorted(ENTRY_TYPES))
def test_no_kind_of_entry_is_left_without_words(kind: str, filled: bool) -> None:
    fields = shape_of(kind)
    assert fields is not None
    told = sentence(entry(kind, {key: _any(shape, filled) for key, shape in fields.items()}))
    assert told.text != kind
    assert "None" not in told.text


def test_an_entry_of_a_later_captain_shows_its_type() -> None:
    assert sentence(entry("weather.seen", {})).text == "weather.seen"


def test_a_go_with_risk_names_the_risk() -> None:
    data = {
        "section": "pre",
        "decision": "go",
        "note": "",
        "counted": [],
        "risk": ["scan: fail"],
        "overridden": [],
        "confirmed": None,
        "no_way_back": None,
        "opens": "deploy",
    }
    told = sentence(entry("gate.decision", data), {"pre": "Pre-deployment"})
    assert told.who == "karen@example.com"
    assert told.text == "go for Pre-deployment with risk: scan: fail"
    assert told.tone == "warning"


def test_a_role_nobody_checked_and_a_claimed_name_are_said() -> None:
    claimed = Actor("dba", "flag", "karen", 1000, "desk")
    data = {
        "on": "step",
        "target": "lag",
        "meaning": "approve",
        "note": "drains by itself",
        "roles": ["dba"],
        "role_checked": False,
        "definition": None,
        "seen": None,
        "expires": None,
        "evidence": [],
        "of": None,
    }
    text = sentence(entry("signoff", data, claimed), {"lag": "Replication lag"}).text
    assert text == 'approved Replication lag  "drains by itself"  (role not checked)  (name asserted)'
