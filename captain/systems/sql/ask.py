"""One question to whichever database a step names. Knows no probe and no verdict."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from captain.blocking import Blocking
from captain.errors import ProbeError
from captain.systems.sql.dsn import Address
from captain.systems.sql.text import Dialect

T = TypeVar("T")

_EXTRAS = {"psycopg": "postgres", "pymysql": "mysql"}


def address(engine: Dialect, dsn: str, secret: str, kind: str) -> Address:
    """Where the connection string in `secret` leads. Raises ProbeError, also where the library is missing."""
    from captain.systems.sql.dsn import mysql_address, postgres_address

    try:
        if engine == "mysql":
            import pymysql  # noqa: F401  # a missing library is told before the string is looked at

            return mysql_address(dsn, secret)
        return postgres_address(dsn, secret)
    except ImportError as error:
        # psycopg says that it has no libpq without naming anything.
        name = (error.name or "psycopg").partition(".")[0]
        hint = f"pip install 'release-captain[{_EXTRAS.get(name, 'all')}]'"
        raise ProbeError(f"{kind}: {name} is not installed", hint=hint) from error


async def ask_database(
    engine: Dialect,
    asked: str,
    place: Address | Path,
    work: Callable[[Any], T],
    *,
    blocking: Blocking,
    timeout: timedelta,
    root: Path,
) -> T:
    """What `work` finds on a connection to `place`, the file of an SQLite. Raises ProbeError beginning with `asked`."""
    if isinstance(place, Path):
        from captain.systems.sql.sqlite import ask_sqlite

        return await ask_sqlite(asked, place, work, blocking=blocking, timeout=timeout)
    if engine == "mysql":
        from captain.systems.sql.mysql import ask_mysql

        return await ask_mysql(asked, place, work, blocking=blocking, timeout=timeout, root=root)
    from captain.systems.sql.postgres import ask_postgres

    return await ask_postgres(asked, place, work, blocking=blocking, timeout=timeout, root=root)


def presets(engine: Dialect) -> dict[str, Callable[[Any, Any], Any]]:
    """captain's own questions to that database."""
    if engine == "sqlite":
        from captain.systems.sql import sqlite

        return dict(sqlite.PRESETS)
    if engine == "mysql":
        from captain.systems.sql import mysql_presets

        return dict(mysql_presets.PRESETS)
    from captain.systems.sql import postgres_presets

    return dict(postgres_presets.PRESETS)
