"""captain check: measure without a screen, answer in one exit code, keep what was seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.commands.conftest import Captain, as_published, digest
from tests.git_repo import Repo
from tests.shop import SERVICE, Shop

LISTED = """\
checklist: deploy
title: Deployment
sections:
  - id: pre
    title: Pre-deployment
    phase: pre
    steps:
"""


def steps(shop: Shop, text: str, service: str = SERVICE) -> None:
    """Replace the checklist's steps."""
    lines = "".join(f"      {line}\n" for line in text.strip().split("\n"))
    service = service.replace("  verify: [deploy/checkout-works]\n", "")
    shop.write(service, LISTED + lines)


def url(path: str) -> str:
    return "http: {{ url: '${{{{ vars.url }}}}" + path + "' }}"


def step_of(result: dict[str, Any], step: str) -> dict[str, Any]:
    found = [one for section in result["sections"] for one in section["steps"] if one["id"] == step]
    assert len(found) == 1
    return dict(found[0])


def test_a_healthy_service_is_a_go(shop: Shop, captain_says: Captain) -> None:
    said = captain_says("check", "deploy", "-e", "staging", "--no-manual")
    assert said.code == 0
    assert "✓ pass     Healthy before" in said.out
    assert said.out.rstrip().endswith("GO")
    assert "[2/2] ✓ pass" in said.err, "one line for each step on stderr"


def test_a_broken_service_is_a_no_go_with_the_condition_that_failed(shop: Shop, captain_says: Captain) -> None:
    (shop.root / "current").write_text("1.5.0")
    said = captain_says("check", "deploy", "-e", "staging", "--no-manual")
    assert said.code == 1
    assert "✗ FAIL     Checkout works" in said.out
    assert "Checkout works  status == 200: status = 500\n" in said.out
    assert "NO-GO" in said.out


def test_a_condition_that_failed_is_told_once_for_its_step_and_once_as_the_reason(
    shop: Shop, captain_says: Captain
) -> None:
    steps(
        shop,
        f"- {{{{ id: one, title: One, {url('/healthz')}, expect: [status == 201, json.nothing == 1] }}}}",
    )
    said = captain_says("check", "deploy", "-e", "staging")
    table, reasons = said.out.split("NO-GO")
    assert table.count("status = 200") == 1
    assert table.count("json.nothing == 1") == 1, "the condition that the message leaves out has a line of its own"
    assert reasons.count("status = 200") == 1


def test_a_check_is_headed_as_a_run_is(shop: Shop, captain_says: Captain) -> None:
    commit = Repo(shop.root).commit()
    said = captain_says("check", "deploy", "-e", "staging", "-r", "1.5.0")
    run = captain_says("run", "deploy", "-r", "1.5.0", "-e", "staging", "--no-screen").out.strip()
    first = f"shop › staging › 1.5.0 {commit[:7]}  deploy"
    for text in (said.out, captain_says("status", run).out, captain_says("show", run).out):
        assert text.splitlines()[0] == first
    assert captain_says("check", "deploy", "-e", "staging").out.splitlines()[0] == first.replace("1.5.0 ", "")


def test_a_person_is_waited_for_with_4(shop: Shop, captain_says: Captain) -> None:
    said = captain_says("check", "deploy", "-e", "staging")
    assert said.code == 4
    assert "On-call told: waits for a sign-off" in said.out


def test_what_cannot_be_told_is_3_never_0(shop: Shop, captain_says: Captain) -> None:
    steps(shop, "- {{ id: a, title: A, rollback: {{ any: thing }}, expect: ['total > 0'] }}")
    said = captain_says("check", "deploy", "-e", "staging", "--json")
    assert said.code == 3
    assert said.json["verdict"] == "unknown"
    assert "not measured by this captain yet" in said.json["gate"]["reasons"][0]


@pytest.mark.parametrize(
    ("current", "more", "code"),
    [
        ("1.4.0", "", 4),
        ("1.4.0", "- {{ id: u, title: U, rollback: {{ any: thing }} }}", 3),
        ("1.5.0", "- {{ id: u, title: U, rollback: {{ any: thing }} }}", 1),
        ("1.5.0", "- {{ id: u, title: U, htpp: {{ url: x }} }}", 2),
    ],
)
def test_when_several_codes_apply_2_then_1_3_4(
    shop: Shop, captain_says: Captain, current: str, more: str, code: int
) -> None:
    (shop.root / "current").write_text(current)
    steps(
        shop,
        f"- {{{{ id: c, title: C, {url('/checkout')}, expect: ['status == 200'] }}}}\n"
        f"- {{{{ id: m, title: M, manual: look }}}}\n{more}",
    )
    assert captain_says("check", "deploy", "-e", "staging").code == code


def test_an_unmeasured_step_that_also_waits_for_a_signature_is_unknown_first(shop: Shop, captain_says: Captain) -> None:
    steps(shop, "- {{ id: u, title: U, rollback: {{ any: thing }}, sign_off: {{ count: 1 }} }}")
    assert captain_says("check", "deploy", "-e", "staging").code == 3


