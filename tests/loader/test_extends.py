"""A checklist over another one: what is added, changed and dropped, and what a run keeps of both files."""

from __future__ import annotations

from pathlib import Path

import pytest

from captain.errors import Problem
from captain.loader import lint, load, load_pinned

BASE = """\
checklist: base
title: Base
params: { max: '10' }
sections:
  - id: pre
    title: Before
    phase: pre
    steps:
      - { id: told, title: 'Told {params.max} people', manual: Tell., params: { max: '10' } }
      - { id: dropped, title: Dropped, manual: Drop. }
      - { id: signed, title: Signed, manual: Sign., sign_off: [{ role: dba }, { role: captain }] }
  - { id: deploy, title: Deploy, phase: deploy, steps: [{ id: out, title: Out, manual: Out. }] }
  - { id: post, title: After, phase: post, steps: [{ id: seen, title: Seen, manual: See. }] }
"""
OVER = """\
checklist: ours
extends: lists/base.yaml
sections:
  - id: pre
    steps:
      - { id: dropped, disabled: we have none }
      - { id: signed, sign_off: [{ role: captain }] }
      - { id: told, params: { max: '20' } }
      - { id: more, title: More, manual: More. }
  - { id: pre-two, title: More before, phase: pre, steps: [{ id: late, title: Late, manual: Late. }] }
  - { id: deploy-two, title: More deploy, phase: deploy, steps: [{ id: out-two, title: Out, manual: Out. }] }
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "lists").mkdir()
    (tmp_path / "captain.yaml").write_text(
        "service: s\nenvironments: { live: {} }\nchecklists: [lists/ours.yaml]\n"
        "people: { ann: [dba, captain], bob: [captain] }\n"
    )
    (tmp_path / "lists" / "base.yaml").write_text(BASE)
    (tmp_path / "lists" / "ours.yaml").write_text(OVER)
    return tmp_path


def where(problem: Problem) -> tuple[str, int, int, str]:
    return problem.path, problem.line, problem.column, problem.message


def test_steps_are_changed_key_by_key_lists_replaced_and_new_ones_added_at_the_end(root: Path) -> None:
    assert [where(one) for one in lint(cwd=root)] == []
    made = load("ours", "live", cwd=root).checklist
    assert made.title == "Base"
    assert [step.id for step in made.sections[0].steps] == ["told", "dropped", "signed", "more"]
    steps = {step.id: step for _, step in made.steps()}
    assert steps["dropped"].disabled == "we have none"
    assert [rule.role for rule in steps["signed"].sign_off] == ["captain"]
    assert (steps["signed"].manual, steps["told"].title) == ("Sign.", "Told 20 people")


def test_a_new_section_stands_behind_those_of_its_phase(root: Path) -> None:
    made = load("ours", "live", cwd=root).checklist
    assert [section.id for section in made.sections] == ["pre", "pre-two", "deploy", "deploy-two", "post"]


def test_a_run_is_pinned_to_every_file_and_opens_from_them_alone(root: Path) -> None:
    made = load("ours", "live", cwd=root)
    assert [one.path for one in made.files] == ["captain.yaml", "lists/ours.yaml", "lists/base.yaml"]
    for path in ("lists/ours.yaml", "lists/base.yaml"):
        (root / path).unlink()
    assert load_pinned(made.files, "live", root=root).checklist == made.checklist


def test_a_base_that_is_not_there_or_comes_back_is_told_where_it_is_named(root: Path) -> None:
    (root / "lists" / "ours.yaml").write_text(OVER.replace("lists/base.yaml", "lists/bas.yaml"))
    assert ("lists/ours.yaml", 2, 10, '"lists/bas.yaml" is not there') in [where(one) for one in lint(cwd=root)]
    (root / "lists" / "ours.yaml").write_text(OVER)
    (root / "lists" / "base.yaml").write_text(BASE.replace("title: Base", "title: Base\nextends: lists/ours.yaml"))
    assert [where(one) for one in lint(cwd=root)] == [
        ("lists/base.yaml", 3, 10, '"lists/ours.yaml" extends this file again')
    ]


def test_a_fault_is_told_in_the_file_that_holds_it(root: Path) -> None:
    (root / "lists" / "base.yaml").write_text(BASE.replace("manual: See.", "manualy: See."))
    (root / "lists" / "ours.yaml").write_text(OVER.replace("disabled: we", "disable: we"))
    found = {(one.path, one.line) for one in lint(cwd=root) if one.severity == "error"}
    assert found == {("lists/base.yaml", 13), ("lists/ours.yaml", 6)}


def test_what_an_overlay_disables_in_a_base_is_not_asked_for_by_a_rollback(root: Path) -> None:
    text = (root / "captain.yaml").read_text()
    (root / "captain.yaml").write_text(text + "rollback: { plan: [], verify: [ours/dropped] }\n")
    assert any("is signed by a person" in one.message or "disabled" in one.message for one in lint(cwd=root))


def test_params_stand_in_every_title_and_the_environment_has_the_last_word(root: Path) -> None:
    (root / "captain.yaml").write_text(
        "service: s\nparams: { max: '500 * MB' }\nchecklists: [lists/one.yaml]\n"
        "environments: { live: { params: { max: '100 * MB' } }, test: {} }\n"
    )
    (root / "lists" / "one.yaml").write_text(
        "checklist: one\ntitle: 'Below {params.max}'\nper: service\nsections:\n"
        "  - { id: s, title: 'S {params.max}', steps: [{ id: a, title: 'A {params.max}', manual: Look. }] }\n"
    )
    for environment, size in (("live", "100 MB"), ("test", "500 MB")):
        made = load("one", environment, cwd=root).checklist
        section = made.sections[0]
        titles = [made.title, section.title, section.steps[0].title]
        assert titles == [f"Below {size}", f"S {size}", f"A {size}"]
    (root / "lists" / "one.yaml").write_text(
        (root / "lists" / "one.yaml").read_text().replace("Below {params.max", "{params.mx")
    )
    assert [where(one)[:2] for one in lint(cwd=root)] == [("lists/one.yaml", 2)]
