"""A second copy of a log, whole at one moment, while captains go on writing. Copying the file itself may tear it."""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import suppress
from pathlib import Path

from captain.errors import LogError
from captain.log import guard
from captain.log.report import Report
from captain.log.source import source
from captain.log.trouble import UNREADABLE, explain
from captain.log.verify import verify


def backup(path: Path, to: Path) -> Report:
    """Copy the log at `path` to the new file `to` (mode 0600) and verify the copy.

    Raises LogError when it cannot be read or written, or when `to` exists: nothing is overwritten.
    """
    path, to = guard.located(Path(path)), guard.located(Path(to))
    draft = to.with_name(f".{to.name}.{secrets.token_hex(4)}")
    if os.path.lexists(to):
        raise _in_the_way(to)
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        os.close(descriptor)
        with source(path) as found:
            target = sqlite3.connect(draft)
            try:
                found.connection.backup(target)
            finally:
                target.close()
        _to_disk(draft)
        os.link(draft, to)  # unlike a rename it never replaces what has come there meanwhile
        draft.unlink()
        _to_disk(to.parent)
    except FileExistsError as error:
        raise _in_the_way(to) from error
    except LogError as error:
        raise LogError(f"cannot back up the log {path}: {error.message}", hint=error.hint) from error
    except (*UNREADABLE, OSError) as error:
        raise explain(error, path, "back up") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return verify(to)


def _in_the_way(to: Path) -> LogError:
    return LogError(f"{to} exists, and a backup overwrites nothing", hint="name a new file")


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
