"""Which file a name means, and which files are never read."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from captain.errors import ProblemsError, UsageError
from captain.loader import lint, load, load_service
from captain.loader.sheets import shipped_files
from captain.loader.shelf import shipped

STEPS = "sections:\n  - { id: s, title: S, phase: pre, steps: [{ id: a, title: A, manual: x }] }\n"


def checklist(name: str, more: str = "") -> str:
    return f"checklist: {name}\ntitle: T\n{more}{STEPS}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A git work tree with captain.yaml and one checklist."""
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    (tmp_path / "repo" / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "repo" / "lists").mkdir()
    (tmp_path / "repo" / "lists" / "go.yaml").write_text(checklist("ship"))
    (tmp_path / "repo" / "captain.yaml").write_text(
        "service: s\nenvironments: { live: {} }\nchecklists: [lists/go.yaml]\n"
    )
    return tmp_path / "repo"


def said(root: Path, text: str, name: str = "lists/go.yaml") -> list[str]:
    (root / name).write_text(text)
    return [problem.message for problem in lint([], cwd=root)]


def test_row_1_a_checklist_is_a_path_an_id_of_captain_yaml_or_a_shipped_one(root: Path) -> None:
    assert load("ship", None, cwd=root).checklist.checklist == "ship"
    assert load("lists/go.yaml", None, cwd=root / "sub" / "..").checklist.checklist == "ship"
    (root / "sub" / "x.yml").write_text(checklist("x"))
    assert load("x.yml", None, cwd=root / "sub").files[1].path == "sub/x.yml"
    with pytest.raises(UsageError) as caught:
        load("shp", None, cwd=root)
    assert (caught.value.message, caught.value.hint) == ('no checklist "shp"', "did you mean ship?")
    with pytest.raises(UsageError, match="is not there"):
        load("./none.yaml", None, cwd=root)


def test_every_shipped_checklist_loads_by_its_id_without_captain_yaml(tmp_path: Path) -> None:
    for name in shipped_files():
        made = load(name, "any", cwd=tmp_path)
        assert made.checklist.checklist == name
        assert made.files[0].path == f"shipped:{name}.yaml"


def test_captain_yaml_is_looked_for_upwards_to_the_git_root(root: Path) -> None:
    assert load("ship", None, cwd=root / "sub" / "deep").root == str(root)
    (root / "sub" / ".git").mkdir()
    home = load_service(root / "sub" / "deep")
    assert (home.declared, home.service.service) == (False, "deep")


def test_row_3_of_names_what_lies_here_is_told_without_an_environment(root: Path) -> None:
    home = load_service(root)
    assert (home.declared, home.root, home.environments) == (True, str(root), ("live",))
    assert home.checklists == {"ship": "lists/go.yaml"}


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("../../../etc/passwd.yaml", "lies outside the repository"),
        ("/etc/passwd.yaml", "is an absolute path; give one relative to captain.yaml"),
        ("http://example.com/x.yaml", "is not a local file"),
        ("lists/none.yaml", "is not there"),
        ("lists/out.yaml", "lies outside the repository"),
        ("lists/fifo.yaml", "is not a regular file"),
        ("lists/loop.yaml", "is no name of a file"),
        ("lists/dir.yaml", "is not a regular file"),
        ("/proc/self/environ.yaml", "is an absolute path; give one relative to captain.yaml"),
        ("nothing", "is no checklist; a path holds / or ends in .yaml"),
        ("lists/go.yaml", "extends this file again"),
        ("lists/device.yaml", "lies outside the repository"),
    ],
)
def test_row_12_only_regular_files_beneath_the_root_are_extended(root: Path, reference: str, why: str) -> None:
    (root.parent / "secret.yaml").write_text(checklist("secret"))
    (root / "lists" / "out.yaml").symlink_to(root.parent / "secret.yaml")
    (root / "lists" / "device.yaml").symlink_to("/dev/zero")
    (root / "lists" / "loop.yaml").symlink_to(root / "lists" / "loop.yaml")
    os.mkfifo(root / "lists" / "fifo.yaml")
    (root / "lists" / "dir.yaml").mkdir()
    assert said(root, checklist("ship", f"extends: {reference}\n")) == [f'"{reference}" {why}']


