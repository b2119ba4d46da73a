"""Why SQLite or the system refused, as a sentence with the cause and what to do. Decides nothing."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from captain.errors import LogError, NotALog

BUSY_SECONDS = 30
UNREADABLE = (sqlite3.Error, UnicodeError)
"""What reading a database may raise: the names in a damaged one need not even be text."""
_LITTLE = 1024 * 1024
_CORRUPT = "copy the file and the folder beside it away, then look: captain verify says what is still good"


def primary_code(error: BaseException) -> int:
    """The primary SQLite result code of an error, 0 when it has none."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def is_full(error: BaseException) -> bool:
    """Whether there was no room."""
    return primary_code(error) == sqlite3.SQLITE_FULL


def is_locked(error: BaseException) -> bool:
    """Whether another process did not let go in time."""
    return primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def explain(error: BaseException, path: Path, doing: str) -> LogError:
    """The LogError for an error met while `doing` (as in "record in") the log at `path`."""
    if isinstance(error, LogError):
        return error
    cause, hint = _cause(error, path)
    kind = NotALog if primary_code(error) == sqlite3.SQLITE_NOTADB else LogError
    return kind(f"cannot {doing} the log {path}: {cause}", hint=hint)


def not_writable(path: Path) -> LogError:
    """The LogError for a log that can be read at most. SQLite itself would notice with the first entry only."""
    cause, hint = _closed_door(path)
    return LogError(f"cannot record in the log {path}: {cause}", hint=hint)


def _cause(error: BaseException, path: Path) -> tuple[str, str]:
    code = primary_code(error)
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _no_room(path)):
        return "the disk is full", f"free some space in {path.parent} and do the same again"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return (
            f"another process has been holding it for {BUSY_SECONDS} s",
            "look for a captain, a backup or an sqlite3 shell that is stopped in the middle, then retry",
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return _closed_door(path)
    if code == sqlite3.SQLITE_IOERR:
        return f"the disk reported an error ({error})", "look at the system's log and at the disk, then retry"
    if code == sqlite3.SQLITE_NOTADB:
        return "it is not an SQLite database", "name a captain log with --log"
    if code == sqlite3.SQLITE_CORRUPT or isinstance(error, UnicodeError):
        return f"its database is damaged ({error})", _CORRUPT
    if code == sqlite3.SQLITE_AUTH:
        return f"this is not allowed on a log ({error})", "report this as a bug in captain"
    if code == sqlite3.SQLITE_CONSTRAINT:
        return f"the log refused it ({error})", "run captain verify"
    if isinstance(error, OSError):
        return error.strerror or str(error), "check the mode and owner of the file and of its directories"
    return f"SQLite says {error}", "run captain verify"


def _no_room(path: Path) -> bool:
    """A quota or a full disk may reach SQLite as a plain write error."""
    try:
        room = os.statvfs(path.parent)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < _LITTLE


def _closed_door(path: Path) -> tuple[str, str]:
    try:
        read_only = bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    except OSError as error:
        return f"its directory cannot be read: {error.strerror}", "check the path given with --log"
    if read_only:
        return "its filesystem is mounted read-only", "remount it for writing, or choose another path with --log"
    if not os.access(path.parent, os.W_OK):
        return f"the directory {path.parent} is not writable", "captain needs to write there; mend its mode or owner"
    if not os.access(path, os.W_OK):
        return "the file is not writable", "mend its mode or owner"
    return "the file cannot be opened for writing", "check the limit of open files and security modules, then retry"
