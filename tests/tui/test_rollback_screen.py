"""A rollback as it happens, as it ended, and as it is found again."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.widgets import Static

from captain.engine import Engine
from captain.errors import Refusal
from captain.events import Output
from captain.tui.moment import Live, moment
from captain.tui.present import Look
from captain.tui.rollback_rows import entries, output_rows, parts, plan_rows, verify_rows
from captain.tui.screens.help import HelpScreen
from captain.tui.screens.rollback import RollbackScreen
from tests.tui.dialog_world import Host, Looker, Story, after, rolled_back, rolling_back
from tests.tui.svg import SVG, picture

LOOK = Look(calm=True)


def screen(story: Story, work: asyncio.Task[None] | None = None, **more: Any) -> RollbackScreen:
    return RollbackScreen(cast(Engine, Looker(story.view(**more))), work)


STATES: dict[str, Any] = {
    "runs": lambda: screen(rolling_back(), alive=frozenset(["r2"])),
    "found-again": lambda: screen(rolling_back()),
    "rolled-back": lambda: screen(rolled_back()),
    "incomplete": lambda: screen(rolled_back("rollback_incomplete")),
}


@pytest.mark.parametrize("name", STATES)
async def test_shows_what_is_known(name: str, snapshot: SnapshotAssertion) -> None:
    app = Host(STATES[name]())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.pause()
        assert picture(app) == snapshot(name="80x24", extension_class=SVG)
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        app.screen.draw()  # type: ignore[attr-defined]
        await pilot.pause()
        assert picture(app) == snapshot(name="120x40", extension_class=SVG)


def shown(app: Host, ident: str) -> str:
    found = app.screen.query_one(ident)
    return str(found.render())


async def test_afterwards_the_chip_turns_and_the_next_key_asks_for_the_cause() -> None:
    app = Host(screen(rolled_back()))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "ROLLED BACK" in shown(app, "#verdict") and "1 of 1 verified" in shown(app, "#verdict")
        assert shown(app, "#keys").startswith(" c  cause")
        await pilot.press("R")
        await pilot.pause()
        assert app.answers == [] and "rolled back already" in shown(app, "#verdict")
        app.screen.draw()  # type: ignore[attr-defined]
        await pilot.pause()
        assert "rolled back already" in shown(app, "#verdict"), "the next picture took the reason away"
        await pilot.press("c")
        await pilot.pause()
        assert app.answers == ["cause"]


async def test_an_incomplete_rollback_says_why_and_offers_to_go_on() -> None:
    app = Host(screen(rolled_back("rollback_incomplete")))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "NOT ROLLED BACK" in shown(app, "#verdict") and "health is fail" in shown(app, "#verdict")
        await pilot.press("R")
        await pilot.pause()
        assert app.answers == ["again"]


async def test_while_it_runs_leaving_is_the_only_thing_to_do() -> None:
    async def forever() -> None:
        await asyncio.sleep(3600)

    work = asyncio.create_task(forever())
    app = Host(screen(rolling_back(), work, alive=frozenset(["r2"])))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("R", "c")
        await pilot.pause()
        assert app.answers == []
        assert "leave, it goes on" in shown(app, "#keys")
        await pilot.press("q")
        await pilot.pause()
        assert app.answers == [None] and not work.done()
    work.cancel()


async def test_a_refusal_of_the_engine_is_said() -> None:
    async def refused() -> None:
        raise Refusal("the run moved on since this plan was shown", hint="look at the new plan")

    work = asyncio.create_task(refused())
    await asyncio.wait([work])
    app = Host(screen(after(), work))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "the run moved on" in shown(app, "#verdict") and "look at the new plan" in shown(app, "#verdict")
    assert isinstance(work.exception(), Refusal)


async def test_help_tells_every_key_and_why_a_dim_one_is_dim(snapshot: SnapshotAssertion) -> None:
    about = screen(rolled_back())
    app = Host(HelpScreen(about))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        text = "\n".join(str(one.render()) for one in app.screen.query(Static))
        assert "not now: this run is rolled back already" in text
        assert "Write down why the rollback was needed" in text
        assert picture(app) == snapshot(name="80x24", extension_class=SVG)
        await pilot.press("question_mark")
        await pilot.pause()
        assert app.answers == [None]


def test_a_part_that_nobody_saw_end_is_unknown_and_one_that_failed_says_how() -> None:
    lost = moment(rolling_back().view(), Live())
    assert [one.state for one in parts(lost)] == ["pass", "unknown"]
    assert "looks before it acts" in plan_rows(LOOK, lost, 100)[-1].plain
    failed = moment(rolling_back().finished("r2", 3).view(), Live())
    assert [one.state for one in parts(failed)] == ["pass", "fail"]
    assert "exit 3" in plan_rows(LOOK, failed, 100)[-1].plain


def test_a_part_that_never_began_is_not_called_todo_after_the_end() -> None:
    told = rolling_back(done=0).finished("r1", 1)
    told.add(
        "rollback.end",
        rollback="rb1",
        state="rollback_incomplete",
        verified=[],
        why="web: exit 1",
        cause=None,
        duration_ms=1000,
    )
    assert [one.state for one in parts(moment(told.view(), Live()))] == ["fail", "not-run"]


def test_rows_never_exceed_the_width_they_get() -> None:
    live = Live()
    for number in range(30):
        live.take(Output("r2", "stdout", f"line {number} " + "x" * 200 + "\x1b[2J[red]", number * 1000))
    now = moment(rolling_back().view(alive=frozenset(["r2"])), live)
    for width in (20, 40, 76, 116):
        for rows in (plan_rows(LOOK, now, width), verify_rows(LOOK, now, width), output_rows(LOOK, now, width, 8)):
            assert all(row.cell_length <= max(width, 28) for row in rows), width
    assert len(output_rows(LOOK, now, 80, 8)) == 8
    assert "\x1b" not in output_rows(LOOK, now, 300, 1)[0].plain


def test_entries_come_from_the_run_alone_in_their_order() -> None:
    found = entries(moment(rolled_back().view(), Live()))
    assert [one.seq for one in found] == sorted({one.seq for one in found})
    assert found[0].type == "rollback.intent" and found[-1].type == "run.end"
    assert entries(moment(after().view(), Live())) == []
