"""A scratch database for a restore drill, and what to count in it. Makes and drops only databases it named itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from copy import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.relay import Relay, relay

if TYPE_CHECKING:
    from psycopg import AsyncConnection

PREFIX = "captain_scratch_"
_RELAY = re.compile(r'^(connection failed: )?connection to server at "[^"]*"( \([^)]*\))?, port \d+ failed: ')
_MOST_TABLES = 100_000
_TABLES = f"""
select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' limit {_MOST_TABLES}"""
_IDENTITY = """
select pg_postmaster_start_time()::text, current_setting('port'),
       (select oid::text from pg_database where datname = current_database())"""


class Server:
    """What a connection string leads to. The string itself is never shown."""

    def __init__(self, dsn: str, name: str) -> None:
        """`name` is the secret that holds the string. Raises ProbeError where it is none."""
        psycopg = _library()
        self.name = name
        try:
            given = {key: str(value) for key, value in psycopg.conninfo.conninfo_to_dict(dsn).items() if value}
        except psycopg.Error:
            # libpq's own words repeat the string.
            raise ProbeError(
                f"{name} is no connection string of PostgreSQL", hint="postgresql://user:password@host:5432/database"
            ) from None
        self._given = given
        self.host = given.get("hostaddr") or given.get("host") or "localhost"
        self.port = given.get("port") or "5432"
        self.database = given.get("dbname") or given.get("user") or "postgres"
        if "," in self.host or not self.port.isdigit():
            raise ProbeError(f"{name} names several servers; one belongs there")
        self.shown = safe(f"{self.database} at {self.host}:{self.port}", 200)

    def at(self, database: str) -> Server:
        """The same server, another database."""
        made = copy(self)
        made.database = database
        made.shown = safe(f"{database} at {self.host}:{self.port}", 200)
        return made

    def variables(self) -> dict[str, str]:
        """The same for programs of PostgreSQL, whose arguments everybody on the machine may read."""
        pq = _library().pq
        names = {one.keyword.decode(): one.envvar.decode() for one in pq.Conninfo.get_defaults() if one.envvar}
        wanted = {**self._given, "dbname": self.database, "host": self._given.get("host", self.host)}
        made = {names[key]: value for key, value in wanted.items() if key in names}
        return {"PGPASSFILE": "/dev/null/none", "PGCONNECT_TIMEOUT": "10", **made}

    @asynccontextmanager
    async def connected(self, timeout: timedelta, *, reads: bool = False) -> AsyncIterator[Connection]:
        """A connection whose errors are ProbeErrors; with `reads` it cannot change anything."""
        psycopg = _library()
        asked = f"PostgreSQL {self.shown}"
        unix = self.host.startswith("/")
        host = f"{self.host}/.s.PGSQL.{self.port}" if unix else self.host
        async with relay(asked, host, int(self.port), timeout=timeout) as way:
            options = {key: value for key, value in self._given.items() if key not in ("hostaddr", "options")}
            # The name stays, so that a certificate is compared with it; the address is the relay's.
            options |= {"host": "localhost" if unix else self.host, "hostaddr": "127.0.0.1", "dbname": self.database}
            options |= {"port": str(await way.port()), "passfile": "/dev/null/none", "application_name": "captain"}
            options |= {"client_encoding": "UTF8", "gssencmode": "disable"}
            options |= {"sslmode": "disable"} if unix else {}
            milliseconds = max(int(timeout.total_seconds() * 900), 1)
            options["options"] = f"-c statement_timeout={milliseconds}"
            if reads:
                options["options"] += " -c default_transaction_read_only=on -c row_security=off"
            try:
                opened = await psycopg.AsyncConnection.connect(**options, autocommit=True)
            except psycopg.Error as error:
                raise _explained(way, error, self.name) from error
            try:
                yield Connection(opened, way, asked)
            finally:
                await opened.close()


