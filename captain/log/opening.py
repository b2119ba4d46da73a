"""From a path to a connection that may be trusted: makes the log where there is none, refuses what is not one."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from captain.errors import LogError, NotALog
from captain.log import guard
from captain.log.connection import connect, is_log, pragma, refuse_other_journals, restrict, schema_rows, wrong_journal
from captain.log.envelope import Sealed
from captain.log.schema import APPLICATION_ID, FORMAT, STATEMENTS, differences
from captain.log.trouble import not_writable

if TYPE_CHECKING:
    from sqlite_utils import Database

INSERT_ENTRY = "INSERT INTO entry(seq, id, prev, hash, run, type, body) VALUES (?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Opened:
    """A guarded connection and what was found."""

    database: Database
    file: guard.Identity
    log_id: str
    newer: bool
    """The log was written by a newer captain: read it at most."""

    def close(self) -> None:
        """Let go of the file."""
        try:
            self.database.close()
        finally:
            guard.let_go(self.file)


def open_file(path: Path, *, read_only: bool, first: Callable[[str], Sealed]) -> Opened:
    """The log at `path`; a new one gets the entry that `first` makes for its log id.

    Raises NotALog for anything else, LogError for a log that must not be used, sqlite3.Error and OSError.
    """
    from sqlite_utils import Database

    status = guard.regular(path)
    if status is None:
        if read_only:
            raise LogError(f"there is no log at {path}", hint="the first run makes it; or name another with --log")
        guard.create(path)
        status = guard.regular(path)
    if status is None:
        raise LogError(f"the log {path} vanished while it was opened")
    # A reader of one's own log opens it for writing all the same, so SQLite can undo what a crash left halfway.
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    writing = not read_only or (writable and not guard.foreign(path, status))
    if writing:
        guard.refuse_exposed(path, status)
    if not (read_only or writable):
        raise not_writable(path)
    _look(path, read_only)
    file = guard.identity(status)
    guard.hold(file)
    connection: sqlite3.Connection | None = None
    try:
        connection = connect(path, writing=writing)
        database = Database(connection, execute_plugins=False)
        refuse_other_journals(connection, path)
        newer = _inspect(connection, path, read_only, first)
        restrict(connection, writing=not read_only and not newer)
        log_id = connection.execute("SELECT log_id FROM log").fetchone()
        if log_id is None:
            raise NotALog(f"the log {path} has no identity", hint="run captain verify, and keep the file as it is")
        refuse_moved(path, file)
    except BaseException:
        if connection is not None:
            connection.close()
        guard.let_go(file)
        raise
    return Opened(database, file, str(log_id[0]), newer)


def refuse_moved(path: Path, file: guard.Identity) -> None:
    """Raise when `path` no longer names the file that is open: entries written into it would be lost with it."""
    status = guard.regular(path)
    if status is None or guard.identity(status) != file:
        raise LogError(
            f"the log {path} was moved, deleted or replaced while captain had it open",
            hint="put it back and start captain again",
        )


def _look(path: Path, read_only: bool) -> None:
    """Refuse by the first bytes, before SQLite may write a thing into another program's file."""
    header = guard.peek(path)
    if header is None:
        return
    if header.empty:
        if read_only:
            raise NotALog(f"the log {path} is empty", hint="name a captain log with --log")
        return
    if not header.ours:
        raise _not_a_log(path)
    if header.wal:
        raise wrong_journal(path, "wal")


def _inspect(connection: sqlite3.Connection, path: Path, read_only: bool, first: Callable[[str], Sealed]) -> bool:
    """Make the tables where there are none, else refuse tables that are not exactly captain's. Returns `newer`."""
    rows = schema_rows(connection)
    if not rows and not read_only:
        connection.execute("PRAGMA encoding='UTF-8'")
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not schema_rows(connection):
                _create(connection, first)
            rows = schema_rows(connection)
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise
    if not is_log(connection):
        raise _not_a_log(path)
    if int(pragma(connection, "user_version")) > FORMAT:
        return True
    if found := differences(rows):
        raise NotALog(
            f"captain does not use the log {path}: {found[0]}",
            hint="it was changed outside captain; run captain verify, and keep the file as it is",
        )
    return False


def _create(connection: sqlite3.Connection, first: Callable[[str], Sealed]) -> None:
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={FORMAT}")
    for statement in STATEMENTS:
        connection.execute(statement)
    log_id = secrets.token_hex(16)
    connection.execute("INSERT INTO log(one, log_id, format) VALUES (1, ?, ?)", (log_id, FORMAT))
    connection.execute(INSERT_ENTRY, first(log_id).row)


def _not_a_log(path: Path) -> NotALog:
    return NotALog(f"{path} is not a captain log", hint="name another file with --log; this one stays as it is")
