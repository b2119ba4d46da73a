"""What may not be captain's log is refused with the reason, and stays exactly as it is."""

from __future__ import annotations

import os
import socket
import sqlite3
from pathlib import Path

import pytest

from captain.errors import LogError, NotALog
from captain.log import guard
from captain.log.schema import APPLICATION_ID, STATEMENTS
from captain.log.store import Log
from tests.log_parts import HandClock, intruder
from tests.requirements import need

AS_ROOT = os.geteuid() == 0


def refused(path: Path, why: str) -> LogError:
    before = {item: item.read_bytes() for item in path.parent.iterdir() if item.is_file() and not item.is_symlink()}
    with pytest.raises(LogError, match=why) as caught:
        Log.open(path, clock=HandClock())
    assert caught.value.hint
    assert {item: item.read_bytes() for item in before} == before
    return caught.value


def test_row_59_a_symbolic_link_is_refused(ten: Path) -> None:
    link = ten.with_name("link")
    link.symlink_to(ten)
    refused(link, "is a symbolic link")
    dangling = ten.with_name("dangling")
    dangling.symlink_to(ten.with_name("nowhere"))
    refused(dangling, "is a symbolic link")
    assert not ten.with_name("nowhere").exists()


def test_row_59_a_link_further_up_the_path_is_fine(ten: Path, tmp_path: Path) -> None:
    (tmp_path / "short").symlink_to(ten.parent)
    with Log.open(tmp_path / "short" / ten.name, clock=HandClock()) as log:
        assert log.path == ten


def test_row_59_a_hard_link_is_refused(ten: Path, tmp_path: Path) -> None:
    os.link(ten, tmp_path / "second-name")
    refused(ten, "hard links")


def test_row_59_pipes_directories_devices_and_sockets_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "is a named pipe")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", "is a directory")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        refused(tmp_path / "socket", "is a socket")
    with pytest.raises(NotALog, match="is a device"):
        Log.open(Path("/dev/null"), clock=HandClock())


def test_row_59_a_log_that_everyone_can_write_is_refused(ten: Path) -> None:
    ten.chmod(0o666)
    refused(ten, "writable by everyone")
    ten.chmod(0o600)
    ten.parent.chmod(0o777)
    refused(ten, "writable by everyone")
    ten.parent.chmod(0o1777)
    refused(ten, "writable by everyone")


def test_row_59_a_log_of_another_user_is_refused_but_for_a_team(ten: Path) -> None:
    need("a file of another user", None if AS_ROOT else "needs root")
    os.chown(ten, 4242, os.getegid())
    refused(ten, "belongs to user 4242")
    with Log.open(ten, clock=HandClock(), read_only=True) as log:
        assert log.size() == 10
    ten.chmod(0o660)
    ten.parent.chmod(0o2770)
    with Log.open(ten, clock=HandClock()) as log:
        assert log.size() == 10


def test_a_log_made_in_a_teams_directory_belongs_to_the_team(tmp_path: Path) -> None:
    folder = tmp_path / "team"
    folder.mkdir()
    folder.chmod(0o2770)
    Log.open(folder / "log.sqlite", clock=HandClock()).close()
    assert (folder / "log.sqlite").stat().st_mode & 0o777 == 0o660


def test_row_59_a_network_filesystem_is_refused_unless_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert guard.filesystem(Path("/proc")) == "proc"
    for kind in ("nfs4", "cifs", "9p", "fuse.sshfs"):
        monkeypatch.setattr(guard, "filesystem", lambda folder, kind=kind: kind)
        with pytest.raises(LogError, match=rf"network filesystem \({kind}\)"):
            Log.open(tmp_path / "log.sqlite", clock=HandClock())
    Log.open(tmp_path / "log.sqlite", clock=HandClock(), allow_network_fs=True).close()


@pytest.mark.parametrize("content", [b"hello\n", b"\0" * 4096, b"SQLite format 3\0", os.urandom(8192)])
def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.sqlite"
    path.write_bytes(content)
    assert isinstance(refused(path, "is not a captain log"), NotALog)


def test_row_60_the_database_of_another_program_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    with intruder(path) as connection:
        connection.execute("CREATE TABLE entry(seq INTEGER PRIMARY KEY, body TEXT)")
    refused(path, "is not a captain log")


def test_row_60_captains_number_on_a_foreign_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    with intruder(path) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        connection.execute("CREATE TABLE base(a)")
        connection.execute("CREATE VIEW entry AS SELECT 1 AS seq, load_extension('x') AS body FROM base")
    refused(path, "the (view|table) .* (does not belong|is missing)")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("DROP TRIGGER entry_update", "the trigger entry_update is missing"),
        ("DROP INDEX entry_run", "the index entry_run is missing"),
        ("CREATE VIEW notes AS SELECT 1", "the view notes does not belong"),
        (
            "CREATE TRIGGER spy AFTER INSERT ON entry BEGIN DELETE FROM evidence; END",
            "the trigger spy does not belong",
        ),
        ("ALTER TABLE evidence ADD COLUMN more TEXT", "the table evidence was changed"),
        ("ANALYZE", "sqlite_stat1 does not belong"),
    ],
)
def test_row_60_a_changed_schema_is_refused_by_name(ten: Path, change: str, why: str) -> None:
    with intruder(ten) as connection:
        connection.execute(change)
    refused(ten, why)


