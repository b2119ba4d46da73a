"""Every state of a step, and which of them a gate counts. No log, no engine: entries and a moment."""

from __future__ import annotations

from datetime import timedelta

import pytest

from captain.checklist import SignOffRule
from captain.measurement import Verdict
from captain.run.gates import readiness
from captain.run.view import View
from tests.run.diary import Diary, action, manual, probe, ruled, severe, target


def ready(view: View, section: str = "pre") -> tuple[bool, int]:
    found = view.target.checklist.section(section)
    assert found is not None
    said = readiness(view, found)
    return said.go, said.exit_code


def test_a_step_that_nobody_measured_keeps_the_gate_closed_as_unknown() -> None:
    diary = Diary(target(probe("health")))
    assert (diary.status("health").state, diary.status("health").verdict) == ("todo", Verdict.UNKNOWN)
    assert ready(diary.view()) == (False, 3)
    assert diary.status("health", asking=frozenset({"health"})).state == "measuring"


@pytest.mark.parametrize(
    ("verdict", "go", "code"), [("pass", True, 0), ("warn", True, 0), ("unknown", False, 3), ("fail", False, 1)]
)
def test_only_pass_and_warn_open_the_gate(verdict: str, go: bool, code: int) -> None:
    diary = Diary(target(probe("health")))
    diary.result("health", verdict)
    assert diary.status("health").state == "measured"
    assert ready(diary.view()) == (go, code)


def test_a_result_is_stale_after_its_age_and_a_closed_section_keeps_what_it_counted() -> None:
    diary = Diary(target(probe("health"), deploy=[action()]))
    diary.result("health")
    diary.later(minutes=15)
    assert diary.status("health").counts
    diary.later(seconds=1)
    found = diary.status("health")
    assert (found.state, found.counts, found.verdict) == ("stale", False, Verdict.PASS)
    assert ready(diary.view()) == (False, 3)
    diary.deploy_opens()
    assert diary.status("health").state == "measured"


def test_a_result_from_a_time_that_the_clock_has_not_reached_does_not_count() -> None:
    diary = Diary(target(probe("health")))
    diary.result("health")
    diary.later(hours=-3)
    found = diary.status("health")
    assert found.state == "stale"
    assert found.stale_why == "measured at a time that the clock has not reached"
    assert not ready(diary.view())[0]


def test_an_age_of_zero_lasts_as_long_as_the_section() -> None:
    diary = Diary(target(probe("soak")))
    diary.result("soak", max_age=timedelta(0))
    diary.later(days=3)
    assert diary.status("soak").counts


def test_live_results_of_an_open_pre_section_are_stale_when_another_run_deployed_since() -> None:
    diary = Diary(target(probe("health"), post=[probe("checkout")]))
    seen = diary.result("health")
    diary.result("checkout")
    assert diary.status("health", deployed=seen - 1).counts
    found = diary.status("health", deployed=seen + 5)
    assert found.state == "stale"
    assert found.stale_why == "measured before another run changed this environment"
    assert diary.status("checkout", deployed=seen + 50).state == "measured"


def test_a_result_of_another_definition_is_no_result() -> None:
    diary = Diary(target(probe("health")))
    diary.result("health")
    diary.changed("health")
    assert diary.status("health").state == "todo"


def test_a_switched_off_step_and_one_that_does_not_apply_are_not_counted_against_anybody() -> None:
    diary = Diary(target(probe("health", disabled="not here"), probe("cdn")))
    view = diary.view(skipped={"cdn": "when: environment == 'staging'"})
    assert ready(view) == (True, 0)
    assert diary.status("health").state == "disabled"
    assert diary.status("cdn", skipped={"cdn": "no cdn"}).state == "not-applicable"


@pytest.mark.parametrize("verdict", ["unknown", "fail"])
def test_a_warning_that_is_not_met_makes_a_go_with_risk_and_info_never_counts(verdict: str) -> None:
    diary = Diary(target(severe(probe("speed"), "warning"), severe(probe("trivia"), "info")))
    diary.result("speed", verdict)
    diary.result("trivia", "fail")
    section = diary.target.checklist.section("pre")
    assert section is not None
    said = readiness(diary.view(), section)
    assert said.go
    assert said.verdict is Verdict.WARN
    assert [one for one in said.risk if one.startswith("speed")]


