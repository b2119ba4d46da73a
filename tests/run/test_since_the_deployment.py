"""What was seen or signed before a deployment proves nothing of what runs after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from captain.checklist import Gate
from captain.run import allowed
from captain.run.gates import readiness
from tests.run.diary import Diary, action, manual, probe, ruled, severe, target


def deployed(diary: Diary, attempt: str = "a1") -> None:
    diary.intent(attempt)
    diary.finished(attempt)
    diary.result("roll-out", attempt=attempt, purpose="observe")


def test_a_post_result_from_before_the_deployment_does_not_count_after_it() -> None:
    diary = Diary(target(probe("health"), deploy=[action()], post=[probe("checkout")]))
    diary.result("checkout")
    assert diary.status("checkout").state == "measured"
    diary.deploy_opens()
    deployed(diary)
    found = diary.status("checkout")
    assert (found.state, found.counts) == ("stale", False)
    assert found.stale_why == "measured before Roll-out ran, so measure it again"
    diary.gate("deploy", opens="post")
    assert not diary.status("checkout").counts
    section = diary.target.checklist.section("post")
    assert section is not None
    assert readiness(diary.view(), section).exit_code == 3
    diary.result("checkout")
    assert diary.status("checkout").counts
    assert diary.status("roll-out").counts, "what an action's own attempt showed belongs to it"


def test_a_post_result_counts_from_the_opening_of_its_section_on() -> None:
    diary = Diary(target(deploy=[action()], post=[probe("checkout", hold=timedelta(minutes=5))]))
    diary.deploy_opens()
    deployed(diary)
    diary.result("checkout", max_age=timedelta(0))
    diary.gate("deploy", opens="post")
    assert diary.status("checkout").stale_why == "measured before its section opened, so measure it again"
    diary.result("checkout", max_age=timedelta(0))
    assert diary.status("checkout").counts


def test_a_second_attempt_overtakes_what_was_measured_between_the_two() -> None:
    diary = Diary(target(deploy=[action(), probe("pods")]))
    diary.deploy_opens()
    diary.result("pods")
    assert diary.status("pods").counts
    deployed(diary)
    assert diary.status("pods").stale
    diary.result("pods")
    assert diary.status("pods").counts
    diary.intent("a2")
    assert diary.status("pods").stale
    diary.result("pods")
    diary.finished("a2", "lost")
    assert diary.status("pods").stale
    diary.result("pods")
    diary.resolved("a2", "applied")
    assert diary.status("pods").stale


def test_an_answer_to_a_question_from_before_the_deployment_is_as_old_as_the_question() -> None:
    diary = Diary(target(deploy=[action(), probe("pods")]))
    diary.deploy_opens()
    asked = diary.clock
    diary.later(seconds=5)
    deployed(diary)
    diary.later(seconds=1)
    diary.result("pods", started=asked)
    assert diary.status("pods").stale
    diary.result("pods")
    assert diary.status("pods").counts


def test_what_a_closed_pre_section_counted_stays_as_it_was() -> None:
    diary = Diary(target(probe("health"), deploy=[action()]))
    diary.result("health")
    diary.deploy_opens()
    deployed(diary)
    assert diary.status("health").counts


def test_a_waiver_does_not_cover_what_the_deployment_may_have_changed() -> None:
    step = probe("checkout", expect=("status == 200", "size > 0"), hold=timedelta(minutes=5))
    diary = Diary(target(deploy=[action()], post=[step]))
    diary.result("checkout", "fail", conditions={"status == 200": "pass", "size > 0": "fail"}, max_age=timedelta(0))
    diary.waive("checkout", "size > 0")
    assert diary.status("checkout").state == "waived"
    diary.deploy_opens()
    deployed(diary)
    diary.gate("deploy", opens="post")
    assert not diary.status("checkout").counts
    diary.result("checkout", "fail", conditions={"status == 200": "pass", "size > 0": "fail"}, max_age=timedelta(0))
    assert diary.status("checkout").state == "waived"


def test_a_post_step_that_was_signed_before_the_deployment_is_signed_again() -> None:
    diary = Diary(target(deploy=[action()], post=[manual("looked-at", ruled())]))
    diary.sign("looked-at", by="bob", seen=None)
    diary.deploy_opens()
    deployed(diary)
    diary.gate("deploy", opens="post")
    found = diary.status("looked-at")
    assert (found.state, found.counts) == ("lapsed", False)
    assert found.message == "signed by bob before its section opened; waits for a sign-off by the role dba: Look."
    diary.sign("looked-at", by="bob", seen=None)
    assert diary.status("looked-at").counts


def test_an_approval_for_longer_than_a_release_and_a_reject_stand_whatever_opens() -> None:
    diary = Diary(target(deploy=[action()], post=[manual("on-call", ruled()), manual("told", ruled())]))
    diary.sign("on-call", by="bob", seen=None, expires=timedelta(days=7))
    diary.sign("told", "reject", by="bob", note="not yet")
    diary.deploy_opens()
    diary.gate("deploy", opens="post")
    assert diary.status("on-call").counts
    assert diary.status("told").rejected is not None


def test_a_step_that_needs_the_action_is_signed_after_the_action() -> None:
    diary = Diary(target(deploy=[action(), manual("drained"), manual("looked", needs=("roll-out",))]))
    diary.deploy_opens()
    diary.sign("drained", seen=None)
    diary.sign("looked", seen=None)
    deployed(diary)
    assert diary.status("drained").counts, "what an action waits for is signed before it"
    found = diary.status("looked")
    assert not found.counts
    assert found.message == "signed by karen before Roll-out ran; waits for a sign-off: Look."
    diary.sign("looked", seen=None)
    assert diary.status("looked").counts


def test_what_an_action_needs_is_measured_again_before_its_second_attempt() -> None:
    diary = Diary(target(deploy=[probe("quiet"), action(needs=("quiet",))]))
    diary.deploy_opens()
    diary.result("quiet")
    assert allowed.act(diary.view(), diary.target.checklist.find("roll-out")[1]) is None  # type: ignore[index]
    deployed(diary)
    refusal = allowed.act(diary.view(), diary.target.checklist.find("roll-out")[1])  # type: ignore[index]
    assert refusal is not None
    diary.result("quiet")
    assert allowed.act(diary.view(), diary.target.checklist.find("roll-out")[1]) is None  # type: ignore[index]


def test_a_gate_that_was_signed_before_its_section_opened_is_signed_again() -> None:
    diary = Diary(target(deploy=[action()], post=[]))
    section = diary.target.checklist.sections[2].model_copy(update={"gate": Gate(sign_off=(ruled(count=2),))})
    checklist = diary.target.checklist.model_copy(update={"sections": (*diary.target.checklist.sections[:2], section)})
    diary.target = replace(diary.target, checklist=checklist)
    for name in ("bob", "ann"):
        diary.sign("post", on="gate", by=name)
    diary.deploy_opens()
    deployed(diary)
    diary.gate("deploy", opens="post")
    assert readiness(diary.view(), section).exit_code == 4
    for name in ("bob", "ann"):
        diary.sign("post", on="gate", by=name)
    assert readiness(diary.view(), section).go


def test_a_warning_whose_answer_is_too_old_says_so_as_the_risk() -> None:
    diary = Diary(target(deploy=[action()], post=[severe(probe("speed"), "warning")]))
    diary.result("speed")
    diary.deploy_opens()
    deployed(diary)
    assert diary.status("speed").risk == "speed: measured before Roll-out ran, so measure it again"
