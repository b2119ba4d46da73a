"""Sign-offs, rejects, waivers and not-applicable: what stands, what lapses, and the traps in between."""

from __future__ import annotations

from datetime import timedelta

import pytest

from captain.checklist import Gate
from captain.measurement import Verdict
from captain.run import allowed
from captain.run.gates import readiness
from tests.run.diary import Diary, action, manual, probe, ruled, severe, target

PEOPLE = {"Karen@example.com": ("dba",), "bob@example.com": ("dba",), "eve@example.com": ("dev",)}


def test_two_signatures_of_one_person_in_two_spellings_are_one() -> None:
    diary = Diary(target(manual("lag", ruled(count=2)), people=PEOPLE))
    diary.sign("lag", by="karen@example.com", seen=None)
    diary.sign("lag", by="KAREN@EXAMPLE.COM", seen=None)
    assert diary.status("lag").waits == ("dba",)
    diary.sign("lag", by="bob@example.com", seen=None)
    assert diary.status("lag").counts


def test_one_signature_meets_every_rule_that_its_author_can_meet_but_counts_once_in_each() -> None:
    people = {"karen@example.com": ("dba", "captain"), "bob@example.com": ("captain",)}
    diary = Diary(target(manual("lag", ruled("dba"), ruled("captain", count=2)), people=people))
    diary.sign("lag", by="karen@example.com", seen=None)
    assert diary.status("lag").waits == ("captain",)
    diary.sign("lag", by="bob@example.com", seen=None)
    assert diary.status("lag").waits == ()


def test_a_name_without_the_role_does_not_meet_the_rule() -> None:
    diary = Diary(target(manual("lag", ruled()), people=PEOPLE))
    diary.sign("lag", by="eve@example.com", seen=None)
    diary.sign("lag", by="mallory@example.com", seen=None)
    assert diary.status("lag").waits == ("dba",)


def test_required_evidence_is_required() -> None:
    diary = Diary(target(manual("lag", ruled(evidence="required"))))
    diary.sign("lag", by="bob", seen=None)
    assert diary.status("lag").waits
    diary.sign("lag", by="bob", seen=None, evidence=True)
    assert not diary.status("lag").waits


def test_an_approval_that_was_taken_back_does_not_bring_an_older_one_back() -> None:
    diary = Diary(target(manual("told")))
    diary.sign("told", seen=None)
    second = diary.sign("told", seen=None)
    diary.withdraw(second)
    assert diary.status("told").state == "waiting"
    assert not diary.status("told").counts


def test_taking_back_the_older_of_two_approvals_leaves_the_newer() -> None:
    diary = Diary(target(manual("told")))
    first = diary.sign("told", seen=None)
    diary.sign("told", seen=None)
    diary.withdraw(first)
    assert diary.status("told").counts


def test_a_reject_that_was_changed_and_then_unchanged_closes_the_gate_again() -> None:
    diary = Diary(target(manual("told", ruled())))
    diary.sign("told", "reject", by="bob", note="no")
    assert diary.status("told").verdict is Verdict.FAIL
    changed = diary.sign("told", by="BOB", seen=None)
    assert diary.status("told").counts
    diary.withdraw(changed, by="bob")
    assert diary.status("told").rejected is not None
    assert not diary.status("told").counts


def test_an_approval_does_not_survive_a_reject_by_the_same_person_that_was_taken_back() -> None:
    diary = Diary(target(manual("told", ruled())))
    diary.sign("told", by="bob", seen=None)
    reject = diary.sign("told", "reject", by="bob", note="no")
    diary.withdraw(reject, by="bob")
    assert diary.status("told").waits


def test_neither_a_waiver_nor_not_applicable_nor_another_approval_overrules_a_reject() -> None:
    diary = Diary(target(manual("told", ruled()), people=PEOPLE))
    diary.sign("told", "reject", by="bob@example.com", note="no")
    diary.sign("told", by="karen@example.com", seen=None)
    diary.waive("told")
    diary.sign("told", "not_applicable", by="eve@example.com", note="never mind")
    found = diary.status("told")
    assert not found.counts
    assert found.rejected is not None


