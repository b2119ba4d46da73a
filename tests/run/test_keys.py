"""Which key may be pressed: every refusal is a sentence, and what is dangerous needs its state."""

from __future__ import annotations

import pytest

from captain.errors import Refusal
from captain.run import allowed
from captain.run.view import View
from tests.run.diary import Diary, action, manual, probe, target


def opened() -> Diary:
    diary = Diary(
        target(probe("health"), deploy=[action(), action("migrate", needs=("roll-out",))], post=[probe("checkout")])
    )
    diary.result("health")
    diary.deploy_opens()
    return diary


def said(refusal: Refusal | None) -> str:
    return "" if refusal is None else refusal.message


def act(view: View, step: str = "roll-out") -> str:
    found = view.step(step)
    assert found is not None
    return said(allowed.act(view, found[1]))


def measure(view: View, step: str) -> str:
    found = view.step(step)
    assert found is not None
    return said(allowed.measure(view, found[1]))


def test_nothing_is_recorded_by_whoever_only_looks_or_after_the_end() -> None:
    diary = opened()
    assert "read-only" in act(diary.view(read_only=True))
    assert "disk full" in act(diary.view(stopped="disk full"))
    diary.end()
    assert "takes notes only" in act(diary.view())
    assert "takes notes only" in said(allowed.sign(diary.view(), "health"))
    assert allowed.abort(diary.view()) is not None


def test_a_g_and_r_are_refused_with_the_holder_and_the_rest_works() -> None:
    diary = opened()
    diary.intent("a1")
    view = diary.view(lock_holder="bob (pid 7 on bastion) since 14:02:07 UTC")
    for refusal in (
        allowed.act(view, diary.target.checklist.sections[1].steps[0]),
        allowed.go(view, "deploy"),
        allowed.gate(view, "deploy"),
        allowed.roll_back(view),
        allowed.abort(view),
    ):
        assert refusal is not None
        assert "bob (pid 7 on bastion) since 14:02:07 UTC" in refusal.message
        assert refusal.exit_code == 4
    assert measure(view, "checkout") == ""
    assert allowed.sign(view, "checkout") is None


def test_a_pre_section_asks_for_no_lock_until_its_go_opens_the_deployment() -> None:
    diary = Diary(target(probe("health")))
    view = diary.view(lock_holder="bob")
    assert measure(view, "health") == ""
    assert allowed.abort(view) is None
    assert "held by bob" in said(allowed.gate(view, "pre"))


def test_an_action_waits_for_its_section_its_needs_and_the_one_before() -> None:
    diary = Diary(target(probe("health"), deploy=[action()]))
    assert "not open" in act(diary.view())
    diary = opened()
    assert "needs roll-out" in act(diary.view(), "migrate")
    assert "not accepted" in act(diary.view(untrusted=True))
    diary.intent("a1")
    assert "still running" in act(diary.view(alive=frozenset({"a1"})))
    assert "unknown" in act(diary.view())
    diary.finished("a1")
    diary.result("roll-out", attempt="a1", purpose="observe")
    assert act(diary.view(), "migrate") == ""
    assert allowed.again(diary.view(), diary.target.checklist.sections[1].steps[0])


def test_while_an_action_runs_it_is_not_measured_signed_off_as_known_or_left_alone() -> None:
    diary = opened()
    diary.intent("a1")
    running = diary.view(alive=frozenset({"a1"}))
    step = diary.target.checklist.sections[1].steps[0]
    assert "still running" in measure(running, "roll-out")
    assert "still running" in said(allowed.resolve(running, step))
    assert "still running" in said(allowed.go(running, "deploy"))
    assert "still running" in said(allowed.abort(running))
    assert allowed.roll_back(running) is None
    assert allowed.resolve(diary.view(), step) is None


def test_an_unknown_action_keeps_the_gate_closed_even_under_a_waiver() -> None:
    diary = opened()
    diary.intent("a1")
    diary.finished("a1", "lost")
    diary.waive("roll-out", "status == 200")
    refusal = allowed.go(diary.view(), "deploy")
    assert refusal is not None
    assert refusal.exit_code == 3
    diary.resolved("a1", "applied")
    assert "unknown" not in said(allowed.go(diary.view(), "deploy")).split("roll-out")[0]


@pytest.mark.parametrize("state", ["open", "started"])
def test_rolling_back_needs_something_started_and_a_way_back(state: str) -> None:
    diary = opened()
    if state == "open":
        assert "nothing was started" in said(allowed.roll_back(diary.view()))
        return
    diary.intent("a1")
    assert allowed.roll_back(diary.view()) is None
    nowhere = Diary(target(deploy=[action()]))
    nowhere.gate("pre", opens="deploy", way="first release")
    nowhere.intent("a1")
    assert "first release" in said(allowed.roll_back(nowhere.view()))


def test_a_closed_section_opens_again_only_before_anything_was_started() -> None:
    diary = opened()
    assert "held by bob" in said(allowed.reopen(diary.view(lock_holder="bob"), "pre"))
    assert allowed.reopen(diary.view(), "pre") is None
    diary.intent("a1")
    assert "stays closed" in said(allowed.reopen(diary.view(), "pre"))
    assert "closed" in said(allowed.sign(diary.view(), "health"))


def test_a_check_has_no_gates_and_starts_nothing() -> None:
    diary = Diary(target(probe("health"), manual("told"), deploy=[action()]), kind="check")
    assert measure(diary.view(), "health") == ""
    for refusal in (
        allowed.gate(diary.view(), "pre"),
        allowed.go(diary.view(), "pre"),
        allowed.roll_back(diary.view()),
    ):
        assert "check" in said(refusal)
    assert "check" in act(diary.view())


def test_a_reopened_run_bars_nobody_any_more() -> None:
    diary = opened()
    assert diary.run.bars_others
    diary.write("section.reopened", {"section": "pre", "reason": "again"})
    assert not diary.run.bars_others
    diary.gate("pre", opens="deploy", way="typed")
    assert diary.run.bars_others
    diary.end()
    assert not diary.run.bars_others


def test_a_refused_opening_leaves_the_environment_to_others() -> None:
    diary = Diary(target(probe("health"), deploy=[action()]))
    diary.point()
    assert not diary.run.bars_others
    diary.gate("pre", "no_go")
    assert not diary.run.bars_others
