"""Dialogs as people meet them: nothing happens by accident, and what is missing is said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from textual import events
from textual.screen import Screen
from textual.widgets import Static

from captain.effects import Program
from captain.events import Actor
from captain.release import Release
from captain.run import fold
from captain.trust import TrustRequest
from captain.tui.dialogs.abort import AbortDialog, Aborting
from captain.tui.dialogs.action import Acting, ActionDialog
from captain.tui.dialogs.base import Dialog, Heading
from captain.tui.dialogs.changed import ChangedDialog, FilesChoice
from captain.tui.dialogs.fields import Field, clean
from captain.tui.dialogs.gate import GateChoice, GateDialog
from captain.tui.dialogs.new_run import NewRun, NewRunDialog
from captain.tui.dialogs.not_applicable import NotApplicable, NotApplicableDialog
from captain.tui.dialogs.note import CauseDialog, Noted, NoteDialog
from captain.tui.dialogs.reopen import ReopenDialog, Reopening
from captain.tui.dialogs.resolve import Resolution, ResolveDialog
from captain.tui.dialogs.rollback import RollbackDialog, RollingBack
from captain.tui.dialogs.sign import Signature, SignDialog
from captain.tui.dialogs.trial import TrialDialog, Trying
from captain.tui.dialogs.trust import TrustDialog, Trusting
from captain.tui.dialogs.waive import WaiveDialog, Waiving
from captain.tui.dialogs.withdraw import WithdrawDialog, Withdrawing
from tests.tui.dialog_world import HEX, KAREN, Host, Story, after, before, drilled, target
from tests.tui.svg import SVG, picture

HEADING = Heading("shop", "production", True, "1.4.0", "a1b2c3d")


@dataclass(frozen=True)
class Way:
    to: str = "1.3.9 sha256:9f3c…"
    ready: bool = True
    why: str | None = None


def signed(story: Story, step: str = "lag-accepted", meaning: str = "approve") -> Story:
    return story.add(
        "signoff",
        on="step",
        target=step,
        meaning=meaning,
        note="drains by itself",
        roles=["dba"],
        role_checked=True,
        definition=HEX,
        seen=None,
        expires=None,
        evidence=[],
        of=None,
    )


def ready(story: Story | None = None) -> Story:
    """Pre could close now."""
    return signed((story or Story()).result("tests-passing", "pass", "14 of 14 passed"))


def plan(lines: int = 2, **more: Any) -> Any:
    line = SimpleNamespace
    doing = [line(verb="change", text=f"service shop_web: replica {at} → 1.3.9") for at in range(lines)]
    known = {
        "to": Release("1.3.9"),
        "leaving": Release("1.4.0"),
        "parts": (
            line(
                id="web",
                to="1.3.9 sha256:9f3c…",
                lines=(line(verb="verify", text="image sha256:9f3c… is present"), *doing),
            ),
            line(id="mail", to="", lines=(line(verb="not", text="emails already sent"),)),
        ),
        "stops": (),
        "verify": ("Health checks passing",),
        "ready": True,
        "why": None,
        "confirm": "production",
        "going_on": False,
        "sha256": "c01d" * 16,
    }
    return SimpleNamespace(**{**known, **more})


def rollback(**more: Any) -> RollbackDialog:
    return RollbackDialog(HEADING, plan(**more), because="Health checks passing: latency = 812 ms")


def trust(programs: int = 2) -> TrustDialog:
    listed = tuple(Program(("./deploy.sh", f"--part={at}"), ".", ("TOKEN",)) for at in range(programs))
    return TrustDialog(HEADING, TrustRequest(listed, HEX))


def drill(story: Story) -> TrialDialog:
    view = story.view()
    at = view.step("auto-restart")
    assert at is not None
    return TrialDialog(view, "auto-restart", [line for ask in at[1].asks.values() for line in ask.probe.does()])  # type: ignore[union-attr]


ALL: dict[str, Any] = {
    "sign": lambda: SignDialog(before().view(), "lag-accepted", KAREN),
    "sign-gate": lambda: SignDialog(before().view(), "deploy", KAREN),
    "waive": lambda: WaiveDialog(before().view(), "tests-passing", KAREN, zone=UTC),
    "not-applicable": lambda: NotApplicableDialog(before().view(), "tests-passing", KAREN),
    "gate-unmet": lambda: GateDialog(before().view(), target().checklist.sections[0], [Way()]),
    "gate-go": lambda: GateDialog(ready().view(), target().checklist.sections[0], [Way()]),
    "gate-no-way-back": lambda: GateDialog(
        ready().view(), target().checklist.sections[0], [Way(ready=False, why="image 1.3.9 was deleted")]
    ),
    "gate-post": lambda: GateDialog(after().view(), target().checklist.sections[2]),
    "action": lambda: ActionDialog(Story().go("pre", "deploy").view(), "roll-out", ["./deploy.sh", "1.4.0"]),
    "action-again": lambda: ActionDialog(Story().go("pre", "deploy").intent().finished("a1", 1).view(), "roll-out"),
    "drill": lambda: drill(Story(drilled())),
    "drill-again": lambda: drill(Story(drilled()).trial("auto-restart")),
    "abort": lambda: AbortDialog(after().view()),
    "abort-early": lambda: AbortDialog(before().view()),
    "resolve": lambda: ResolveDialog(Story().go("pre", "deploy").intent().view(), "roll-out"),
    "trust": trust,
    "withdraw": lambda: WithdrawDialog(signed(before()).view(), "lag-accepted"),
    "reopen": lambda: ReopenDialog(Story().go("pre", "deploy").view(), target().checklist.sections[0]),
    "rollback": rollback,
    "rollback-long": lambda: rollback(lines=30),
    "note": lambda: NoteDialog(HEADING, ("health", "Health checks passing")),
    "cause": lambda: CauseDialog(HEADING),
    "changed": lambda: ChangedDialog(
        HEADING, SimpleNamespace(changed=("tests-passing", "lag-accepted"), added=(), removed=("disk",))
    ),
    "new-run": lambda: NewRunDialog(
        "shop",
        [("staging", False), ("production", True)],
        ["deploy", "hotfix"],
    ),
}


@pytest.fixture(autouse=True)
def awake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dialogs listen at once, but in the stories about typed-ahead keys."""
    monkeypatch.setattr(Dialog, "guard", 0.0)