def test_a_warning_counts_only_with_fail_on_warn(shop: Shop, captain_says: Captain) -> None:
    steps(
        shop,
        f"- {{{{ id: a, title: A, {url('/healthz')}, expect: ['status == 200'] }}}}\n"
        f"- {{{{ id: w, title: W, severity: warning, {url('/nowhere')}, expect: ['status == 200'] }}}}",
    )
    gentle = captain_says("check", "deploy", "-e", "staging", "--json")
    assert (gentle.code, gentle.json["verdict"]) == (0, "warn")
    strict = captain_says("check", "deploy", "-e", "staging", "--fail-on", "warn", "--json")
    assert (strict.code, strict.json["exit_code"]) == (1, 1)
    assert any(reason.startswith("w: fail") for reason in strict.json["gate"]["reasons"])


def test_actions_are_listed_and_never_started(shop: Shop, captain_says: Captain) -> None:
    said = captain_says("check", "deploy", "-e", "staging", "--json")
    assert step_of(said.json, "roll-out")["state"] == "not-run"
    assert shop.effects == []


def test_a_checklist_of_actions_alone_is_not_a_go(shop: Shop, captain_says: Captain) -> None:
    said = captain_says("check", "deploy", "-e", "staging", "--phase", "deploy", "--json")
    assert said.code == 3
    assert said.json["gate"]["reasons"] == ["nothing was measured"]


@pytest.mark.parametrize("words", [[], ["-r", "1.5.0"], ["--no-record"], ["--step", "healthy-before"]])
def test_the_document_is_as_its_published_schema_says(shop: Shop, captain_says: Captain, words: list[str]) -> None:
    said = captain_says("check", "deploy", "-e", "staging", "--format", "json", *words)
    as_published(said.json)
    assert said.json["exit_code"] == said.code
    assert (said.json["run"] is None) is ("--no-record" in words)


def test_the_document_says_what_was_seen(shop: Shop, captain_says: Captain) -> None:
    said = captain_says("check", "deploy", "-e", "staging", "--json")
    found = step_of(said.json, "healthy-before")
    assert found["verdict"] == "pass"
    assert found["observed"]["status"] == 200
    assert found["conditions"] == [
        {"expect": "status == 200", "role": "expect", "verdict": "pass", "resolved": "status = 200"}
    ]
    assert (found["probe"], found["attempts"], found["max_age"]) == ("http", 1, "900s")
    with shop.log() as log:
        assert log.evidence(found["evidence_sha256"]) is not None
    waiting = step_of(said.json, "on-call-told")
    assert (waiting["verdict"], waiting["state"]) == ("unknown", "waiting")


def test_a_check_is_recorded_as_a_run_of_its_own(shop: Shop, captain_says: Captain) -> None:
    run = captain_says("check", "deploy", "-e", "staging", "--json").json["run"]
    assert run.startswith("shop-staging-check-2")
    types = [event.type for event in shop.recorded() if event.run == run]
    assert types == ["run.start", "step.result", "step.result", "run.end"]
    assert shop.recorded("run.end")[-1].data["state"] == "checked"
    assert captain_says("history", "--json").json == []
    assert [row["run"] for row in captain_says("history", "--kind", "check", "--json").json] == [run]


def test_no_record_leaves_nothing_behind(shop: Shop, captain_says: Captain) -> None:
    assert captain_says("check", "deploy", "-e", "staging", "--no-manual", "--no-record").code == 0
    assert not shop.settings.log.exists()


def test_a_log_that_cannot_be_opened_names_the_way_out(shop: Shop, captain_says: Captain) -> None:
    shop.settings.log.parent.mkdir()
    shop.settings.log.write_text("not a log at all, but long enough to be looked at")
    said = captain_says("check", "deploy", "-e", "staging")
    assert said.code == 2
    assert "--no-record" in said.err
    assert captain_says("check", "deploy", "-e", "staging", "--no-manual", "--no-record").code == 0


def test_sections_and_steps_are_chosen_by_id_and_misspelt_ones_are_refused(shop: Shop, captain_says: Captain) -> None:
    said = captain_says("check", "deploy", "-e", "staging", "--section", "post", "--json")
    assert [section["id"] for section in said.json["sections"]] == ["post"]
    wrong = captain_says("check", "deploy", "-e", "staging", "--step", "healthy-befor")
    assert wrong.code == 2
    assert "did you mean healthy-before?" in wrong.err


def test_a_chosen_step_brings_along_what_it_needs(shop: Shop, captain_says: Captain) -> None:
    steps(
        shop,
        f"- {{{{ id: first, title: First, {url('/healthz')}, expect: ['status == 200'] }}}}\n"
        f"- {{{{ id: then, title: Then, needs: [first], {url('/checkout')}, expect: ['status == 200'] }}}}",
    )
    said = captain_says("check", "deploy", "-e", "staging", "--step", "then", "--json")
    assert said.code == 0
    assert step_of(said.json, "first")["verdict"] == "pass"


