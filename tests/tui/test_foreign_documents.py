"""Documents of others on the screen: Markdown is letters, and a commit or version shows nothing but itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from captain.release import Release
from captain.run.view import View
from captain.tui.dialogs.base import Heading
from captain.tui.dialogs.note import NoteDialog
from captain.tui.moment import Known, Live, moment
from captain.tui.present import Look
from captain.tui.wayback import way_back
from captain.tui.widgets.bars import HeaderBar
from tests.tui.dialog_world import Host
from tests.tui.snapshots import until, words
from tests.tui.test_run_pictures import settled
from tests.tui.walk import HEX, NOW, Walk, app_of

HIDDEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]")
MARKDOWN = "# Go\n[ok](javascript:alert(1)) ![x](http://example.com/p.png) <script>x</script>\n" + (
    "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 20_000
)
COMMIT = "fix: \x1b[2J\x1b]0;owned\x07 \u202egnp.exe " + "A" * 1_000_000


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    made = Walk(tmp_path / "log.sqlite")
    yield made
    made.close()


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_row_51_markdown_evidence_is_plain_text_without_links(walk: Walk, size: tuple[int, int]) -> None:
    walk.at("14:00:00").result("tests-passing", "fail", "status = 500", conditions=[], body=MARKDOWN)
    app = app_of(walk)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: settled(app) and "# Go" in words(app))
        text = words(app)
        assert "[ok](javascript:alert(1))" in text, "the address stands there to be read"
        assert "▌" in text and text.splitlines()[-1].rstrip().endswith("? help"), "a huge table takes no other's place"
        for strip in app.screen._compositor.render_strips():
            for segment in strip:
                style = segment.style
                assert style is None or style.link is None
                assert style is None or "javascript" not in str(style.meta)


async def test_row_47_a_hostile_commit_message_is_one_bounded_visible_line(walk: Walk) -> None:
    told = [("git.subject == 'fix'", "fail", f"git.subject = {COMMIT}"[:2000])]
    walk.at("14:00:00").result("tests-passing", "fail", f"git.subject = {COMMIT}"[:2000], conditions=told, body=COMMIT)
    app = app_of(walk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: settled(app) and "␛[2J" in words(app))
        text = words(app)
        assert HIDDEN.search(text) is None
        assert "\\u{202e}gnp.exe" in text and "␛]0;owned␇" in text
        assert app.title == "captain"


def test_row_47_version_and_commit_of_the_release_are_shown_as_letters(walk: Walk) -> None:
    evil = Release("1.4.0\x1b[2J\u202e" + "9" * 1_000_000, commit="\x1b[1m\u202eabcdef0")
    run = replace(walk.looking().run(), release=evil, previous=evil)
    view = View(run, walk.target, NOW, {step.id: HEX for _, step in walk.target.checklist.steps()}, me="karen")
    for width in (78, 118):
        header = HeaderBar(Look(), Known("shop", "production", True, evil.label))
        first = header.row(width)
        header.moment = moment(view, Live())
        for row in (first, header.row(width), way_back(Look(), header.moment, width)):
            assert row.cell_length == width and HIDDEN.search(row.plain) is None, row.plain
        assert "▲ PRODUCTION" in header.row(width).plain


async def test_row_47_a_dialog_names_the_release_in_letters_only() -> None:
    heading = Heading("shop", "production", True, "1.4.0\x1b[2J\u202e", "\x1b[1m\u202eab")
    app = Host(NoteDialog(heading))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert HIDDEN.search(words(app)) is None and "1.4.0␛[2J\\u{202e}" in words(app)
