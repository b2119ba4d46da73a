"""What a run gets from the files: one service in one environment with one checklist, everything merged in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from captain.checklist import Alias, Ask, Target
from captain.errors import ProblemsError, UsageError
from captain.loader import load, load_pinned

Make = Callable[..., Target]


def test_a_step_becomes_what_the_engine_measures(target: Make) -> None:
    made = target(
        "- id: a\n  title: A\n  pinger: { url: '${{ vars.base }}/x', port: 8443 }\n  for: 5m\n  within: 10m\n"
    )
    found = made.checklist.find("a")
    assert found is not None
    step = found[1]
    ask = step.asks[""]
    assert isinstance(ask, Ask)
    assert (ask.kind, ask.params) == ("pinger", {"url": "${{ vars.base }}/x", "port": "8443"})
    assert ask.probe is not None
    assert ask.probe.model_dump()["port"] == 8443
    assert (step.expect, step.hold, step.within) == (("status < 400",), timedelta(minutes=5), timedelta(minutes=10))
    assert (made.environment, made.protected, made.tier) == ("staging", False, None)
    assert made.service.vars == {"base": "https://shop.example.com"}


def test_conditions_come_from_a_list_a_text_or_a_block(target: Make) -> None:
    head = "- { id: %s, title: T, pinger: { url: x }, "
    steps = (
        (head % "a") + "expect: ['status == 200', 'size(items) > 0'] }\n" + (head % "b") + "expect: status == 200 }\n"
    )
    steps += "- id: c\n  title: T\n  pinger: { url: x }\n  warn: |\n    status == 200\n\n    size(items) > 0\n"
    made = {step.id: step for _, step in target(steps).checklist.steps()}
    assert made["a"].expect == ("status == 200", "size(items) > 0")
    assert made["b"].expect == ("status == 200",)
    assert made["c"].warn == ("status == 200", "size(items) > 0")
    assert made["c"].expect == ("status < 400",)


def test_defaults_of_the_service_then_of_the_checklist_then_the_step(target: Make) -> None:
    captain = "service: s\nenvironments: { staging: {} }\nchecklists: [checklists/deploy.yaml]\n"
    captain += "defaults: { timeout: 1s, every: 9s, severity: info, retry: { attempts: 2 }, max_age: 1h }\n"
    steps = """
- { id: a, title: A, pinger: { url: x } }
- { id: b, title: B, pinger: { url: x }, timeout: 3s, severity: blocker, within: 1m }
- { id: c, title: C, action: { run: [x] }, observe: { pinger: { url: x } } }
"""
    made = {s.id: s for _, s in target(steps, captain=captain, head="defaults: { timeout: 2s }\n").checklist.steps()}
    second = timedelta(seconds=1)
    assert (made["a"].timeout, made["a"].severity, made["a"].max_age) == (2 * second, "info", timedelta(hours=1))
    assert made["a"].retry is not None
    assert made["a"].retry.attempts == 2
    assert made["a"].every is None, "every would turn retry off"
    assert (made["b"].timeout, made["b"].severity, made["b"].every) == (3 * second, "blocker", 9 * second)
    assert (made["c"].timeout, made["c"].retry) == (None, None), "defaults never touch what an action does"
    action, observe = made["c"].action, made["c"].observe
    assert action is not None
    assert action.timeout == timedelta(minutes=30)
    assert observe is not None
    assert (observe.timeout, observe.every, observe.within, observe.expect) == (
        *(2 * second, 9 * second, timedelta(minutes=5)),
        ("status < 400",),
    )


def test_params_go_from_service_to_checklist_to_step_and_the_environment_wins(target: Make) -> None:
    steps = "- { id: a, title: 'under {params.slow} and {params.size}', params: { size: 500 * MB }, pinger: { url: x },"
    steps += " expect: 'latency < params.slow && status < params.size' }\n- { id: b, title: B, pinger: { url: x } }\n"
    staging = target(steps).checklist.find("a")
    production = target(steps, "production", head="params: { slow: 'duration(\"2s\")' }\n").checklist.find("a")
    assert staging is not None
    assert production is not None
    assert staging[1].params == {"slow": 'duration("3s")', "size": "500 * MB"}
    assert staging[1].title == "under 3s and 500 MB"
    assert production[1].params["slow"] == 'duration("2s")'
    other = target(steps).checklist.find("b")
    assert other is not None
    assert other[1].params == {}, "a threshold that a step does not name is no part of its definition"


def test_a_title_names_known_params_only(target: Make) -> None:
    with pytest.raises(ProblemsError) as caught:
        target("- { id: a, title: 'under {params.slo}', pinger: { url: x } }\n")
    assert [(one.message, one.hint) for one in caught.value.problems] == [
        ("params.slo is not known", "did you mean slow?")
    ]


def test_the_tier_of_the_environment_selects_steps(target: Make) -> None:
    steps = (
        "- { id: a, title: A, pinger: { url: x }, tier: A }\n- { id: b, title: B, pinger: { url: x }, tier: [B, C] }\n"
    )
    steps += "- { id: c, title: C, pinger: { url: x }, needs: [a, b] }\n"
    made = [(step.id, step.needs) for _, step in target(steps, "production").checklist.steps()]
    assert made == [("a", ()), ("c", ("a",))]
    assert [step.id for _, step in target(steps, "staging").checklist.steps()] == ["c"]


def test_an_environment_is_laid_over_key_by_key(target: Make) -> None:
    captain = """\
