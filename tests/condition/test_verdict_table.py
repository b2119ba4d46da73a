"""expect and warn together: the verdict table, checked against the sentences it is written in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from captain.condition import Condition, Scope, compile_condition, conjoin, judge
from captain.condition.celtypes import BOOL
from captain.measurement import Verdict

TRUTHS = st.lists(st.sampled_from([True, False, None]), max_size=4)
NAMES = [f"{role}_{index}" for role in ("e", "w") for index in range(4)]
SCOPE = Scope.of({"": dict.fromkeys(NAMES, BOOL)})


def reference(expect: list[bool | None], warn: list[bool | None]) -> Verdict:
    """The sentences of the contract, one by one."""

    def is_true(conditions: list[bool | None]) -> bool:
        return bool(conditions) and all(condition is True for condition in conditions)

    def is_false(conditions: list[bool | None]) -> bool:
        return any(condition is False for condition in conditions)

    if is_true(expect):
        return Verdict.PASS
    if warn and is_true(warn):
        return Verdict.WARN
    if is_false(expect) or is_false(warn):
        return Verdict.FAIL
    return Verdict.UNKNOWN


@settings(max_examples=150, deadline=None)
@given(expect=TRUTHS, warn=TRUTHS)
def test_the_verdict_follows_the_sentences_of_the_contract(expect: list[bool | None], warn: list[bool | None]) -> None:
    hard = [compile_condition(f"e_{index}", SCOPE) for index in range(len(expect))]
    soft = [compile_condition(f"w_{index}", SCOPE) for index in range(len(warn))]
    values = {f"e_{index}": truth for index, truth in enumerate(expect)}
    values |= {f"w_{index}": truth for index, truth in enumerate(warn)}
    judgement = judge(hard, soft, values)
    assert judgement.verdict is reference(expect, warn)
    assert [result.role for result in judgement.conditions] == ["expect"] * len(expect) + ["warn"] * len(warn)
    assert judgement.message or not expect
    assert "\n" not in judgement.message


@settings(max_examples=150, deadline=None)
@given(left=st.sampled_from([True, False, None]), right=st.sampled_from([True, False, None]))
def test_and_and_or_absorb_what_is_unknown_as_a_list_does(left: bool | None, right: bool | None) -> None:
    values = {"e_0": left, "e_1": right}
    both = compile_condition("e_0 && e_1", SCOPE).evaluate(values).value
    either = compile_condition("e_0 || e_1", SCOPE).evaluate(values).value
    assert both is conjoin([left, right])
    opposite = conjoin([None if truth is None else not truth for truth in (left, right)])
    assert either is (None if opposite is None else not opposite)


def step(one: Scope, *texts: str) -> list[Condition]:
    return [compile_condition(text, one) for text in texts]


def test_a_pass_says_what_was_seen(one: Scope, seen: dict[str, Any]) -> None:
    judgement = judge(step(one, "status == 200", 'latency < duration("1s")', "status < 300"), [], seen)
    assert judgement.verdict is Verdict.PASS
    assert judgement.message == "status = 200, latency = 812ms"


def test_a_fail_shows_each_failing_condition_with_its_values(one: Scope, seen: dict[str, Any]) -> None:
    judgement = judge(step(one, "status == 200", 'latency < duration("500ms")', 'json.status == "ok"'), [], seen)
    assert judgement.verdict is Verdict.FAIL
    assert (
        judgement.message
        == 'latency < duration("500ms"): latency = 812ms; json.status == "ok": json.status = "degraded"'
    )
    assert [result.verdict for result in judgement.conditions] == [Verdict.PASS, Verdict.FAIL, Verdict.FAIL]


def test_a_fail_beside_something_missing_is_a_fail(one: Scope) -> None:
    judgement = judge(step(one, "exists", "status == 200"), [], {"status": 503})
    assert judgement.verdict is Verdict.FAIL
    assert judgement.message == "status == 200: status = 503"


def test_an_unknown_names_what_is_missing_once(one: Scope) -> None:
    judgement = judge(step(one, "exists", "status == 200", "status < 300"), [], {})
    assert judgement.verdict is Verdict.UNKNOWN
    assert judgement.message == "exists was not observed; status was not observed"


def test_a_warn_says_that_the_static_half_suffices_and_what_is_missing(one: Scope) -> None:
    judgement = judge(
        step(one, "exists", 'latency < duration("500ms")', "status == 200"),
        step(one, "exists"),
        {"exists": True, "latency": timedelta(seconds=2)},
    )
    assert judgement.verdict is Verdict.WARN
    assert judgement.message == 'latency < duration("500ms"): latency = 2s; status was not observed'


def test_a_false_warn_fails_although_expect_is_unknown(one: Scope) -> None:
    judgement = judge(step(one, "status == 200"), step(one, "exists"), {"exists": False})
    assert judgement.verdict is Verdict.FAIL
    assert judgement.message == "exists: exists = false"


def test_nothing_asserted_is_unknown_and_never_a_pass() -> None:
    judgement = judge([], [], {"status": 200})
    assert judgement.verdict is Verdict.UNKNOWN
    assert judgement.message == "nothing says whether this is right"


def test_a_message_stays_one_short_line(one: Scope) -> None:
    texts = [f'text == "{"x" * 60}{index}"' for index in range(40)]
    judgement = judge(step(one, *texts), [], {"text": "y\n" * 300})
    assert len(judgement.message) <= 500
    assert "\n" not in judgement.message