def test_row_60_a_log_in_wal_mode_is_refused_before_sqlite_touches_it(ten: Path) -> None:
    with intruder(ten) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    error = refused(ten, "journal mode to wal")
    assert error.hint is not None and "journal_mode=delete" in error.hint
    assert sorted(item.name for item in ten.parent.iterdir()) == ["log.sqlite", "log.sqlite.d"]


def test_row_60_wal_mode_turned_on_while_captain_runs_stops_it(log: Log, log_path: Path) -> None:
    with intruder(log_path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        with pytest.raises(LogError, match="journal mode to wal"):
            log.append(build=lambda reader: pytest.fail("must not get here"), actor=log.entry(1).actor)  # type: ignore[union-attr]


def crashed_writer(path: Path) -> None:
    """Leave the file as a writer leaves it that is killed halfway through a commit."""
    copy = path.with_name("copy")
    with intruder(path) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO evidence VALUES (?, zeroblob(16), 'text/plain', zeroblob(9000))",
            [(bytes([number]) * 32,) for number in range(60)],
        )
        copy.write_bytes(path.read_bytes())
        copy.with_name("copy-journal").write_bytes(path.with_name(path.name + "-journal").read_bytes())
        connection.execute("ROLLBACK")
    copy.replace(path)
    path.chmod(0o600)
    copy.with_name("copy-journal").replace(path.with_name(path.name + "-journal"))


def test_what_a_crash_left_halfway_is_undone_by_the_next_captain(ten: Path) -> None:
    crashed_writer(ten)
    with Log.open(ten, clock=HandClock(), read_only=True) as log:
        assert log.size() == 10
        assert log.rows("SELECT count(*) FROM evidence") == [(0,)]
    assert not ten.with_name(ten.name + "-journal").exists()


def test_row_60_a_planted_journal_that_would_delete_a_file_is_refused(ten: Path) -> None:
    crashed_writer(ten)
    victim = ten.with_name("victim")
    victim.write_bytes(b"do not delete")
    journal = ten.with_name(ten.name + "-journal")
    name = str(victim).encode()
    tail = (
        (0x40000000 // 4096 + 1).to_bytes(4, "big")
        + name
        + len(name).to_bytes(4, "big")
        + (sum(name) & 0xFFFFFFFF).to_bytes(4, "big")
        + bytes.fromhex("d9d505f920a163d7")
    )
    journal.write_bytes(journal.read_bytes() + tail)
    refused(ten, "names another file to be deleted")
    assert victim.exists()


def test_row_60_a_journal_that_is_no_plain_file_of_ones_own_is_refused(ten: Path) -> None:
    journal = ten.with_name(ten.name + "-journal")
    journal.symlink_to(ten.with_name("elsewhere"))
    refused(ten, "no plain file")
    journal.unlink()
    if AS_ROOT:
        journal.write_bytes(b"")
        os.chown(journal, 4242, 4242)
        refused(ten, "belongs to user 4242")


def test_a_log_that_is_moved_away_takes_no_more_entries(log: Log, log_path: Path) -> None:
    first = log.entry(1)
    assert first is not None
    log_path.rename(log_path.with_name("elsewhere"))
    with pytest.raises(LogError, match="moved, deleted or replaced"):
        log.append(actor=first.actor)
    log_path.with_name("elsewhere").rename(log_path)
    assert log.append(actor=first.actor) == []


def test_the_open_connection_cannot_change_the_shape_of_the_log(log: Log, tmp_path: Path) -> None:
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA writable_schema = ON",
        "PRAGMA user_version = 9",
        "PRAGMA synchronous = OFF",
        f"ATTACH '{tmp_path / 'other'}' AS other",
        "UPDATE entry SET run = ''",
        "DELETE FROM entry",
        "DELETE FROM evidence",
        "DELETE FROM checkpoint",
        "UPDATE log SET log_id = ''",
        "INSERT INTO log VALUES (1, '', 1)",
        "DROP TRIGGER entry_update",
        "ALTER TABLE entry RENAME TO gone",
        "CREATE TABLE more(a)",
        "CREATE TEMP VIEW entry AS SELECT 1",
        "SELECT load_extension('x')",
        "REINDEX",
        "VACUUM",
    ):
        with pytest.raises(LogError):
            log.rows(statement)
    with pytest.raises(LogError, match="does not extend the log"):
        log.rows("REPLACE INTO entry SELECT * FROM entry")
    assert [len(row) for row in log.rows("PRAGMA table_info(entry)")][:1] == [6]
    assert log.rows("PRAGMA integrity_check") == [("ok",)]


def test_even_a_shell_cannot_change_entries_while_the_triggers_stand(ten: Path) -> None:
    with intruder(ten) as connection:
        for statement in (
            "UPDATE entry SET run = ''",
            "DELETE FROM entry",
            "DELETE FROM log",
            "UPDATE log SET format = 1",
            "INSERT INTO log VALUES (2, hex(zeroblob(16)), 1)",
            "INSERT OR REPLACE INTO entry SELECT * FROM entry WHERE seq = 3",
            "INSERT INTO entry SELECT 12, hex(zeroblob(13)), prev, hash, run, type, body FROM entry WHERE seq = 10",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(statement)


def test_every_statement_of_the_schema_stands_alone() -> None:
    with sqlite3.connect(":memory:") as connection:
        for statement in STATEMENTS:
            connection.execute(statement)
    connection.close()