service: shop
vars: { a: '1', b: '2' }
secrets: [ONE, TWO]
release: { tag: 'v${{ release.version }}', running: { pinger: { url: x }, version: version } }
environments:
  live: { vars: { b: '3', c: '4' }, secrets: [THREE], release: { running: { git: {}, version: head_sha } } }
checklists: [checklists/deploy.yaml]
"""
    made = target("- { id: a, title: A, manual: 'x ${{ vars.c }}' }\n", "live", captain).service
    assert made.vars == {"a": "1", "b": "3", "c": "4"}
    assert made.secrets == ("THREE",)
    assert made.release.tag == "v${{ release.version }}"
    assert made.release.running is not None
    assert made.release.running.ask.kind == "git"


BASE = """\
checklist: base
title: Base
params: { max: 10 }
sections:
  - id: pre
    title: Pre
    phase: pre
    steps:
      - { id: one, title: One, pinger: { url: x, port: 81 }, expect: 'status < params.max' }
      - { id: two, title: Two, pinger: { url: x } }
      - { id: three, title: Three, pinger: { url: x }, expect: 'status == 200' }
"""
OVER = """\
checklist: deploy
title: Mine
extends: checklists/base.yaml
params: { max: 20 }
sections:
  - id: pre
    steps:
      - { id: two, disabled: 'not for us' }
      - { id: one, pinger: { url: y } }
      - { id: three, manual: Look }
      - { id: four, title: Four, manual: Look }
  - { id: roll, title: Roll, phase: deploy, steps: [{ id: five, title: Five, manual: Look }] }