def test_what_waits_for_a_person_keeps_the_gate_closed_and_is_no_risk() -> None:
    """A measured pass beside it is nothing that a go would risk."""
    diary = Diary(target(probe("volumes", severity="warning", sign_off=(SignOffRule(),))))
    diary.result("volumes")
    section = diary.target.checklist.section("pre")
    assert section is not None
    found = readiness(diary.view(), section)
    assert [one.exit_code for one in found.unmet] == [4]
    assert found.risk == ()


def test_the_exit_code_says_failed_before_unknown_before_waiting() -> None:
    diary = Diary(target(probe("a"), probe("b"), manual("c")))
    assert ready(diary.view()) == (False, 3)
    diary.result("a", "fail")
    assert ready(diary.view()) == (False, 1)
    diary.result("a")
    diary.result("b")
    assert ready(diary.view()) == (False, 4)


def test_a_running_action_is_running_and_an_interrupted_one_unknown() -> None:
    diary = Diary(target(deploy=[action()]))
    diary.deploy_opens()
    diary.intent("a1")
    assert diary.status("roll-out", alive=frozenset({"a1"})).state == "running"
    found = diary.status("roll-out")
    assert (found.verdict, found.counts) == (Verdict.UNKNOWN, False)
    assert "unknown" in found.message


def test_after_not_applied_an_action_may_be_started_again() -> None:
    diary = Diary(target(deploy=[action()]))
    diary.deploy_opens()
    diary.intent("a1")
    diary.finished("a1", "lost")
    diary.resolved("a1", "not_applied")
    assert diary.status("roll-out").state == "todo"


def test_what_is_seen_later_outranks_the_word_of_a_person() -> None:
    diary = Diary(target(deploy=[action()]))
    diary.deploy_opens()
    diary.intent("a1")
    diary.finished("a1", "lost")
    diary.resolved("a1", "applied")
    assert diary.status("roll-out").verdict is Verdict.WARN
    diary.result("roll-out", "unknown", attempt="a1", purpose="observe")
    assert diary.status("roll-out").verdict is Verdict.WARN
    diary.result("roll-out", "fail", attempt="a1", purpose="observe")
    assert diary.status("roll-out").verdict is Verdict.FAIL
    assert not diary.status("roll-out").counts


def test_the_result_of_an_earlier_attempt_says_nothing_about_the_next_one() -> None:
    diary = Diary(target(deploy=[action()]))
    diary.deploy_opens()
    diary.intent("a1")
    diary.finished("a1")
    diary.result("roll-out", attempt="a1", purpose="observe")
    assert diary.status("roll-out").counts
    diary.intent("a2")
    assert not diary.status("roll-out").counts
    diary.finished("a2", "timed_out")
    assert diary.status("roll-out").verdict is Verdict.UNKNOWN


def test_an_expected_deployment_is_unknown_until_it_is_seen() -> None:
    diary = Diary(target(deploy=[action()]))
    diary.deploy_opens()
    diary.intent("a1", how="external")
    found = diary.status("roll-out")
    assert (found.verdict, found.message) == (Verdict.UNKNOWN, "expected; not seen to arrive yet")
    diary.result("roll-out", attempt="a1", purpose="observe")
    assert diary.status("roll-out").counts


def test_a_waived_section_is_never_a_pass() -> None:
    diary = Diary(target(probe("health")))
    diary.result("health", "fail")
    diary.waive("health", "status == 200")
    section = diary.target.checklist.section("pre")
    assert section is not None
    said = readiness(diary.view(), section)
    assert said.go
    assert said.verdict is Verdict.WARN
    assert said.counted[0][1] is Verdict.FAIL
    assert said.risk


def test_a_manual_step_waits_for_anybody_until_somebody_approves() -> None:
    diary = Diary(target(manual("told")))
    found = diary.status("told")
    assert (found.state, found.waits) == ("waiting", ("",))
    diary.sign("told", seen=None)
    assert diary.status("told").verdict is Verdict.PASS
    assert diary.status("told").counts


def test_a_probe_with_a_sign_off_needs_both() -> None:
    diary = Diary(target(probe("lag", sign_off=(ruled(),))))
    diary.sign("lag", seen="unknown")
    assert not diary.status("lag").counts
    diary.result("lag")
    assert diary.status("lag").counts
    other = Diary(target(probe("lag", sign_off=(ruled(),))))
    other.result("lag")
    assert (other.status("lag").state, other.status("lag").counts) == ("waiting", False)
    assert ready(other.view()) == (False, 4)