def test_row_12_files_extend_five_deep_and_never_in_a_circle(root: Path) -> None:
    for index in range(7):
        (root / "lists" / f"b{index}.yaml").write_text(checklist(f"b{index}", f"extends: lists/b{index + 1}.yaml\n"))
    (root / "lists" / "b7.yaml").write_text(checklist("b7"))
    assert said(root, checklist("ship", "extends: lists/b0.yaml\n")) == ["extends goes more than 5 files deep"]
    (root / "lists" / "b2.yaml").write_text(checklist("b2", "extends: lists/b0.yaml\n"))
    assert said(root, checklist("ship", "extends: lists/b0.yaml\n")) == ['"lists/b0.yaml" extends this file again']


def test_row_12_a_link_inside_the_repository_is_fine(root: Path) -> None:
    (root / "lists" / "base.yaml").write_text(checklist("base"))
    (root / "lists" / "link.yaml").symlink_to("base.yaml")
    assert said(root, checklist("ship", "extends: lists/link.yaml\n")) == []


def test_a_checklist_may_carry_the_name_of_the_shipped_one_it_extends(root: Path) -> None:
    (root / "lists" / "go.yaml").write_text("checklist: deploy\ntitle: Ours\nextends: deploy\n")
    names = set(re.findall(r"vars\.([a-z_]+)", shipped("deploy")))
    declared = ", ".join(f"{name}: x" for name in sorted(names))
    text = (root / "captain.yaml").read_text()
    (root / "captain.yaml").write_text(f"{text}vars: {{ {declared} }}\nsecrets: [GITHUB_TOKEN]\n")
    made = load("deploy", None, cwd=root)
    assert made.checklist.title == "Ours"
    assert made.files[-1].path == "shipped:deploy.yaml"
    assert len(list(made.checklist.steps())) > 3


def test_an_entry_of_checklists_is_read_under_the_same_rules(root: Path) -> None:
    (root / "captain.yaml").write_text(
        "service: s\nchecklists: [../x.yaml, lists/go.yaml, lists/go.yaml, lists/none.yaml]\n"
    )
    assert [one.message for one in lint([], cwd=root)] == [
        '"../x.yaml" lies outside the repository',
        'checklist "ship" is also that of lists/go.yaml',
        '"lists/none.yaml" is not there',
    ]


def test_a_file_that_is_no_checklist_is_told(root: Path) -> None:
    assert said(root, "") == ["the file is empty"]
    assert said(root, "- a\n") == ["a checklist is a mapping, not a list"]
    assert said(root, "title: T\nsections: []\n") == ["checklist is missing", "sections is an empty list"]
    (root / "other.yaml").write_text("a: 1\n")
    assert [one.message for one in lint(["other.yaml"], cwd=root)] == [
        '"a" is not a key of this file',
        "checklist is missing",
        "sections is missing",
        "title is missing",
    ]


def test_lint_of_one_file_and_of_everything(root: Path) -> None:
    (root / "lists" / "go.yaml").write_text(checklist("ship").replace("manual: x", "manual: x, whi: y"))
    (root / "free.yaml").write_text(checklist("free").replace("manual: x", "manual: x, whi: y"))
    assert [one.path for one in lint([], cwd=root)] == ["lists/go.yaml"]
    assert [one.path for one in lint(["../free.yaml"], cwd=root / "sub")] == ["../free.yaml"]
    assert [one.path for one in lint(["captain.yaml", "free.yaml"], cwd=root)] == ["free.yaml", "lists/go.yaml"]
    with pytest.raises(UsageError, match="no captain"):
        lint([], cwd=root.parent)


def test_a_broken_neighbour_does_not_stop_a_release(root: Path) -> None:
    (root / "captain.yaml").write_text(
        "service: s\nenvironments: { live: {} }\nchecklists: [broken.yaml, gone.yaml, lists/go.yaml]\n"
    )
    (root / "broken.yaml").write_text("checklist: broken\n[")
    assert load("ship", None, cwd=root).checklist.checklist == "ship"
    with pytest.raises(ProblemsError):
        load("broken", None, cwd=root)


def test_a_captain_yaml_that_cannot_be_read_says_why(root: Path) -> None:
    for text, why in (("", "captain.yaml is a mapping"), ("[", "is not YAML"), ("service: S\n", '"S" is not an id')):
        (root / "captain.yaml").write_text(text)
        with pytest.raises(ProblemsError) as caught:
            load_service(root)
        assert why in caught.value.problems[0].message