class Connection:
    """One connection; every method raises ProbeError."""

    def __init__(self, opened: AsyncConnection[Any], way: Relay, asked: str) -> None:
        self._opened = opened
        self._way = way
        self._asked = asked

    async def rows(self, statement: Any) -> list[tuple[Any, ...]]:
        """The rows of one statement, [] where it has none."""
        psycopg = _library()
        try:
            done = await self._opened.execute(statement)
            return await done.fetchall() if done.description else []
        except psycopg.Error as error:
            raise _explained(self._way, error, None) from error

    async def tables(self) -> set[str]:
        """Every table of the database as schema.table."""
        return {str(row[0]) for row in await self.rows(_TABLES)}

    async def identity(self) -> tuple[Any, ...]:
        """What no other database of any server has."""
        return (await self.rows(_IDENTITY))[0]

    async def count(self, table: str) -> int | None:
        """The rows of `schema.table` or `table` of schema public; None where there is none."""
        from psycopg import sql

        schema, dot, name = table.partition(".")
        if not dot:
            schema, name = "public", table
        there = sql.SQL("select 1 from pg_tables where schemaname = {} and tablename = {}")
        if not await self.rows(there.format(sql.Literal(schema), sql.Literal(name))):
            return None
        rows = await self.rows(sql.SQL("select count(*) from {}").format(sql.Identifier(schema, name)))
        return int(rows[0][0])


class Scratch:
    """A database made for one drill."""

    def __init__(self, server: Server) -> None:
        self.server = server.at(PREFIX + secrets.token_hex(6))
        self._maintenance = server
        self._made = False
        self.left: list[str] = []
        """Scratch databases of earlier drills that are still there."""

    async def create(self, timeout: timedelta) -> None:
        """Raises ProbeError."""
        from psycopg import sql

        async with self._maintenance.connected(timeout) as connection:
            look = sql.SQL("select datname from pg_database where datname like {} order by 1 limit 10")
            self.left = [
                str(row[0]) for row in await connection.rows(look.format(sql.Literal("captain\\_scratch\\_%")))
            ]
            # From here on it may be there, even where the answer does not come back.
            self._made = True
            await connection.rows(
                sql.SQL("create database {} template template0").format(sql.Identifier(self.server.database))
            )

    async def drop(self, timeout: timedelta) -> bool:
        """Whether it is certainly gone. Never raises, and is not kept from it by a cancelled caller."""
        return await asyncio.shield(asyncio.ensure_future(self._drop(timeout)))

    async def _drop(self, timeout: timedelta) -> bool:
        from psycopg import sql

        if not self._made:
            return True  # or dropped already
        name = self.server.database
        with contextlib.suppress(ProbeError):
            async with self._maintenance.connected(timeout) as connection:
                await connection.rows(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
                look = sql.SQL("select 1 from pg_database where datname = {}").format(sql.Literal(name))
                self._made = bool(await connection.rows(look))
        return not self._made


async def same(one: Connection, other: Connection) -> bool:
    """Whether two connections lead to the same database."""
    return await one.identity() == await other.identity()


def rows_ratio(restored: Mapping[str, int | None], source: Mapping[str, int | None]) -> float | None:
    """The smallest share of rows that came back; None where there is nothing to compare."""
    ratios = [
        1.0 if not count else (restored.get(table) or 0) / count for table, count in source.items() if count is not None
    ]
    return min(ratios, default=None)


def missing(restored: Iterable[str], source: Iterable[str]) -> list[str]:
    """Tables of the source that were not restored."""
    return sorted({*source} - {*restored})


def _explained(way: Relay, error: Exception, name: str | None) -> ProbeError:
    """The first line of what libpq says, without the relay's address; it never holds a password."""
    lines = str(error).strip().splitlines()
    told = way.explain(Exception(_RELAY.sub("", lines[0]) if lines else type(error).__name__))
    if name is None or told.hint:
        return told
    return ProbeError(told.message, fault=told.fault, hint=f"check {name}")


def _library() -> Any:
    try:
        import psycopg
        import psycopg.conninfo
    except ImportError as error:
        raise ProbeError("backup: psycopg is not installed", hint="pip install 'release-captain[postgres]'") from error
    return psycopg
