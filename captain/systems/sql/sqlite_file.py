"""Whether an SQLite file is whole, as SQLite itself sees it. Opens it read-only and runs nothing of its schema."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

from captain.safe import safe
from captain.systems.backups.dump_format import SQLITE
from captain.systems.backups.dump_layers import Reading

_STEPS = 10_000
"""Instructions of SQLite's machine between two looks at the clock."""
_CACHE_KIB = 8192
_WAL = b"\2\2"
"""Bytes 18 and 19 of a file whose database writes ahead."""


def check(path: Path, reading: Reading, deadline: float) -> None:
    """Fill in what the integrity check says; blocks until `deadline` (of time.monotonic) at most."""
    reading.format = SQLITE
    try:
        with path.open("rb") as file:
            ahead = file.read(20)[18:] == _WAL
        # immutable: neither a lock nor a journal is made beside the backup.
        name = f"file:{quote(str(path))}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(name, uri=True)) as connection:
            connection.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS)
            connection.execute("pragma trusted_schema = off")
            connection.execute("pragma mmap_size = 0")
            connection.execute(f"pragma cache_size = -{_CACHE_KIB}")
            said = str(connection.execute("pragma integrity_check(1)").fetchone()[0])
            counted = connection.execute("select count(*) from sqlite_master where type = 'table'").fetchone()
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            reading.why = "the integrity check did not end in time"
        else:
            reading.why = f"SQLite cannot check it: {safe(error, 200)}"
    except OSError as error:
        reading.why = f"it cannot be read: {(error.strerror or str(error)).lower()}"
    except (sqlite3.DatabaseError, sqlite3.Warning) as error:
        reading.intact, reading.why = False, f"SQLite: {safe(error, 200)}"
    else:
        if said == "ok" and ahead:
            # Whole and without its newest rows, and nothing in it says so.
            reading.why = (
                "it is of a database in WAL mode, whose newest changes may lie in a -wal file that was not copied: "
                "make the backup with `VACUUM INTO`, or take the finished copy out of WAL mode"
            )
        elif said == "ok":
            reading.intact, reading.tables = True, int(counted[0])
        else:
            reading.intact, reading.why = False, f"SQLite: {safe(said, 200)}"
