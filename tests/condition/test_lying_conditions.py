"""Conditions that compile and lie are found when the file is read, long before a deploy."""

from __future__ import annotations

import pytest

from captain.condition import ConditionError, Fault, Scope, compile_condition, constant, lint_list


def faults(text: str, scope: Scope) -> list[Fault]:
    with pytest.raises(ConditionError) as caught:
        compile_condition(text, scope)
    return list(caught.value.faults)


def listed(scope: Scope, *texts: str) -> list[tuple[int, Fault]]:
    return lint_list([compile_condition(text, scope) for text in texts])


@pytest.mark.parametrize(
    ("text", "offset", "sentence"),
    [
        ("latency.getMilliseconds() < 500", 8, "of 1.2 s is 200"),
        ("latency.getSeconds() < 5", 8, "drops the fraction"),
        ("latency.getMinutes() < 5", 8, "drops the seconds"),
        ("latency.getHours() < 5", 8, "drops the minutes"),
        ("status / 2 == 100", 7, "ratio(a, b)"),
        ("double(status / 7) > 0.5", 14, "ratio(a, b)"),
        ('text < "b"', 5, "letter by letter"),
        ("release.version >= previous.version && exists", 16, "letter by letter"),
        ('latency < duration("10 s")', 19, "does not understand"),
        ('latency < duration("90d")', 19, "write days(90)"),
        ("latency < duration(5)", 18, "takes a text"),
        ('expires > timestamp("tomorrow")', 20, "does not understand"),
        ('text.matches("(")', 13, "missing )"),
        ('matches(text, "(?=x)")', 14, "RE2"),
        ("environment == 'production'", 0, "names nothing that is observed"),
        ("1 < 2", 0, "names nothing that is observed"),
        ("has(status)", 4, "leave has() out"),
        ("exists && has(release.version)", 10, "leave has() out"),
    ],
)
def test_a_lie_is_named_at_its_place(text: str, offset: int, sentence: str, one: Scope) -> None:
    fault = faults(text, one)[0]
    assert fault.offset == offset
    assert sentence in f"{fault.message} {fault.hint}"


def test_has_on_an_observation_of_a_named_probe_is_a_lie_too(several: Scope) -> None:
    assert faults("has(shop.status) && shop.exists", several)[0].offset == 0


def test_has_below_an_observation_is_a_question_like_any_other(several: Scope) -> None:
    compile_condition("has(shop.json.status) && has(ci.total) && has(last.shop)", several)


def test_a_when_may_ask_about_the_environment_alone(one: Scope) -> None:
    when = compile_condition("environment == 'production'", one, observes=False)
    assert when.evaluate({"environment": "staging"}).value is False


def test_timestamps_have_hours_and_decimals_may_be_divided(one: Scope) -> None:
    compile_condition("now.getHours() < 12 && ratio / 2.0 < 0.5", one)


def test_all_needs_somebody_to_demand_that_there_is_something(one: Scope) -> None:
    [(index, fault)] = listed(one, "exists", "services.all(s, s.ok)")
    assert (index, fault.offset) == (1, 0)
    assert fault.hint == "add size(services) > 0"


@pytest.mark.parametrize(
    "beside",
    [
        "size(services) > 0",
        "size(services) >= 1",
        "size(services) == 3",
        "size(services) != 0",
        "0 < size(services)",
        "3 == services.size()",
        "size(services) >= status",
        "exists && size(services) > 0",
    ],
)
def test_a_size_in_the_same_list_is_enough(beside: str, one: Scope) -> None:
    assert listed(one, "services.all(s, s.ok)", beside) == []


@pytest.mark.parametrize(
    "beside",
    [
        "size(services) >= 0",
        "size(services) > -1",
        "size(json) > 0",
        "exists || size(services) > 0",
        "size(services) < 5",
    ],
)
def test_a_size_that_demands_nothing_is_not(beside: str, one: Scope) -> None:
    assert [index for index, _ in listed(one, "services.all(s, s.ok)", beside)] == [0]


@pytest.mark.parametrize(
    "text",
    [
        "services.all(s, s.ok) && size(services) > 0",
        "signed || size(services) > 0 && services.all(s, s.ok)",
        "size(services) > 0 ? services.all(s, s.ok) : false",
        "json.checks.all(c, json.checks[c] == 'ok') && size(json.checks) > 0",
        "services.exists(s, s.ok)",
        "[1, 2].all(n, n < status)",
    ],
)
def test_a_size_in_the_same_condition_is_enough(text: str, one: Scope) -> None:
    assert listed(one, text) == []


def test_a_filtered_list_may_be_empty_although_the_whole_is_not(one: Scope) -> None:
    assert listed(one, "services.filter(s, s.web).all(s, s.ok)", "size(services) > 0")


@pytest.mark.parametrize(
    "text",
    [
        'text.replace("", text) == "x"',
        'text.replace("a", text) == "x"',
        'text.replace("a", "aaaaaaaaaaaaaaaaaaaaaaaa") == "x"',
        'text.replace("a", "aa").replace("a", "aa").replace("a", "aa") == "x"',
        "cel.bind(a, text + text, cel.bind(b, a + a, cel.bind(c, b + b, cel.bind(d, c + c, d == text))))",
        "size(" + " + ".join(["text"] * 12) + ") > 3",
    ],
)
def test_a_condition_cannot_grow_a_small_text_into_gigabytes(text: str, one: Scope) -> None:
    assert "grow" in faults(text, one)[0].message or "replace()" in faults(text, one)[0].message


def test_adding_numbers_is_not_growing(one: Scope) -> None:
    compile_condition(" + ".join(["status"] * 12) + " > 3", one)


@pytest.mark.parametrize(
    ("source", "value"), [("500 * MB", 500_000_000), ("200", 200), ("0.5", 0.5), ('"text"', "text"), ("-3", -3)]
)
def test_a_param_is_a_constant(source: str, value: object) -> None:
    assert constant(source).value == value


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("hello", "write '\"hello\"'"),
        ("10m", "write 'duration(\"10m\")'"),
        ("1.4.0", "write '\"1.4.0\"'"),
        ('duration("90d")', "write days(90)"),
        ("1 / 2", "write ratio(a, b)"),
        ("null", None),
        ("9223372036854775807 * 2", None),
        ("", None),
    ],
)
def test_a_param_that_is_none_says_what_to_write(source: str, hint: str | None) -> None:
    with pytest.raises(ConditionError) as caught:
        constant(source)
    assert caught.value.hint == hint


def test_a_wrong_param_does_not_hide_what_is_wrong_beside_it() -> None:
    scope = Scope.of({"": {}}, {"bad": "hello"})
    compile_condition("params.bad > 3 && signed", scope)
    assert "params.bda" in faults("params.bda > 3 && signed", scope)[0].message
