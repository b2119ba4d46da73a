"""What a condition says, what it shows beside itself, and why it cannot say."""

from __future__ import annotations

import math
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captain.condition import Judged, Scope, activation, compile_condition
from captain.condition.celtypes import DYN as OPEN
from captain.condition.render import brief, shown
from captain.release import Image, Release


def says(text: str, scope: Scope, values: dict[str, Any]) -> Judged:
    return compile_condition(text, scope).evaluate(values)


def test_the_values_stand_beside_the_condition(one: Scope, seen: dict[str, Any]) -> None:
    assert says('latency < duration("500ms")', one, seen).resolved == "latency = 812ms"
    assert says('json.status == "ok"', one, seen).resolved == 'json.status = "degraded"'
    assert says("status == 200 && exists && status < 300", one, seen).resolved == "status = 200, exists = true"
    assert says("json.checks['cache'] == 'ok'", one, seen).resolved == 'json.checks.cache = "down"'
    assert says("size(services) == 3", one, seen).resolved == "size(services) = 2"
    assert says("status < params.max && status < MB", one, seen).resolved == "status = 200, params.max = 500000000"
    assert says("expires - now > days(40)", one, seen).resolved == "expires = 2026-12-23T14:02:07Z"


def test_named_probes_are_shown_by_their_names(several: Scope) -> None:
    judged = says("shop.latency < api.latency", several, {"shop.latency": timedelta(seconds=192), "api.latency": None})
    assert judged.resolved == "shop.latency = 3m12s, api.latency = ?"
    assert judged.error == "api.latency was not observed"


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf, -math.inf])
def test_no_number_is_unknown_and_never_a_number(nothing: float | None, one: Scope) -> None:
    judged = says("ratio < 0.5", one, {"ratio": nothing})
    assert judged == Judged(None, "ratio = ?", "ratio was not observed")


def test_no_number_inside_a_document_is_unknown_too(one: Scope) -> None:
    assert says("json.p95 < 0.5", one, {"json": {"p95": math.nan, "p50": 0.1}}).error == "json.p95 was not observed"
    assert says("json.p50 < 0.5", one, {"json": {"p95": math.nan, "p50": 0.1}}).value is True
    assert says("json.all(x, x < 9.0) && size(json) > 0", one, {"json": [1.0, math.nan]}).value is None


def test_a_definite_defect_fails_beside_missing_data_and_nothing_passes_on_missing_data(one: Scope) -> None:
    assert says('status == 200 && latency < duration("1s")', one, {"status": 503}).value is False
    assert says('status == 200 && latency < duration("1s")', one, {"status": 200}).value is None
    assert says('status == 200 || latency < duration("1s")', one, {"status": 200}).value is True
    assert says('status == 200 || latency < duration("1s")', one, {"status": 503}).value is None


@pytest.mark.parametrize(
    ("text", "values", "error"),
    [
        ("status == 200", {}, "status was not observed"),
        ("status == 200 && exists", {}, "status was not observed; exists was not observed"),
        ("json.a.b == 1", {"json": {"a": {}}}, "json.a.b was not observed"),
        ("json.a.b == 1", {"json": {"a": 3}}, "json.a.b was not observed"),
        ("json[3] == 1", {"json": [1]}, "json[3] was not observed"),
        ("before.latency < latency", {"latency": timedelta(1)}, "before.latency was not measured before the deploy"),
        ("release.commit == text", {"text": "x"}, "release.commit is not known"),
        ("release.images.web == text", {"text": "x", "release.images": {}}, "release.images.web is not known"),
        ("deploy.started_at < now || exists", {}, "deploy.started_at is not known; now was not observed"),
        ("status == 200", {"status": "200"}, "status was observed as text, declared as int"),
        ("json.status > 3", {"json": {"status": "x"}}, "> does not take string and int"),
        ("json.ok", {"json": {"ok": "yes"}}, 'gives "yes", neither true nor false'),
        ("ratio(status, 0) > 0.1", {"status": 1}, "ratio() divides by 0: nothing was counted"),
        ("latency < days(status)", {"latency": timedelta(1), "status": 10**12}, "ten thousand years"),
        ("status * 9223372036854775807 > 1", {"status": 3}, "integer overflow"),
    ],
)
def test_the_reason_names_what_is_missing(text: str, values: dict[str, Any], error: str, one: Scope) -> None:
    judged = says(text, one, values)
    assert judged.value is None
    assert error in (judged.error or "")


def test_a_missing_value_that_was_asked_for_politely_is_no_reason(one: Scope) -> None:
    judged = says('headers[?"x"].orValue("") == text', one, {"headers": {}})
    assert judged.error == "text was not observed"


def test_too_many_loop_steps_are_unknown_with_their_text(one: Scope) -> None:
    judged = says("json.all(a, json.all(b, a == b)) && size(json) > 0", one, {"json": [1] * 200})
    assert judged.value is None
    assert "Iteration budget exceeded" in (judged.error or "")


def test_a_list_that_is_too_long_to_look_through_never_passes(one: Scope) -> None:
    long = {"json": {"items": [{"ok": True}] * 1001, "status": "ok"}}
    judged = says("json.items.all(i, i.ok) && size(json.items) > 0", one, long)
    assert judged.value is None
    assert judged.error == "json.items has 1,001 elements; conditions look through at most 1,000"


def test_a_list_that_is_too_long_can_be_counted_and_does_not_spoil_the_rest(one: Scope) -> None:
    long = {"json": {"items": [{"ok": True}] * 1001, "status": "ok"}}
    assert says('json.status == "ok"', one, long).value is True
    assert says("size(json.items) == 1001 && json.items[1000].ok", one, long).value is True
    assert says('json.status == "down" && json.items.all(i, i.ok)', one, long).value is False


