"""A release walked with single commands, each a process's worth of captain, as a script or a second person does."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from captain.commands.sign import end_of_day
from captain.errors import UsageError
from tests.commands.conftest import Captain, Said, as_published, digest
from tests.shop import CHECKLIST, SERVICE, Shop

RUN = "shop-production-1.5.0"


def ok(said: Said) -> Said:
    assert said.code == 0, said.err
    return said


@pytest.fixture
def opened(shop: Shop, captain_says: Captain) -> Shop:
    """A run of the broken 1.5.0, its commands accepted."""
    ok(captain_says("trust", "-e", "production", "--digest", digest(shop, "production")))
    said = captain_says("run", "deploy", "-r", "1.5.0", "-e", "production", "--no-screen")
    assert (said.code, said.out) == (4, RUN + "\n")
    return shop


def deployed(captain_says: Captain) -> None:
    ok(captain_says("sign", RUN, "on-call-told", "--approve", "--note", "told them"))
    ok(captain_says("gate", RUN, "pre", "--go", "--confirm", "production"))
    ok(captain_says("act", RUN, "roll-out", "--confirm", "production"))
    ok(captain_says("gate", RUN, "deploy", "--go", "--confirm", "production"))


def test_a_broken_release_is_walked_and_rolled_back(opened: Shop, captain_says: Captain) -> None:
    deployed(captain_says)
    assert opened.current == "1.5.0"
    refused = captain_says("gate", RUN, "post", "--go")
    assert refused.code == 1
    assert "Checkout works" in refused.err
    plan = ok(captain_says("rollback", RUN, "--dry-run"))
    assert "1.5.0 → 1.4.0" in plan.out
    assert "Checkout works must pass" in plan.out
    assert opened.effects == ["1.5.0"], "a dry run changes nothing"
    asked = captain_says("rollback", RUN)
    assert (asked.code, opened.effects) == (4, ["1.5.0"])
    assert "--confirm production" in asked.err
    done = captain_says("rollback", RUN, "--confirm", "production", "--cause", "checkout broke")
    assert done.code == 0, done.err
    assert "rolled back" in done.err
    assert opened.current == "1.4.0"
    assert captain_says("history", "--json").json[0]["state"] == "rolled_back"
    assert captain_says("rollback", RUN, "--confirm", "production").code == 1, "it is rolled back already"


def test_a_good_release_completes(opened: Shop, captain_says: Captain) -> None:
    opened.broken = set()
    deployed(captain_says)
    last = ok(captain_says("gate", RUN, "post", "--go"))
    assert f"next: captain show {RUN}" in last.err
    row = captain_says("history", "--json").json[0]
    assert (row["run"], row["state"], row["verdict"]) == (RUN, "completed", "pass")
    refused = captain_says("rollback", RUN, "--confirm", "production")
    assert refused.code == 1
    assert "not in this captain yet" in refused.err
    ok(captain_says("note", RUN, "all quiet"))
    assert captain_says("sign", RUN, "on-call-told", "--approve").code == 1, "an ended run takes notes only"


def test_status_names_the_command_to_type_next_all_the_way(opened: Shop, captain_says: Captain) -> None:
    """Whoever types nothing but what status says gets to the end."""
    opened.broken = set()
    typed = []
    for _ in range(12):
        following = ok(captain_says("status", RUN)).out.rsplit("next: captain ", 1)[1].split()
        if following[0] == "show":
            break
        typed.append(" ".join(following[:1]))
        captain_says(*following)
    assert captain_says("history", "--json").json[0]["state"] == "completed"
    assert typed == ["check", "sign", "gate", "act", "gate", "check", "gate"]


def test_status_says_where_an_approval_needs_evidence(shop: Shop, captain_says: Captain) -> None:
    rule = "manual: Tell the on-call engineer.\n        sign_off: {{ evidence: required }}"
    shop.write(SERVICE, CHECKLIST.replace("manual: Tell the on-call engineer.", rule))
    ok(captain_says("trust", "-e", "staging", "--digest", digest(shop)))
    captain_says("run", "deploy", "-r", "1.5.0", "-e", "staging", "--no-screen")
    ok(captain_says("sign", "healthy-before", "--not-applicable", "--note", "it is being moved"))
    told = ok(captain_says("status")).out
    assert "next: captain sign shop-staging-1.5.0 on-call-told --approve --evidence …\n" in told
    assert captain_says("sign", "on-call-told", "--approve").code == 2
    ok(captain_says("sign", "on-call-told", "--approve", "--evidence", "https://chat.example.com/1"))


def test_a_go_waits_for_people_and_for_the_typed_name(opened: Shop, captain_says: Captain) -> None:
    waits = captain_says("gate", RUN, "pre", "--go", "--confirm", "production")
    assert waits.code == 4
    assert "On-call told" in waits.err
    ok(captain_says("sign", RUN, "on-call-told", "--approve"))
    for words in ([], ["--confirm", "staging"]):
        said = captain_says("gate", RUN, "pre", "--go", *words)
        assert said.code == 4
        assert "--confirm production" in said.err
    assert opened.recorded("gate.decision") == []


def test_a_failed_action_is_1_and_an_unseen_effect_3(shop: Shop, captain_says: Captain) -> None:
    observed = CHECKLIST.replace("within: 10s", "within: 200ms").replace(
        "expect: ['json.version == release.version']", "expect: ['json.nothing == release.version']"
    )
    shop.write(SERVICE, observed)
    wanted = digest(shop)
    ok(captain_says("trust", "-e", "staging", "--digest", wanted))
    captain_says("run", "deploy", "-r", "1.5.0", "-e", "staging", "--no-screen")
    ok(captain_says("sign", "on-call-told", "--approve"))
    ok(captain_says("gate", "pre", "--go"))
    said = captain_says("act", "roll-out")
    assert said.code == 3
    assert "? unknown" in said.out
    assert "  deploying 1.5.0" in said.err
    (shop.root / "deploy.py").write_text("raise SystemExit(7)")
    ok(captain_says("trust", "-e", "staging", "--digest", digest(shop)))
    again = captain_says("act", "roll-out")
    assert again.code == 3
    assert "resolve" in again.err
    ok(captain_says("resolve", "roll-out", "--not-applied", "--note", "looked at the server"))
    assert captain_says("act", "roll-out").code == 1


def test_an_action_is_started_once_more_only_when_asked_to(opened: Shop, captain_says: Captain) -> None:
    ok(captain_says("sign", RUN, "on-call-told", "--approve"))
    ok(captain_says("gate", RUN, "pre", "--go", "--confirm", "production"))
    ok(captain_says("act", RUN, "roll-out", "--confirm", "production"))
    refused = captain_says("act", RUN, "roll-out", "--confirm", "production")
    assert refused.code == 4
    assert re.search(
        r"roll-out was started already at \d\d:\d\d:\d\d UTC and is pass; --again starts it once more", refused.err
    )
    assert opened.effects == ["1.5.0"], "nothing was started"
    assert captain_says("act", RUN, "roll-out", "--again").code == 4, "the environment's name is asked for all the same"
    ok(captain_says("act", RUN, "roll-out", "--again", "--confirm", "production"))
    assert opened.effects == ["1.5.0", "1.5.0"]
    first, second = opened.recorded("action.intent")
    assert second.data["retry_of"] == first.data["attempt"]


def test_what_somebody_else_starts_is_expected_once_more_only_when_asked_to(shop: Shop, captain_says: Captain) -> None:
    run = "run: ['{python}', deploy.py, '${{{{ release.version }}}}']"
    shop.write(SERVICE, CHECKLIST.replace(run, "external: the pipeline deploys"))
    ok(captain_says("trust", "-e", "staging", "--digest", digest(shop)))
    captain_says("run", "deploy", "-r", "1.4.0", "-e", "staging", "--no-screen")
    ok(captain_says("sign", "on-call-told", "--approve"))
    ok(captain_says("gate", "pre", "--go"))
    ok(captain_says("act", "roll-out"))
    refused = captain_says("act", "roll-out")
    assert refused.code == 4
    assert "roll-out is expected since" in refused.err
    assert len(shop.recorded("action.intent")) == 1
    ok(captain_says("act", "roll-out", "--again"))
    assert len(shop.recorded("action.intent")) == 2


def test_what_was_not_applied_is_started_again_without_a_question(shop: Shop, captain_says: Captain) -> None:
    """A person said that it did nothing: status names the same command once more, and it works."""
    (shop.root / "deploy.py").write_text("import os; os.kill(os.getpid(), 9)")
    shop.write(SERVICE, CHECKLIST.replace("within: 10s", "within: 200ms").replace("json.version ==", "json.nothing =="))
    ok(captain_says("trust", "-e", "staging", "--digest", digest(shop)))
    captain_says("run", "deploy", "-r", "1.5.0", "-e", "staging", "--no-screen")
    ok(captain_says("sign", "on-call-told", "--approve"))
    ok(captain_says("gate", "pre", "--go"))
    assert captain_says("act", "roll-out").code == 3
    ok(captain_says("resolve", "roll-out", "--not-applied", "--note", "looked"))
    assert "next: captain act shop-staging-1.5.0 roll-out\n" in ok(captain_says("status")).out
    assert captain_says("act", "roll-out").code == 3
    assert len(shop.recorded("action.intent")) == 2


def test_signing_is_recorded_with_evidence_and_may_be_taken_back(
    opened: Shop, captain_says: Captain, tmp_path: Path
) -> None:
    proof = tmp_path / "proof.txt"
    proof.write_text("rang at 10:02")
    ok(captain_says("sign", "on-call-told", "--approve", "--note", "rang them", "--evidence", str(proof)))
    entry = opened.recorded("signoff")[0]
    assert entry.data["evidence"][0]["name"] == "proof.txt"
    ok(captain_says("sign", "on-call-told", "--withdraw", "--note", "wrong shift"))
    assert opened.recorded("signoff.withdraw")[0].data["of"] == entry.seq
    assert captain_says("sign", "on-call-told", "--withdraw").code == 1
    other = captain_says("--as", "bob@example.com", "sign", "on-call-told", "--reject", "--note", "nobody answers")
    ok(other)
    mine = captain_says("sign", "on-call-told", "--withdraw")
    assert mine.code == 1
    assert "bob@example.com" in mine.err


def test_a_waiver_names_its_end_and_owner(opened: Shop, captain_says: Captain) -> None:
    opened.health = 503
    captain_says("check", "deploy", "--run", RUN, "--section", "pre")
    day = f"{datetime.now(UTC) + timedelta(days=7):%Y-%m-%d}"
    assert captain_says("sign", "healthy-before", "--waive", "--note", "known").code == 2, "without --until"
    assert captain_says("sign", "healthy-before", "--waive", "--until", day).code == 2, "without --note"
    assert captain_says("sign", "healthy-before", "--waive", "--note", "x", "--until", "2001-01-01").code == 2
    ok(captain_says("sign", "healthy-before", "--waive", "--note", "known", "--until", day, "--owner", "ops"))
    data = opened.recorded("waiver")[0].data
    assert (data["owner"], data["reason"]) == ("ops", "known")
    assert data["expires"] == f"{end_of_day(day):%Y-%m-%dT%H:%M:%S.%fZ}"


def test_until_is_the_end_of_that_day_here(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert end_of_day("2026-03-29") == datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC), (
            "the night the clocks go forward"
        )
        assert end_of_day("2026-12-31") == datetime(2026, 12, 31, 22, 59, 59, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()
    for wrong in ("31.12.2026", "2026-13-01", "tomorrow", ""):
        with pytest.raises(UsageError):
            end_of_day(wrong)


def test_no_go_reopen_and_abort_want_their_reason(opened: Shop, captain_says: Captain) -> None:
    assert captain_says("gate", RUN, "pre", "--no-go").code == 2
    ok(captain_says("gate", RUN, "pre", "--no-go", "--note", "not tonight"))
    ok(captain_says("sign", "on-call-told", "--approve"))
    ok(captain_says("gate", "pre", "--go", "--confirm", "production"))
    ok(captain_says("gate", "pre", "--reopen", "--note", "forgot something"))
    assert captain_says("abort", RUN).code == 2
    ok(captain_says("abort", RUN, "--reason", "tomorrow"))
    assert captain_says("history", "--json").json[0]["state"] == "aborted"


def test_aborting_a_started_deployment_wants_the_typed_name(opened: Shop, captain_says: Captain) -> None:
    deployed(captain_says)
    assert captain_says("abort", RUN, "--reason", "enough").code == 4
    ok(captain_says("abort", RUN, "--reason", "enough", "--left-running", "1.5.0", "--confirm", "production"))


def test_a_rollback_to_another_release_is_refused_with_what_to_do(opened: Shop, captain_says: Captain) -> None:
    said = captain_says("rollback", RUN, "--to", "1.3.0")
    assert said.code == 1
    assert "not in this captain yet" in said.err


def test_a_rollback_that_does_not_help_is_incomplete_or_unknown(opened: Shop, captain_says: Captain) -> None:
    opened.broken = {"1.5.0", "1.4.0"}
    deployed(captain_says)
    failed = captain_says("rollback", RUN, "--confirm", "production")
    assert failed.code == 1
    assert f"captain rollback {RUN}" in failed.err, "it says how to go on"
    assert captain_says("status", RUN, "--json").json["state"] == "rollback_incomplete"
    opened.broken = set()
    assert captain_says("rollback", RUN, "--confirm", "production").code == 0


def test_files_broken_during_a_release_do_not_keep_anybody_from_going_back(opened: Shop, captain_says: Captain) -> None:
    deployed(captain_says)
    (opened.root / "checklists" / "deploy.yaml").write_text("checklist: [")
    said = captain_says("rollback", RUN, "--confirm", "production")
    assert said.code == 0, said.err
    assert "the ones pinned by shop-production-1.5.0 are" in said.err
    (opened.root / "captain.yaml").write_text("service: {")
    ok(captain_says("note", RUN, "the files were broken meanwhile"))


def test_status_and_show_write_the_published_document(opened: Shop, captain_says: Captain) -> None:
    deployed(captain_says)
    for verb in ("status", "show"):
        found = ok(captain_says(verb, RUN, "--json")).json
        as_published(found)
        assert found["state"] == "open"
        assert [gate["state"] for gate in found["gates"]] == ["closed", "closed", "open"]
        assert found["gates"][0]["decision"]["by"] == "karen@example.com"
        signed = found["sections"][0]["steps"][1]["signed"]
        assert [(one["by"], one["meaning"], one["asserted"]) for one in signed] == [
            ("karen@example.com", "approve", True)
        ]
        assert found["sections"][1]["steps"][0]["action"]["outcome"] == "exited"


def test_reading_a_run_records_nothing(opened: Shop, captain_says: Captain) -> None:
    before = len(opened.recorded())
    for words in (["status"], ["status", RUN], ["show", RUN], ["history"], ["verify"]):
        ok(captain_says(*words))
    assert len(opened.recorded()) == before


def test_show_tells_the_timeline_in_words(opened: Shop, captain_says: Captain) -> None:
    deployed(captain_says)
    said = ok(captain_says("show", RUN))
    assert "karen@example.com  go for Pre-deployment" in said.out
    assert "starts Roll out:" in said.out
    assert "Roll out ✓ pass" in said.out


def test_an_export_tells_every_decision_and_measurement_in_its_order(opened: Shop, captain_says: Captain) -> None:
    deployed(captain_says)
    assert captain_says("gate", RUN, "post", "--go").code == 1
    ok(captain_says("rollback", RUN, "--confirm", "production", "--cause", "checkout broke"))
    ok(captain_says("note", RUN, "told support"))
    entries = [event for event in opened.recorded() if event.run == RUN]
    types = {event.type for event in entries}
    assert {"signoff", "step.result", "gate.decision", "action.intent", "rollback.intent", "rollback.end"} <= types
    numbers = [event.seq for event in entries]

    written = ok(captain_says("export", RUN, "--format", "csv", "-o", "-")).out
    rows = list(csv.DictReader(io.StringIO(written, newline="")))
    assert [int(row["seq"]) for row in rows] == numbers
    said = {int(row["seq"]): (row["type"], row["step"], row["verdict"], row["actor"]) for row in rows}
    for event in entries:
        found = event.data
        if event.type == "step.result":
            assert said[event.seq] == (event.type, found["step"], found["verdict"], event.actor.name)
        elif event.type == "gate.decision":
            assert said[event.seq] == (event.type, found["section"], found["decision"], "karen@example.com")
        elif event.type == "signoff":
            assert said[event.seq] == (event.type, found["target"], found["meaning"], "karen@example.com")

    told = ok(captain_says("export", RUN, "--format", "markdown", "-o", "-")).out
    timeline = told.partition("## Timeline\n")[2]
    lines = {int(number): line for number, line in re.findall(r"^\| (\d+) \| (.*) \|$", timeline, re.MULTILINE)}
    assert list(lines)[:-1] == numbers, "and last that it was exported before"
    words = {
        "signoff": "approve",
        "gate.decision": "go for ",
        "rollback.intent": "1.4.0",
        "rollback.end": "rolled back",
        "step.note": "told support",
    }
    for event in entries:
        assert event.ts[:19] in lines[event.seq]
        assert words.get(event.type, "") in lines[event.seq], event.type
        if event.type == "action.intent":
            assert ("starts Roll out" if event.data["step"] else "rollback of web") in lines[event.seq]
        if event.type == "step.result":
            assert event.data["verdict"] in lines[event.seq].lower()


def test_an_ended_run_can_be_shown_when_its_files_are_gone(
    opened: Shop, captain_says: Captain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ok(captain_says("abort", RUN, "--reason", "no"))
    monkeypatch.chdir(tmp_path)
    said = ok(captain_says("show", RUN))
    assert "Healthy before" in said.out, "the files are the ones the run is pinned to"


def test_two_captains_on_one_environment_are_told_apart(opened: Shop, captain_says: Captain) -> None:
    deployed(captain_says)
    ok(captain_says("trust", "-e", "production", "--digest", digest(opened, "production")))
    captain_says("run", "deploy", "-r", "1.6.0", "-e", "production", "--no-screen")
    ok(captain_says("sign", "shop-production-1.6.0", "on-call-told", "--approve"))
    said = captain_says("gate", "shop-production-1.6.0", "pre", "--go", "--confirm", "production")
    assert said.code == 4
    assert "shop-production-1.5.0 left its deployment open" in said.err
    ambiguous = captain_says("gate", "pre", "--go")
    assert ambiguous.code == 2
    assert "which run? shop-production-1.6.0, shop-production-1.5.0" in ambiguous.err
    listed = captain_says("status", "--json").json
    assert [row["run"] for row in listed["open"]] == ["shop-production-1.6.0", "shop-production-1.5.0"]