def test_a_reject_without_a_required_role_does_not_close_the_gate() -> None:
    diary = Diary(target(probe("lag", sign_off=(ruled(),)), people=PEOPLE))
    diary.result("lag")
    diary.sign("lag", by="bob@example.com")
    diary.sign("lag", "reject", by="eve@example.com", note="I dislike it")
    assert diary.status("lag").counts


def test_who_started_the_run_may_stop_it_but_not_approve_it() -> None:
    diary = Diary(target(manual("lag", ruled(not_starter=True)), people=PEOPLE), by="karen@example.com")
    diary.sign("lag", by="karen@example.com", seen=None)
    assert diary.status("lag").waits == ("dba",)
    diary.sign("lag", "reject", by="karen@example.com", note="stop")
    assert diary.status("lag").rejected is not None


def test_a_second_person_is_asked_only_where_one_is_able() -> None:
    people = {"karen@example.com": ("dba",), "eve@example.com": ("dev",)}
    diary = Diary(target(manual("lag", ruled(not_starter=True)), people=people), by="karen@example.com")
    diary.sign("lag", by="karen@example.com", seen=None)
    assert diary.status("lag").counts


def test_a_sign_off_lapses_when_the_verdict_gets_worse_and_not_when_a_value_moves() -> None:
    diary = Diary(target(probe("lag", sign_off=(ruled(),))))
    diary.result("lag", message="lag was 1s")
    diary.sign("lag", by="bob")
    diary.result("lag", message="lag was 2s")
    assert diary.status("lag").counts
    diary.result("lag", "fail")
    assert diary.status("lag").lapsed
    diary.result("lag")
    found = diary.status("lag")
    assert (found.state, found.counts) == ("lapsed", False)
    diary.sign("lag", by="bob")
    assert diary.status("lag").counts


def test_a_moment_without_an_answer_suspends_a_sign_off_and_does_not_end_it() -> None:
    diary = Diary(target(probe("lag", sign_off=(ruled(),))))
    diary.result("lag")
    diary.sign("lag", by="bob")
    diary.result("lag", "unknown")
    assert not diary.status("lag").counts
    diary.result("lag")
    assert diary.status("lag").counts


def test_a_sign_off_given_over_a_result_that_its_signer_did_not_see_yet_has_lapsed() -> None:
    diary = Diary(target(probe("lag", sign_off=(ruled(),))))
    diary.result("lag")
    diary.result("lag", "fail")
    diary.sign("lag", by="bob", seen="pass")
    diary.result("lag")
    assert diary.status("lag").state == "lapsed"


def test_accepting_a_failure_does_not_make_it_a_pass() -> None:
    diary = Diary(target(probe("lag", sign_off=(ruled(),))))
    diary.result("lag", "fail")
    diary.sign("lag", by="bob", seen="fail")
    found = diary.status("lag")
    assert (found.verdict, found.counts) == (Verdict.FAIL, False)


def test_a_sign_off_ends_with_its_time_and_with_the_definition() -> None:
    diary = Diary(target(manual("told", ruled())))
    diary.sign("told", by="bob", seen=None, expires=timedelta(hours=1))
    assert diary.status("told").counts
    diary.later(hours=1)
    assert diary.status("told").state == "lapsed"
    other = Diary(target(manual("told", ruled())))
    other.sign("told", by="bob", seen=None)
    other.changed("told")
    assert other.status("told").state == "lapsed"


def test_a_waiver_covers_the_conditions_it_was_given_for_and_no_other() -> None:
    step = probe("health", expect=("status == 200", "latency < duration('1s')"))
    diary = Diary(target(step))
    diary.result("health", "fail", conditions={"status == 200": "pass", "latency < duration('1s')": "fail"})
    diary.waive("health", "latency < duration('1s')")
    assert diary.status("health").state == "waived"
    assert diary.status("health").verdict is Verdict.FAIL
    diary.result("health", "fail", conditions={"status == 200": "fail", "latency < duration('1s')": "fail"})
    assert not diary.status("health").counts
    diary.result("health", "unknown", conditions={"status == 200": "unknown", "latency < duration('1s')": "fail"})
    assert not diary.status("health").counts


def test_a_waiver_does_not_cover_a_step_whose_conditions_could_not_be_judged_at_all() -> None:
    diary = Diary(target(probe("health", expect=("status == 200", "size > 0"))))
    diary.result("health", "fail", conditions={"status == 200": "pass", "size > 0": "fail"})
    diary.waive("health", "size > 0")
    diary.result("health", "unknown", conditions={}, message="needs database, which did not pass")
    assert not diary.status("health").counts


