"""The step's panel on a small screen: rows stay rows, whatever there is to scroll."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.snapshots import until, words
from tests.tui.test_asked_again import at, detail
from tests.tui.test_run_pictures import on_step, settled
from tests.tui.walk import Walk, app_of


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    made = Walk(tmp_path / "log.sqlite")
    yield made
    made.close()


@pytest.mark.parametrize(("size", "last"), [((80, 24), 3), ((120, 40), 9)])
async def test_a_body_stands_line_by_line_in_all_the_rows_that_are_free(
    walk: Walk, size: tuple[int, int], last: int
) -> None:
    body = json.dumps({f"check_{number}": "ok" for number in range(60)}, indent=2)
    walk.looking().result("version", body=body)
    app = app_of(walk)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: settled(app))
        await on_step("version")(pilot)
        await until(pilot, lambda: settled(app) and "check_0" in words(app))
        text = words(app)
        assert not app.screen.query_one("#step").show_vertical_scrollbar
        assert "␊" not in text and "body    {" in text and '  "check_0": "ok",' in text and " …" in text
        assert f'"check_{last}"' in text, text
        await pilot.press("2")
        # With the focus here all of it can be scrolled.
        await until(pilot, lambda: app.screen.query_one("#step").show_vertical_scrollbar)


@pytest.mark.parametrize("length", [30, 34, 35, 36, 37, 38, 39, 40, 51])
def test_a_long_condition_never_touches_what_was_seen(walk: Walk, length: int) -> None:
    long = "dead_recent == 0 && dead_older == 0 && workers >= 3"
    walk.looking().result("version", "unknown", "", conditions=[(long[:length], "unknown", "broker = ?")])
    for width in (60, 70, 76):
        rows = [row.plain for row in detail(at(walk), "version", width).rows()]
        assert any("  broker = ?" in row for row in rows), rows


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_cause_is_seen_beside_a_long_question(walk: Walk, size: tuple[int, int]) -> None:
    asked = f"sql ferry at 127.0.0.1:5432: select {', '.join(f'column_{number}' for number in range(30))} from jobs"
    cause = "127.0.0.1 refused the connection"
    walk.looking().result(
        "version", "unknown", f"{asked}: {cause}", conditions=[], asked=asked, error=f"{asked}: {cause}", body=None
    )
    app = app_of(walk)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: settled(app))
        await on_step("version")(pilot)
        await until(pilot, lambda: settled(app) and cause in words(app))
        rows = words(app).splitlines()
    assert any(f"says    {cause}" in row for row in rows) and any("asked   sql ferry at" in row for row in rows)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_scrollbar_takes_no_cell_of_a_row(walk: Walk, size: tuple[int, int]) -> None:
    many = [(f"value_{number} < {number}", "pass", f"value_{number} = 0") for number in range(40)]
    walk.looking().result("version", conditions=many)
    app = app_of(walk)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: settled(app))
        await on_step("version")(pilot)
        await until(pilot, lambda: settled(app) and "value_4 < 4" in words(app))
        assert app.screen.query_one("#step").show_vertical_scrollbar
        rows = words(app).splitlines()
    head = next((row for row in rows if "Version answers 1.4.0" in row and "✓ pass" in row and "ms" in row), "")
    assert "41 ms" in head
    for number in range(4):
        assert sum(f"value_{number} <" in row and "✓" in row for row in rows) == 1, rows
