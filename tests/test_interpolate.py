"""Templates: values go into texts once, secrets never into what people see, and nothing is guessed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captain.condition import ConditionError, Scope
from captain.interpolate import Unresolved, compile_template, resolve_tree

READABLE = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
SCOPE = Scope.template(
    vars=["base_url", "region"],
    params={"max": "500 * MB", "rto": 'duration("90s")', "rate": "1.50", "bad": "hello"},
    inputs=["ticket"],
    secrets=["TOKEN", "DATABASE_URL"],
)
VALUES: dict[str, Any] = {
    "vars.base_url": "https://shop.example.com",
    "vars.region": "eu",
    "release.version": "1.4.0",
    "release.images": {"web": "shop@sha256:1"},
    "previous.version": "1.3.9",
    "environment": "production",
    "inputs.ticket": "CHG42",
    "secrets.TOKEN": "hush-hush",
}


def resolved(text: str, values: dict[str, Any] | None = None) -> str:
    return compile_template(text, SCOPE).resolve(VALUES if values is None else values)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("", ""),
        ("v${{ release.version }}", "v1.4.0"),
        ("${{vars.base_url}}/healthz", "https://shop.example.com/healthz"),
        ("${{ release.version }}-${{ environment }}", "1.4.0-production"),
        ("${{ release.images.web }}", "shop@sha256:1"),
        ('${{ release.images["web"] }}', "shop@sha256:1"),
        ('${{ inputs.ticket + "!" }}', "CHG42!"),
        ('${{ environment == "production" ? "live" : "test" }}', "live"),
        ("${{ params.max }}", "500000000"),
        ("${{ params.rto }}", "90s"),
        ("${{ params.rate }}", "1.5"),
        ("${{ 2.0 }}", "2"),
        ("${{ 1 == 1 }}", "true"),
        ('${{ timestamp("2026-11-23T14:02:07Z") }}', "2026-11-23T14:02:07Z"),
        ("Bearer ${{ secrets.TOKEN }}", "Bearer hush-hush"),
        ("$${{ release.version }}", "${{ release.version }}"),
        ("$$${{ release.version }}", "$${{ release.version }}"),
        ("$ {{ x }} $x ${x} }} {{", "$ {{ x }} $x ${x} }} {{"),
        ("${{ release.version }}}}", "1.4.0}}"),
        ('${{ {"a": {"b": "}}"}}.a.b }}', "}}"),
        ("${{ '\"}}' + r'\\d' + '\\'' }}", "\"}}\\d'"),
        ("${{\n  release.version\n}}", "1.4.0"),
    ],
)
def test_a_text_is_filled_in(text: str, result: str) -> None:
    assert resolved(text) == result


def test_what_a_value_brings_in_is_never_looked_at_again() -> None:
    hostile = {**VALUES, "vars.region": "${{ secrets.TOKEN }}"}
    assert resolved("${{ vars.region }}", hostile) == "${{ secrets.TOKEN }}"


@pytest.mark.parametrize(
    ("text", "offset", "sentence"),
    [
        ("v${{ release.versio }}", 5, "did you mean release.version?"),
        ("${{ vars.base }}", 4, "did you mean vars.base_url?"),
        ("${{ secrets.TOKN }}", 4, "did you mean secrets.TOKEN?"),
        ("${{ inputs.tickt }}", 4, "did you mean inputs.ticket?"),
        ("${{ status }}", 4, "not known here"),
        ("${{ now }}", 4, "not known here"),
        ("é😀${{ vars.x }}", 6, "vars.x"),
        ("a ${{ vars.region", 2, "never closed"),
        ("a ${{ vars.region }", 2, "never closed"),
        ("${{ }}", 3, "is empty"),
        ("${{ release.images }}", 4, "gives a map(string), not a text"),
        ("${{ [1, 2] }}", 4, "not a text"),
        ("${{ release.?version }}", 4, "release.version"),
        ("${{ has(release.version) }}", 4, "has(release.version)"),
        ("${{ 3 / 2 }}", 6, "ratio(a, b)"),
        ("${{ vars.region + }}", 17, "ends too early"),
        ("${{ 'a' }} ${{ \"b }}", 11, "never closed"),
    ],
)
def test_a_wrong_template_is_refused_at_its_place(text: str, offset: int, sentence: str) -> None:
    with pytest.raises(ConditionError) as caught:
        compile_template(text, SCOPE)
    fault = caught.value.faults[0]
    assert sentence in f"{fault.message} {fault.hint}"
    assert fault.offset == offset


def test_every_fault_of_a_template_is_told_at_once() -> None:
    with pytest.raises(ConditionError) as caught:
        compile_template("${{ vars.x }}-${{ release.version }}-${{ vars.y }}-${{", SCOPE)
    assert [fault.offset for fault in caught.value.faults] == [4, 41, 51]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("${{ release.commit }}", "${{ release.commit }}: release.commit is not known", None),
        ("${{ release.images.worker }}", "${{ release.images.worker }}: release.images.worker is not known", None),
        (
            "${{ secrets.DATABASE_URL }}",
            "${{ secrets.DATABASE_URL }}: secrets.DATABASE_URL is not set",
            "set $DATABASE_URL, or $DATABASE_URL_FILE to a file",
        ),
        ("${{ params.bad }}", "${{ params.bad }}: params.bad is not known", None),
        ("${{ int(vars.region) }}", "${{ int(vars.region) }}: cannot convert string to int", None),
    ],
)
def test_what_cannot_be_resolved_is_named(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(Unresolved) as caught:
        resolved(text)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_an_error_never_quotes_a_secret() -> None:
    for text in ('${{ {"a": "b"}[secrets.TOKEN] }}', "${{ int(secrets.TOKEN) }}", "${{ timestamp(secrets.TOKEN) }}"):
        with pytest.raises(Unresolved) as caught:
            resolved(text)
        assert "hush" not in f"{caught.value.message} {caught.value.hint}"
        assert caught.value.message.endswith("cannot be worked out")


def test_a_tree_is_resolved_text_by_text_and_key_by_key() -> None:
    tree = {
        "url": "${{ vars.base_url }}/x",
        "${{ vars.region }}": ["a", "${{ environment }}", {"n": None, "i": 3}],
        "headers": {"authorization": "Bearer ${{ secrets.TOKEN }}"},
    }
    assert resolve_tree(tree, SCOPE, VALUES) == {
        "url": "https://shop.example.com/x",
        "eu": ["a", "production", {"n": None, "i": 3}],
        "headers": {"authorization": "Bearer hush-hush"},
    }


def test_two_keys_that_come_to_the_same_are_told_and_none_is_lost() -> None:
    with pytest.raises(Unresolved, match=r"vars.region \}\}: eu stands there twice"):
        resolve_tree({"eu": "data", "${{ vars.region }}": "front"}, SCOPE, VALUES)


def test_a_date_and_a_long_time_are_texts_too() -> None:
    scope = Scope.template(params={"start": 'timestamp("2026-01-31T00:00:00.5Z")', "long": "days(2)"})
    text = compile_template("${{ params.start }} ${{ params.long }}", scope).resolve({})
    assert text == f"{datetime(2026, 1, 31, microsecond=500000, tzinfo=UTC):%Y-%m-%dT%H:%M:%S.%fZ} " + (
        f"{timedelta(days=2).total_seconds():.0f}s"
    )


@settings(max_examples=80, deadline=None)
@given(
    value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    before=st.text(alphabet="ab$ {}"),
    after=st.text(alphabet="ab$ {}"),
)
def test_a_value_arrives_unchanged_between_its_neighbours(value: str, before: str, after: str) -> None:
    text = f"{before}|${{{{ vars.region }}}}|{after}"
    try:
        template = compile_template(text, SCOPE)
    except ConditionError:
        assert "${{" in before or "${{" in after
        return
    if "${{" not in before and "${{" not in after:
        assert template.resolve({"vars.region": value}) == f"{before}|{value}|{after}"