def test_a_waiver_ends_with_its_day_its_definition_and_when_it_is_taken_back() -> None:
    for way in ("day", "definition", "withdrawn"):
        diary = Diary(target(probe("health")))
        diary.result("health", "fail", max_age=timedelta(0))
        seq = diary.waive("health", "status == 200", days=2)
        assert diary.status("health").state == "waived"
        if way == "day":
            diary.later(days=2)
        elif way == "definition":
            diary.changed("health")
        else:
            diary.withdraw(seq)
        assert diary.status("health").state != "waived", way


def test_a_waiver_given_before_the_start_does_not_cover_what_the_action_then_did() -> None:
    diary = Diary(target(deploy=[action(observe=False)]))
    diary.waive("roll-out")
    assert diary.status("roll-out").state == "waived"
    diary.deploy_opens()
    diary.intent("a1", observe=False)
    diary.finished("a1", "lost")
    assert not diary.status("roll-out").counts
    diary.resolved("a1", "partial")
    assert not diary.status("roll-out").counts


def test_not_applicable_on_a_blocker_is_a_go_with_risk() -> None:
    diary = Diary(target(probe("cdn")))
    diary.sign("cdn", "not_applicable", note="no cdn here")
    section = diary.target.checklist.section("pre")
    assert section is not None
    said = readiness(diary.view(), section)
    assert said.go
    assert said.risk == ("cdn: not applicable, says karen",)
    assert said.counted[0][1] is Verdict.UNKNOWN


@pytest.mark.parametrize("who", ["bob@example.com", "BOB@example.com"])
def test_a_gate_rule_is_met_by_the_go_of_its_holder_and_not_twice_by_one_person(who: str) -> None:
    gate = Gate(sign_off=(ruled(count=2),))
    diary = Diary(target(manual("told"), gate=gate, people=PEOPLE), by="karen@example.com")
    diary.sign("told", seen=None)
    section = diary.target.checklist.section("pre")
    assert section is not None
    assert not readiness(diary.view(), section).go
    diary.sign("pre", on="gate", by=who)
    assert readiness(diary.view(), section).go
    assert not readiness(diary.view(me="bob@example.com"), section).go


def test_a_gate_signature_expires_and_a_gate_reject_closes() -> None:
    gate = Gate(sign_off=(ruled(valid_for=timedelta(hours=1)),))
    diary = Diary(target(gate=gate, people=PEOPLE), by="eve@example.com")
    section = diary.target.checklist.section("pre")
    assert section is not None
    diary.sign("pre", on="gate", by="bob@example.com", expires=timedelta(hours=1))
    assert readiness(diary.view(), section).go
    diary.later(hours=1)
    assert readiness(diary.view(), section).exit_code == 4
    diary.sign("pre", "reject", on="gate", by="bob@example.com", note="not tonight")
    assert readiness(diary.view(), section).exit_code == 1
    diary.sign("pre", "reject", on="gate", by="eve@example.com", note="no")
    diary.sign("pre", on="gate", by="bob@example.com")
    assert readiness(diary.view(), section).go


def test_a_rule_asks_where_its_when_is_true_or_cannot_be_told() -> None:
    step = probe("lag", expect=("status >= 200",), sign_off=(ruled(when=("status != 200",)),))
    diary = Diary(target(step))
    diary.result("lag", conditions={"status >= 200": "pass"}, observed={"status": 200})
    assert not diary.status("lag").waits
    diary.result("lag", conditions={"status >= 200": "pass"}, observed={"status": 302})
    assert diary.status("lag").waits == ("dba",)
    diary.result("lag", conditions={"status >= 200": "pass"}, observed={})
    assert diary.status("lag").waits == ("dba",)


def test_only_its_author_takes_a_signature_back() -> None:
    diary = Diary(target(manual("told")))
    seq = diary.sign("told", by="bob", seen=None)
    refusal = allowed.withdraw(diary.view(), seq)
    assert refusal is not None
    assert "bob" in refusal.message
    assert allowed.withdraw(diary.view(me="BOB"), seq) is None
    diary.withdraw(seq, by="bob")
    assert allowed.withdraw(diary.view(me="bob"), seq) is not None


