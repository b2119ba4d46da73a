"""captain lint, schema and explain: data on stdout, exit codes that scripts can trust."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from captain.commands.explain import command as explain
from captain.commands.lint import command as lint
from captain.commands.schema import command as schema
from captain.errors import UsageError
from captain.loader import lint as lint_files
from captain.probes import RESERVED, probes
from captain.rollbacks import strategies

GOOD = """\
checklist: go
title: Go
sections: [{ id: s, title: S, phase: pre, steps: [{ id: a, title: A, %s }] }]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    return tmp_path


def run(command: object, *args: str) -> Result:
    return CliRunner().invoke(command, args, catch_exceptions=False)  # type: ignore[arg-type]


def test_lint_of_a_sound_service_is_silent_on_stdout(folder: Path) -> None:
    (folder / "captain.yaml").write_text("service: s\nenvironments: { live: {} }\nchecklists: [go.yaml]\n")
    (folder / "go.yaml").write_text(GOOD % "manual: look")
    done = run(lint)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no errors, no notes\n")


def test_lint_errors_exit_2_and_name_the_place(folder: Path) -> None:
    (folder / "go.yaml").write_text(GOOD % "manuel: look")
    done = run(lint, "go.yaml")
    assert done.exit_code == 2
    assert done.stdout.splitlines() == [
        "go.yaml:1:1: note: no captain.yaml: vars, secrets and people are not checked",
        'go.yaml:3:70: error: "manuel" is not a key of a step; did you mean manual? [sections[0].steps[0].manuel]',
    ]
    assert done.stderr == "1 error, 1 note\n"


def test_lint_notes_alone_exit_0(folder: Path) -> None:
    (folder / "go.yaml").write_text(GOOD % "rollback: { any: thing }")
    done = run(lint, "go.yaml")
    assert done.exit_code == 0
    assert "note: probe rollback: not measured by this captain yet [sections[0].steps[0].rollback]" in done.stdout


def test_lint_as_json_is_a_list_of_problems(folder: Path) -> None:
    (folder / "go.yaml").write_text(GOOD % "manuel: look")
    done = run(lint, "--format", "json", "./go.yaml")
    assert done.exit_code == 2
    assert json.loads(done.stdout)[1] == {
        "path": "go.yaml",
        "line": 3,
        "column": 70,
        "severity": "error",
        "key": "sections[0].steps[0].manuel",
        "message": '"manuel" is not a key of a step',
        "hint": "did you mean manual?",
    }
    assert run(lint, "--json", "go.yaml").stdout == done.stdout


def test_lint_without_anything_to_look_at_says_what_to_do(folder: Path) -> None:
    with pytest.raises(UsageError, match="no captain"):
        run(lint)
    with pytest.raises(UsageError, match="is not there"):
        run(lint, "none.yaml")


def test_a_file_cannot_move_the_cursor_of_who_reads_the_problems(folder: Path) -> None:
    (folder / "go.yaml").write_bytes(b'"\\e[2J": 1\n\x1b]0;x\x07: 2\n"a\\u202eb": 3\n')
    out = run(lint, "./go.yaml").stdout
    assert not {"\x1b", "\x07", "\u202e"} & {*out}


@pytest.mark.parametrize("name", ["checklist", "captain", "result"])
def test_schema_writes_json(name: str) -> None:
    done = run(schema, name)
    assert json.loads(done.stdout)["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_schema_without_a_name_is_that_of_checklists_and_result_has_a_short_form() -> None:
    assert run(schema).stdout == run(schema, "checklist").stdout
    assert run(schema, "--result").stdout == run(schema, "result").stdout
    assert run(schema, "other").exit_code == 2
    with pytest.raises(UsageError):
        run(schema, "captain", "--result")


def test_explain_lists_every_kind_and_strategy() -> None:
    out = run(explain).stdout
    for name in [*probes.names(), *strategies.names(), *RESERVED]:
        assert name in out


@pytest.mark.parametrize("name", probes.names())
def test_explain_tells_everything_about_a_kind(name: str) -> None:
    cls = probes.find(name)
    assert cls is not None
    out = run(explain, name).stdout
    keys = [info.alias or name for name, info in cls.model_fields.items()]
    for word in (*keys, *cls.Observes.__annotations__, *cls.default_expect):
        assert word in out


@pytest.mark.parametrize("name", probes.names())
def test_the_example_of_a_kind_lints(folder: Path, name: str) -> None:
    cls = probes.find(name)
    assert cls is not None
    assert cls.example, f"{name} has no example"
    step = textwrap.indent(cls.example.strip(), "          ")
    (folder / "go.yaml").write_text(
        "checklist: go\ntitle: Go\nsections:\n  - id: s\n    title: S\n    phase: pre\n    steps:\n        -\n"
        + step
        + "\n"
    )
    assert [str(one) for one in lint_files(["go.yaml"], cwd=folder) if one.severity == "error"] == []


@pytest.mark.parametrize("name", strategies.names())
def test_the_example_of_a_strategy_lints(folder: Path, name: str) -> None:
    cls = strategies.find(name)
    assert cls is not None
    assert cls.example, f"{name} has no example"
    entry = textwrap.indent(cls.example.strip(), "        ")
    (folder / "captain.yaml").write_text(
        "service: s\nenvironments: { live: {} }\nchecklists: [go.yaml]\nrollback:\n  verify: [go/a]\n  plan:\n      -\n"
        + entry
        + "\n"
    )
    (folder / "go.yaml").write_text(GOOD % "file: { path: x }")
    assert [str(one) for one in lint_files([], cwd=folder) if one.severity == "error"] == []
    assert name in run(explain, name).stdout


def test_explain_says_which_errors_are_failures_and_which_are_unknown() -> None:
    assert "errors: fail: refused, reset, closed" in run(explain, "http").stdout
    assert "errors: on_error decides (unknown): took too long" in run(explain, "command").stdout
    for name in ("docker", "file", "git"):
        assert "errors: unknown: " in run(explain, name).stdout


def test_explain_of_a_later_kind_and_of_nothing() -> None:
    assert "not measured by this captain yet" in run(explain, "rollback").stdout
    with pytest.raises(UsageError) as caught:
        run(explain, "htpp")
    assert caught.value.hint == "did you mean http?"
