"""Keys and values of a step: each wrong one is told, and nothing that would have no effect is accepted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from captain.errors import Problem

Say = Callable[..., list[Problem]]
PROBE = "pinger: { url: x }"
MANUAL = "manual: Do it"
ACTION = "action: { run: [./deploy] }"


def messages(found: list[Problem]) -> list[str]:
    return [problem.message for problem in found]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("pinger:", "pinger takes a mapping, not nothing"),
        ("pinger: https://x", "pinger takes a mapping, not a text"),
        ("pinger: { url: [x] }", "url takes a text, not a list"),
        ("pinger: { url: }", "url is empty"),
        ("pinger: { url: x, port: http }", 'port: "http" is not a whole number'),
        ("pinger: { url: x, port: '${{ vars.base }}' }", "port takes a number; ${{ }} works in text"),
        ("pinger: { url: x, port: 70000 }", 'port must be at most 65535, not "70000"'),
        ("pinger: { url: x, headers: [a] }", "headers takes a mapping, not a list"),
        ("pinger: { url: x, headers: { A: } }", "A is empty"),
        ("pinger: { url: x, follow: yes }", "follow"),
        (f"{PROBE}, severity: fatal", 'severity takes blocker, warning or info, not "fatal"'),
        (f"{PROBE}, retry: {'{'} attempts: 0 {'}'}", 'attempts must be at least 1, not "0"'),
        (f"{PROBE}, retry: {'{'} tries: 3 {'}'}", '"tries" is not a key of retry'),
        (f"{PROBE}, weight: -1", 'weight must be at least 0, not "-1"'),
        (f"{PROBE}, hold: 5m", '"hold" is not a key of a step'),
        (f"{PROBE}, asks: {'{}'}", '"asks" is not a key of a step'),
        (f"{PROBE}, why:", "why is empty"),
        (f"{PROBE}, params: {'{'} A-b: '1' {'}'}", '"A-b" is not a name for conditions'),
        (f"{PROBE}, params: {'{'} now: '1' {'}'}", "now means something else in conditions"),
        (f"{PROBE}, params: {'{'} a: '1 +' {'}'}", "the expression ends too early"),
        (f"{PROBE}, params: {'{'} a: '${{{{ vars.base }}}}' {'}'}", "${{ }} does not work in params"),
        ("probes: {}", "probes is empty"),
        ("probes: [a]", "probes takes a mapping of names, not a list"),
        ("probes: { a: x }, expect: '1 == 1'", 'probe "a" takes one kind, not a text'),
        ("probes: { release: { pinger: { url: x } } }, expect: 'x == 1'", "release means something else"),
        ("probes: { in: { pinger: { url: x } } }, expect: 'a == 1'", "in means something else"),
        ("why: nothing", "the step asks nothing"),
        (f"{PROBE}, affects: [nowhere]", 'affects "nowhere", which is no step'),
        (f"{PROBE}, {MANUAL}", "pinger and manual stand side by side; a step has one"),
        (f"{PROBE}, rollback: {'{}'}", "pinger and rollback stand side by side; a step has one"),
        (f"{MANUAL}, expect: signed", "expect has no effect beside manual"),
        (f"{MANUAL}, retry: {'{}'}", "retry has no effect beside manual"),
        (f"{ACTION}, within: 5m", "within has no effect beside action"),
        (f"{ACTION}, timeout: 5m", "timeout has no effect beside action"),
        (f"{PROBE}, observe: {'{'} {PROBE} {'}'}", "observe has no effect without an action"),
        (f"{PROBE}, fail_after: 2", "fail_after has no effect without for"),
        (f"{PROBE}, in_order: true", "in_order has no effect without probes"),
        ("action: {}", "the action does nothing"),
        ("action: { run: [] }", "run is empty"),
        ("action: { run: [a], external: b }", "run and external stand side by side; an action has one"),
        ("action: { external: CI }", "nothing would show that it arrived"),
        ("action: { run: [a], env: { A-B: x } }", '"A-B" is not the name of an environment variable'),
        (f"{ACTION}, observe: {'{'} within: 5m {'}'}", "observe asks nothing"),
        (f"{ACTION}, observe: {'{'} {PROBE}, hold: 5m {'}'}", '"hold" is not a key of observe'),
        (f"{ACTION}, observe: {'{'} {PROBE}, expect: 'statuss == 1' {'}'}", "statuss is not known here"),
        (f"{PROBE}, needs: [roll]", 'needs "roll", which is a section; needs names steps'),
        (f"{PROBE}, needs: a", 'needs "a" in a circle'),
        (f"{PROBE}, sign_off: {'{'} count: x {'}'}", 'count: "x" is not a whole number'),
        (f"{PROBE}, sign_off: {'{'} counts: 2 {'}'}", '"counts" is not a key of a sign-off rule'),
        (f"{PROBE}, sign_off: 3", "sign_off takes a mapping"),
        ("alias: b", 'alias names "b", which is no step'),
        ("alias: a", 'alias "a" comes back to this step'),
        ("alias: [a]", "alias takes the id of a step, not a list"),
        (f"{PROBE}, title: 'over <{'{'}params.slo{'}'}'", "written twice"),
    ],
)
def test_each_wrong_thing_is_told_once(problems: Say, step: str, said: str) -> None:
    found = [one for one in problems(f"- {{ id: a, title: A, {step} }}\n") if one.severity == "error"]
    assert len(found) == 1, messages(found)
    assert said in found[0].message


def test_a_circle_of_needs_and_of_aliases_is_told(problems: Say) -> None:
    steps = "".join(
        f"- {{ id: {one}, title: T, pinger: {{ url: x }}, needs: {two} }}\n" for one, two in ("ab", "bc", "ca")
    )
    assert [one for one in messages(problems(steps)) if "circle" in one] == [
        'needs "a" in a circle: neither could ever start'
    ]
    aliases = "- { id: a, title: A, alias: b }\n- { id: b, title: B, probes: { o: { alias: a } }, expect: o.passed }\n"
    assert messages(problems(aliases)) == ['alias "b" comes back to this step', 'alias "a" comes back to this step']


def test_long_chains_of_aliases_and_needs_end(problems: Say) -> None:
    chain = "".join(f"- {{ id: a{i}, title: T, alias: a{i + 1} }}\n" for i in range(900))
    last = "- { id: a900, title: T, pinger: { url: x } }\n"
    assert messages(problems(chain + last)) == []
    needs = "".join(f"- {{ id: a{i}, title: T, manual: x, needs: a{(i + 1) % 900} }}\n" for i in range(900))
    assert len(problems(needs)) == 1


def test_a_file_that_would_take_for_ever_is_refused_in_time(problems: Say) -> None:
    names = ", ".join(f"p{i}: {i}" for i in range(3000))
    head = f"params: {'{'} {names} {'}'}\n"
    step = "- {{ id: a{0}, title: T, pinger: {{ url: x }}, expect: 'status == {0}' }}\n"
    steps = "".join(step.format(i) for i in range(40))
    assert messages(problems(steps, head=head)) == ["params holds more than 200 names"]
    many = "".join(f"- {{ id: a{i}, title: T, manual: x }}\n" for i in range(1100))
    assert messages(problems(many)) == ["steps holds more than 1000 entries"]


def test_ids_are_unique_over_sections_and_steps(problems: Say) -> None:
    steps = f"- {{ id: roll, title: A, {PROBE} }}\n- {{ id: a, title: A, {PROBE} }}\n- {{ id: a, title: A, {PROBE} }}\n"
    steps += f"- {{ id: review, title: A, {PROBE} }}\n"
    assert messages(problems(steps)) == [
        'id "roll" is taken, first on line 4',
        'id "a" is taken, first on line 9',
        "review is reserved: it signs an emergency release",
    ]


@pytest.mark.parametrize("name", ["../../etc/x", "a/b", "CON", "x" * 300, "ро", "a\\u202eb", "-rf", ".x", "a b"])
def test_row_11_an_id_is_safe_in_a_path(problems: Say, name: str) -> None:
    found = messages(problems(f'- {{ id: "{name}", title: A, {PROBE} }}\n'))
    assert any("is not an id" in one or "control character" in one for one in found)


def test_row_9_control_characters_are_refused_in_a_title(problems: Say) -> None:
    found = messages(problems(f'- {{ id: a, title: "\\e[2J", {PROBE} }}\n'))
    assert found == ["the text holds a control character"]


def test_row_10_an_unknown_key_is_refused_with_the_nearest(problems: Say) -> None:
    found = problems(f"- {{ id: a, title: A, {PROBE}, on: x, yes: y, timout: 5s }}\n")
    assert [(one.message, one.hint) for one in found][-1] == (
        '"timout" is not a key of a step',
        "did you mean timeout?",
    )
    assert len(found) == 3


def test_actions_stand_in_deploy_and_post_only(problems: Say) -> None:
    found = messages(problems(f"- {{ id: a, title: A, {ACTION} }}\n", phase="pre"))
    assert found == ["actions stand in deploy and post sections only"]


def test_keys_of_later_captains_are_notes(problems: Say) -> None:
    steps = (
        "- { id: a, title: A, compare: { watch: health }, expect: ['requests > 1'] }\n"
        f"- {{ id: b, title: B, {PROBE}, soak: {{ for: 24h }} }}\n"
        "- { id: c, title: C, action: { trigger: { ci: { x: y } } }, observe: { rollback: { any: } } }\n"
        "- { id: d, title: D, pinger: { inside: x }, expect: 'any == 1' }\n"
    )
    found = problems(steps)
    assert {one.severity for one in found} == {"note"}
    assert messages(found) == [
        "compare: not measured by this captain yet",
        "soak: not measured by this captain yet",
        "action trigger: not started by this captain yet",
        "probe rollback: not measured by this captain yet",
        "probe pinger with inside: not measured by this captain yet",
    ]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("pinger: { url: 'x${{ vars.bas }}' }", "vars.bas is not known here"),
        ("pinger: { url: '${{ secrets.TOKEN }}' }", "a secret does not stand here"),
        ("pinger: { url: x, headers: { A: '${{ secrets.TOKN }}' } }", "secrets.TOKN is not known here"),
        ("pinger: { url: x, headers: { '${{ vars.bas }}': y } }", "vars.bas is not known here"),
        ("pinger: { url: x, headers: { '${{ secrets.TOKEN }}': y } }", "a secret does not stand here"),
        ("pinger: { url: '${{ release.version' }", "${{ is never closed"),
        ("pinger: { url: '${{ release.images }}' }", "not a text"),
        ("pinger: { url: x, run: 'curl ${{ vars.base }}' }", "${{ }} does not stand in a shell text"),
        ("action: { run: 'deploy ${{ release.version }}' }", "${{ }} does not stand in a shell text"),
        ("action: { run: [deploy, '${{ secrets.TOKEN }}'] }", "a secret does not stand here"),
        (f"{PROBE}, why: 'for ${{{{ release.version }}}}'", "${{ }} does not work in why"),
        (f"{PROBE}, link: '${{{{ vars.base }}}}'", "${{ }} does not work in link"),
    ],
)
def test_a_template_stands_only_where_it_can_be_worked_out(problems: Say, step: str, said: str) -> None:
    found = messages(problems(f"- {{ id: a, title: A, {step} }}\n"))
    assert len(found) == 1, found
    assert said in found[0]


def test_templates_that_can_be_worked_out_are_accepted(problems: Say) -> None:
    steps = """
- id: a
  title: A
  action:
    run: [./deploy, '${{ release.version }}', '--to=${{ environment }}']
    env: { TOKEN: '${{ secrets.TOKEN }}' }
  observe: { pinger: { url: '${{ vars.base }}/x', headers: { A: 'Bearer ${{ secrets.TOKEN }}' } } }
- { id: b, title: B, manual: 'Tell people about ${{ release.version }}' }
"""
    assert problems(steps) == []