def test_a_gate_that_was_opened_again_is_signed_again_and_a_reject_outlasts_it() -> None:
    gate = Gate(sign_off=(ruled(count=2),))
    diary = Diary(target(manual("told"), deploy=[action()], gate=gate, people=PEOPLE), by="eve@example.com")
    section = diary.target.checklist.section("pre")
    assert section is not None
    diary.sign("told", seen=None)
    for name in ("bob@example.com", "karen@example.com"):
        diary.sign("pre", on="gate", by=name)
    diary.sign("deploy", "reject", on="gate", by="bob@example.com", note="not tonight")
    assert readiness(diary.view(), section).go
    diary.deploy_opens()
    diary.write("section.reopened", {"section": "pre", "reason": "one more look"})
    assert [one.sentence for one in readiness(diary.view(), section).unmet] == [
        "the gate waits for a sign-off by the role dba"
    ]
    for name in ("bob@example.com", "karen@example.com"):
        diary.sign("pre", on="gate", by=name)
    assert readiness(diary.view(), section).go
    deploy = diary.target.checklist.section("deploy")
    assert deploy is not None
    assert [one for one in readiness(diary.view(), deploy).unmet if "rejected by bob" in one.sentence]


def test_nobody_calls_a_step_not_applicable_or_waives_it_who_could_not_sign_it() -> None:
    for name, able in (("mallory@example.com", False), ("eve@example.com", False), ("BOB@example.com", True)):
        lag = severe(probe("lag", sign_off=(ruled(),)), "warning")
        diary = Diary(target(lag, people=PEOPLE))
        diary.sign("lag", "not_applicable", by=name, note="no database here")
        assert diary.status("lag").counts is able, name
        other = Diary(target(lag, people=PEOPLE))
        other.result("lag", "fail")
        other.waive("lag", "status == 200", by=name)
        assert other.status("lag").counts is able, name


def test_where_no_rule_names_a_role_anybody_of_people_may_waive_and_nobody_else() -> None:
    for name, able in (("mallory@example.com", False), ("eve@example.com", True)):
        diary = Diary(target(severe(probe("lag"), "warning"), people=PEOPLE))
        diary.result("lag", "fail")
        diary.waive("lag", "status == 200", by=name)
        assert diary.status("lag").counts is able, name


def test_doing_away_with_a_sign_off_that_a_warning_asks_for_is_a_risk_that_is_said() -> None:
    step = severe(probe("lag", sign_off=(ruled(),)), "warning")
    diary = Diary(target(step))
    diary.sign("lag", "not_applicable", note="no database")
    assert diary.status("lag").risk == "lag: not applicable, says karen"
    other = Diary(target(step))
    other.result("lag", "fail")
    other.waive("lag", "status == 200")
    assert other.status("lag").risk == "lag: waived by karen"


def test_a_clock_that_goes_back_does_not_bring_back_what_has_expired() -> None:
    diary = Diary(target(manual("told", ruled()), probe("health")))
    diary.sign("told", by="bob", seen=None, expires=timedelta(hours=1))
    diary.result("health", "fail", max_age=timedelta(0))
    diary.waive("health", "status == 200", days=1)
    diary.later(days=2)
    diary.write("step.note", {"step": None, "text": "two days later", "evidence": []})
    diary.later(days=-2)
    assert diary.status("told").state == "lapsed"
    assert diary.status("health").state != "waived"


def test_a_rejected_action_is_not_started() -> None:
    diary = Diary(target(deploy=[action(sign_off=(ruled(),))], people=PEOPLE))
    diary.deploy_opens()
    step = diary.target.checklist.sections[1].steps[0]
    assert allowed.act(diary.view(), step) is None
    diary.sign("roll-out", "reject", by="eve@example.com", note="I dislike it")
    assert allowed.act(diary.view(), step) is None
    seq = diary.sign("roll-out", "reject", by="bob@example.com", note="not tonight")
    refusal = allowed.act(diary.view(), step)
    assert refusal is not None
    assert refusal.message == "Roll-out is rejected by bob@example.com: not tonight"
    diary.withdraw(seq, by="bob@example.com")
    assert allowed.act(diary.view(), step) is None
