"""A full disk, a lock, a file one may not write: each is named, and nothing is half recorded."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from captain.errors import AppendUnknown, LogError
from captain.log import connection as connections
from captain.log.ballast import ballast_path
from captain.log.store import Log
from captain.log.trouble import explain
from captain.log.verify import verify
from tests.log_parts import KAREN, HandClock, intruder, note


class Failing:
    """Stands before the database and lets COMMIT fail: before it happens, or after."""

    def __init__(self, log: Log, error: Exception, *, after: bool, times: int = 1) -> None:
        self.log, self.error, self.after, self.left = log, error, after, times
        assert log._opened is not None
        self.real = log._opened.database.execute
        log._opened.database.execute = self.execute  # type: ignore[method-assign]

    def execute(self, sql: str, parameters: object = None) -> sqlite3.Cursor:
        if sql == "COMMIT" and self.left:
            self.left -= 1
            if self.after:
                self.real(sql)
            raise self.error
        return self.real(sql, parameters)  # type: ignore[arg-type]


def error_of(code: int, text: str = "it broke") -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


def full(log: Log) -> None:
    """Give the database no page more than it has. (A pragma of the connection, so the guard is lifted for it.)"""
    assert log._opened is not None
    log._opened.database.conn.set_authorizer(None)
    pages = log.rows("PRAGMA page_count")[0][0]
    log.rows(f"PRAGMA max_page_count = {pages}")


def test_a_commit_that_failed_after_it_happened_counts_once(log: Log) -> None:
    Failing(log, error_of(sqlite3.SQLITE_IOERR), after=True)
    (event,) = log.append([note("once")], actor=KAREN)
    assert log.entry(event.seq) == event
    assert [entry.type for entry in log.entries()] == ["log.open", "step.note"]
    assert log.append([note("and on")], actor=KAREN)[0].seq == 3


def test_a_commit_that_failed_before_it_happened_is_tried_again(log: Log) -> None:
    built = []
    Failing(log, error_of(sqlite3.SQLITE_IOERR), after=False)
    events = log.append(build=lambda reader: built.append(reader.size()) or [note("a"), note("b")], actor=KAREN)  # type: ignore[func-returns-value]
    assert [event.seq for event in events] == [2, 3]
    assert built == [1, 1]
    assert log.size() == 3
    assert verify(log.path).exit_code == 0


def test_a_commit_whose_outcome_cannot_be_read_stops_captain(log: Log, log_path: Path) -> None:
    Failing(log, error_of(sqlite3.SQLITE_IOERR), after=True)
    hidden = log_path.with_name("gone")
    assert log._opened is not None
    close = log._opened.database.close

    def close_and_hide() -> None:
        close()
        log_path.rename(hidden)
        log_path.mkdir()

    log._opened.database.close = close_and_hide  # type: ignore[method-assign]
    with pytest.raises(AppendUnknown, match="unknown") as caught:
        log.append([note("who knows")], actor=KAREN)
    assert caught.value.hint is not None and "verify" in caught.value.hint
    with pytest.raises(LogError, match="is closed"):
        log.append([note("no further")], actor=KAREN)
    log_path.rmdir()
    hidden.rename(log_path)
    with Log.open(log_path, clock=HandClock()) as again:
        assert again.size() == 2


def test_a_full_disk_is_named_and_nothing_is_recorded(log: Log) -> None:
    ballast_path(log.path).unlink()
    full(log)
    recorded = 0
    with pytest.raises(LogError, match="the disk is full") as caught:
        while True:
            log.append([note("x" * 4000)], actor=KAREN)
            recorded += 1
    assert caught.value.hint is not None and "free some space" in caught.value.hint
    assert not isinstance(caught.value, AppendUnknown)
    size = log.size()
    assert size == recorded + 1
    assert verify(log.path).entries == size


def test_the_reserve_is_spent_when_the_disk_is_full_and_the_entry_recorded(log: Log) -> None:
    assert ballast_path(log.path).stat().st_size == 1024 * 1024
    Failing(log, error_of(sqlite3.SQLITE_FULL, "database or disk is full"), after=False)
    assert log.append([note("the rollback begins")], actor=KAREN)[0].seq == 2
    assert not ballast_path(log.path).exists()
    log.close()
    Log.open(log.path, clock=HandClock()).close()
    assert ballast_path(log.path).exists()


def test_a_log_that_another_program_holds_is_named(log: Log, log_path: Path) -> None:
    assert log._opened is not None
    log._opened.database.conn.set_authorizer(None)
    log.rows("PRAGMA busy_timeout = 50")
    with intruder(log_path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogError, match="another process has been holding it"):
            log.append([note()], actor=KAREN)
        other.execute("ROLLBACK")
    assert log.append([note()], actor=KAREN)[0].seq == 2


WRITER_AS = """
import os, sys, getpass, sqlite_utils
from pathlib import Path
from captain.clock import SystemClock, boot_id
from captain.errors import LogError
from captain.events import Actor, Draft
from captain.log.store import Log
boot_id()
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(4242)
    os.setuid(4242)