def foot(app: Host) -> str:
    return str(app.screen.query_one("#foot", Static).render())


def shown(app: Host) -> str:
    return "\n".join(str(one.render()) for one in app.screen.query(Static))


async def answer(dialog: Screen[Any], *keys: str) -> Any:
    """What the dialog answers to these keys; "open" when it is still there."""
    app = Host(dialog)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        return app.answers[0] if app.answers else "open"


@pytest.mark.parametrize("name", ALL)
async def test_row_54_is_deaf_to_typed_ahead_keys_fits_and_escape_changes_nothing(
    name: str, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dialog, "guard", 60.0)
    app = Host(ALL[name]())
    async with app.run_test(size=(80, 24)) as pilot:
        given = {field.id: field.value for field in app.screen.query(Field)}
        await pilot.press("enter", "ctrl+s", "y", "enter")
        assert app.answers == [] and app.screen is app.dialog
        assert {field.id: field.value for field in app.screen.query(Field)} == given
        assert isinstance(app.screen, Dialog)
        app.screen.listen()
        await pilot.pause()
        box = app.screen.query_one("#box").region
        assert box.y >= 1 and box.bottom <= 22, "header above, way back and keys below stay readable"
        assert box.width <= 80
        assert box.y < app.screen.query_one("#foot").region.y < box.bottom - 1
        for field in app.screen.query(Field):
            assert field not in app.screen.focus_chain or box.contains_region(field.region), field.id
        head = str(app.screen.query_one("#head", Static).render())
        assert ("▲ PRODUCTION" in head or "staging" in head) and "shop" in head
        assert picture(app) == snapshot(name="80x24", extension_class=SVG)
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        await pilot.pause()
        assert picture(app) == snapshot(name="120x40", extension_class=SVG)
        await pilot.press("escape")
        await pilot.pause()
        assert app.answers == [None]


