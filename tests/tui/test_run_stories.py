"""A release walked by keys alone, over a real engine, a real log and a real service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from captain.engine import Engine
from captain.errors import ProblemsError
from captain.events import Actor, Event
from captain.tui.app import CaptainApp
from captain.tui.dialogs.base import Dialog
from captain.tui.moment import Known
from captain.tui.screens.run import RunScreen
from tests.shop import ME, Shop
from tests.tui.snapshots import until, words


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dialogs listen at once: that they ignore typed-ahead keys has its own tests."""
    monkeypatch.setattr(Dialog, "guard", 0.0)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    world = Shop(tmp_path / "shop")
    yield world
    world.close()


def app_over(
    shop: Shop,
    version: str = "1.6.0",
    environment: str = "staging",
    *,
    actor: Actor = ME,
    trusted: bool = True,
    keymap: dict[str, str] | None = None,
    **engine: Any,
) -> CaptainApp:
    """captain's screen, opened as `captain run` opens it."""

    async def opener(publish: Callable[[Event], None]) -> Engine:
        made = shop.engine(environment, actor=actor, publish=publish, **engine)
        if engine.get("read_only"):
            await made.resume(f"shop-{environment}-{version}")
            return made
        await made.open(version)
        request = made.trust()
        if trusted and request is not None:
            await made.accept(request.digest)
        return made

    known = Known("shop", environment, environment == "production", version)
    return CaptainApp(shop.settings.log, known=known, opener=opener, environ={}, calm=True, keymap=keymap)


def run_of(app: CaptainApp) -> RunScreen:
    return next(one for one in app.screen_stack if isinstance(one, RunScreen))


async def opened(pilot: Pilot[Any]) -> RunScreen:
    app = pilot.app
    assert isinstance(app, CaptainApp)
    await until(
        pilot, lambda: bool(app.engines) and run_of(app).moment is not None and run_of(app).live.way is not None
    )
    return run_of(app)


def mark(run: RunScreen, step: str) -> str:
    """The word that stands before a step."""
    assert run.moment is not None
    found = run.moment.view.step(step)
    assert found is not None
    return run.moment.mark(found[1]).word


async def dialog(pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, Dialog))


async def test_a_release_is_walked_to_its_end_by_keys(shop: Shop) -> None:
    app = app_over(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        run = await opened(pilot)
        assert mark(run, "healthy-before") == "todo"
        await pilot.press("enter")
        await until(pilot, lambda: mark(run, "healthy-before") == "pass")
        await pilot.press("n")
        assert run.step is not None and run.step.id == "on-call-told"
        await pilot.press("enter")
        await dialog(pilot)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: mark(run, "on-call-told") == "pass")
        assert " GO " in words(app)

        await pilot.press("g")
        await dialog(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: run.moment is not None and run.moment.view.run.opened == "deploy")
        await pilot.press("n")
        assert run.step is not None and run.step.id == "roll-out"
        await pilot.press("a")
        await dialog(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: mark(run, "roll-out") == "pass")
        assert shop.current == "1.6.0" and shop.effects == ["1.6.0"]
        assert "R → " in words(app) and "ready ✓" in words(app)

        await pilot.press("g")
        await dialog(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: run.moment is not None and run.moment.view.run.opened == "post")
        await pilot.press("n", "enter")
        await until(pilot, lambda: mark(run, "checkout-works") == "pass")
        await pilot.press("g")
        await dialog(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: run.moment is not None and run.moment.view.run.state == "completed")
        assert "COMPLETED" in words(app)
        await pilot.press("q")
    assert app.failures == []
    assert [event.type for event in shop.recorded("run.end")] == ["run.end"]


async def test_a_failing_step_tells_expected_beside_actual_and_keeps_the_gate_closed(shop: Shop) -> None:
    shop.health = 503
    app = app_over(shop)
    async with app.run_test(size=(80, 24)) as pilot:
        run = await opened(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: mark(run, "healthy-before") == "FAIL" and '{"status"' in words(app))
        text = words(app)
        assert "NO-GO" in text and "1 FAIL" in text
        assert "status == 200" in text and "503" in text and "/healthz" in text
    assert app.failures == []


