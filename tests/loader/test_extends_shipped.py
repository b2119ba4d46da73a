"""A service's own checklist over the one captain ships, under the same name: everything that names it means the own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from captain.__main__ import main
from captain.loader import lint, load, load_pinned
from captain.loader.sheets import shipped_files

SERVICE = """\
service: books
vars: { health_url: 'http://127.0.0.1:1/', version_url: 'http://127.0.0.1:1/', metrics_url: 'http://127.0.0.1:1/' }
secrets: [DATABASE_URL, REDIS_URL, GITHUB_TOKEN, SCRATCH_DATABASE_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY]
environments: { staging: { params: { metric_count: '7' } } }
checklists: [lists/mine.yaml]
"""
MINE = """\
checklist: readiness
extends: readiness
params: { metric_count: '40', metric_count_before: '30' }
sections:
  - id: additions
    steps:
      - { id: add.cb.providers, disabled: we ask no providers }
      - { id: add.infra.no-version-key, file: { path: compose.yaml } }
  - { id: ours, title: Ours, steps: [{ id: ours.page, title: Page, file: { path: page.md } }] }
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "lists").mkdir()
    (tmp_path / "captain.yaml").write_text(SERVICE)
    (tmp_path / "lists" / "mine.yaml").write_text(MINE)
    return tmp_path


def errors(root: Path, *files: str) -> list[str]:
    return [str(one) for one in lint([*files], cwd=root) if one.severity == "error"]


def test_the_name_of_the_shipped_one_means_the_own_one(root: Path) -> None:
    assert errors(root) == [] == errors(root, "lists/mine.yaml")
    made = load("readiness", "staging", cwd=root)
    assert [one.path for one in made.files] == ["captain.yaml", "lists/mine.yaml", "shipped:readiness.yaml"]
    steps = {step.id: step for _, step in made.checklist.steps()}
    assert made.checklist.title == "Production readiness review" and made.checklist.per == "service"
    assert steps["add.cb.providers"].disabled == "we ask no providers"
    assert [ask.kind for ask in steps["add.infra.no-version-key"].asks.values() if hasattr(ask, "kind")] == ["file"]
    assert steps["add.infra.no-version-key"].expect == ("exists",), "another probe, and not the conditions of the old"
    assert steps["ours.page"].title == "Page"


def test_an_environment_has_the_last_word_over_both(root: Path) -> None:
    steps = {step.id: step for _, step in load("readiness", "staging", cwd=root).checklist.steps()}
    assert steps["add.infra.metric-count"].title == "7 total metrics (was 30)"


def test_a_list_that_only_looks_up_the_records_of_another_is_not_pinned_to_it(root: Path) -> None:
    assert [one.path for one in load("deploy", "staging", cwd=root).files] == ["captain.yaml", "shipped:deploy.yaml"]


def test_a_run_pinned_to_it_opens_without_the_files(root: Path) -> None:
    made = load("readiness", "staging", cwd=root)
    (root / "lists" / "mine.yaml").unlink()
    assert load_pinned(made.files, "staging", root=root).checklist == made.checklist


def test_a_third_list_over_the_name_stands_on_the_own_one(root: Path) -> None:
    (root / "lists" / "more.yaml").write_text("checklist: more\nextends: readiness\n")
    (root / "captain.yaml").write_text(SERVICE.replace("mine.yaml]", "mine.yaml, lists/more.yaml]"))
    assert errors(root) == []
    made = load("more", "staging", cwd=root)
    assert made.checklist.find("ours.page") is not None
    assert [one.path for one in made.files][1:] == ["lists/more.yaml", "lists/mine.yaml", "shipped:readiness.yaml"]


def test_another_list_stands_for_a_step_of_the_own_one(root: Path) -> None:
    (root / "lists" / "go.yaml").write_text(
        "checklist: go\ntitle: Go\nsections: [{ id: pre, title: Pre, phase: pre, steps: "
        "[{ id: page, title: Page, alias: readiness/ours.page }] }]\n"
    )
    (root / "captain.yaml").write_text(SERVICE.replace("mine.yaml]", "mine.yaml, lists/go.yaml]"))
    assert errors(root) == []
    assert load("go", "staging", cwd=root).step("readiness/ours.page") is not None


def test_two_own_lists_of_the_name_are_an_error(root: Path) -> None:
    (root / "lists" / "two.yaml").write_text("checklist: readiness\nextends: readiness\n")
    (root / "captain.yaml").write_text(SERVICE.replace("mine.yaml]", "mine.yaml, lists/two.yaml]"))
    assert any("is also that of lists/mine.yaml" in one for one in errors(root))


def test_a_name_that_nothing_ships_does_not_extend_itself(root: Path) -> None:
    (root / "lists" / "mine.yaml").write_text("checklist: books\nextends: books\n")
    assert any("is no checklist" in one for one in errors(root))


@pytest.mark.parametrize("name", ["deploy", "readiness"])
def test_every_shipped_list_can_be_extended_by_its_own_name(root: Path, name: str) -> None:
    assert name in shipped_files()
    (root / "lists" / "mine.yaml").write_text(f"checklist: {name}\nextends: {name}\ntitle: Mine\n")
    assert errors(root) == []
    assert load(name, "staging", cwd=root).checklist.title == "Mine"


def test_checking_it_measures_what_the_own_one_says(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    (root / "page.md").write_text("hello")
    chosen = ["--step", "ours.page", "--step", "add.cb.providers"]
    main(["--no-input", "check", "readiness", "-e", "staging", *chosen, "--no-record", "--format", "json"])
    told = json.loads(capsys.readouterr().out)
    found = {step["id"]: (step["verdict"], step["state"]) for one in told["sections"] for step in one["steps"]}
    assert found["ours.page"] == ("pass", "measured")
    assert found["add.cb.providers"][1] == "disabled"
