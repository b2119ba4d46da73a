"""Panel 2 says a verdict's reason once: in the conditions, and beside them only what they do not say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from captain.tui.detail import Detail
from captain.tui.detail_pieces import told, without
from captain.tui.moment import Live, moment
from captain.tui.present import Look
from tests.tui.dialog_world import Story, drilled

CONDITIONS = (
    {"expect": "status == 200", "resolved": "status = 500", "verdict": "fail"},
    {"expect": "json.paid", "resolved": "json.paid = false", "verdict": "fail"},
    {"expect": "enabled", "resolved": "", "verdict": "fail"},
)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("status == 200: status = 500; json.paid: json.paid = false", True),
        ("status = 500, json.paid = false", True),
        ("status == 200: status = 500; enabled is false", True),
        ("rejected by dba@example.com: status = 500", False),
        ("exit 1; status = 500", False),
        ("no answer within 10 s", False),
    ],
)
def test_what_the_conditions_tell_is_not_told_again(message: str, said: bool) -> None:
    assert told(message, CONDITIONS) is said
    assert told(message, ()) is False


SQL = "sql ferry at 127.0.0.1:5432: select count(*) from jobs where state = 'dead'"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (f"{SQL}: 127.0.0.1 refused the connection", "127.0.0.1 refused the connection"),
        (f"dead == 0: {SQL}: no answer; {SQL}: no answer", "dead == 0: no answer; no answer"),
        (SQL, SQL),
        ("no answer within 10 s", "no answer within 10 s"),
    ],
)
def test_the_cause_stands_first_where_the_question_has_a_row_of_its_own(message: str, said: str) -> None:
    assert without(message, (SQL, "")) == said


def test_a_drill_says_where_it_may_not_be_run() -> None:
    known = drilled()
    for target, said in (
        (known, "is      a drill: it changes what runs; only the key a runs it"),
        (replace(known, allow=()), "is      a drill: it changes what runs; not allowed in production"),
    ):
        found = moment(Story(target).view(), Live())
        at = found.view.step("auto-restart")
        assert at is not None
        rows = [row.plain for row in Detail(Look(), found, at[1], 74, tight=True, seen=None).rows()]
        assert any(row.startswith(said) for row in rows), rows
