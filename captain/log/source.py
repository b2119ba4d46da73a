"""A way to read a log that may be anything, without ever changing it or what lies beside it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from captain.errors import LogError, NotALog
from captain.log import guard
from captain.log.connection import connect, is_log
from captain.log.trouble import primary_code


@dataclass(frozen=True, slots=True)
class Source:
    """A connection that can only read, with all text as bytes."""

    connection: sqlite3.Connection
    wal: bool
    """The log was switched to write-ahead logging; this is a copy."""
    recovered: bool
    """A crash left a write halfway; this is a copy with that write undone."""
    exposure: str | None
    """Why others could change the file."""


@contextmanager
def source(path: Path) -> Iterator[Source]:
    """The log at `path`, or a private copy where reading in place would write.

    Raises NotALog, LogError, sqlite3.Error or OSError.
    """
    status = guard.regular(path)
    if status is None:
        raise LogError(f"there is no log at {path}")
    header = guard.peek(path)
    if header is not None and (header.empty or not header.ours):
        raise NotALog("it is empty" if header.empty else "it is not a captain log")
    exposure = guard.exposure(path, status)
    wal = header is not None and header.wal
    if not wal:
        try:
            with _opened(path, guard.identity(status)) as connection:
                yield Source(connection, False, False, exposure)
                return
        except _HalfWritten:
            if header is None:
                raise LogError(
                    "another process stopped in the middle of a write; it is undone with the next one"
                ) from None
    if trouble := guard.journal_trouble(path):
        raise LogError(trouble)
    with tempfile.TemporaryDirectory(prefix="captain-verify-") as folder:
        copy = Path(folder) / "log"
        for suffix in ("", "-journal", "-wal"):
            beside = path.with_name(path.name + suffix)
            if not suffix or _plain(beside):
                shutil.copyfile(beside, copy.with_name(copy.name + suffix), follow_symlinks=False)
        with _opened(copy, None) as connection:
            yield Source(connection, wal, not wal, exposure)


class _HalfWritten(Exception):
    """Reading in place is not possible before an interrupted write is undone."""


@contextmanager
def _opened(path: Path, file: guard.Identity | None) -> Iterator[sqlite3.Connection]:
    """`file` None: a copy of one's own, which SQLite may recover."""
    if file is not None:
        guard.hold(file)
    connection: sqlite3.Connection | None = None
    try:
        try:
            connection = connect(path, writing=file is None)
            connection.text_factory = bytes
            ours = is_log(connection)
        except sqlite3.OperationalError as error:
            if file is not None and primary_code(error) == sqlite3.SQLITE_READONLY:
                raise _HalfWritten from error
            raise
        if not ours:
            raise NotALog("it is not a captain log")
        connection.execute("PRAGMA query_only=ON")
        yield connection
    finally:
        if connection is not None:
            connection.close()
        if file is not None:
            guard.let_go(file)


def _plain(path: Path) -> bool:
    try:
        return guard.regular(path) is not None and os.access(path, os.R_OK)
    except LogError:
        return False
