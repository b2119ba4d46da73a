"""What MySQL and MariaDB say about themselves, by preset. Knows no probe and no verdict."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from captain.measurement import Value
from captain.systems.sql.answer import MAX_TABLES, Findings, Question, SqlError, counted
from captain.systems.sql.mysql import Mysql

_SECRET = re.compile(r"password|secret|passphrase|init_connect", re.IGNORECASE)


def settings(db: Mysql, _: Question) -> Findings:
    """Every global variable, without those that hold passwords."""
    shown = {name: value for name, value in _variables(db).items() if not _SECRET.search(name)}
    return Findings({"settings": dict[str, Value](shown)})


def ssl(db: Mysql, _: Question) -> Findings:
    """TLS of the server and of its sessions."""
    seen = _variables(db)
    observed: dict[str, Value] = {"sslmode": db.address.sslmode}
    if "have_ssl" in seen:
        observed["ssl_on"] = seen["have_ssl"] == "YES"
    elif "ssl_cert" in seen:
        observed["ssl_on"] = bool(seen["ssl_cert"])
    if "require_secure_transport" in seen:
        observed["ssl_required"] = seen["require_secure_transport"] == "ON"
    found = Findings(observed)
    unseen = "how sessions of others are connected is not shown"
    if not db.server.can_see_all:
        found.notes.append(f"{unseen}: GRANT PROCESS, and SELECT on performance_schema, to captain's account")
        return found
    try:
        answer = db.ask(
            "select coalesce(sum(connection_type = 'SSL/TLS'), 0) as tls_connections,"
            " coalesce(sum(connection_type = 'TCP/IP'), 0) as plain_connections, count(*) as sessions"
            " from performance_schema.threads where processlist_user is not null"
        ).first()
    except SqlError as error:
        found.notes.append(f"{unseen}: {error.words}")
        return found
    if not answer["tls_connections"] and not answer["plain_connections"]:
        found.notes.append(f"{unseen}: performance_schema is off, or no session came over TCP")
        return found
    found.observed["tls_connections"] = int(answer["tls_connections"])
    found.observed["plain_connections"] = int(answer["plain_connections"])
    return found


def connections(db: Mysql, _: Question) -> Findings:
    """How many sessions there are, and how many there may be."""
    status, seen = _status(db), _variables(db)
    found = Findings()
    most, used = _whole(seen.get("max_connections")), _whole(status.get("Threads_connected"))
    pairs = {"max_connections": most, "usable_max": most, "used": used, "active": _whole(status.get("Threads_running"))}
    found.observed.update({name: value for name, value in pairs.items() if value is not None})
    if most and used is not None:
        found.observed["capacity_ratio"] = used / most
    return found


def sessions(db: Mysql, _: Question) -> Findings:
    """Counters of the server, for a look before and one after."""
    status = _status(db)
    pairs = {"sessions": "Connections", "xact_commit": "Com_commit", "xact_rollback": "Com_rollback"}
    counted = {name: _whole(status.get(variable)) for name, variable in pairs.items()}
    return Findings({name: value for name, value in counted.items() if value is not None})


def slow(db: Mysql, _: Question) -> Findings:
    """Whether slow statements are logged."""
    seen = _variables(db)
    observed: dict[str, Value] = {}
    if "slow_query_log" in seen:
        observed["slow_log_on"] = seen["slow_query_log"] == "ON"
        if observed["slow_log_on"] and "long_query_time" in seen:
            # Left out where it is off: no duration is short enough to mean never.
            observed["log_min_duration"] = timedelta(seconds=float(seen["long_query_time"]))
    if "log_output" in seen:
        observed["log_output"] = seen["log_output"].lower()
        if seen["log_output"] == "NONE":
            observed["slow_log_on"] = False
            observed.pop("log_min_duration", None)
    return Findings(observed)


def archiver(db: Mysql, _: Question) -> Findings:
    """Whether changes are kept in a binary log."""
    seen = _variables(db)
    return Findings({"binlog_on": seen["log_bin"] == "ON"} if "log_bin" in seen else {})


def tables(db: Mysql, _: Question) -> Findings:
    """The tables of this database."""
    names, note = _tables(db)
    if note:
        return Findings(notes=[note])
    return Findings({"tables": list[Value](names), "row_count": len(names)})


def counts(db: Mysql, question: Question) -> Findings:
    """How many rows tables hold, counted and not guessed."""
    if question.tables:
        return counted(question.tables, db.count)
    names, note = _tables(db)
    return Findings(notes=[note]) if note else counted(names, db.count)


PRESETS: dict[str, Callable[[Mysql, Question], Findings]] = {
    "settings": settings,
    "ssl": ssl,
    "connections": connections,
    "sessions": sessions,
    "slow": slow,
    "archiver": archiver,
    "tables": tables,
    "counts": counts,
}


def _variables(db: Mysql) -> dict[str, str]:
    return {str(name): str(value) for name, value in db.ask("show global variables", limit=5000).rows}


def _status(db: Mysql) -> dict[str, str]:
    return {str(name): str(value) for name, value in db.ask("show global status", limit=5000).rows}


def _tables(db: Mysql) -> tuple[list[str], str | None]:
    """Names of all tables, or why they are not all: the server hides what an account may not read."""
    if not db.server.database:
        return [], "the connection string names no database"
    grantee = "concat('''', replace(current_user(), '@', '''@'''), '''')"
    may_read = db.ask(
        "select exists(select 1 from information_schema.user_privileges where privilege_type = 'SELECT'"
        f" and grantee = {grantee}) or exists(select 1 from information_schema.schema_privileges"
        f" where privilege_type = 'SELECT' and grantee = {grantee} and database() like table_schema) as may_read"
    ).first()["may_read"]
    if not may_read:
        return [], "tables that captain's account may not read are hidden: GRANT SELECT on the whole database to it"
    answer = db.ask(
        "select table_name from information_schema.tables where table_schema = database()"
        " and table_type = 'BASE TABLE' order by 1",
        limit=MAX_TABLES,
    )
    if answer.more:
        return [], f"there are more than {MAX_TABLES} tables"
    return [str(row[0]) for row in answer.rows], None


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
