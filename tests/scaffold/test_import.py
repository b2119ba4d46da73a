"""captain init --from: a checklist kept in Markdown becomes captain's, and no tick of it counts."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captain.__main__ import main
from captain.documents import read_yaml
from captain.errors import UsageError
from captain.loader import lint
from captain.loader.shelf import shipped
from captain.scaffold import planned
from captain.scaffold.importing import imported
from captain.scaffold.markdown import MAX_BYTES, decoded, read_markdown, repaired
from captain.scaffold.survey import Survey

DATA = Path(__file__).parents[1] / "data"
SEED = (DATA / "readiness.md").read_bytes()


def garbled(text: str) -> bytes:
    """UTF-8 read as Windows-1252 and saved again, as editors do it."""
    read = (bytes((one,)).decode("cp1252") if one not in b"\x81\x8d\x8f\x90\x9d" else chr(one) for one in text.encode())
    return "".join(read).encode("utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "shop"
    made.mkdir()
    monkeypatch.chdir(made)
    monkeypatch.setenv("CAPTAIN_LOG", str(tmp_path / "log.sqlite"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    return made


def bring(folder: Path, data: bytes, name: str = "list.md", code: int = 0, *more: str) -> None:
    (folder / name).write_bytes(data)
    assert main(["init", "--no-input", "--from", name, *more]) == code


def sections(path: Path) -> list[dict[str, Any]]:
    document = read_yaml(path.read_bytes(), path.name)
    assert document.root is not None
    found: list[dict[str, Any]] = document.root.plain["sections"]
    return found


def steps(path: Path) -> dict[str, dict[str, Any]]:
    return {step["id"]: step for section in sections(path) for step in section["steps"]}


def test_sections_lines_and_their_order_are_kept(folder: Path) -> None:
    bring(folder, SEED, code=0)
    review = sections(folder / "checklists/readiness.yaml")
    titles = [section["title"] for section in review]
    assert titles[:4] == ["Security", "Performance", "Scalability", "Enhanced Monitoring"]
    assert [step["title"] for step in review[0]["steps"]][:3] == [
        "Multi-stage Docker builds",
        "Security scanning in CI (Trivy)",
        "Security scanning in CI (Snyk)",
    ]
    deploy = sections(folder / "checklists/deploy.yaml")
    assert [section["phase"] for section in deploy] == ["pre", "post"], "in the order of a deployment"
    assert [str(one) for one in lint(cwd=folder) if one.severity == "error"] == []


def test_no_tick_is_a_result(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bring(folder, SEED, "list.md", 0, "--no-check")
    capsys.readouterr()
    assert main(["check", "readiness", "-e", "staging", "--format", "json", "--no-record"]) in (1, 3, 4)
    document = json.loads(capsys.readouterr().out)
    states = {step["id"]: step["verdict"] for section in document["sections"] for step in section["steps"]}
    assert states and "pass" not in states.values()


def test_a_tick_stays_as_a_claim_with_its_date(folder: Path) -> None:
    bring(folder, SEED)
    found = steps(folder / "checklists/readiness.yaml")
    claim = "Ticked in the imported file on February 1, 2026 (4:00 AM), not verified."
    assert found["sec.multi-stage"]["help"].startswith(claim)
    unticked = next(step for step in found.values() if step["title"].startswith("Penetration"))
    assert "Ticked" not in unticked["help"]


def test_unknown_lines_ask_for_evidence_that_expires(folder: Path) -> None:
    bring(folder, SEED)
    found = {step["title"]: step for step in steps(folder / "checklists/readiness.yaml").values()}
    for title in (
        "Security scanning in CI (Snyk)",
        "Penetration test: passed, see $ {{ secrets.X }} and { params.max}",
    ):
        assert found[title]["manual"]
        assert found[title]["sign_off"] == {"evidence": "required", "valid_for": "90d"}


def test_lines_that_repeat_another_are_measured_once(folder: Path) -> None:
    bring(folder, SEED)
    found = steps(folder / "checklists/readiness.yaml")
    assert found["scal.cache"]["alias"] == "perf.cache"
    assert "manual" in found["perf.pooling"] and "manual" in found["scal.pooling"], (
        "what they repeat is not in the list"
    )


def test_gaps_and_tasks_are_kept(folder: Path) -> None:
    bring(folder, SEED)
    found = steps(folder / "checklists/readiness.yaml")
    assert found["gap.1"]["title"] == "Load testing for traffic spikes (D-017 - partial)"
    assert "Tasks: D-017." in found["gap.1"]["help"]
    assert "perf.pooling" in found["gap.1"].get("affects", found["gap.1"]["help"])
    assert "Tasks: D-015." in found["add.mon.latency"]["help"]
    assert found["rec.1"]["title"] == "Production Deploy - After staging validation"
    text = (folder / "checklists/readiness.yaml").read_text()
    assert "# Completed: February 1, 2026 (4:00 AM)" in text and "Karen - DevOps Engineer" in text


def test_lines_of_a_deployment_keep_captains_own_steps(folder: Path) -> None:
    bring(folder, SEED)
    found = steps(folder / "checklists/deploy.yaml")
    assert found["no-uncommitted-changes"]["git"] == {}
    assert found["health-checks-passing"]["http"]["url"] == "${{ vars.health_url }}"
    assert found["party"]["manual"]


def test_what_contradicts_itself_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bring(folder, SEED.replace(b"- [ ] Penetration", b"- [x] Penetration"))
    said = capsys.readouterr().err
    assert "doubt    all 8 lines are ticked, yet it scores Security 95 %" in said
    assert "yet 1 remaining item is named" in said
    assert "'Post-Deployment' is ticked before any deployment" in said


def test_the_whole_checklist_that_started_it_is_known() -> None:
    """Every line of a long list with captain's own titles finds its item, duplicates by their section."""
    from captain.scaffold.catalogue import SECTIONS, items

    text = ""
    for prefix, title in SECTIONS.items():
        text += f"### {title}\n" + "".join(f"- [x] {one.title}\n" for one in items().values() if one.section == prefix)
    made = imported(read_markdown(text.encode()), "list.md", shipped("deploy"))
    assert [line.id for group in made.review for line in group.lines] == [*items()]


