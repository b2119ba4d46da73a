"""A SQLite file, asked read-only: its authorizer lets only reading through. Knows no probe and no verdict."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from captain.blocking import Blocking
from captain.errors import ProbeError, UsageError
from captain.safe import safe
from captain.systems.sql.answer import MAX_TABLES, Answer, Findings, Question, Server, SqlError, counted
from captain.systems.sql.text import reading

T = TypeVar("T")

_STEPS = 20_000
"""Instructions of the virtual machine between two looks at the clock."""
_LONGEST = 4 * 1024 * 1024
"""Bytes of one value."""
_MOST = 16 * 1024 * 1024
"""Bytes of one answer."""
_PRAGMAS = frozenset(
    (
        *("application_id", "encoding", "foreign_key_check", "foreign_key_list", "freelist_count", "index_info"),
        *("index_list", "index_xinfo", "integrity_check", "page_count", "page_size", "quick_check"),
        *("schema_version", "table_info", "table_list", "table_xinfo", "user_version"),
    )
)
_WITH_ARGUMENT = frozenset(
    (
        *("foreign_key_check", "foreign_key_list", "index_info", "index_list", "index_xinfo", "integrity_check"),
        *("quick_check", "table_info", "table_list", "table_xinfo"),
    )
)


class Sqlite:
    """One open file. Used on one thread."""

    def __init__(self, connection: sqlite3.Connection, deadline: float, name: str) -> None:
        self._connection = connection
        self._late = False
        self._deadline = deadline
        connection.execute("pragma trusted_schema = off")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        connection.set_progress_handler(self._over, _STEPS)
        connection.set_authorizer(_allowed)
        major, minor, patch = sqlite3.sqlite_version_info
        self.server = Server(
            version=major * 1_000_000 + minor * 1000 + patch,
            name=f"SQLite {sqlite3.sqlite_version}",
            database=name,
            now=None,
            can_see_all=None,
            tls=None,
        )

    def _over(self) -> bool:
        self._late = time.monotonic() > self._deadline
        return self._late

    def ask(self, statement: str, params: Sequence[str] = (), limit: int = 1000) -> Answer:
        """One statement. Raises SqlError."""
        try:
            statement = reading(statement, "sqlite")
        except UsageError as error:
            raise SqlError(f"the statement {error.message}", "writes") from error
        if params:
            statement = statement.replace("%s", "?").replace("%%", "%")
        try:
            with closing(self._connection.execute(statement, tuple(params))) as cursor:
                rows = self._fetched(cursor, limit)
                columns = tuple(column[0] for column in cursor.description or ())
        except sqlite3.Error as error:
            raise self._refused(error) from error
        return Answer(columns, tuple(rows[:limit]), more=len(rows) > limit)

    def _fetched(self, cursor: sqlite3.Cursor, limit: int) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        size = 0
        for row in cursor:
            size += sum(len(value) for value in row if isinstance(value, str | bytes))
            if size > _MOST:
                raise SqlError(f"more than {_MOST // 1024**2} MiB came back, stopped there")
            rows.append(row)
            if len(rows) > limit:
                break
        return rows

    def _refused(self, error: sqlite3.Error) -> SqlError:
        if self._late:
            return SqlError("did not end in time and was stopped", "late")
        return SqlError(
            str(error), "writes" if "not authorized" in str(error) or "prohibited" in str(error) else "other"
        )


async def ask_sqlite(
    asked: str, path: Path, work: Callable[[Sqlite], T], *, blocking: Blocking, timeout: timedelta
) -> T:
    """What `work` finds in a file, all of it within `timeout`. Raises ProbeError that begins with `asked`."""
    deadline = time.monotonic() + timeout.total_seconds()
    if not path.is_file():
        raise ProbeError(f"{asked}: no such file", fault="unclear", hint="check `path`")

    def talk() -> T:
        with _opened(path, deadline) as connection:
            return work(Sqlite(connection, deadline, path.name))

    try:
        return await blocking(talk)
    except SqlError as error:
        raise error.told(asked) from error
    except sqlite3.Error as error:
        raise ProbeError(f"{asked}: {safe(error, 300)}", fault="unclear") from error


@contextmanager
def _opened(path: Path, deadline: float) -> Iterator[sqlite3.Connection]:
    left = max(deadline - time.monotonic(), 0)
    with closing(
        # mode=ro never makes a file; a lock of a writer's is waited for.
        sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=left, isolation_level=None)
    ) as connection:
        yield connection


def _allowed(action: int, one: str | None, two: str | None, _database: str | None, _source: str | None) -> int:
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if two in ("load_extension", "fts3_tokenizer") else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and one in _PRAGMAS and (two is None or one in _WITH_ARGUMENT):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def tables(db: Sqlite, _: Question) -> Findings:
    """The tables of the file."""
    answer = db.ask(
        "select name from sqlite_schema where type = 'table' and name not like 'sqlite\\_%' escape '\\' order by 1",
        limit=MAX_TABLES,
    )
    if answer.more:
        return Findings(notes=[f"there are more than {MAX_TABLES} tables"])
    return Findings({"tables": [str(row[0]) for row in answer.rows], "row_count": len(answer.rows)})


def counts(db: Sqlite, question: Question) -> Findings:
    """How many rows tables hold."""
    listed = tables(db, question).observed.get("tables")
    everything = tuple(str(name) for name in listed) if isinstance(listed, list) else ()

    def count(name: str) -> int:
        quoted = name.replace('"', '""')
        return int(db.ask(f'select count(*) from "{quoted}"').rows[0][0])

    return counted(question.tables or everything, count)


PRESETS: dict[str, Callable[[Sqlite, Question], Findings]] = {"tables": tables, "counts": counts}