async def test_row_54_an_enter_still_held_when_the_wait_is_over_answers_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moment = [100.0]
    monkeypatch.setattr("captain.tui.dialogs.base.monotonic", lambda: moment[0])
    app = Host(CauseDialog(HEADING))
    monkeypatch.setattr(Dialog, "guard", 0.3)
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(5):
            moment[0] += 0.2
            await pilot.press("enter")
            assert app.answers == []
        moment[0] += 0.31
        await pilot.press("enter")
        await pilot.pause()
        assert app.answers == [Noted("", None)]


async def test_an_approval_needs_one_key_and_takes_note_and_evidence() -> None:
    assert await answer(ALL["sign"](), "ctrl+s") == Signature("lag-accepted", "approve", "", ())
    found = await answer(ALL["sign"](), *"ok", "enter", *"e 2", "enter")
    assert found == Signature("lag-accepted", "approve", "ok", ("e 2",))


async def test_a_reject_needs_a_note() -> None:
    assert await answer(ALL["sign"](), "ctrl+r", "ctrl+s") == "open"
    assert await answer(ALL["sign"](), "ctrl+r", *"no", "ctrl+s") == Signature("lag-accepted", "reject", "no", ())


async def test_signing_tells_the_role_it_meets_and_what_is_uncertain() -> None:
    said = {}
    for name, people, actor in (
        ("meets", None, KAREN),
        ("unchecked", {}, KAREN),
        ("no rule", {"ann@example.com": ("dba",)}, KAREN),
        ("asserted", None, Actor(KAREN.name, "flag", "karen", 1000, "bastion")),
    ):
        told = Story(target(people=people)).result("tests-passing", "fail", "lint")
        app = Host(SignDialog(told.view(), "lag-accepted", actor))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            said[name] = shown(app)
    assert "meets the role dba" in said["meets"] and "role not checked" not in said["meets"]
    assert "role not checked" in said["unchecked"]
    assert "meets no rule: it needs the role dba" in said["no rule"]
    assert "name asserted" in said["asserted"]


async def test_signing_forecasts_the_verdict_by_the_rules_that_will_judge_it() -> None:
    app = Host(ALL["sign"]())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "NO-GO stays: 1 FAIL" in shown(app)
        await pilot.press("ctrl+r")
        await pilot.pause()
        assert "NO-GO stays: 2 FAIL" in shown(app)
    app = Host(SignDialog(Story().result("tests-passing", "pass", "fine").view(), "lag-accepted", KAREN))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "the gate may open" in shown(app)


async def test_a_waiver_keeps_dim_until_it_has_a_reason() -> None:
    app = Host(ALL["waive"]())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "reason missing" in foot(app)
        assert "failed == 0" in shown(app)
        assert "never becomes a pass" in shown(app)
        assert "countersign impossible" in shown(app)
        await pilot.press("ctrl+s", "enter")
        assert app.answers == []


async def test_a_waiver_ends_in_a_week_unless_told_otherwise() -> None:
    found = await answer(ALL["waive"](), *"no", "ctrl+s")
    assert found == Waiving("tests-passing", "no", "karen@example.com", datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC))


async def test_a_waiver_is_refused_for_longer_than_thirty_days() -> None:
    app = Host(ALL["waive"]())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.screen.query_one("#reason", Field).value = "flaky"
        until = app.screen.query_one("#until", Field)
        for typed, why in (("1 Mar 2027", "longest 30 d"), ("yesterday", "not a day"), ("2026-11-22", "is over")):
            until.value = typed
            await pilot.pause()
            assert why in foot(app), typed
            await pilot.press("ctrl+s")
            assert app.answers == []


async def test_not_applicable_needs_a_reason() -> None:
    assert await answer(ALL["not-applicable"](), "enter") == "open"
    found = await answer(ALL["not-applicable"](), *"no", "enter")
    assert found == NotApplicable("tests-passing", "no")


