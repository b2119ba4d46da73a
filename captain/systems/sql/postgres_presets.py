"""What PostgreSQL says about itself, by preset. Knows no probe and no verdict.

A role without pg_monitor is shown rows of others that are empty, or none at all. What is counted over such rows is
left out, never zero.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from captain.measurement import Value
from captain.systems.sql.answer import MAX_TABLES, Findings, Question, SqlError, counted, plain
from captain.systems.sql.postgres import Postgres

HIDDEN = "sessions of others are hidden from captain's role: GRANT pg_monitor TO it"
_SECRET_SETTINGS = ("primary_conninfo", "ssl_passphrase_command")


def settings(db: Postgres, _: Question) -> Findings:
    """Every setting that captain's role may see, without those that hold passwords."""
    answer = db.ask("select name, setting, pending_restart from pg_settings order by name")
    shown = {str(name): str(value) for name, value, _ in answer.rows if not _may_hold_secrets(str(name))}
    found = Findings({"settings": dict[str, Value](shown), "pending_restart": sum(1 for row in answer.rows if row[2])})
    if "data_directory" not in shown:
        found.notes.append("some settings are hidden from captain's role: GRANT pg_monitor TO it")
    return found


def _may_hold_secrets(name: str) -> bool:
    return name in _SECRET_SETTINGS or name.endswith("_command")


def ssl(db: Postgres, question: Question) -> Findings:
    """TLS of the server and of its sessions, those of replicas included."""
    row = db.ask(
        # Not current_setting: of a setting that is hidden from the role it makes an error.
        "select bool_or(setting = 'on') filter (where name = 'ssl') as ssl_on,"
        " max(setting) filter (where name = 'ssl_min_protocol_version') as ssl_min_protocol from pg_settings"
    ).first()
    found = Findings({**_known(row), "sslmode": db.address.sslmode})
    if not db.server.can_see_all:
        found.notes.append(HIDDEN)
        return found
    params = [question.role] if question.role is not None else []
    seen = db.ask(
        "select count(*) filter (where s.ssl is true) as tls_connections,"
        " count(*) filter (where s.ssl is not true) as plain_connections"
        " from pg_stat_activity a left join pg_stat_ssl s on s.pid = a.pid"
        " where a.backend_type in ('client backend', 'walsender') and a.client_addr is not null"
        f"{' and a.usename = %s' if params else ''}",
        params,
    ).first()
    if not any(seen.values()):
        found.notes.append("no session came over TCP, not even captain's own: none is plain and none is not")
        return found
    found.observed.update(seen)
    return found


def connections(db: Postgres, question: Question) -> Findings:
    """How many sessions there are, and how many there may be."""
    row = db.ask(
        "select current_setting('max_connections')::int as max_connections,"
        " current_setting('superuser_reserved_connections')::int"
        " + coalesce(current_setting('reserved_connections', true)::int, 0) as reserved"
    ).first()
    usable = row["max_connections"] - row["reserved"]
    found = Findings({"max_connections": row["max_connections"], "usable_max": usable})
    if not db.server.can_see_all:
        found.notes.append(HIDDEN)
        return found
    seen = db.ask(
        "select count(*) as used,"
        " count(*) filter (where datname = current_database() and not own) as used_here,"
        " count(*) filter (where state = 'active' and not own) as active,"
        " count(*) filter (where state = 'idle' and not own) as idle,"
        " count(*) filter (where state like 'idle in transaction%' and not own) as idle_in_transaction,"
        " count(*) filter (where wait_event_type = 'Lock' and not own) as waiting,"
        " max(now() - xact_start) filter (where not own) as longest_transaction"
        # What captain's other steps hold open at this moment is not the product's.
        " from (select *, usename = session_user and application_name = 'captain' as own from pg_stat_activity) a"
        " where backend_type = 'client backend'"
    ).first()
    found.observed.update(_known(seen))
    if usable > 0:
        found.observed["capacity_ratio"] = seen["used"] / usable
    if question.role is not None:
        found.observed["used_by_role"] = _sessions(db, question, "count(*) as used", "true")["used"]
    return found