async def test_a_dim_key_says_why_and_records_nothing(shop: Shop) -> None:
    app = app_over(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        run = await opened(pilot)
        before = len(shop.recorded())
        await pilot.press("a")
        await pilot.pause()
        assert "healthy-before has no action" in words(app)
        assert run.why_not("run.act") == "healthy-before has no action"
        await pilot.press("down")
        assert "has no action" not in words(app).splitlines()[-3], "the message goes when the cursor moves"
        assert len(shop.recorded()) == before


async def test_a_spectator_changes_nothing(shop: Shop) -> None:
    async with app_over(shop).run_test(size=(120, 40)) as pilot:
        await opened(pilot)
    before = len(shop.recorded())
    app = app_over(shop, read_only=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        for key in ("enter", "m", "s", "w", "x", "u", "a", "g", "R", "A", "c"):
            await pilot.press(key)
            await pilot.pause()
            assert isinstance(app.screen, RunScreen), f"{key} opened {app.screen}"
            assert "read-only" in words(app)
        assert "READ-ONLY" in words(app)
    assert len(shop.recorded()) == before


async def test_two_screens_on_one_run_see_each_other(shop: Shop) -> None:
    dba = Actor("dba@example.com", "flag", "dba", 1001, "testhost")
    app = app_over(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        run = await opened(pilot)
        other = shop.engine(actor=dba)
        await other.resume("shop-staging-1.6.0")
        await other.sign("on-call-told", "approve", "told by phone")
        await other.close()
        await until(pilot, lambda: mark(run, "on-call-told") == "pass")
        assert "told by phone" in words(app)


async def test_commands_nobody_accepted_are_shown_first(shop: Shop) -> None:
    app = app_over(shop, trusted=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await dialog(pilot)
        assert "deploy.py" in words(app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        run = run_of(app)
        assert run.why_not("run.trust") is None
        await until(pilot, lambda: "NOT READY" in words(app))


async def test_files_with_problems_are_all_told_and_q_leaves(shop: Shop) -> None:
    (shop.root / "checklists" / "deploy.yaml").write_text("checklist: deploy\ntitel: x\n")
    app = app_over(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.failure is not None)
        text = words(app)
        assert "titel" in text and "FAILED" in text
        await pilot.press("q")
    assert isinstance(app.failure, ProblemsError)


async def test_a_bug_is_told_and_never_lost(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Engine, step_id: str, purpose: str = "measure") -> None:
        raise ZeroDivisionError("a bug [red]of ours[/red]")

    monkeypatch.setattr(Engine, "measure", broken)
    app = app_over(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "captain itself failed" in words(app))
        assert "ZeroDivisionError: a bug [red]of ours[/red]" in words(app)
        await pilot.press("j", "k")
    assert [type(error) for error in app.failures] == [ZeroDivisionError]


async def test_leaving_while_an_action_runs_says_that_it_goes_on(shop: Shop) -> None:
    (shop.root / "delay").write_text("30")
    app = app_over(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        run = await opened(pilot)
        engine = app.engines[0]
        await engine.measure("healthy-before")
        await engine.sign("on-call-told", "approve")
        await engine.gate("pre", "go")
        await until(pilot, lambda: run.moment is not None and run.moment.view.run.opened == "deploy")
        run.checklist.go("roll-out")
        await pilot.press("a")
        await dialog(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: run.moment is not None and run.moment.running() is not None)
        assert "RUNS" in words(app) and "stays running if you leave" in words(app)
        pid = engine.view().run.attempts[next(iter(engine.view().run.attempts))]
        await pilot.press("q")
    assert app.farewell is not None and "keeps running" in app.farewell and "shop-staging-1.6.0" in app.farewell
    import os
    import signal

    assert pid.started is not None
    os.killpg(os.getpgid(int(pid.started.data["pid"])), signal.SIGKILL)


async def test_keys_can_be_remapped_and_the_row_shows_it(shop: Shop) -> None:
    app = app_over(shop, keymap={"run.measure_section": "f5"})
    async with app.run_test(size=(120, 40)) as pilot:
        run = await opened(pilot)
        assert "f5 section" in words(app)
        await pilot.press("f5")
        await until(pilot, lambda: mark(run, "healthy-before") == "pass")


async def test_a_filter_narrows_the_list_and_escape_widens_it(shop: Shop) -> None:
    app = app_over(shop)
    async with app.run_test(size=(120, 40)) as pilot:
        run = await opened(pilot)
        await pilot.press("slash")
        await pilot.pause()
        await pilot.press(*"checkout")
        await until(pilot, lambda: run.checklist.visible_steps() == ["checkout-works"])
        await pilot.press("enter")
        assert run.step is not None and run.step.id == "checkout-works"
        await pilot.press("escape")
        await until(pilot, lambda: len(run.checklist.visible_steps()) == 4)


async def test_pages_and_sections_at_eighty_columns(shop: Shop) -> None:
    app = app_over(shop)
    async with app.run_test(size=(80, 24)) as pilot:
        run = await opened(pilot)
        assert "1 Pre-deployment 0/2" in words(app)
        await pilot.press("right_square_bracket")
        assert "1 Deployment 0/1" in words(app)
        await pilot.press("4")
        await pilot.pause()
        assert "4 Log" in words(app) and "opened a run of deploy" in words(app) and "2 Step" not in words(app)
        await pilot.press("3")
        await pilot.pause()
        assert "no watch" in words(app)
        await pilot.press("2")
        await pilot.pause()
        assert "2 Step" in words(app)
        await pilot.press("left_square_bracket")
        assert run.step is not None and run.step.id == "healthy-before"