def test_garbled_characters_are_repaired(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = garbled(SEED.decode().replace("Penetration", "Prüfung 🟢 “tief” ✅"))
    assert "âœ…".encode() in data
    bring(folder, data)
    assert "repaired where its characters were garbled" in capsys.readouterr().err
    text = (folder / "checklists/readiness.yaml").read_text()
    assert "Prüfung 🟢 “tief” ✅" in text and "âœ" not in text


@pytest.mark.parametrize("text", ["café", "✅ fine", "plain", "Ãœ and ✅ mixed", "a\u0081b"])
def test_what_is_not_garbled_stays_as_it_is(text: str) -> None:
    assert repaired(text) is None
    assert decoded(text.encode()) == (text, False)


@given(st.text(min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_whatever_was_garbled_comes_back(text: str) -> None:
    read = garbled(text).decode()
    assert repaired(read) == (None if text.isascii() else text)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "holds no line with a box"),
        (b"# Only a title\n", "holds no line with a box"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"- [ ] x\n" * 2500, "more than 2000 lines"),
        (b"- [ ] x" + b"x" * MAX_BYTES, "is larger than"),
    ],
)
def test_what_is_no_checklist_is_refused_before_anything_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], data: bytes, said: str
) -> None:
    bring(folder, data, "list.md", 2)
    assert said in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["list.md"]