def sessions(db: Postgres, question: Question) -> Findings:
    """Counters of this database, for a look before and one after."""
    row = db.ask(
        # As a document, because servers before 14 have no such column.
        "select (to_jsonb(d) ->> 'sessions')::bigint as sessions, xact_commit, xact_rollback, stats_reset"
        " from pg_stat_database d where datname = current_database()"
    ).first()
    found = Findings(_known(row))
    if row.get("sessions") is None:
        found.notes.append("this server counts no sessions (PostgreSQL 14 and later do); see backend_age")
    if not db.server.can_see_all:
        found.notes.append(HIDDEN)
        return found
    aged = _sessions(
        db,
        question,
        "percentile_disc(0.5) within group (order by clock_timestamp() - a.backend_start) as backend_age",
        "a.pid <> pg_backend_pid()",
    )
    found.observed.update(_known(aged))
    return found


def slow(db: Postgres, _: Question) -> Findings:
    """Whether slow statements are logged."""
    answer = db.ask(
        "select name, setting from pg_settings where name in"
        " ('log_min_duration_statement', 'shared_preload_libraries', 'log_destination')"
    )
    seen = {str(name): str(value) for name, value in answer.rows}
    observed: dict[str, Value] = {}
    if (written := seen.get("log_min_duration_statement")) is not None:
        observed["slow_log_on"] = int(written) >= 0
        if int(written) >= 0:
            # Left out where it is off: no duration is short enough to mean never.
            observed["log_min_duration"] = timedelta(milliseconds=int(written))
    if (destination := seen.get("log_destination")) is not None:
        observed["log_output"] = destination
    notes = []
    if (preloaded := seen.get("shared_preload_libraries")) is None:
        notes.append("shared_preload_libraries is hidden from captain's role: GRANT pg_monitor TO it")
    else:
        libraries = {name.strip().strip('"') for name in preloaded.split(",")}
        observed["auto_explain"] = "auto_explain" in libraries
        installed = db.ask("select 1 from pg_extension where extname = 'pg_stat_statements'").rows
        observed["pg_stat_statements"] = bool(installed) and "pg_stat_statements" in libraries
    overrides = db.ask(
        "select d.datname as database, r.rolname as role, c as setting from pg_db_role_setting s"
        " cross join unnest(s.setconfig) c left join pg_database d on d.oid = s.setdatabase"
        " left join pg_roles r on r.oid = s.setrole where c like 'log\\_min\\_duration\\_statement=%'"
        " and (s.setdatabase = 0 or d.datname = current_database())"
    )
    observed["slow_log_overrides"] = len(overrides.rows)
    return Findings(observed, notes, overrides.dicts(lambda text: text))


def archiver(db: Postgres, _: Question) -> Findings:
    """Whether WAL is archived, how lately, and how far replicas are behind."""
    row = db.ask(
        "select current_setting('archive_mode') as archive_mode, current_setting('wal_level') as wal_level,"
        " (select setting::int from pg_settings where name = 'archive_timeout') * interval '1 second'"
        " as archive_timeout,"
        " (select bool_or(setting not in ('', '(disabled)')) from pg_settings"
        " where name in ('archive_command', 'archive_library')) and current_setting('archive_mode') <> 'off'"
        " as archiving_configured, archived_count as archived, failed_count as archiver_failed,"
        " last_archived_time as last_archived_at, clock_timestamp() - last_archived_time as last_archived_age,"
        " coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) as archiver_failing"
        " from pg_stat_archiver"
    ).first()
    found = Findings(_known(row))
    if row["archiving_configured"] is False:
        # What is never tried never fails.
        found.observed.pop("archiver_failing")
        found.notes.append("no WAL is archived: archive_mode is off, or neither a command nor a library is set")
    if row.get("last_archived_at") is None:
        found.notes.append("nothing was archived yet")
    if db.server.standby:
        found.notes.append("this is a standby: it archives only with archive_mode = always")
    if not db.server.can_see_all:
        found.notes.append(HIDDEN)
        return found
    lag = db.ask(
        # pg_receivewal and a base backup stream too, and replay nothing.
        "select count(*) filter (where state = 'streaming' and replay_lsn is not null) as replicas,"
        " max(replay_lag) as replica_lag"
        " from pg_stat_replication"
    ).first()
    found.observed.update(_known(lag))
    return found