"""


def test_a_checklist_extends_another_step_by_step(tmp_path: Path) -> None:
    (tmp_path / "checklists").mkdir()
    (tmp_path / "checklists" / "base.yaml").write_text(BASE)
    (tmp_path / "checklists" / "deploy.yaml").write_text(OVER)
    (tmp_path / "captain.yaml").write_text(
        "service: s\nenvironments: { live: {} }\nchecklists: [checklists/deploy.yaml]\n"
    )
    made = load("deploy", "live", cwd=tmp_path)
    steps = {step.id: step for _, step in made.checklist.steps()}
    assert (made.checklist.title, list(steps)) == ("Mine", ["one", "two", "three", "four", "five"])
    one = steps["one"].asks[""]
    assert isinstance(one, Ask)
    assert one.params == {"url": "y", "port": "81"}
    assert steps["one"].params == {"max": "20"}
    assert steps["two"].disabled == "not for us"
    assert (steps["three"].kind, steps["three"].expect) == ("manual", ()), "another question drops the old conditions"
    assert [file.path for file in made.files] == ["captain.yaml", "checklists/deploy.yaml", "checklists/base.yaml"]


def test_a_wrong_line_of_the_base_is_told_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "checklists").mkdir()
    (tmp_path / "checklists" / "base.yaml").write_text(BASE.replace("status == 200", "statuss == 200"))
    (tmp_path / "checklists" / "deploy.yaml").write_text(OVER.replace("{ id: three, manual: Look }", "{ id: three }"))
    with pytest.raises(ProblemsError) as caught:
        load("checklists/deploy.yaml", "live", cwd=tmp_path)
    assert [(one.path, one.line, one.key) for one in caught.value.problems] == [
        ("checklists/base.yaml", 11, "sections[0].steps[2].expect")
    ]


def test_what_verify_and_aliases_name_in_other_checklists_comes_along(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "checklist: a\ntitle: A\nsections:\n"
        "  - { id: s, title: S, phase: post, steps: [{ id: x, title: X, alias: b/y }] }\n"
    )
    (tmp_path / "b.yaml").write_text(
        "checklist: b\ntitle: B\nper: service\nsections:\n"
        "  - { id: s, title: S, steps: [{ id: y, title: Y, pinger: { url: x } }] }\n"
    )
    (tmp_path / "broken.yaml").write_text("checklist: broken\n\t[")
    (tmp_path / "captain.yaml").write_text(
        "service: s\nenvironments: { live: {} }\nchecklists: [a.yaml, b.yaml, broken.yaml]\n"
        "rollback: { plan: [{ id: x, strategy: scripted, run: [./back] }], verify: [b/y] }\n"
    )
    made = load("a", None, cwd=tmp_path)
    step = made.step("x")
    assert step is not None
    assert step.asks == {"": Alias("b/y")}
    assert made.step("b/y") is not None
    assert made.step("c/y") is None
    assert list(made.others) == ["b"]
    assert [entry.id for entry in made.service.rollback.plan] == ["x"]


def test_row_13_a_run_goes_on_with_the_files_it_pinned(tmp_path: Path, target: Make) -> None:
    made = target("- { id: a, title: A, pinger: { url: x } }\n")
    root = Path(made.root)
    (root / "checklists" / "deploy.yaml").write_text("changed: beyond recognition")
    (root / "captain.yaml").unlink()
    again = load_pinned(made.files, "staging", root=root)
    assert again == made
    assert [file.sha256 for file in again.files] == [file.sha256 for file in made.files]


def test_the_environment_is_named_or_the_only_one(target: Make) -> None:
    steps = "- { id: a, title: A, manual: x }\n"
    only = "service: s\nenvironments: { live: {} }\nchecklists: [checklists/deploy.yaml]\n"
    assert target(steps, None, only).environment == "live"
    for given, captain, said, hint in (
        (
            None,
            None,
            "no environment given; there is no captain.yaml here",
            "captain init writes one; without it say which: -e NAME",
        ),
        ("../x", None, "is not the name", None),
        (None, "service: s\nchecklists: [checklists/deploy.yaml]\n", "none is declared", None),
        ("liev", only, 'no environment "liev"; declared are live', "did you mean live?"),
    ):
        with pytest.raises(UsageError) as caught:
            target(steps, given, captain)
        assert said in caught.value.message
        assert (hint or "") in (caught.value.hint or "")


def test_without_captain_yaml_a_checklist_still_works(target: Make, tmp_path: Path) -> None:
    made = target("- { id: a, title: A, pinger: { url: '${{ vars.any }}' }, sign_off: { role: dba } }\n", "any", None)
    assert (made.service.service, made.environment, made.protected) == (made.service.service, "any", False)
    assert made.service.service.startswith("test_without")
    assert [file.path for file in made.files] == ["checklists/deploy.yaml"]
    assert load_pinned(made.files, "any", root=tmp_path) == made