def test_a_text_that_is_too_long_never_passes_for_what_its_beginning_says(one: Scope) -> None:
    judged = says('!text.contains("ERROR")', one, {"text": "fine\n" * 20_000 + "ERROR"})
    assert judged.value is None
    assert judged.error == "text has 100,005 characters; conditions read at most 65,536"


def test_values_that_the_library_cannot_hold_do_no_harm(one: Scope) -> None:
    assert says("json.big > 9000000000000000000", one, {"json": {"big": 2**70}}).value is True
    assert says('json.a == "x"', one, {"json": {"a": "\ud800"}}).value is False
    assert says('text == "x"', one, {"text": "\ud800\x00"}).value is False
    assert says('text == "ok" || json.ok == 1', one, {"text": "ok\0evil", "json": {"ok\0": 1}}).value is None
    assert says("json.x == 1", one, {"json": {"x": 1, "y": object(), "z": 10**400}}).value is True
    assert says('latency < duration("1s")', one, {"latency": timedelta.max}).value is None


def test_times_inside_a_document_are_text_as_in_json(one: Scope) -> None:
    inside = {"services": [{"age": timedelta(milliseconds=1500), "at": datetime(2026, 1, 1, tzinfo=UTC)}]}
    assert says('duration(services[0].age) == duration("1.5s")', one, inside).value is True
    assert says('timestamp(services[0].at) < timestamp("2027-01-01T00:00:00Z") || exists', one, inside).value is True


def test_the_last_run_may_be_empty_or_know_less(one: Scope, several: Scope) -> None:
    assert says("last.?status.orValue(0) == 0", one, {"last": {}}).value is True
    assert says("last.?latency.orValue(duration('5s')) == duration('5s')", one, {"last": {"status": 200}}).value is True
    named = {"last": {"shop": {"latency": timedelta(seconds=2), "status": 200}}, "shop.status": 200}
    assert says("last.shop.latency == duration('2s') && last.shop.status == shop.status", several, named).value is True
    assert says("last.?api.?latency.orValue(duration('0s')) == duration('0s')", several, named).value is True
    hostile = {"last": {'"});x': 1, "a\nb": {"t": timedelta(1)}, "\ud800": timedelta(1), "latency": timedelta(1)}}
    assert says("last.latency == duration('24h')", one, hostile).value is None


def test_a_probe_of_an_unknown_kind_is_whatever_it_turns_out_to_be(several: Scope, open_scope: Scope) -> None:
    assert says("ci.total > 0 && shop.status == 200", several, {"ci.total": 3, "shop.status": 200}).value is True
    assert says("total > 0 && failed == 0", open_scope, {"total": 3, "failed": 1}).value is False


def test_an_activation_leaves_out_what_is_not_known(one: Scope) -> None:
    release = Release("1.4.0", images={"web": Image("shop:1.4.0", "shop@sha256:1", "sha256:1", "repository")})
    values = activation(
        {"": {"status": 200, "latency": None}},
        release=release,
        environment="staging",
        vars={"base_url": "u"},
        before={"": {"status": 100}},
        last={"shop": {"status": 3}},
    )
    assert values == {
        "status": 200,
        "signed": False,
        "before.status": 100,
        "last": {"shop": {"status": 3}},
        "release.version": "1.4.0",
        "release.images": {"web": "shop@sha256:1"},
        "release.digests": {"web": "sha256:1"},
        "environment": "staging",
        "vars.base_url": "u",
    }
    assert says("release.commit == text || status == 200", one, values).value is True


def test_names_say_what_a_condition_needs(several: Scope) -> None:
    condition = compile_condition("shop.json.a.b == 1 && before.api.status < 500 * MB && signed", several)
    assert condition.names == {"shop.json", "before.api.status", "signed"}


def test_compiling_again_gives_the_same_condition(one: Scope, kind: dict[str, Any]) -> None:
    again = Scope.of({"": dict(reversed(kind.items()))}, dict(one.constants) and {"max": "500 * MB"}, ["base_url"])
    assert again != one
    assert compile_condition("status == 200", one) is compile_condition("status == 200", one)


def test_threads_share_conditions(one: Scope, seen: dict[str, Any]) -> None:
    wrong: list[Judged] = []

    def work(number: int) -> None:
        for count in range(60):
            text = f"status == {count} || services.all(s, s.name != '{number}') && size(services) > 0"
            judged = says(text, one, seen)
            if judged.value is not True:
                wrong.append(judged)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0s"),
        (0.45, "450us"),
        (812, "812ms"),
        (500.4, "500.4ms"),
        (1500, "1.5s"),
        (59_999, "59.99s"),
        (60_000, "1m"),
        (192_000, "3m12s"),
        (7_500_000, "2h5m"),
        (86_400_000, "1d"),
        (90_000_000, "1d1h"),
        (-5, "-5ms"),
    ],
)
def test_a_duration_is_short_and_readable(milliseconds: float, text: str) -> None:
    assert brief(timedelta(milliseconds=milliseconds)) == text


def test_a_large_document_is_shown_in_one_short_line() -> None:
    assert len(shown({"items": [{"name": "x" * 300}] * 10_000})) <= 81
    assert len(shown(["a"] * 100_000)) <= 81
    assert shown("a" * 200) == '"' + "a" * 77 + '…"'
    assert shown("a\nb\x1b") == '"a\\nb\\u001b"'


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(value=PLAIN)
def test_whatever_a_document_holds_a_condition_answers(value: Any) -> None:
    scope = Scope.of({"": {"json": OPEN}})
    for text in ("json.a == 1", "json == json", "size(json) > 0", "json.exists(x, x == 'a')"):
        judged = compile_condition(text, scope).evaluate({"json": value})
        assert (judged.value is None) == (judged.error is not None)
        assert shown(value).encode()
