"""Opens a SQLite file so that nothing is ever written beside it. Knows no statement, no probe and no verdict.

A reader of a database in WAL mode makes `-wal` and `-shm` beside it where they are missing. Made by captain, they
belong to captain, and the product, which runs as somebody else, cannot write any more. So where they are missing the
file is read as one that nobody changes, and where they exist they are used as they are.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from captain.errors import ProbeError
from captain.safe import safe

_MAGIC = b"SQLite format 3\x00"
_WAL = 2
"""What bytes 18 and 19 of the header are in WAL mode."""
_STEPS = 20_000
"""Instructions of the virtual machine between two looks at the clock."""
_SHARED = 510, 0x40000002
"""The bytes a reader locks: length and beginning. While it does, nobody takes `-wal` away."""

_guard = threading.Lock()
_open: dict[tuple[int, int], list[int]] = {}
"""Descriptors by device and inode. Closing one drops the locks of the whole process, so all are closed together."""
_users: Counter[tuple[int, int]] = Counter()


@dataclass(frozen=True, slots=True)
class _Way:
    """How a file is opened."""

    options: str
    whole: bool
    """Whether everything is in the file itself, and nothing in a `-wal`."""
    still: bool
    """Whether it is read as one that nobody changes."""


@contextmanager
def opened(asked: str, path: Path, deadline: float) -> Iterator[sqlite3.Connection]:
    """A connection that writes nothing, to a file that is a database and whole as far as its header tells.

    Raises ProbeError that begins with `asked`, and sqlite3.Error.
    """
    # SQLite looks for `-wal` beside the file that a link leads to.
    path = path.resolve()
    with _looking(path) as file:
        _refuse_no_database(asked, file)
        way = _way(asked, path, file)
        before = _stamp(file)
        left = max(deadline - time.monotonic(), 0)
        # A lock of a writer's is waited for.
        name = f"file:{quote(str(path))}?{way.options}"
        with closing(sqlite3.connect(name, uri=True, timeout=left, isolation_level=None)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            _look_in(asked, connection, file, whole=way.whole)
            left = max(deadline - time.monotonic(), 0)
            connection.execute(f"pragma busy_timeout = {int(left * 1000)}")
            yield connection
        if way.still and _stamp(file) != before:
            raise ProbeError(f"{asked}: the file was written while it was read", fault="unclear", hint="ask once more")


def _refuse_no_database(asked: str, file: int) -> None:
    """SQLite itself takes an empty file for a database, and looks at no other before it is asked for a table."""
    size = os.fstat(file).st_size
    if not size:
        raise ProbeError(f"{asked}: the file is empty, so it is no database", fault="unclear", hint="check `path`")
    if os.pread(file, len(_MAGIC), 0) != _MAGIC:
        raise ProbeError(f"{asked}: file is not a database", fault="unclear", hint="check `path`")


def _way(asked: str, path: Path, file: int) -> _Way:
    if _WAL not in os.pread(file, 2, 18):
        return _Way("mode=ro", whole=True, still=False)
    try:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, *_SHARED)
    except OSError as error:
        raise ProbeError(f"{asked}: database is locked", fault="unclear") from error
    wal, shm = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    size = wal.stat().st_size if wal.exists() else 0
    if wal.exists() and shm.exists():
        return _Way("mode=ro&readonly_shm=1", whole=not size, still=False)
    if size:
        raise ProbeError(
            f"{asked}: {safe(wal.name, 100)} has no {safe(shm.name, 100)} beside it, and captain makes none",
            fault="unclear",
            hint="ask while the product runs, or let it open the database once",
        )
    return _Way("mode=ro&immutable=1", whole=True, still=True)


def _look_in(asked: str, connection: sqlite3.Connection, file: int, *, whole: bool) -> None:
    """Make SQLite read the file, which opening does not; then, while no writer can, compare its size."""
    connection.execute("begin")
    connection.execute("select count(*) from sqlite_schema").fetchone()
    size, due = os.fstat(file).st_size, _size(os.pread(file, 100, 0))
    connection.execute("rollback")
    if whole and due is not None and size < due:
        raise ProbeError(f"{asked}: the file is cut off: {size} bytes of {due}", fault="unclear")


def _size(header: bytes) -> int | None:
    """How many bytes a file has by its header, None where a writer of before 2010 did not keep that."""
    page, pages = int.from_bytes(header[16:18], "big"), int.from_bytes(header[28:32], "big")
    return (65536 if page == 1 else page) * pages if header[24:28] == header[92:96] else None


def _stamp(file: int) -> tuple[int, int]:
    status = os.fstat(file)
    return status.st_mtime_ns, status.st_size


@contextmanager
def _looking(path: Path) -> Iterator[int]:
    """A descriptor of the file, kept open until nobody in this process looks at the file any more."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    status = os.fstat(file)
    key = status.st_dev, status.st_ino
    with _guard:
        _open.setdefault(key, []).append(file)
        _users[key] += 1
    try:
        yield file
    finally:
        with _guard:
            _users[key] -= 1
            if not _users[key]:
                del _users[key]
                for one in _open.pop(key):
                    os.close(one)