@pytest.mark.parametrize("name", ["nothing.md", ".", "pipe", "\0"])
def test_a_file_that_cannot_be_read_is_said(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    os.mkfifo(folder / "pipe")
    assert main(["init", "--no-input", "--from", name]) == 2
    assert "--from" in capsys.readouterr().err


def test_beside_a_captain_yaml_an_import_gets_files_of_its_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--no-input", "--no-check"]) == 0
    before = {path: path.read_bytes() for path in folder.rglob("*.yaml")}
    bring(folder, SEED, "Team List.md")
    assert all(path.read_bytes() == data for path, data in before.items())
    assert (folder / "checklists/team-list.yaml").exists() and (folder / "checklists/team-list-deploy.yaml").exists()
    assert "next     name checklists/team-list.yaml under checklists in captain.yaml" in capsys.readouterr().err


def test_a_list_without_sections_is_one_section() -> None:
    made = imported(read_markdown(b"- [x] Deployment runbook\n* [ ] Call mum\n"), "a.md", shipped("deploy"))
    assert [[line.id for line in group.lines] for group in made.review] == [["doc.deploy", "call-mum"]]


def test_lines_of_the_same_words_get_names_of_their_own() -> None:
    text = "# review\n- [ ] review\n- [ ] Review!\n- [ ] ✅✅\n- [ ] 日本\n"
    made = imported(read_markdown(text.encode()), "a.md", shipped("deploy"))
    names = [made.review[0].id, *(line.id for line in made.review[0].lines)]
    assert len({*names, "review"}) == 6


@given(
    st.lists(st.sampled_from(["- [x] ", "## ", "**", ":**", "\n", "a: b", "'", "${{ x }}", "{params.y}", "`", "|9%|"]))
)
@settings(max_examples=80, deadline=None)
def test_whatever_is_imported_lints(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    try:
        files = planned(Survey(), shipped("deploy"), ("a'\u202e.md", "".join(parts).encode()), beside=None)
    except UsageError:
        return
    folder = tmp_path_factory.mktemp("lint")
    (folder / "checklists").mkdir()
    for path, text in files.sheets.items():
        (folder / path).write_text(text)
    variables = "{ health_url: 'http://a/', version_url: 'http://a/', metrics_url: 'http://a/' }"
    (folder / "captain.yaml").write_text(
        f"service: a\nvars: {variables}\nenvironments: {{ staging: {{}} }}\nchecklists: [{', '.join(files.sheets)}]\n"
    )
    assert [str(one) for one in lint(cwd=folder) if one.severity == "error"] == []


def test_a_long_list_of_a_team_is_imported_whole(folder: Path) -> None:
    """71 lines of a review, 18 additions, 3 gaps, 4 recommendations, 13 steps of a deployment: garbled as it came."""
    text = (DATA / "team-checklist.md").read_text()
    data = garbled(text)
    bring(folder, data)
    review = sections(folder / "checklists/readiness.yaml")
    counts = [len(section["steps"]) for section in review]
    assert counts == [7, 7, 8, 8, 8, 6, 7, 6, 7, 7, 4, 3, 4, 3, 4, 3, 4]
    assert [len(section["steps"]) for section in sections(folder / "checklists/deploy.yaml")] == [5, 4, 4]
    found = steps(folder / "checklists/readiness.yaml")
    titles = [line.text for part in read_markdown(data).parts for line in part.lines]
    written = [step["title"] for step in found.values()]
    assert titles[: len(written)] == written, "word for word and in order"
    assert len([one for one in found if one.startswith(("infra.", "sec.", "scal.", "add."))]) == 7 + 8 + 7 + 18
    assert {one: found[one]["alias"] for one in found if "alias" in found[one]} == {
        "log.slow-query": "db.slow-log",
        "perf.pooling": "db.pooling",
        "dr.restore-tested": "db.restore",
        "scal.pooling": "db.pooling",
        "scal.cache": "perf.cache",
        "scal.cdn": "perf.cdn",
    }
    assert [str(one) for one in lint(cwd=folder) if one.severity == "error"] == []


@pytest.mark.parametrize(
    "line",
    [
        "|" + " " * 1990 + "x",
        "# " + "(A-1" * 490,
        "# x" + " " * 1990 + "(",
        "**" * 990,
        "**a" + ":" * 1900,
        "- [ ] " + "(" * 1900,
    ],
)
def test_lines_made_to_be_slow_are_not(line: str) -> None:
    began = time.monotonic()
    listing = read_markdown(("- [ ] x\n" + f"{line}\n" * 500).encode())
    imported(listing, "a.md", shipped("deploy"))
    assert time.monotonic() - began < 5