async def test_the_gate_does_not_offer_go_while_something_is_unmet() -> None:
    app = Host(ALL["gate-unmet"]())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "1 of 14 checks failed: lint" in shown(app)
        assert "no-go" in foot(app)
        await pilot.press("ctrl+r")
        await pilot.pause()
        assert "2 unmet" in foot(app)
        await pilot.press("enter", "ctrl+s")
        assert app.answers == []


async def test_the_go_that_opens_the_deployment_needs_the_typed_name() -> None:
    app = Host(ALL["gate-go"]())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        for typed in ("productio", "Production"):
            app.screen.query_one("#confirmed", Field).value = typed
            await pilot.press("enter")
            assert app.answers == [], typed
        app.screen.query_one("#confirmed", Field).value = "production"
        await pilot.press("enter")
        await pilot.pause()
        assert app.answers == [GateChoice("pre", "go", "", "production", None, None)]


async def test_a_go_for_an_unprotected_environment_needs_no_name() -> None:
    view = ready(Story(target(protected=False))).view()
    found = await answer(GateDialog(view, view.target.checklist.sections[0], [Way()]), "ctrl+s")
    assert found == GateChoice("pre", "go", "", None, None, None)


async def test_without_a_way_back_the_words_and_a_reason_are_needed() -> None:
    app = Host(ALL["gate-no-way-back"]())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "NOT READY: image 1.3.9 was deleted" in shown(app)
        app.screen.query_one("#confirmed", Field).value = "production"
        await pilot.pause()
        assert "11 letters to go" in foot(app)
        app.screen.query_one("#words", Field).value = "no way back"
        await pilot.pause()
        assert "reason missing" in foot(app)
        app.screen.query_one("#no-way-back", Field).value = "first release"
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert app.answers == [GateChoice("pre", "go", "", "production", "first release", None)]


async def test_a_no_go_after_the_deployment_offers_what_can_be_done() -> None:
    found = await answer(ALL["gate-post"](), *"no", "ctrl+s")
    assert found == GateChoice("post", "no_go", "no", None, None, "roll_back")
    found = await answer(ALL["gate-post"](), "shift+tab", "right", "right", "ctrl+s")
    assert found == GateChoice("post", "no_go", "", None, None, "leave")


async def test_old_results_do_not_bar_the_gate_that_measures_them_again() -> None:
    told = signed(Story().result("tests-passing", "pass", "14 of 14 passed"))
    old = told.events[1]
    told.events[1] = type(old)(
        old.seq, old.id, old.ts, old.mono, old.boot, old.actor, old.type, old.run, {**old.data, "max_age_ms": 1000}
    )
    run = fold(told.events)
    assert run is not None
    view = told.view()
    step = view.target.checklist.sections[0].steps[0]
    dialog = GateDialog(view, view.target.checklist.sections[0], [Way()])
    # This step's kind cannot be measured by this captain, so nothing will renew it and the go stays barred.
    assert step.unmeasured is not None and dialog.due == [] and dialog.unmet == 1


async def test_an_action_shows_its_exact_command_and_wants_the_name() -> None:
    app = Host(ALL["action"]())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "./deploy.sh 1.4.0" in shown(app) and "/srv/shop" in shown(app) and "TOKEN" in shown(app)
        assert "attempt 1" in shown(app) and "30 m" in shown(app)
        await pilot.press(*"prod")
        await pilot.pause()
        assert "6 letters to go" in foot(app)
        await pilot.press("enter")
        assert app.answers == []
        await pilot.press(*"uction", "enter")
        await pilot.pause()
        assert app.answers == [Acting("roll-out", "production")]


async def test_repeating_an_action_says_so() -> None:
    app = Host(ALL["action-again"]())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "this repeats it" in shown(app) and "attempt 2" in shown(app) and "run it again" in foot(app)
        assert "${{ release.version }}" in shown(app)


async def test_a_drill_says_what_it_does_and_undoes_and_wants_the_name() -> None:
    app = Host(drill(Story(drilled())))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        text = shown(app)
        for said in ("sends KILL to the first process of shop_worker", "waits at most 30s until", "afterwards runs"):
            assert said in text, text
        assert "10 letters to go" in foot(app)
        await pilot.press(*"production", "enter")
        await pilot.pause()
        assert app.answers == [Trying("auto-restart", "production")]


