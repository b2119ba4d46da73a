"""captain check in every format: the same exit code as JSON, and for GitHub the summary of its step."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from captain import diagnostics
from captain.commands.check import FORMATS
from captain.commands.shared.out import line
from captain.commands.shared.step_summary import MOST, fitting
from captain.exports import names
from tests.commands.conftest import Captain
from tests.commands.test_score import reviewed
from tests.shop import CHECKLIST, SERVICE, Shop

CHECK = ("check", "deploy", "-e", "staging", "--phase", "pre")


def test_the_help_and_the_error_name_every_format_there_is(captain_says: Captain) -> None:
    said = captain_says(*CHECK, "--format", "pdf")
    assert said.code == 2
    for name in ("text", *names("result")):
        assert name in FORMATS
        assert name in said.err
    assert captain_says(*CHECK, "--report", "pdf=x").code == 2


@pytest.mark.parametrize("form", names("result"))
@pytest.mark.parametrize(("health", "words", "code"), [(200, (), 4), (200, ("--no-manual",), 0), (503, (), 1)])
def test_every_format_ends_with_the_same_exit_code(
    form: str, health: int, words: tuple[str, ...], code: int, shop: Shop, captain_says: Captain
) -> None:
    shop.health = health
    said = captain_says(*CHECK, "--format", form, *words)
    assert said.code == code, said.err
    assert said.out
    if form == "sarif":
        (run,) = json.loads(said.out)["runs"]
        assert run["invocations"][0]["exitCode"] == code
    if form == "tap":
        last = [line for line in said.out.splitlines() if re.match("(not )?ok ", line)][-1]
        assert last.startswith("ok") is (code == 0)
    if form == "github":
        assert ("::error" in said.out) is (code != 0)
    if form == "markdown":
        assert said.out.startswith({0: "# GO: ", 1: "# NO-GO: ", 4: "# WAITS"}[code])


def test_several_reports_are_written_beside_the_format(shop: Shop, captain_says: Captain, tmp_path: Path) -> None:
    reports = [f"--report={form}={tmp_path / form}" for form in names("result")]
    said = captain_says(*CHECK, *reports)
    assert said.code == 4, said.err
    sarif = json.loads((tmp_path / "sarif").read_text())
    found = sarif["runs"][0]["results"]
    assert [(one["ruleId"], one["kind"]) for one in found] == [("on-call-told", "review")]
    place = found[0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "checklists/deploy.yaml"
    row = (shop.root / "checklists" / "deploy.yaml").read_text().splitlines()[place["region"]["startLine"] - 1]
    assert "id: on-call-told" in row


def test_for_github_the_summary_of_the_step_is_written_behind_what_is_there(
    shop: Shop, captain_says: Captain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    reviewed(shop)
    captain_says("check", "readiness", "-e", "staging", "--json")
    assert summary.read_text() == "before\n", "only for GitHub"
    said = captain_says("check", "readiness", "-e", "staging", "--format", "github")
    text = summary.read_text()
    assert text.startswith("before\n# ")
    assert "## Score" in text and "25 %, Critical" in text and "NO-GO" in text
    assert said.out.splitlines()[-1].endswith("score 25 to 25 %, NO-GO")


@pytest.mark.parametrize("place", ["nowhere/summary.md", ".", "link", "dangling", "pipe", "full"])
def test_a_summary_that_cannot_be_written_changes_no_answer(
    place: str, shop: Shop, captain_says: Captain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").write_text("mine\n")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    (tmp_path / "dangling").symlink_to(tmp_path / "new")
    (tmp_path / "full").write_bytes(b"x" * MOST)
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / place))
    said = captain_says(*CHECK, "--format", "github", "--no-manual")
    assert said.code == 0
    assert "was not written" in said.err
    assert (tmp_path / "other").read_text() == "mine\n" and not (tmp_path / "new").exists()
    assert (tmp_path / "full").stat().st_size == MOST


def test_a_summary_is_cut_at_a_line_where_github_would_show_none_of_it() -> None:
    text = b"".join(b"| row %d | \xe2\x9c\x93 |\n" % number for number in range(100_000))
    kept = fitting(text, MOST)
    assert len(kept) <= MOST
    rows, _, word = kept.decode().partition("\n\n\n_")
    assert text.decode().startswith(rows + "\n")
    assert "longer than a summary may be" in word
    assert fitting(text, 20) == b""
    assert fitting(b"short\n", 20) == b"short\n"


def test_what_a_service_answers_begins_no_line_that_a_runner_takes_for_a_command(
    shop: Shop, captain_says: Captain
) -> None:
    (shop.root / "hostile").write_text("x ##[add-mask]x ##vso[task.x]x\n::add-mask::x\r::error::forged\n")
    step = "file: {{ path: hostile, parse: text }}\n        expect: [\"text == 'fine'\"]"
    shop.write(SERVICE, CHECKLIST.replace("manual: Tell the on-call engineer.", step))
    for form in ("text", *names("result")):
        said = captain_says(*CHECK, "--format", form)
        assert said.code == 1
        assert "forged" in said.out + said.err
        assert not re.search(r"##\w*\[", said.out + said.err), "stderr is obeyed too, and within a line"
        lines = [row.lstrip() for row in re.split(r"[\r\n]", said.out + said.err)]
        assert not [row for row in lines if row.startswith(("::add-mask", "::error::"))]


def test_a_line_of_progress_is_one_line_whatever_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    with diagnostics.Steps("checking", 1) as progress:
        progress.done("it", "✗ FAIL  It  x\r\n::error::forged")
    assert capsys.readouterr().err.splitlines() == ["[1/1] ✗ FAIL  It  x␍␊::error::forged"]


def test_no_line_of_text_begins_with_a_command_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    line("  ", "::set-output name=a::b")
    line("✗ FAIL", "  ::is no command here")
    diagnostics.say("next\n\t::stop-commands::x")
    shown = capsys.readouterr()
    assert shown.out.splitlines() == ["  \u200b::set-output name=a::b", "✗ FAIL  ::is no command here"]
    assert shown.err.splitlines() == ["next", "    \u200b::stop-commands::x"]


def test_what_a_person_rejected_is_shown_as_passed_in_no_format(
    shop: Shop, captain_says: Captain, tmp_path: Path
) -> None:
    reviewed(shop)
    run = captain_says("check", "readiness", "-e", "staging", "--json").json["run"]
    (shop.root / "notes.txt").write_text("written")
    assert captain_says("sign", run, "files", "--reject", "--note", "an old script").code == 0
    reports = [f"--report={form}={tmp_path / form}" for form in names("result")]
    said = captain_says("check", "readiness", "-e", "staging", *reports)
    assert said.code == 1
    shown = next(line for line in said.out.splitlines() if "Files are there" in line)
    assert shown.split()[:2] == ["✗", "rejected"]
    assert "not ok 1 - files" in (tmp_path / "tap").read_text()
    assert "Files are there failed" in (tmp_path / "github").read_text()
    assert "| Files are there | ✗ FAIL |" in (tmp_path / "markdown").read_text()
    assert "<failure" in (tmp_path / "junit").read_text()
    results = json.loads((tmp_path / "sarif").read_text())["runs"][0]["results"]
    assert ("files", "error") in [(one["ruleId"], one["level"]) for one in results]


def test_a_secret_that_somebody_wrote_into_a_checklist_is_in_no_report_and_told_about(
    shop: Shop, captain_says: Captain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "pl4nted/Secret+x")
    shop.write(
        SERVICE,
        CHECKLIST.replace(
            "manual: Tell the on-call engineer.",
            "manual: Say pl4nted/Secret+x.\n        help: As pl4nted/Secret+x.\n"
            "        link: https://shop.example.com/?key=pl4nted%2FSecret%2Bx",
        ).replace("title: Deployment\n", "title: Deployment with pl4nted/Secret+x\n", 1),
    )
    reports = [f"--report={form}={tmp_path / form}" for form in names("result")]
    said = captain_says(*CHECK, *reports)
    assert "checklists/deploy.yaml holds the value of a declared secret" in said.err
    shown = {"text": said.out + said.err, **{form: (tmp_path / form).read_text() for form in names("result")}}
    assert [form for form, text in shown.items() if re.search(r"pl4nted(/|%2F)Secret", text)] == []
    assert "[secret SHOP_TOKEN]" in shown["json"]
