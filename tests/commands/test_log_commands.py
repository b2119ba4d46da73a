"""captain verify, export, history and show over logs of every kind."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from captain.commands.shared import runs
from captain.log.store import Log
from tests.commands.conftest import Captain
from tests.shop import Shop


@pytest.fixture
def noted(shop: Shop, captain_says: Captain) -> str:
    """A run with some entries."""
    run = captain_says("run", "deploy", "-r", "1.5.0", "-e", "staging", "--no-screen").out.strip()
    captain_says("check", "deploy", "--run", run, "--section", "pre")
    captain_says("sign", run, "on-call-told", "--approve", "--note", "=HYPERLINK(1) | <b>x</b> [ok](javascript:1)")
    return run


def test_an_intact_log_is_0_with_its_head(shop: Shop, captain_says: Captain, noted: str) -> None:
    said = captain_says("verify")
    assert said.code == 0
    word, count, _, root_word, root = said.out.split()
    assert (word, root_word, len(root)) == ("intact", "root", 64)
    found = captain_says("verify", "--json").json
    assert (found["state"], found["entries"], found["root"]) == ("intact", int(count), root)


def test_a_changed_entry_is_1_and_named(shop: Shop, captain_says: Captain, noted: str) -> None:
    connection = sqlite3.connect(shop.settings.log, isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute("UPDATE entry SET body = replace(body, 'karen', 'boris') WHERE seq = 3")
    connection.close()
    said = captain_says("verify", str(shop.settings.log))
    assert said.code == 1
    assert "TAMPERED" in said.out
    assert "entry 3: " in said.out


@pytest.mark.parametrize(
    ("content", "code"), [(b"", 2), (b"SQLite format 3\0" + b"x" * 200, 2), (b"a letter to a friend " * 30, 2)]
)
def test_what_is_no_log_is_2_without_a_traceback(
    captain_says: Captain, tmp_path: Path, content: bytes, code: int
) -> None:
    path = tmp_path / "thing"
    path.write_bytes(content)
    said = captain_says("verify", str(path))
    assert said.code == code
    assert "Traceback" not in said.out + said.err
    assert path.read_bytes() == content


@pytest.mark.parametrize("words", [["status"], ["history"], ["show"], ["export", "--format", "jsonl", "-o", "-"]])
def test_a_log_that_is_just_being_made_is_waited_for(shop: Shop, captain_says: Captain, words: list[str]) -> None:
    """A new log is an empty file first: who reads it in that moment must not be told that it is none."""
    shop.settings.log.parent.mkdir(mode=0o700)
    shop.settings.log.touch(mode=0o600)

    def make() -> None:
        shop.log().close()

    maker = threading.Timer(0.1, make)
    maker.start()
    try:
        said = captain_says(*words)
    finally:
        maker.join()
    assert "is empty" not in said.err
    assert said.code == (2 if words == ["show"] else 0), said.err


def test_a_log_that_stays_empty_is_not_waited_for_long(
    shop: Shop, captain_says: Captain, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.settings.log.parent.mkdir(mode=0o700)
    shop.settings.log.touch(mode=0o600)
    assert 0 < runs.BEING_MADE <= 1
    monkeypatch.setattr(runs, "BEING_MADE", 0.05)
    said = captain_says("status")
    assert said.code == 2
    assert "is empty: it is being made, or it is none; try again" in said.err


def test_a_log_that_is_not_there_is_3(captain_says: Captain, tmp_path: Path) -> None:
    assert captain_says("verify", str(tmp_path / "none")).code == 3
    assert not (tmp_path / "none").exists()


def test_jsonl_is_the_log_byte_for_byte_and_says_that_it_was_made(
    shop: Shop, captain_says: Captain, noted: str, tmp_path: Path
) -> None:
    out = tmp_path / "log.jsonl"
    with shop.log(read_only=True) as log:
        bodies = list(log.bodies())
    assert captain_says("export", "--format", "jsonl", "-o", str(out)).code == 0
    assert out.read_text() == "".join(f"{body}\n" for body in bodies)
    assert out.stat().st_mode & 0o777 == 0o600
    made = shop.recorded("export.made")[0].data
    assert (made["format"], made["scope"], made["first"], made["last"]) == ("jsonl", None, 1, len(bodies))
    assert made["bytes"] == out.stat().st_size
    assert captain_says("verify").code == 0


def test_one_run_goes_to_stdout(shop: Shop, captain_says: Captain, noted: str) -> None:
    said = captain_says("export", "shop", "--format", "jsonl", "-o", "-")
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert {line["run"] for line in lines} == {noted}
    assert shop.recorded("export.made")[0].data["scope"] == noted


def test_a_spreadsheet_can_read_the_csv(shop: Shop, captain_says: Captain, noted: str) -> None:
    rows = list(csv.DictReader(io.StringIO(captain_says("export", "--format", "csv", "-o", "-").out)))
    signed = next(row for row in rows if row["type"] == "signoff")
    assert (signed["actor"], signed["step"], signed["verdict"]) == ("karen@example.com", "on-call-told", "approve")
    assert signed["note"].startswith("'=HYPERLINK")


def test_a_ticket_can_hold_the_markdown(shop: Shop, captain_says: Captain, noted: str) -> None:
    text = captain_says("export", noted, "--format", "markdown", "-o", "-").out
    assert text.startswith("# shop-staging-1.5.0\n")
    assert "| Healthy before | ✓ pass |" in text
    assert "<b>" not in text
    assert "\\](javascript" in text, "the bracket is escaped"


@pytest.mark.parametrize("made", ["file", "link", "dangling link", "folder", "fifo"])
def test_row_57_an_export_writes_over_nothing_and_through_nothing(
    shop: Shop, captain_says: Captain, noted: str, tmp_path: Path, made: str
) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    other.write_text("precious")
    if made == "file":
        out.write_text("precious")
    elif made == "link":
        out.symlink_to(other)
    elif made == "dangling link":
        out.symlink_to(tmp_path / "new")
    elif made == "folder":
        out.mkdir()
    else:
        os.mkfifo(out)
    words = ["export", "--format", "jsonl", "-o", str(out)]
    assert captain_says(*words).code == 2
    forced = captain_says(*words, "--force").code
    assert forced == (0 if made == "file" else 2)
    assert other.read_text() == "precious"
    assert not (tmp_path / "new").exists()
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".captain-")], "no draft is left"


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/null", "nowhere/out", "..", "."])
def test_row_57_devices_and_folders_that_are_not_there_are_refused(
    shop: Shop, captain_says: Captain, noted: str, path: str
) -> None:
    said = captain_says("export", "--format", "jsonl", "-o", path)
    assert said.code == 2
    assert "Traceback" not in said.err


def test_formats_and_runs_that_are_not_there_are_refused(shop: Shop, captain_says: Captain, noted: str) -> None:
    unknown = captain_says("export", "--format", "junit", "-o", "-")
    assert unknown.code == 2
    assert "csv, jsonl, markdown" in unknown.err
    assert captain_says("export", "nobody", "--format", "csv", "-o", "-").code == 2


def test_a_new_user_has_no_runs_and_no_error(
    shop: Shop, captain_says: Captain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CAPTAIN_LOG")
    assert captain_says("history", "--json").json == []
    assert captain_says("status").code == 0
    named = captain_says("--log", "nowhere.sqlite", "history")
    assert named.code == 2, "a log that was named must be there"
    assert not Path("nowhere.sqlite").exists()


def test_history_lists_the_newest_first(shop: Shop, captain_says: Captain, noted: str) -> None:
    captain_says("abort", noted, "--reason", "no")
    captain_says("run", "deploy", "-r", "1.6.0", "-e", "staging", "--no-screen")
    captain_says("check", "deploy", "-e", "staging")
    rows = captain_says("history", "--json").json
    assert [(row["run"], row["state"]) for row in rows] == [("shop-staging-1.6.0", "open"), (noted, "aborted")]
    assert set(rows[0]) == {
        *("run", "kind", "service", "environment", "version", "commit"),
        *("state", "verdict", "started_at", "ended_at", "by"),
    }
    assert len(captain_says("history", "--kind", "all", "--json").json) == 3
    assert len(captain_says("history", "-n", "1", "--json").json) == 1
    assert noted in captain_says("history").out


def test_a_log_of_which_only_a_copy_may_be_read_is_still_exported(
    shop: Shop, captain_says: Captain, noted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer captain wrote the log: reading goes on, recording does not."""
    monkeypatch.setattr(Log, "read_only", property(lambda _: True))
    said = captain_says("export", "--format", "jsonl", "-o", "-")
    assert said.code == 0
    assert "could not be recorded" in said.err


def test_row_52_a_pasted_note_is_bounded_and_shown_harmless(shop: Shop, captain_says: Captain, noted: str) -> None:
    said = captain_says("note", noted, "\x1b]52;c;eA==\x07\x1b[201~" + "x" * 1_000_000)
    assert said.code == 0
    assert len(shop.recorded("step.note")[0].data["text"].encode()) <= 4096
    for words in (["show", noted], ["export", noted, "--format", "markdown", "-o", "-"]):
        assert "\x1b" not in captain_says(*words).out
