"""One row per expression: what it says of one observation, or why it does not compile.

The table stands for the library: whoever replaces it keeps the table.
"""

from __future__ import annotations

from typing import Any

import pytest

from captain.condition import ConditionError, Scope, compile_condition

SAYS: list[tuple[str, bool | None]] = [
    ("status == 200", True),
    ("status != 200", False),
    ("status >= 200 && status < 300", True),
    ("status in [200, 204]", True),
    ("!(status in [500, 503])", True),
    ("status == 200 ? exists : false", True),
    ("exists", True),
    ("!exists", False),
    ("exists == true", True),
    ("signed", False),
    ("signed || exists", True),
    ('latency < duration("500ms")', False),
    ('latency < duration("1s")', True),
    ('latency < duration("0.5s")', False),
    ('latency <= duration("812ms")', True),
    ("latency < days(1)", True),
    ("seconds(latency) < 0.9", True),
    ("latency < params.rto", True),
    ("latency < before.latency", False),
    ("seconds(latency) <= seconds(before.latency) * 1.25", False),
    ("ratio < 0.5", True),
    ("ratio < double(1)", True),
    ("ratio >= 0.5 && ratio <= 2.0", False),
    ("ratio(status, 400) == 0.5", True),
    ("ratio(status, 0) > 0.5", None),
    ("ratio(status, 0) > 0.5 || exists", True),
    ("ratio(status, 0) > 0.5 && status == 500", False),
    ("status < params.max", True),
    ("status < 500 * MB && status < GiB", True),
    ("1500 * MB > status", True),
    ("math.greatest(status, 500) == 500", True),
    ("math.abs(-status) == 200", True),
    ('json.status == "degraded"', True),
    ('json.status == "ok"', False),
    ('json["status"] == "degraded"', True),
    ('json.nope == "ok"', None),
    ('json.nope == "ok" && status == 500', False),
    ("json.none == null", True),
    ("json.none > 3", None),
    ('has(json.nope) && json.nope == "ok"', False),
    ('has(json.status) && json.status == "degraded"', True),
    ('json.?nope.orValue("ok") == "ok"', True),
    ("json.status > 3", None),
    ("json.status", None),
    ("json.checks.size() == 2", True),
    ('json.checks.all(c, json.checks[c] == "ok") && size(json.checks) > 0', False),
    ('json.checks.exists(c, json.checks[c] == "ok")', True),
    ('json.checks.filter(c, json.checks[c] != "ok") == ["cache"]', True),
    ('services.all(s, s.image.startsWith("sha256:")) && size(services) == 2', True),
    ("services.all(s, s.image == release.digests[s.name]) && size(services) > 0", None),
    ("services.map(s, s.name) == ['web', 'worker']", True),
    ('services.exists_one(s, s.name == "web")', True),
    ('services[0].name == "web"', True),
    ('services[7].name == "web"', None),
    ('services[?7].?name.orValue("") == ""', True),
    ("size(services.filter(s, s.name.contains('w'))) == 2", True),
    ('headers["strict-transport-security"].startsWith("max-age=")', True),
    ('headers[?"x-powered-by"].orValue("") == ""', True),
    ('headers["x-powered-by"] == ""', None),
    ('"strict-transport-security" in headers', True),
    ('text.contains("world") && size(text) == 11', True),
    ('text.matches("^hello [a-z]+$")', True),
    ('text.upperAscii() == "HELLO WORLD"', True),
    ('text.split(" ")[0] == "hello"', True),
    ("same_commit(json.commit, release.commit)", True),
    ('same_commit(text, "hello")', False),
    ('release.version == "1.4.0" && exists', True),
    ("previous.version != release.version && exists", None),
    ('release.images.web.endsWith("sha256:1") && exists', True),
    ('release.images["worker"] == text', None),
    ('environment == "production" && exists', True),
    ('vars.base_url.startsWith("https://") && exists', True),
    ("text in params.modes", False),
    ("expires - now > days(21)", True),
    ("expires - now > days(31)", False),
    ('expires > timestamp("2026-12-01T00:00:00Z")', True),
    ("deploy.started_at < expires", None),
    ("last.?status.orValue(0) == 200", True),
    ("last.?tests.orValue(0) == 0", True),
    ("last.tests > 0", None),
    ('last.?latency.orValue(duration("0s")) == duration("1s")', True),
    ("last.latency > latency && last.expires == now", True),
    ("has(last.tests) || exists", True),
    ("cel.bind(x, status + 1, x == 201 && x > 200)", True),
    ("timestamp(int(ratio)) < now", True),
    ('string(status) + "!" == "200!"', True),
    ("optional.of(status).hasValue()", True),
    ("int(json.status) > 3", None),
    ("true || status == 1", True),
]