async def test_a_drill_whose_end_nobody_saw_says_so_before_it_is_repeated() -> None:
    app = Host(drill(Story(drilled()).trial("auto-restart")))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "its end unseen" in shown(app)


async def test_giving_up_after_the_start_asks_what_is_left_running() -> None:
    app = Host(ALL["abort"]())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "reason missing" in foot(app)
        await pilot.press(*"slow", "enter")
        await pilot.pause()
        assert "what is left running?" in foot(app)
        app.screen.query_one("#left-running", Field).value = "1.4.0"
        app.screen.query_one("#confirmed", Field).value = "production"
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert app.answers == [Aborting("slow", "1.4.0", "production")]


async def test_giving_up_before_the_start_needs_only_a_reason() -> None:
    assert await answer(ALL["abort-early"](), *"no", "enter") == Aborting("no", None, None)


async def test_an_unknown_action_is_resolved_with_a_note() -> None:
    assert await answer(ALL["resolve"](), "ctrl+s") == "open"
    found = await answer(ALL["resolve"](), "ctrl+r", *"no", "ctrl+s")
    assert found == Resolution("roll-out", "not_applied", "no")


async def test_trust_is_given_only_when_every_program_was_on_the_screen() -> None:
    assert await answer(trust(), "ctrl+s") == Trusting(HEX)
    app = Host(trust(programs=20))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.pause()
        assert "more rows" in foot(app)
        await pilot.press("ctrl+s")
        assert app.answers == []
        for _ in range(10):
            await pilot.press("pagedown")
        await pilot.pause()
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert app.answers == [Trusting(HEX)]


async def test_trust_shows_long_and_hidden_text_in_full() -> None:
    program = Program(("sh", "-c", "true; " + "x" * 200 + "; rm\u202e -rf [b]/[/b]"), ".", ())
    app = Host(TrustDialog(HEADING, TrustRequest((program,), HEX)))
    async with app.run_test(size=(80, 40)) as pilot:
        await pilot.pause()
        text = shown(app).replace("\n", "").replace(" ", "")
        assert "x" * 200 in text and "\\u{202e}" in text and "[b]/[/b]" in text


async def test_trust_says_which_programs_run_in_a_container() -> None:
    programs = (Program(("psql", "-c", "select 1"), container="shop_db"), Program(("./look",)))
    app = Host(TrustDialog(HEADING, TrustRequest(programs, HEX)))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert shown(app).count("in container shop_db") == 1


async def test_one_takes_back_only_what_one_has_signed() -> None:
    told = signed(before())
    assert await answer(WithdrawDialog(told.view(), "lag-accepted"), "enter") == Withdrawing(3, "")


async def test_a_section_is_reopened_with_a_reason() -> None:
    assert await answer(ALL["reopen"](), "enter") == "open"
    assert await answer(ALL["reopen"](), *"no", "enter") == Reopening("pre", "no")


async def test_a_rollback_starts_only_with_the_right_name() -> None:
    app = Host(rollback())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        for typed in ("", "productio", "productionx", "PRODUCTION", "pro duction"):
            app.screen.query_one("#confirmed", Field).value = typed
            await pilot.press("enter", "ctrl+s")
            assert app.answers == [], typed
    shown_plan = plan()
    dialog = RollbackDialog(HEADING, shown_plan)
    assert await answer(dialog, *"production", "enter") == RollingBack(shown_plan, "production")


async def test_going_on_with_a_rollback_asks_for_no_name_again() -> None:
    shown_plan = plan(going_on=True)
    assert await answer(RollbackDialog(HEADING, shown_plan), "enter") == RollingBack(shown_plan, None)


async def test_a_long_plan_scrolls_and_never_the_field() -> None:
    app = Host(rollback(lines=30))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.pause()
        facts = app.screen.query_one("#facts")
        assert facts.max_scroll_y > 0
        field = app.screen.query_one("#confirmed").region
        await pilot.press("pagedown", "pagedown")
        await pilot.pause()
        assert facts.scroll_y > 0
        assert app.screen.query_one("#confirmed").region == field


