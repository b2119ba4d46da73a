"""Panel 2 says a verdict's reason once: in the conditions, and beside them only what they do not say."""

from __future__ import annotations

import pytest

from captain.tui.detail import told

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