REFUSED: list[tuple[str, int, str]] = [
    ("statuss == 200", 0, "did you mean status?"),
    ("exists && lateny < params.rto", 10, "did you mean latency?"),
    ('status == "200"', 7, "write 200"),
    ("headers.host == 3", 13, 'write "3"'),
    ("ratio < 500", 6, "write 500.0"),
    ("500 > ratio", 4, "write 500.0"),
    ("ratio == 1", 6, "write 1.0"),
    ("status < 1.5", 7, "double("),
    ("status == 200.0", 7, "write 200"),
    ("200.00 == status", 7, "write 200"),
    ('exists == "true"', 7, "write true"),
    ("latency < 500", 8, 'duration("500ms")'),
    ('latency < "500ms"', 8, 'write duration("500ms")'),
    ('expires > "2026-01-01"', 8, "write timestamp("),
    ("status = 200", 7, "write =="),
    ("status == 200 and exists", 14, "write &&"),
    ("status == 200 or exists", 14, "write ||"),
    ("not exists", 0, "write !"),
    ("status ==", 9, "ends too early"),
    ('text == "abc', 8, "does not end"),
    ("", 0, "is empty"),
    ("status", 0, "not true or false"),
    ("json.?ok", 0, "not true or false"),
    ("status == 200 ? 1 : 2", 0, "not true or false"),
    ("len(services) > 0", 0, "did you mean size()?"),
    ("text.startswith('a')", 5, "did you mean startsWith()?"),
    ("days('3') < latency", 0, "does not take a text"),
    ('release == "1.4.0"', 0, "release.version"),
    ("release.versoin == text", 0, "did you mean release.version?"),
    ("vars.base_ur == text", 0, "did you mean vars.base_url?"),
    ("params.mx > status", 0, "did you mean params.max?"),
    ("status > 500 * mb", 15, "did you mean MB?"),
    ("status.code == 200", 6, "has no fields"),
    ("latency < before.latency * 3", 25, "does not take"),
    ("services.all(s, t.name == 'a')", 16, "not known"),
    ("status == 200\n  && statuss == 200", 19, "did you mean status?"),
    ('"é😀" == texts', 8, "did you mean text?"),
    ("status == 99999999999999999999", 10, "invalid int literal"),
    ("a\x00b", 1, "cannot be read"),
    ("status == 200 " + "&& exists " * 600, 0, "longer than"),
    ("(" * 60 + "exists" + ")" * 60, 0, "nested too deep"),
]


@pytest.mark.parametrize(("text", "expected"), SAYS, ids=[text for text, _ in SAYS])
def test_an_expression_says_this_of_one_observation(
    text: str, expected: bool | None, one: Scope, seen: dict[str, Any]
) -> None:
    judged = compile_condition(text, one, observes=False).evaluate(seen)
    assert judged.value is expected, judged
    assert (judged.error is None) == (expected is not None)


@pytest.mark.parametrize(("text", "offset", "sentence"), REFUSED, ids=[text[:40] for text, _, _ in REFUSED])
def test_an_expression_is_refused_at_its_place_with_what_to_write(
    text: str, offset: int, sentence: str, one: Scope
) -> None:
    with pytest.raises(ConditionError) as caught:
        compile_condition(text, one)
    fault = caught.value.faults[0]
    assert sentence in f"{fault.message} {fault.hint}"
    assert fault.offset == offset


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("status", '"status" is a whole number, not true or false'),
        (" text ", '"text" is a text, not true or false'),
        ("1 == 1", '"1 == 1" names nothing that is observed, so it always says the same'),
        ("", "the expression is empty"),
        ("a\x00b", '"a␀b" holds a character that cannot be read'),
        ("exists " + "&& exists " * 600, f'"exists {"&& exists " * 5}&& …" is longer than 4096 characters'),
    ],
)
def test_a_sentence_names_what_it_is_about(text: str, sentence: str, one: Scope) -> None:
    with pytest.raises(ConditionError) as caught:
        compile_condition(text, one)
    assert caught.value.faults[0].message.startswith(sentence)


def test_what_only_follows_from_another_fault_is_not_told(one: Scope) -> None:
    with pytest.raises(ConditionError) as caught:
        compile_condition("things.all(t, t > 1) && size(things) > 0", one)
    assert {fault.message for fault in caught.value.faults} == {"things is not known here"}


def test_every_fault_of_an_expression_is_told_at_once(one: Scope) -> None:
    with pytest.raises(ConditionError) as caught:
        compile_condition('statuss == 200 && ratio < 1 && latency < "1s"', one)
    assert [fault.offset for fault in caught.value.faults] == [0, 24, 39]
