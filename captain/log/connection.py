"""One guarded connection to a log: settings, the check that they hold, and what may never be said on it."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from urllib.parse import quote

from captain.errors import LogError
from captain.log.schema import APPLICATION_ID, SCHEMA_QUERY, Row
from captain.log.trouble import BUSY_SECONDS

# The compiled-in default, FULL, does not sync the directory: a power cut may bring a deleted journal back,
# and with it undo a commit that was acknowledged.
_PRAGMAS = (
    "synchronous=EXTRA",
    "fullfsync=ON",  # macOS: its fsync alone leaves data in the drive's cache
    "trusted_schema=OFF",
    "cell_size_check=ON",
    "mmap_size=0",
    "recursive_triggers=ON",
    "foreign_keys=ON",
    f"busy_timeout={BUSY_SECONDS * 1000}",
)


def connect(path: Path, *, writing: bool) -> sqlite3.Connection:
    """A connection to an existing file with every setting made. Callers serialize its use themselves."""
    mode = "rw" if writing else "ro"
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=BUSY_SECONDS, check_same_thread=False
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        if sys.version_info >= (3, 12):
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
    except BaseException:
        connection.close()
        raise
    return connection


def pragma(connection: sqlite3.Connection, name: str) -> int | str | bytes:
    """The value of a pragma; text comes as bytes where the connection says so."""
    value: int | str | bytes = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def refuse_other_journals(connection: sqlite3.Connection, path: Path) -> None:
    """Raise unless the log uses a rollback journal. Write-ahead logging persists once someone turns it on."""
    mode = pragma(connection, "journal_mode")
    if mode != "delete":
        raise wrong_journal(path, str(mode))


def wrong_journal(path: Path, mode: str) -> LogError:
    """The error for a log in another journal mode."""
    return LogError(
        f"captain does not use the log {path}: another program switched its journal mode to {mode[:16]}",
        hint=f"close every program that has it open, then: sqlite3 {path} 'PRAGMA journal_mode=delete'",
    )


def schema_rows(connection: sqlite3.Connection) -> list[Row]:
    """Every object the file defines."""
    return connection.execute(SCHEMA_QUERY).fetchall()


def is_log(connection: sqlite3.Connection) -> bool:
    """Whether the file carries captain's application id."""
    return pragma(connection, "application_id") == APPLICATION_ID


_FUNCTIONS = frozenset(("coalesce", "max", "min", "count", "length", "zeroblob"))
_QUIET_PRAGMAS = frozenset(("data_version", "page_count", "freelist_count", "journal_mode", "synchronous"))
_CHECKS = frozenset(("integrity_check", "table_info"))
_INSERTS = frozenset(("entry", "evidence", "checkpoint"))
_ALWAYS = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT))


def restrict(connection: sqlite3.Connection, *, writing: bool) -> None:
    """From here on the connection can read, and append where `writing`; everything else is refused by SQLite.

    Said otherwise `PRAGMA journal_mode=WAL` would switch the log, `writable_schema` undo the triggers.
    """

    def decide(action: int, first: str | None, second: str | None, _database: str | None, _by: str | None) -> int:
        if action in _ALWAYS:
            allowed = True
        elif action == sqlite3.SQLITE_INSERT:
            allowed = writing and first in _INSERTS
        elif action == sqlite3.SQLITE_FUNCTION:
            allowed = second in _FUNCTIONS
        elif action == sqlite3.SQLITE_PRAGMA:
            allowed = first in _CHECKS or (second is None and first in _QUIET_PRAGMAS)
        else:
            allowed = False
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    connection.set_authorizer(decide)
