"""captain.yaml: what it says of people, releases and the way back must hold together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from captain.errors import Problem
from captain.loader import lint

CHECKLIST = """\
checklist: deploy
title: T
sections:
  - id: post
    title: P
    phase: post
    gate: { sign_off: { role: captain } }
    steps:
      - { id: healthy, title: H, pinger: { url: x } }
      - { id: look, title: L, manual: Look, sign_off: { role: dba, count: 2 } }
      - { id: act, title: A, action: { run: [x] } }
      - { id: off, title: O, pinger: { url: x }, disabled: why not }
"""
WHOLE = """\
service: shop
environments: { live: {} }
checklists: [deploy.yaml]
"""


@pytest.fixture
def say(tmp_path: Path) -> Callable[[str], list[Problem]]:
    """What lint says of captain.yaml with these lines added."""

    def run(text: str, whole: str = WHOLE) -> list[Problem]:
        (tmp_path / "deploy.yaml").write_text(CHECKLIST)
        (tmp_path / "captain.yaml").write_text(whole + text)
        return lint([], cwd=tmp_path)

    return run


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("servce: x\n", ['"servce" is not a key of this file']),
        ("vars: { a: '${{ release.version }}' }\n", ["${{ }} does not work in vars"]),
        ("params: { a: '${{ 1 }}' }\n", ["${{ }} does not work in params"]),
        ("vars: { A: x }\n", ['"A" is not a name for conditions; use lower-case letters, digits and _']),
        ("vars: { now: x }\n", ["now means something else in conditions"]),
        ("vars: [a]\n", ["vars takes a mapping, not a list"]),
        ("secrets: [A-B]\n", ['secrets: "A-B" is not the name of an environment variable']),
        ("secrets: [A, A]\n", ['secret "A" is declared twice']),
        ("params: { a: 1 + }\n", ["the expression ends too early"]),
        ("inputs: [{ id: a, ask: A, match: '^(' }]\n", ["match is not a regular expression"]),
        ("inputs: [{ id: a, ask: A }, { id: a, ask: A }]\n", ['input "a" is asked twice']),
        ("inputs: [{ id: now, ask: A }]\n", ["now means something else in conditions"]),
        ("repo: [a]\n", ["repo takes a text, not a list"]),
        (
            "people: { Karen@x: [captain], karen@X: [dba] }\n",
            ['"karen@X" and "Karen@x" are one person', "count 2 is more"],
        ),
        ("people: { a@x: [capten, dba], b@x: [dba] }\n", ['nobody in people holds the role "captain"']),
        ("defaults: { timeout: 5 }\n", ['timeout: "5" is not a duration']),
        ("release: { tag: 'v${{ release.versoin }}' }\n", ["release.versoin is not known here"]),
        ("release: { images: { web-1: 'x' } }\n", ['"web-1" is not a name for conditions']),
        ("release: { running: { pinger: { url: x } } }\n", ["version is missing"]),
        ("release: { running: { pinger: { url: x }, version: versoin } }\n", ["versoin is not known here"]),
        ("release: { running: { version: version } }\n", ["running asks nothing"]),
        ("rollback: { plan: [{ id: a, strategy: scripted, run: [x] }] }\n", ["nothing would prove the rollback"]),
        (
            "rollback: { plan: [{ id: a, strategy: scrpted }], verify: [deploy/healthy] }\n",
            ['"scrpted" is not a rollback'],
        ),
        ("rollback: { plan: [{ id: a, strategy: scripted }], verify: [deploy/healthy] }\n", ["run is missing"]),
        ("rollback: { plan: [{ id: a }], verify: [deploy/healthy] }\n", ["strategy is missing"]),
        ("rollback: { plan: x }\n", ["plan takes a list, not a text"]),
        ("rollback: { verify: [deploy/healty] }\n", ['verify names "deploy/healty", which is no step']),
        ("rollback: { verify: [healthy] }\n", ['"healthy" names no checklist']),
        ("rollback: { verify: [deploy/look] }\n", ['"deploy/look" is signed by a person']),
        ("rollback: { verify: [deploy/act] }\n", ['"deploy/act" is an action']),
        ("rollback: { verify: [deploy/off] }\n", ['"deploy/off" is disabled']),
        (
            "rollback: { plan: [{ id: a, strategy: scripted, run: 'x ${{ vars.a }}' }], verify: [deploy/healthy] }\n",
            ["${{ }} does not stand in a shell text"],
        ),
        (
            "rollback: { plan: [{ id: a, strategy: scripted, run: [x], note: '${{ secrets.A }}' },"
            " { id: a, strategy: scripted, run: [x], note: '${{ vars.none }}' }], verify: [deploy/healthy] }\n",
            ["a secret does not stand here", 'id "a" stands twice in the plan', "vars.none is not known here"],
        ),
        (
            "rollback: { plan: [{ id: a, strategy: swarm, service: x, y: z }], verify: [deploy/healthy] }\n",
            ["not executed"],
        ),
        ("notify: { any: thing }\nfreeze: []\n", ["freeze: not used by this captain yet", "notify: not used"]),
    ],
)
def test_each_wrong_thing_is_told(say: Callable[[str], list[Problem]], text: str, told: list[str]) -> None:
    found = sorted(problem.message for problem in say(text))
    assert len(found) == len(told), found
    for message, start in zip(found, sorted(told), strict=True):
        assert start in message


@pytest.mark.parametrize(
    ("environments", "told"),
    [
        ("{ live: }", ["environment live is empty"]),
        ("{ live: x }", ["environment live takes a mapping, not a text"]),
        ("[live]", ["environments takes a mapping of names, not a list"]),
        ("{ Live: {} }", ['"Live" is not an id']),
        ("{ live: { protectd: true } }", ['"protectd" is not a key of live']),
        ("{ live: { protected: yes } }", ['"yes" is neither true nor false']),
        (
            "{ live: { allow: [drilling] } }",
            ['allow takes active or drill, not "drilling"'],
        ),
        ("{ live: { defaults: {} } }", ['"defaults" is not a key of live']),
        ("{ live: { params: { a: '1 +' } } }", ["the expression ends too early"]),
        ("{ live: { vars: { now: x } } }", ["now means something else"]),
    ],
)
def test_environments_are_checked_each(say: Callable[..., list[Problem]], environments: str, told: list[str]) -> None:
    found = [
        problem.message for problem in say(f"environments: {environments}\n", "service: s\nchecklists: [deploy.yaml]\n")
    ]
    assert len(found) == len(told), found
    assert all(any(one in message for message in found) for one in told), found


def test_a_var_that_one_environment_lacks_is_told(tmp_path: Path) -> None:
    (tmp_path / "deploy.yaml").write_text(CHECKLIST.replace("url: x", "url: '${{ vars.only }}'", 1))
    (tmp_path / "captain.yaml").write_text(
        "service: s\nenvironments: { live: {}, test: { vars: { only: x } } }\nchecklists: [deploy.yaml]\n"
    )
    assert [one.message for one in lint([], cwd=tmp_path)] == ["vars.only is not known here"]


def test_a_whole_service_is_accepted(say: Callable[[str], list[Problem]]) -> None:
    text = """\
vars: { base: x }
secrets: [TOKEN]
params: { slow: 'duration("1s")' }
inputs: [{ id: ticket, ask: Change ticket, match: '^CHG[0-9]+$' }]
people: { a@x: [captain, dba], b@x: [dba] }
release:
  tag: 'v${{ release.version }}'
  images: { web: 'registry/shop:${{ release.version }}' }
  running: { pinger: { url: '${{ vars.base }}/${{ inputs.ticket }}' }, version: json.version }
rollback: { plan: [{ id: a, strategy: scripted, run: [./back, '${{ previous.version }}'] }], rto: 10m }
"""
    assert [one for one in say(text) if one.severity == "error"] == []
