"""The schema that editors read accepts what captain accepts, and refuses what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from captain.loader import lint, load
from captain.loader.schema import NAMES, schema
from captain.loader.sheets import shipped_files

EXAMPLES = Path(__file__).resolve().parent.parent / "data" / "examples"


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory, third_party_kinds: None) -> dict[str, Path]:
    """Each schema as a file."""
    folder = tmp_path_factory.mktemp("schemas")
    for name in NAMES:
        (folder / f"{name}.json").write_text(json.dumps(schema(name)))
    return {name: folder / f"{name}.json" for name in NAMES}


def check(schema_file: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(schema_file), *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_each_schema_is_a_draft_07_schema(schemas: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--check-metaschema", *map(str, schemas.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for name in NAMES:
        text = schemas[name].read_text()
        assert schema(name)["$schema"] == "http://json-schema.org/draft-07/schema#"
        assert "$defs" not in text
        assert "prefixItems" not in text
        if name != "result":
            assert '"null"' not in text, "optional keys are left out, never empty"


def test_shipped_and_example_files_are_accepted(schemas: dict[str, Path]) -> None:
    files = [*shipped_files().values(), EXAMPLES / "deploy.yaml", EXAMPLES / "readiness.yaml"]
    done = check(schemas["checklist"], *files)
    assert done.returncode == 0, done.stdout
    done = check(schemas["captain"], EXAMPLES / "captain.yaml")
    assert done.returncode == 0, done.stdout


def test_the_examples_load_with_notes_only(tmp_path: Path) -> None:
    (tmp_path / "checklists").mkdir()
    (tmp_path / "captain.yaml").write_bytes((EXAMPLES / "captain.yaml").read_bytes())
    for name in ("deploy.yaml", "readiness.yaml"):
        (tmp_path / "checklists" / name).write_bytes((EXAMPLES / name).read_bytes())
    found = lint([], cwd=tmp_path)
    assert [str(one) for one in found if one.severity == "error"] == []
    assert len(found) > 10
    deploy = load("deploy", "production", cwd=tmp_path)
    assert len(list(deploy.checklist.steps())) == 13
    unmeasured = {step.id: step.unmeasured for _, step in deploy.checklist.steps()}
    assert unmeasured["tests-passing"] is None
    assert unmeasured["no-uncommitted-changes"] is None
    readiness = load("readiness", "staging", cwd=tmp_path)
    assert readiness.checklist.per == "service"
    size = readiness.step("perf.image-size")
    assert size is not None
    assert size.title == "Optimized Docker images (<500 MB backend, <200 MB frontend)"


GOOD = """\
checklist: deploy
title: 5
sections:
  - id: roll
    title: true
    phase: deploy
    gate: { sign_off: { role: captain } }
    steps:
      - { id: a, title: 1.10, pinger: { url: x, port: 80, follow: true }, expect: status == 200, for: 5m, within: 10m }
      - { id: b, title: B, probes: { one: { alias: a }, two: { rollback: { a: 1 } } }, expect: [one.passed], needs: a }
      - { id: c, title: C, action: { run: [./x, 5], env: { A: 1 } }, observe: { pinger: { url: x } } }
      - { id: d, title: D, manual: Do, sign_off: [{ role: dba, count: 2 }], disabled: why }
"""
BAD = {
    "an unknown key": ("title: B,", "title: B, whi: x,"),
    "an unknown key of a kind": ("url: x, port", "ulr: x, port"),
    "two questions": ("manual: Do", "manual: Do, pinger: { url: x }"),
    "no question": ("manual: Do, ", ""),
    "an empty key": ("title: B,", "title: B, why: ,"),
    "an empty list": ("[one.passed]", "[]"),
    "a wrong duration": ("for: 5m", "for: 5 minutes"),
    "a wrong number": ("port: 80", "port: 99999"),
    "a wrong choice": ("phase: deploy", "phase: during"),
    "a missing title": ("title: D, ", ""),
    "two kinds under a name": ("{ alias: a }", "{ alias: a, rollback: {} }"),
    "a bad id": ("id: d", "id: D"),
    "two things to do": ("run: [./x, 5],", "run: [./x, 5], external: x,"),
    "a list for a text": ("manual: Do", "manual: [Do]"),
}


def test_a_good_checklist_is_accepted_by_both(schemas: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    assert [one.message for one in lint(["good.yaml"], cwd=tmp_path) if one.severity == "error"] == []
    assert check(schemas["checklist"], tmp_path / "good.yaml").returncode == 0


def test_bad_checklists_are_refused_by_both(schemas: dict[str, Path], tmp_path: Path) -> None:
    for what, (good, bad) in BAD.items():
        assert GOOD.count(good) == 1, what
        (tmp_path / f"{what}.yaml").write_text(GOOD.replace(good, bad))
        assert [one for one in lint([f"{what}.yaml"], cwd=tmp_path) if one.severity == "error"], what
    done = check(schemas["checklist"], *tmp_path.glob("*.yaml"))
    assert done.returncode == 1
    for what in BAD:
        assert f"{what}.yaml::" in done.stdout, what


def test_what_extends_says_only_what_is_different(schemas: dict[str, Path], tmp_path: Path) -> None:
    part = "checklist: mine\nextends: deploy\nsections:\n  - { id: pre, steps: [{ id: a, disabled: why }] }\n"
    (tmp_path / "part.yaml").write_text(part)
    (tmp_path / "bad.yaml").write_text(part.replace("extends: deploy\n", ""))
    done = check(schemas["checklist"], *tmp_path.glob("*.yaml"))
    assert "part.yaml" not in done.stdout
    assert "bad.yaml::" in done.stdout


@pytest.mark.parametrize(
    "bad",
    [
        "serivce: shop\n",
        "service: shop\nenvironments: { live: { protectd: true } }\n",
        "service: shop\nrollback: { plan: [{ id: a, strategy: none }] }\n",
        "service: shop\nrollback: { plan: [{ id: a, strategy: scripted }] }\n",
        "service: shop\nrelease: { running: { version: x } }\n",
        "service: shop\nrelease: { running: { pinger: { url: x } } }\n",
        "service: shop\npeople: [a]\n",
    ],
)
def test_bad_service_files_are_refused_by_both(schemas: dict[str, Path], tmp_path: Path, bad: str) -> None:
    (tmp_path / "captain.yaml").write_text(bad)
    assert [one for one in lint([], cwd=tmp_path) if one.severity == "error"]
    assert check(schemas["captain"], tmp_path / "captain.yaml").returncode == 1


def test_every_key_of_a_kind_of_others_comes_with_its_sentence() -> None:
    found = schema("checklist")["definitions"]["probe.pinger"]
    assert found["description"] == "Does something answer?"
    assert found["properties"]["url"] == {"type": ["string", "number", "boolean"], "description": "Where to."}
    assert found["required"] == ["url"]
    assert found["additionalProperties"] is False