def file_settings(db: Postgres, _: Question) -> Findings:
    """Lines of the configuration files that the server refuses."""
    try:
        read = db.ask("select count(*) as lines from pg_file_settings").first()["lines"]
        answer = db.ask("select name, error, sourceline as line from pg_file_settings where error is not null")
    except SqlError as error:
        if error.why != "denied":
            raise
        note = "pg_file_settings is hidden from captain's role: GRANT SELECT ON pg_file_settings and"
        return Findings(notes=[f"{note} EXECUTE ON FUNCTION pg_show_all_file_settings TO it"])
    if not read:
        return Findings(notes=["the server's configuration files hold no setting: nothing was searched"])
    rows = answer.dicts(lambda text: text)
    found = Findings({"file_settings": read, "rows": rows}, rows=rows)
    if not answer.more:
        found.observed["row_count"] = len(rows)
    return found


def tables(db: Postgres, _: Question) -> Findings:
    """The tables of this database, of all schemas but the system's."""
    names, more = _tables(db)
    found = Findings({"tables": list[Value](sorted(_shown(*name) for name in names))})
    if more:
        found.observed.pop("tables")
        found.notes.append(f"there are more than {MAX_TABLES} tables")
    else:
        found.observed["row_count"] = len(names)
    return found


def counts(db: Postgres, question: Question) -> Findings:
    """How many rows tables hold, counted: what the planner guesses is -1 for a table that nobody analysed."""
    known, _ = _tables(db)
    by_name = {_shown(*name): name for name in known} | {".".join(name): name for name in known}

    def count(name: str) -> int:
        if name not in by_name:
            raise SqlError("there is no such table")
        return db.count(*by_name[name])

    return counted(question.tables or sorted(_shown(*name) for name in known), count)


PRESETS: dict[str, Callable[[Postgres, Question], Findings]] = {
    "settings": settings,
    "ssl": ssl,
    "connections": connections,
    "sessions": sessions,
    "slow": slow,
    "archiver": archiver,
    "file_settings": file_settings,
    "tables": tables,
    "counts": counts,
}


def _sessions(db: Postgres, question: Question, what: str, where: str) -> dict[str, Any]:
    """Something about the clients of this database, all of them or those of one role."""
    params = [question.role] if question.role is not None else []
    role = " and a.usename = %s" if params else ""
    return db.ask(
        f"select {what} from pg_stat_activity a left join pg_stat_ssl s on s.pid = a.pid"
        f" where a.backend_type = 'client backend' and a.datname = current_database() and {where}{role}",
        params,
    ).first()


def _tables(db: Postgres) -> tuple[list[tuple[str, str]], bool]:
    answer = db.ask(
        "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind in ('r', 'p', 'f') and not c.relispartition and n.nspname <> 'information_schema'"
        " and n.nspname not like 'pg\\_%' order by 1, 2",
        limit=MAX_TABLES,
    )
    return [(str(schema), str(table)) for schema, table in answer.rows], answer.more


def _shown(schema: str, table: str) -> str:
    return table if schema == "public" else f"{schema}.{table}"


def _known(row: dict[str, Any]) -> dict[str, Value]:
    return {name: plain(value) for name, value in row.items() if value is not None}