try:
    with Log.open(Path(sys.argv[1]), clock=SystemClock()) as log:
        note = Draft("step.note", "r", {"step": None, "text": "", "evidence": []})
        log.append([note], actor=Actor("", "", "", 1, ""))
except LogError as error:
    print(error.message, "|", error.hint)
    sys.exit(7)
"""


def as_somebody(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WRITER_AS, str(path)], capture_output=True, text=True, timeout=60)


def open_to_somebody(folder: Path) -> None:
    """Let another user come as far as `folder`, where the tests run as root."""
    for part in (folder, *folder.parents):
        if part.stat().st_uid == os.geteuid() and not part.stat().st_mode & 0o001 and len(part.parts) > 2:
            part.chmod(part.stat().st_mode | 0o011)


def test_a_directory_one_may_not_write_is_named(tmp_path: Path) -> None:
    open_to_somebody(tmp_path)
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o555)
    done = as_somebody(folder / "log.sqlite")
    folder.chmod(0o755)
    assert done.returncode == 7, done.stderr
    assert "Permission denied" in done.stdout and "mode and owner" in done.stdout


def test_a_file_one_may_not_write_is_named(ten: Path) -> None:
    open_to_somebody(ten.parent)
    if os.geteuid() == 0:
        os.chown(ten, 4242, 4242)
        os.chown(ten.parent, 4242, 4242)
    ten.chmod(0o400)
    done = as_somebody(ten)
    assert done.returncode == 7, done.stderr
    assert "the file is not writable" in done.stdout


def test_a_write_cut_off_by_the_system_is_named_and_undone(ten: Path) -> None:
    """A limit on the size of files is what a quota looks like to SQLite: a plain write error."""
    script = WRITER_AS.replace("os.geteuid() == 0", "False").replace(
        "with Log", "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n    with Log"
    )
    done = subprocess.run([sys.executable, "-c", script, str(ten)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 7, done.stderr
    assert "the disk reported an error" in done.stdout
    report = verify(ten)
    assert (report.exit_code, report.entries) == (0, 10)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (sqlite3.SQLITE_CORRUPT, "damaged"),
        (sqlite3.SQLITE_NOTADB, "not an SQLite database"),
        (sqlite3.SQLITE_AUTH, "not allowed"),
        (sqlite3.SQLITE_CONSTRAINT, "refused it"),
        (sqlite3.SQLITE_IOERR, "disk reported an error"),
        (sqlite3.SQLITE_READONLY, "cannot be opened for writing"),
        (sqlite3.SQLITE_NOMEM, "it broke"),
        (0, "it broke"),
    ],
)
def test_every_cause_has_a_sentence_and_a_way_on(tmp_path: Path, code: int, cause: str) -> None:
    (tmp_path / "log").touch()
    error = explain(error_of(code), tmp_path / "log", "read")
    assert error.message.startswith(f"cannot read the log {tmp_path / 'log'}: ")
    assert cause in error.message
    assert error.hint


def test_a_damaged_log_is_told_what_a_person_can_do_now(tmp_path: Path) -> None:
    hint = explain(error_of(sqlite3.SQLITE_CORRUPT), tmp_path / "log", "read").hint or ""
    assert "copy the file and the folder beside it away" in hint
    assert "captain verify says what is still good" in hint


def test_the_settings_are_those_that_survive_a_power_cut(ten: Path) -> None:
    connection = connections.connect(ten, writing=True)
    wanted = {
        "synchronous": 3,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "recursive_triggers": 1,
        "foreign_keys": 1,
        "busy_timeout": 30000,
        "journal_mode": "delete",
    }
    assert {name: connections.pragma(connection, name) for name in wanted} == wanted
    connection.close()