def test_past_the_deadline_the_rest_is_unknown(shop: Shop, captain_says: Captain) -> None:
    steps(
        shop,
        f"- {{{{ id: quick, title: Quick, {url('/healthz')}, expect: ['status == 200'] }}}}\n"
        f"- {{{{ id: slow, title: Slow, {url('/checkout')}, expect: ['status == 200'], every: 1s, for: 1h }}}}",
    )
    said = captain_says("check", "deploy", "-e", "staging", "--deadline", "1s", "--json")
    assert said.code == 3
    assert step_of(said.json, "quick")["verdict"] == "pass"
    slow = step_of(said.json, "slow")
    assert (slow["verdict"], slow["message"]) == ("unknown", "not measured before the deadline of 1s")


@pytest.mark.parametrize("deadline", ["10", "soon", "0s", "-1s"])
def test_a_deadline_that_is_no_duration_is_refused(shop: Shop, captain_says: Captain, deadline: str) -> None:
    assert captain_says("check", "deploy", "-e", "staging", f"--deadline={deadline}").code == 2
    assert not shop.settings.log.exists()


def test_reports_are_written_beside_the_result(shop: Shop, captain_says: Captain, tmp_path: Path) -> None:
    out, xml = tmp_path / "out.json", tmp_path / "junit.xml"
    words = ["check", "deploy", "-e", "staging", "--format", "json", "-o", str(out), "--report", f"junit={xml}"]
    said = captain_says(*words)
    assert said.out == ""
    assert json.loads(out.read_text())["service"] == "shop"
    suites = ElementTree.parse(xml).getroot()
    assert {case.get("name") for case in suites.iter("testcase")} >= {"healthy-before", "on-call-told"}
    assert captain_says(*words).code == 4, "a report of the run before is replaced"


@pytest.mark.parametrize("words", [["--format", "yaml"], ["--report", "junit"], ["--report", "jsonl=x"]])
def test_formats_that_a_check_does_not_have_are_refused(shop: Shop, captain_says: Captain, words: list[str]) -> None:
    said = captain_says("check", "deploy", "-e", "staging", *words)
    assert said.code == 2
    assert "Traceback" not in said.err


def test_programs_need_to_be_accepted_before_a_check_starts_them(shop: Shop, captain_says: Captain) -> None:
    steps(
        shop,
        "- {{ id: p, title: P, command: {{ run: ['{python}', '-c', 'print(1)'] }}, expect: ['exit_code == 0'] }}",
    )
    said = captain_says("check", "deploy", "-e", "staging")
    wanted = digest(shop)
    assert said.code == 2
    assert f"captain trust --digest {wanted}" in said.err
    assert shop.recorded("run.start") == []
    assert captain_says("check", "deploy", "-e", "staging", "--trust", wanted).code == 0
    assert captain_says("check", "deploy", "-e", "staging", "--trust", wanted, "--no-record").code == 0
    assert captain_says("check", "deploy", "-e", "staging").code == 2, "--trust counts for one call"
    assert captain_says("trust", "deploy", "-e", "staging", "--digest", wanted).code == 0
    assert captain_says("check", "deploy", "-e", "staging").code == 0
    assert captain_says("check", "deploy", "-e", "staging", "--no-record").code == 0


def test_captain_trust_in_the_environment_counts_too(
    shop: Shop, captain_says: Captain, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps(shop, "- {{ id: p, title: P, command: {{ run: ['{python}', '-c', ''] }}, expect: ['exit_code == 0'] }}")
    monkeypatch.setenv("CAPTAIN_TRUST", digest(shop))
    assert captain_says("check", "deploy", "-e", "staging").code == 0


def test_a_check_for_a_run_gives_the_run_its_results(shop: Shop, captain_says: Captain) -> None:
    run = captain_says("run", "deploy", "-r", "1.5.0", "-e", "staging", "--no-screen").out.strip()
    said = captain_says("check", "deploy", "--run", "shop-staging", "--phase", "pre", "--json")
    assert said.code == 4
    assert said.json["run"] == run
    results = shop.recorded("step.result")
    assert [(event.run, event.data["step"]) for event in results] == [(run, "healthy-before")]
    assert captain_says("check", "deploy", "--run", run, "-r", "1.5.0").code == 2
    assert captain_says("check", "deploy", "--run", run, "--no-record").code == 2
    assert captain_says("check", "deploy", "--run", run, "-e", "production").code == 2
    assert captain_says("check", "readiness", "--run", run).code == 2


def test_a_file_without_captain_yaml_is_checked_too(
    shop: Shop, captain_says: Captain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "elsewhere"
    place.mkdir()
    port = shop.server.server_address[1]
    asks = f"http: {{ url: 'http://127.0.0.1:{port}/healthz' }}, expect: [status == 200]"
    (place / "go.yaml").write_text(
        LISTED.replace("deploy", "go", 1).format() + f"      - {{ id: a, title: A, {asks} }}\n"
    )
    monkeypatch.chdir(place)
    said = captain_says("check", "go.yaml", "-e", "anything", "--json")
    assert said.code == 0, said.err
    assert (said.json["service"], said.json["environment"]) == ("elsewhere", "anything")
