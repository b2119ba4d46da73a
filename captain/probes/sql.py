"""The kind `sql`: one question to a database, in a transaction that only reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import Field, model_validator

from captain.errors import UsageError
from captain.fields import Bool, EnvName, PositiveInt, Text, wrong
from captain.measurement import Measurement, Value
from captain.probes import TEXT, Context, Probe, probe
from captain.safe import safe
from captain.systems.sql.answer import Database, Findings, Question
from captain.systems.sql.ask import address, ask_database, presets
from captain.systems.sql.dsn import Address
from captain.systems.sql.text import placeholders, reading

_MARGIN = 0.9
"""Share of the attempt's time the database may take, so that its own error comes before the attempt's end."""
_PRESETS = {
    "postgres": (
        *("settings", "ssl", "connections", "sessions", "slow", "archiver", "file_settings", "tables", "counts"),
    ),
    "mysql": ("settings", "ssl", "connections", "sessions", "slow", "archiver", "tables", "counts"),
    "sqlite": ("tables", "counts"),
}


@probe("sql")
class SqlProbe(Probe):
    """What does a database answer?

    One statement that begins with SELECT, WITH, VALUES, TABLE, SHOW or EXPLAIN (without ANALYZE), or a preset of
    captain's own; without either, whether it answers at all. It runs in a read-only transaction of its own that is
    rolled back, is stopped by the server before the step's time is over, and is cut off at `max_rows`. No transaction
    can keep a function from doing what captain's role may do outside of tables (ending sessions, writing files): give
    captain a role that may only read, with pg_monitor where sessions of others are counted.

    libpq's variables, service and password files are not looked at: only the connection string counts. What the role
    may not see is left out of the answer and said, never counted as zero.

    Nothing is made beside the file of an SQLite database: where its WAL would have to be opened by writing, it is not
    asked. An empty file, one that is cut off and one that is no database do not answer.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("connected", "value == true")
    network: ClassVar[bool] = True
    errors: ClassVar[str] = (
        "on_error decides (unknown): not reached, refused, stopped for its time, an error of the statement; "
        "unknown: wrong user or password, missing rights, a statement that writes, a library that is not installed"
    )
    example: ClassVar[str] = """\
id: no-stuck-orders
title: No order waits for more than an hour
sql:
  engine: postgres
  dsn_env: DATABASE_URL
  query: select count(*) from orders where state = 'paid' and created_at < now() - interval '1 hour'
expect: value == 0"""

    engine: Literal["postgres", "mysql", "sqlite"]
    """The database; `mysql` is MariaDB too."""
    dsn_env: EnvName | None = None
    """The secret that holds the connection string: postgresql://user:<password>@host:5432/database."""
    path: Text | None = None
    """The file of an SQLite database, relative to the folder of captain.yaml."""
    preset: (
        Literal["settings", "ssl", "connections", "sessions", "slow", "archiver", "file_settings", "tables", "counts"]
        | None
    ) = None
    """A question of captain's own."""
    query: Text | None = None
    """One statement that reads. Values stand in `params`, not in the text."""
    params: tuple[Text, ...] = ()
    """Values for each `%s` of the query, in order; beside them a % is written %%."""
    max_rows: Annotated[PositiveInt, Field(le=1000)] = 100
    """How many rows of the query's answer are kept."""
    tables: tuple[Text, ...] = ()
    """For `counts`: which tables, default all."""
    role: Text | None = None
    """For `ssl`, `connections` and `sessions` of PostgreSQL: only sessions of this role."""
    try_plain: Bool = False
    """For `ssl` of PostgreSQL: also knock without TLS and without a password, to see whether that is refused."""

    class Observes(TypedDict, total=False):
        """What it answered, by preset."""

        connected: Annotated[bool, "it answered"]
        version: Annotated[int, "150018 for PostgreSQL 15.18, 101106 for MariaDB 10.11.6, 3040001 for SQLite 3.40.1"]
        server: Annotated[str, "the server's own words about its version"]
        database: Annotated[str, "the database that was asked"]
        standby: Annotated[bool, "the server is a standby in recovery (PostgreSQL)"]
        server_time: Annotated[datetime, "the server's clock"]
        can_see_all: Annotated[bool, "sessions of others are shown to captain's role"]
        tls: Annotated[str, 'TLS version of captain\'s own connection, "none" without']
        latency: Annotated[timedelta, "time from connecting to the whole answer"]
        value: Annotated[Any, "query: the first column of the only row"]
        rows: Annotated[list[dict[str, Any]], "query, file_settings: the rows by column"]
        row_count: Annotated[int, "query, file_settings, tables: how many, where all were read"]
        truncated: Annotated[bool, "query: there were more rows than max_rows"]
        settings: Annotated[dict[str, str], "settings: by name, without those that hold passwords"]
        pending_restart: Annotated[int, "settings: changed ones that wait for a restart"]
        sslmode: Annotated[str, "ssl: what the connection string asks for"]
        ssl_on: Annotated[bool, "ssl: the server takes TLS"]
        ssl_required: Annotated[bool, "ssl: the server refuses everything else (MySQL)"]
        ssl_min_protocol: Annotated[str, "ssl: the oldest version the server takes (PostgreSQL)"]
        tls_connections: Annotated[int, "ssl: sessions over TCP with TLS in all databases, captain's own included"]
        plain_connections: Annotated[int, "ssl: sessions over TCP without TLS in all databases, captain's own included"]
        plain_refused: Annotated[
            bool, "ssl: without TLS captain's own role is turned away from its own database (needs try_plain)"
        ]
        max_connections: Annotated[int, "connections: the server's limit"]
        usable_max: Annotated[int, "connections: of it, not reserved for superusers and the like"]
        used: Annotated[int, "connections: sessions of clients"]
        used_here: Annotated[int, "connections: of them in this database, without captain's own"]
        used_by_role: Annotated[int, "connections: of them in this database, of `role`"]
        capacity_ratio: Annotated[float, "connections: used / usable_max"]
        active: Annotated[int, "connections: running a statement"]
        idle: Annotated[int, "connections: waiting for their client"]
        idle_in_transaction: Annotated[int, "connections: waiting for their client with a transaction open"]
        waiting: Annotated[int, "connections: waiting for a lock"]
        longest_transaction: Annotated[timedelta, "connections: age of the oldest transaction of others"]
        sessions: Annotated[int, "sessions: begun since the counters were reset (PostgreSQL 14 and later)"]
        xact_commit: Annotated[int, "sessions: transactions committed since then"]
        xact_rollback: Annotated[int, "sessions: transactions rolled back since then"]
        stats_reset: Annotated[datetime, "sessions: when the counters were reset"]
        backend_age: Annotated[timedelta, "sessions: median age of other sessions in this database"]
        slow_log_on: Annotated[bool, "slow: slow statements are logged"]
        log_min_duration: Annotated[timedelta, "slow: from which duration on, where they are"]
        log_output: Annotated[str, "slow: where to"]
        slow_log_overrides: Annotated[int, "slow: roles and databases with a log_min_duration of their own"]
        auto_explain: Annotated[bool, "slow: auto_explain is loaded"]
        pg_stat_statements: Annotated[bool, "slow: pg_stat_statements is loaded and installed"]
        archive_mode: Annotated[str, "archiver: off, on or always"]
        wal_level: Annotated[str, "archiver: minimal, replica or logical"]
        archive_timeout: Annotated[timedelta, "archiver: the longest a WAL file waits, zero for ever"]
        archiving_configured: Annotated[bool, "archiver: archive_mode is not off, and a command or a library is set"]
        archived: Annotated[int, "archiver: WAL files archived"]
        archiver_failed: Annotated[int, "archiver: attempts that failed"]
        archiver_failing: Annotated[bool, "archiver: the last attempt failed, where archiving is configured"]
        last_archived_at: Annotated[datetime, "archiver: when the last WAL file was archived"]
        last_archived_age: Annotated[timedelta, "archiver: how long ago that was, by the server's clock"]
        replicas: Annotated[int, "archiver: replicas that stream and replay"]
        replica_lag: Annotated[timedelta, "archiver: how far the slowest is behind, where it says so"]
        binlog_on: Annotated[bool, "archiver: changes are kept in a binary log (MySQL)"]
        file_settings: Annotated[int, "file_settings: lines that were looked at"]
        tables: Annotated[list[str], "tables: names, with the schema where it is not public"]
        counts: Annotated[dict[str, int], "counts: rows by table"]
        empty_tables: Annotated[int, "counts: tables without a row, where all were counted"]

    @model_validator(mode="after")
    def _fits(self) -> SqlProbe:
        if self.engine == "sqlite":
            if self.path is None or self.dsn_env is not None:
                raise wrong("needs `path` and no `dsn_env` for sqlite")
        elif self.dsn_env is None or self.path is not None:
            raise wrong(f"needs `dsn_env`, the name of a secret, and no `path` for {self.engine}")
        if self.preset is not None and self.query is not None:
            raise wrong("takes either `preset` or `query`")
        if self.preset is not None and self.preset not in _PRESETS[self.engine]:
            raise wrong(f"has no preset {self.preset} for {self.engine}, only {', '.join(_PRESETS[self.engine])}")
        if self.tables and self.preset != "counts":
            raise wrong("takes `tables` with the preset counts only")
        if self.role is not None and (self.engine != "postgres" or self.preset not in _BY_ROLE):
            raise wrong(f"takes `role` with postgres and the presets {', '.join(_BY_ROLE)} only")
        if self.try_plain and (self.engine != "postgres" or self.preset != "ssl"):
            raise wrong("takes `try_plain` with postgres and the preset ssl only")
        self._statement()
        return self

    def _statement(self) -> None:
        if self.query is None:
            if self.params:
                raise wrong("takes `params` with a `query` only")
            return
        if "${{" in self.query:
            raise wrong(
                "holds ${{ }} in its query, where a value could end the statement; write %s and name it in params"
            )
        try:
            wanted = placeholders(reading(self.query, self.engine), bool(self.params))
        except UsageError as error:
            raise wrong(f"has a query that {error.message}") from error
        if wanted != len(self.params):
            raise wrong(f"has {len(self.params)} params for {wanted} %s in its query")

    def asks(self) -> str:
        what = f"preset {self.preset}" if self.preset else " ".join((self.query or "does it answer?").split())
        return f"{self.engine} {self.path or f'${self.dsn_env}'}: {what}"

    async def measure(self, ctx: Context) -> Measurement:
        # On a thread, because the library is loaded there.
        place = await ctx.blocking(lambda: self._place(ctx))
        began = ctx.clock.monotonic()
        what = self.asks().partition(": ")[2]
        asked = f"sql {self.path if isinstance(place, Path) else place.where}: {what}"
        around: dict[str, Any] = {"blocking": ctx.blocking, "root": ctx.root}
        timeout = ctx.timeout * _MARGIN
        seen = await ask_database(self.engine, asked, place, self._look(ctx), timeout=timeout, **around)
        seen.observed["latency"] = timedelta(seconds=ctx.clock.monotonic() - began)
        if self.try_plain and isinstance(place, Address):
            from captain.systems.sql.postgres import plain_is_refused

            left = timeout - timedelta(seconds=ctx.clock.monotonic() - began)
            refused = await plain_is_refused(asked, place, timeout=max(left, timedelta(milliseconds=10)), **around)
            if refused is None:
                seen.notes.append("whether a connection without TLS is refused did not become clear")
            else:
                seen.observed["plain_refused"] = refused
                who = f"{safe(place.user, 63)} and the database {safe(place.database, 63)}"
                seen.notes.append(f"plain_refused is about the role {who}: others may have other rules in pg_hba.conf")
        body = json.dumps(seen.rows, indent=1, default=str) if seen.rows else None
        return Measurement(
            observed=seen.observed,
            asked=asked,
            body=None if body is None else ctx.clip(body),
            truncated=body is not None and len(body) > TEXT,
            notes=tuple(seen.notes),
        )

    def _place(self, ctx: Context) -> Address | Path:
        if self.engine == "sqlite":
            return ctx.root / str(self.path)
        secret = str(self.dsn_env)
        return address(self.engine, ctx.secret(secret), secret, "sql")

    def _look(self, ctx: Context) -> Callable[[Any], Findings]:
        """What is done with a connection, on a thread."""

        def look(db: Database) -> Findings:
            if self.preset is not None:
                found: Findings = presets(self.engine)[self.preset](db, Question(self.tables, self.role))
            elif self.query is not None:
                found = self._queried(db, ctx)
            else:
                found = Findings({"value": db.ask("select 1").rows == ((1,),)})
            who = db.server
            about: dict[str, Value] = {"version": who.version, "server": who.name, "database": who.database}
            about |= {"standby": who.standby, "server_time": who.now, "can_see_all": who.can_see_all, "tls": who.tls}
            known = {name: value for name, value in about.items() if value is not None}
            found.observed = {"connected": True, **known, **found.observed}
            return found

        return look

    def _queried(self, db: Database, ctx: Context) -> Findings:
        answer = db.ask(str(self.query), self.params, self.max_rows)
        rows = answer.dicts(ctx.clip)
        found = Findings({"rows": rows, "truncated": answer.more}, rows=rows)
        if answer.more:
            found.notes.append(f"there are more than {self.max_rows} rows; how many is not known")
            return found
        found.observed["row_count"] = len(rows)
        if len(rows) == 1 and isinstance(first := rows[0], dict) and first:
            value = next(iter(first.values()))
            if value is None:
                found.notes.append("the value is NULL, or no number")
            else:
                found.observed["value"] = value
        return found


_BY_ROLE = ("ssl", "connections", "sessions")
