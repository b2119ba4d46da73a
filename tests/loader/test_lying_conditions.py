"""Conditions that compile and lie are refused when the file is read, at the character that lies."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from captain.errors import Problem
from captain.probes.docker import DockerProbe

Say = Callable[..., list[Problem]]


def step(condition: str, more: str = "") -> str:
    quoted = condition.replace("'", "''")
    return f"- id: a\n  title: A\n  pinger: {{ url: x }}\n  expect:\n    - '{quoted}'\n{more}"


@pytest.mark.parametrize(
    ("condition", "said", "hint"),
    [
        ("status", "not true or false", "compare it with something"),
        ("latency.getMilliseconds() < 500", "getMilliseconds() of 1.2 s is 200", "compare durations"),
        ("latency.getSeconds() < 5", "getSeconds() drops the fraction", "compare durations"),
        ("status / 2 == 100", "/ of two whole numbers drops the fraction", "ratio(a, b)"),
        ("items.all(i, i > 0)", "all() is true of an empty list", "size(items) > 0"),
        ('version > "1.10.0"', "letter by letter", "order numbers"),
        ('latency < duration("5 minutes")', "duration() does not understand", "500ms"),
        ('seen_at > timestamp("yesterday")', "timestamp() does not understand", "2026-01-31"),
        ('version.matches("(")', "matches() does not understand", "RE2"),
        ("share == 1", "cannot compare a decimal number and a whole number", "write 1.0"),
        ("1 == 1", "names nothing that is observed", None),
        ('environment == "production"', "names nothing that is observed", None),
        ("has(status)", "has(", "leave has() out"),
        ('status == "200"', "cannot compare a whole number and a text", "write 200"),
        ("statuss == 200", "statuss is not known here", "did you mean status?"),
        ("vars.bas == version", "vars.bas is not known here", "did you mean vars.base?"),
        ("latency < params.slo", "params.slo is not known here", "did you mean params.slow?"),
    ],
)
def test_a_condition_that_lies_is_an_error(problems: Say, condition: str, said: str, hint: str | None) -> None:
    found = problems(step(condition))
    assert len(found) == 1, found
    assert found[0].severity == "error"
    assert said in found[0].message
    assert (hint or "") in (found[0].hint or "")
    assert found[0].line == 12
    assert found[0].key == "sections[0].steps[0].expect[0]"


@pytest.mark.parametrize(
    "condition",
    [
        'status == 200 && json.status == "ok"',
        "latency < params.slow",
        "size(items) > 0 && items.all(i, i > 0)",
        "version == release.version || signed",
        "share >= 0.5 && seen_at > now - days(1)",
        "status <= last.?status.orValue(500)",
        "latency <= before.latency",
        'version != previous.version && environment != "x" && vars.base != ""',
        "seconds(latency) < 1.0 && ratio(status, 200) == 1.0 && same_commit(version, release.commit)",
    ],
)
def test_an_honest_condition_is_accepted(problems: Say, condition: str) -> None:
    assert problems(step(condition)) == []


def test_the_place_is_the_character_that_is_wrong(problems: Say) -> None:
    block = "- id: a\n  title: A\n  pinger: { url: x }\n  expect: |\n    status == 200\n      version == 1\n"
    found = problems(block)
    assert [(one.line, one.column) for one in found] == [(13, 21)]


def test_a_size_beside_it_in_the_same_list_is_enough(problems: Say) -> None:
    assert problems(step("items.all(i, i > 0)", "    - size(items) > 0\n")) == []


def test_a_step_must_be_able_to_assert_something(problems: Say) -> None:
    several = "- id: a\n  title: A\n  probes: { one: { pinger: { url: x } }, two: { pinger: { url: y } } }\n"
    found = problems(several)
    assert ["nothing is asserted" in one.message for one in found] == [True]
    assert problems(several + "  expect: one.status == two.status\n") == []


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("expect: []", "expect is an empty list"),
        ("expect: ''", "a condition is empty"),
        ("expect:", "a condition is empty"),
        ("warn: ['']", "a condition is empty"),
        ("when: []", "when is an empty list"),
        ("expect: { status: 200 }", "quote this expression"),
        ("expect: [items.all(i, i > 0)]", "quote this expression"),
        ("expect: [status in [200]]", "quote this expression"),
        ("expect: !has(json.x)", "quote this expression"),
        ("expect: [!has(json.x)]", "quote this expression"),
        ("expect: status == 200 ? true : false", "quote this expression"),
        ("expect: ['${{ vars.base }} == version']", "does not stand in conditions"),
        ("when: statuss == 200", "statuss is not known here"),
        ("sign_off: { when: 'statuss == 200' }", "statuss is not known here"),
    ],
)
def test_what_yaml_made_of_a_condition_is_told(problems: Say, written: str, said: str) -> None:
    found = problems(f"- id: a\n  title: A\n  pinger: {{ url: x }}\n  {written}\n")
    assert [said in one.message for one in found] == [True], found


def test_the_corrected_line_is_shown_and_the_rest_of_the_file_is_read(problems: Say) -> None:
    found = problems(
        "- id: a\n  title: A\n  pinger: { url: x }\n  expect: [status in [200, 204], 'version == 1']\n  severty: info\n"
    )
    assert [(one.line, one.message, one.hint) for one in found] == [
        (11, "quote this expression", "write: expect: ['status in [200, 204]', 'version == 1']"),
        (11, "== cannot compare a text and a whole number", 'write "1"'),
        (12, '"severty" is not a key of a step', "did you mean severity?"),
    ]


def test_an_unmeasured_kind_leaves_its_names_open_and_the_rest_checked(problems: Say) -> None:
    steps = "- id: a\n  title: A\n  probes: { ci: { rollback: { any: [thing] } }, p: { pinger: { url: x } } }\n"
    found = problems(steps + "  expect: ['ci.total > 0 && ci.x.y == \"z\"', p.statuss == 1]\n")
    assert [(one.severity, one.message) for one in found] == [
        ("note", "probe rollback: not measured by this captain yet"),
        ("error", "p.statuss is not known here"),
    ]
    single = "- id: a\n  title: A\n  rollback: {}\n  expect: ['total > 0', 'failed ==']\n"
    assert [one.message for one in problems(single)] == [
        "probe rollback: not measured by this captain yet",
        "the expression ends too early",
    ]


def test_what_a_kind_does_not_observe_yet_is_noted_with_what_to_write(
    problems: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = {"restart_count_delta": "restart_count_max == before.restart_count_max"}
    monkeypatch.setattr(DockerProbe, "unseen", later)
    steps = "- id: a\n  title: A\n  docker: {}\n  expect: ['running > 0', 'true && restart_count_delta == 0']\n"
    steps += "- id: b\n  title: B\n  probes: { web: { docker: {} } }\n  expect: [web.restart_count_delta == 0]\n"
    steps += "- id: c\n  title: C\n  docker: {}\n  expect: [restart_count_max == before.restart_count_max]\n"
    hint = "write restart_count_max == before.restart_count_max"
    assert [(one.severity, one.line, one.column, one.message, one.hint) for one in problems(steps)] == [
        ("note", 11, 34, "restart_count_delta: not observed by this captain yet", hint),
        ("note", 15, 18, "web.restart_count_delta: not observed by this captain yet", hint),
    ]


def test_an_alias_observes_what_the_other_step_does(problems: Say) -> None:
    first = "- { id: a, title: A, pinger: { url: x } }\n"
    assert problems(first + "- { id: b, title: B, alias: a, expect: ['passed && status == 200'] }\n") == []
    assert problems(first + "- { id: b, title: B, alias: a }\n") == []
    named = "- { id: b, title: B, probes: { o: { alias: a } }, expect: ['o.passed && o.statuss == 200'] }\n"
    assert [one.message for one in problems(first + named)] == ["o.statuss is not known here"]