async def test_a_dry_run_looks_again_and_answers_nothing() -> None:
    looked = []

    async def look_again() -> Any:
        looked.append(1)
        return plan(lines=len(looked) + 1, sha256=("c01d" if len(looked) == 1 else "beef") * 16)

    app = Host(RollbackDialog(HEADING, plan(), look_again=look_again))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press(*"prod", "ctrl+d")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "the same plan; nothing was touched" in shown(app)
        assert app.screen.query_one("#confirmed", Field).value == "prod"
        await pilot.press("ctrl+d")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "the plan has changed" in shown(app)
        assert app.answers == [] and len(looked) == 2
        await pilot.press(*"uction", "enter")
        await pilot.pause()
        assert app.answers[0].plan.sha256 == "beef" * 16


async def test_the_cause_of_a_rollback_may_stay_empty() -> None:
    assert await answer(CauseDialog(HEADING), "enter") == Noted("", None)
    assert await answer(CauseDialog(HEADING), *"no", "enter") == Noted("cause: no", None)
    assert await answer(NoteDialog(HEADING), "enter") == "open"


async def test_changed_files_are_kept_unless_adopted() -> None:
    assert await answer(ALL["changed"](), "enter") == FilesChoice("keep")
    assert await answer(ALL["changed"](), "ctrl+r", "enter") == FilesChoice("adopt")


async def test_a_new_run_needs_a_version_and_asks_only_what_is_used() -> None:
    app = Host(ALL["new-run"]())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "version missing" in foot(app)
        assert len(list(app.screen.query(Field))) == 1
        await pilot.press("enter")
        assert app.answers == []
        await pilot.press(*"1.5", "ctrl+r", "enter")
        await pilot.pause()
        assert app.answers == [NewRun("1.5", "production", "deploy")]


async def test_a_version_is_no_path_and_no_markup() -> None:
    for typed in ("../1", "[b]", "1 2", "-r"):
        assert await answer(NewRunDialog("shop", [("staging", False)], ["deploy"], version=typed), "enter") == "open"


async def test_row_52_a_pasted_megabyte_becomes_one_bounded_displayable_line() -> None:
    app = Host(NoteDialog(HEADING))
    pasted = "first\nsecond\x1b[201~\x1b[2J\u202e" + "é" * 1_000_000
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        field = app.screen.query_one("#note", Field)
        field.post_message(events.Paste(pasted))
        await pilot.pause()
        assert field.value.startswith("first second␛[201~␛[2J\\u{202e}")
        assert len(field.value.encode()) <= 4096
        await pilot.press("enter")
        await pilot.pause()
        assert len(app.answers[0].text.encode()) <= 4096


def test_row_49_what_hides_or_turns_letters_is_spelt_out_when_typed() -> None:
    assert clean("pro\u200bduction\u202e") == "pro\\u{200b}duction\\u{202e}"
    assert clean("a\tb\r\nc") == "a b c"


async def test_row_50_markup_in_titles_and_messages_is_literal_text() -> None:
    evil = "[@click=app.quit]PASS[/] [red [/"
    told = Story().result("tests-passing", "fail", evil, conditions=[(evil, "fail")])
    app = Host(WaiveDialog(told.view(), "tests-passing", KAREN, zone=UTC))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert evil in shown(app)


async def test_row_53_the_question_stands_in_its_own_frame_with_the_environment() -> None:
    told = Story().result("tests-passing", "fail", "approve? [Y/n]" * 30)
    assert await answer(NotApplicableDialog(told.view(), "tests-passing", KAREN), "y", "enter") == NotApplicable(
        "tests-passing", "y"
    )
    assert await answer(rollback(why="approve? [Y/n]", ready=False), "y", "enter", "Y", "enter") == "open"


async def test_held_by_another_captain_the_gate_says_so() -> None:
    view = ready().view(lock_holder="ann since 13:40")
    app = Host(GateDialog(view, view.target.checklist.sections[0], [Way()]))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "held by" in foot(app)
