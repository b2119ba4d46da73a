"""What the sql probe tells about a real PostgreSQL, and what it cannot be made to do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import textwrap
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes.sql import SqlProbe
from captain.systems.sql.answer import SqlError
from captain.systems.sql.dsn import Address
from tests.hostile_server import HostileServer
from tests.postgres_server import PASSWORD, Postgres, program, running_postgres
from tests.probes.sql_part import ask, verdict

SLEEPING = """select 1 from pg_stat_activity
    where application_name = 'captain' and query like 'select pg_sleep%' and state = 'active'"""


async def error_of(dsn: str, **keys: Any) -> ProbeError:
    with pytest.raises(ProbeError) as raised:
        await ask(dsn, **keys)
    said = f"{raised.value.message} {raised.value.hint} {raised.value!r}"
    assert PASSWORD not in said and "planted" not in said and "s3cret" not in said
    return raised.value


def judged(seen: Measurement, *conditions: str) -> str:
    assert PASSWORD not in repr(seen) and "planted" not in repr(seen)
    return verdict(SqlProbe, seen, *conditions)


async def test_a_database_that_answers_passes_by_itself(postgres_server: Postgres) -> None:
    seen = await ask(postgres_server.dsn())
    assert judged(seen) == "pass"
    assert seen.observed["version"] == postgres_server.run("select current_setting('server_version_num')::int")[0][0]
    assert (seen.observed["database"], seen.observed["standby"]) == ("postgres", False)
    moment = seen.observed["server_time"]
    assert isinstance(moment, datetime) and abs(datetime.now(UTC) - moment) < timedelta(seconds=5)
    assert seen.asked == f"sql postgres at 127.0.0.1:{postgres_server.port}: does it answer?"


async def test_a_preset_and_a_number_pass_by_nothing(postgres_server: Postgres) -> None:
    assert judged(await ask(postgres_server.dsn(), preset="settings")) == "unknown"
    assert judged(await ask(postgres_server.dsn(), query="select 0")) != "pass"
    assert (
        judged(await ask(postgres_server.dsn(), query="select count(*) from pg_database where datname = 'postgres'"))
        != "pass"
    )
    assert judged(await ask(postgres_server.dsn(), query="show wal_level"), 'value == "replica"') == "pass"
    assert judged(await ask(postgres_server.dsn(), query="select count(*) = 0 from pg_class")) == "fail"
    assert judged(await ask(postgres_server.dsn(), query="select null::bool")) == "unknown"
    assert judged(await ask(postgres_server.dsn(), query="select true where false")) == "unknown"
    assert judged(await ask(postgres_server.dsn(), query="select true from generate_series(1, 2)")) == "unknown"
    assert judged(await ask(postgres_server.dsn(), query="select 'NaN'::float8"), "value < 1.0") == "unknown"


async def test_values_come_as_conditions_take_them(postgres_server: Postgres, postgres_database: str) -> None:
    query = """select 7::bigint as whole, sum(x) as total, 2.50 as exact, 0.5::float8 as part, null as nothing,
        'infinity'::float8 as endless, timestamptz '2026-01-02 03:04:05+00' as at, timestamp '2026-01-02' as local,
        date '2026-01-02' as day, interval '90 seconds' as pause, jsonb '{"a": [1, {"b": null}]}' as doc,
        array[1, 2] as list, '\\x0aff'::bytea as raw, 'a' as x, 'b' as x from generate_series(1, 3) x"""
    seen = await ask(postgres_server.dsn("app", postgres_database), query=query)
    assert seen.observed["rows"] == [
        {
            "whole": 7,
            "total": 6,
            "exact": 2.5,
            "part": 0.5,
            "nothing": None,
            "endless": None,
            "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            "local": "2026-01-02 00:00:00",
            "day": "2026-01-02",
            "pause": timedelta(seconds=90),
            "doc": {"a": [1, {"b": None}]},
            "list": [1, 2],
            "raw": "0aff",
            "x": "a",
            "x_2": "b",
        }
    ]
    assert (seen.observed["row_count"], seen.observed["value"]) == (1, 7)


async def test_values_of_a_release_are_parameters_and_never_part_of_the_text(postgres_server: Postgres) -> None:
    seen = await ask(
        postgres_server.dsn(), query="select %s = '1.4.0'' or true', %s::int %% 2", params=["1.4.0' or true", "5"]
    )
    assert seen.observed["value"] is True
    with pytest.raises(ValidationError, match="a value could end the statement"):
        await ask(postgres_server.dsn(), query="select '${{ release.version }}'")
    with pytest.raises(ValidationError, match="has 1 params for 2 %s"):
        await ask(postgres_server.dsn(), query="select %s, %s", params=["1"])


async def test_more_rows_than_asked_for_are_cut_and_not_counted(postgres_server: Postgres) -> None:
    seen = await ask(postgres_server.dsn(), query="select * from generate_series(1, 101)")
    rows = seen.observed["rows"]
    assert isinstance(rows, list) and len(rows) == 100
    assert seen.observed["truncated"] is True and "row_count" not in seen.observed
    assert judged(seen, "row_count <= 100") == "unknown"
    assert seen.notes == ("there are more than 100 rows; how many is not known",)


@pytest.mark.parametrize(
    "statement",
    [
        *("select 1; drop table orders", "delete from orders", "with x as (delete from orders returning 1) table x"),
        *("set transaction read write", "copy orders to program 'true'", "do $$ begin end $$", "truncate orders"),
        *("select nextval('counter')", "select setval('counter', 9)", "select lo_creat(1)", "select lo_import('/etc')"),
        *("select set_config('transaction_read_only', 'off', false)", "select pg_advisory_lock(1)", "call drain()"),
        *("select pg_terminate_backend(1)", 'select "pg_terminate_backend"(1)', "select pg_reload_conf /* */ ()"),
        *("explain analyze delete from orders", "explain (analyze) select drain()", "select drain()"),
        *("select 1 into copied", "select * from orders for update", "begin", "listen x", 'select U&"x"', "select '"),
        *(
            "select gin_clean_pending_list('i')",
            "select brin_desummarize_range('i', 1)",
            "select heap_force_kill('t', '{}')",
        ),
        *("select brin_summarize_new_values('i')", "select pg_truncate_visibility_map('orders')"),
        *("select query_to_xml('select pg_terminate_backend(1)', true, true, '')", "vacuum", "show all; select 1"),
    ],
)
async def test_nothing_that_does_more_than_read_gets_through(
    postgres_server: Postgres, postgres_database: str, statement: str
) -> None:
    postgres_server.run(
        *("create table orders (id int)", "insert into orders values (1)", "create sequence counter"),
        "create function drain() returns int language plpgsql as $$ begin delete from orders; return 1; end $$",
        *("grant all on all tables in schema public to app", "alter function drain() owner to app"),
        database=postgres_database,
    )
    with pytest.raises((ProbeError, ValidationError)):
        await ask(postgres_server.dsn("postgres", postgres_database), query=statement)
    rows = postgres_server.run(
        "select (select count(*) from orders), (select last_value from counter), (select is_called from counter),"
        " (select count(*) from pg_largeobject_metadata), (select count(*) from pg_class where relname = 'copied')",
        database=postgres_database,
    )
    assert rows == [(1, 1, False, 0, 0)]


async def test_the_server_itself_refuses_what_the_words_let_through(
    postgres_server: Postgres, postgres_database: str
) -> None:
    """The client alone, past the look at the words: the read-only transaction and the protocol hold too."""
    from captain.systems.sql import postgres

    address = Address("127.0.0.1", postgres_server.port, postgres_database, "postgres", PASSWORD, "prefer")
    postgres_server.run("create sequence counter", "create table orders (id int)", database=postgres_database)
    statements = (
        "select nextval('counter')",
        "select set_config('transaction_read_only', 'off', true)",
        "with x as (insert into orders values (1) returning 1) select * from x",
        "select 1; insert into orders values (1)",
        "select * from orders for update",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "reading", lambda text, _: text)

        def all_refused(db: postgres.Postgres) -> list[str]:
            said = []
            for statement in statements:
                with pytest.raises(SqlError) as raised:
                    db.ask(statement)
                said.append(raised.value.words)
            return said

        said = await postgres.ask_postgres(
            "sql", address, all_refused, blocking=_thread, timeout=timedelta(seconds=5), root=Path()
        )
    assert "read-only transaction" in said[0] and "before any query" in said[1] and "read-only transaction" in said[2]
    assert "multiple commands" in said[3] and "read-only transaction" in said[4]
    assert postgres_server.run("select count(*) from orders", database=postgres_database) == [(0,)]


async def _thread(call: Any, /) -> Any:
    return await asyncio.to_thread(call)


async def test_a_statement_that_does_not_end_is_stopped_at_the_server_too(postgres_server: Postgres) -> None:
    began = time.monotonic()
    error = await error_of(postgres_server.dsn(), query="select pg_sleep(60)", seconds=1)
    assert time.monotonic() - began < 1.5
    assert error.fault == "unclear" and "did not end in time and was stopped by the server" in error.message
    postgres_server.until(lambda: not postgres_server.run(SLEEPING))


async def test_an_answer_of_a_hundred_megabytes_fills_no_memory(postgres_server: Postgres) -> None:
    tracemalloc.start()
    try:
        error = await error_of(postgres_server.dsn(), query="select repeat('x', 100000000)")
        assert "more than 16 MiB came back, stopped there" in error.message
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("manner", ["silent", "drip", "flood", "die"])
async def test_no_server_holds_the_probe_up(hostile_server: HostileServer, manner: str) -> None:
    began = time.monotonic()
    # Says no to TLS, then asks for no password and goes on as it likes.
    port = hostile_server.port(manner, after=b"N")
    dsn = f"postgresql://app:{PASSWORD.replace('/', '%2F').replace('@', '%40')}@127.0.0.1:{port}/shop"
    error = await error_of(dsn, seconds=1)
    assert time.monotonic() - began < 1.5
    assert error.fault == "unclear" and error.message.startswith(f"sql shop at 127.0.0.1:{port}: does it answer?: ")


async def test_a_server_that_dies_under_a_question_is_told_as_such() -> None:
    with running_postgres() as server:
        waiting = asyncio.ensure_future(error_of(server.dsn(), query="select pg_sleep(20)"))
        while not server.run(SLEEPING):
            await asyncio.sleep(0.02)
        began = time.monotonic()
        server.process.kill()
        error = await waiting
        assert time.monotonic() - began < 2 and error.fault == "unclear"
        assert "closed" in error.message
        server.process.wait(10)


async def test_what_is_not_reached_or_lets_nobody_in_is_no_pass(postgres_server: Postgres) -> None:
    refused = await error_of(postgres_server.dsn(port=1))
    assert (refused.fault, "connection refused" in refused.message) == ("unclear", True)
    wrong = await error_of(postgres_server.dsn("nobody"))
    assert wrong.fault == "instrument" and "password authentication failed" in wrong.message
    assert wrong.hint == "check user and password in the connection string"
    assert "does not exist" in (await error_of(postgres_server.dsn(database="nowhere"))).message
    denied = await error_of(postgres_server.dsn("plain"), query="select * from pg_authid")
    assert denied.fault == "instrument" and "permission denied" in denied.message
    assert "the secret DATABASE_URL is not set" in str(await _unset())


async def _unset() -> ProbeError:
    from tests.probes.sql_part import context

    with pytest.raises(ProbeError) as raised:
        await SqlProbe(engine="postgres", dsn_env="DATABASE_URL").measure(context())
    return raised.value


async def test_rows_that_a_policy_hides_are_an_error_and_not_fewer_rows(
    postgres_server: Postgres, postgres_database: str
) -> None:
    postgres_server.run(
        *("create table orders (id int)", "insert into orders values (1)", "grant select on orders to plain"),
        *("alter table orders enable row level security",),
        database=postgres_database,
    )
    error = await error_of(postgres_server.dsn("plain", postgres_database), query="select count(*) from orders")
    assert "row-level security" in error.message


# ---------------------------------------------------------------- where libpq looks by itself


ALONE = """
import asyncio, json, os, sys
from tests.probes.sql_part import ask
from captain.errors import ProbeError
async def go():
    try:
        seen = await ask(sys.argv[1], query="select current_user, current_database()")
        print(json.dumps([seen.observed["rows"], seen.observed["tls"]]))
    except ProbeError as error:
        print(json.dumps(error.message))
asyncio.run(go())
"""


def alone(dsn: str, home: Path, **environ: str) -> Any:
    """What the probe says in a process with that environment and home folder."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", ALONE, dsn],
        env={"PATH": os.defpath, "PYTHONPATH": str(root), "HOME": str(home), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_nothing_of_the_environment_or_the_home_folder_is_asked_with(postgres_server: Postgres, tmp_path: Path) -> None:
    here = postgres_server
    (tmp_path / ".pgpass").write_text(f"*:*:*:*:{PASSWORD}\n")
    (tmp_path / ".pgpass").chmod(0o600)
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").write_text("no certificate")
    (tmp_path / ".pg_service.conf").write_text("[other]\nhost=192.0.2.1\nuser=postgres\npassword=x\ndbname=template1\n")
    hostile = {
        "PGPASSWORD": "wrong",
        "PGHOST": "192.0.2.1",
        "PGHOSTADDR": "192.0.2.1",
        "PGPORT": "1",
        "PGUSER": "postgres",
        "PGDATABASE": "template1",
        "PGSSLMODE": "verify-full",
        "PGOPTIONS": "-c search_path=evil",
        "PGTZ": "Asia/Tokyo",
        "PGPASSFILE": str(tmp_path / ".pgpass"),
        "PGREQUIREAUTH": "none",
        "PGCLIENTENCODING": "LATIN1",
        "PGTARGETSESSIONATTRS": "standby",
        "PGCHANNELBINDING": "require",
        "PGSSLROOTCERT": "/nowhere",
        "PGDATESTYLE": "German",
        "PGAPPNAME": "x",
        "PGSSLCERTMODE": "require",
        "PGMAXPROTOCOLVERSION": "3.2",
        "PGSSLMINPROTOCOLVERSION": "TLSv1.3",
        "PGSSLMAXPROTOCOLVERSION": "TLSv1.1",
        "PGCONNECT_TIMEOUT": "x",
    }
    expected = [[{"current_user": "monitor", "current_database": "postgres"}], "TLSv1.3"]
    assert alone(here.dsn(), tmp_path, **hostile) == expected
    assert alone(here.dsn(), tmp_path, PGSERVICE="other") == expected
    no_password = f"postgresql://monitor@127.0.0.1:{here.port}/postgres"
    assert "no password supplied" in alone(no_password, tmp_path, **hostile)
    assert "PGSERVICE is set where captain runs" in alone(here.dsn(), tmp_path, PGSERVICE="nowhere")


def test_a_unix_socket_is_named_by_its_folder(postgres_server: Postgres, tmp_path: Path) -> None:
    dsn = f"host={postgres_server.folder} port={postgres_server.port} user=plain dbname=postgres"
    assert alone(dsn, tmp_path) == [[{"current_user": "plain", "current_database": "postgres"}], "none"]


def test_the_library_is_loaded_by_nobody_who_does_not_ask() -> None:
    code = "import captain.probes.sql, sys; print([m for m in ('psycopg', 'pymysql', 'sqlite3') if m in sys.modules])"
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


async def test_a_library_that_is_missing_is_named_with_the_way_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    error = await error_of("postgresql://app@127.0.0.1/shop")
    assert error.message == "sql: psycopg is not installed" and error.fault == "instrument"
    assert error.hint == "pip install 'release-captain[postgres]'"


# ---------------------------------------------------------------- presets


async def test_tls_of_the_sessions_is_counted_where_they_can_be_seen(postgres_server: Postgres) -> None:
    rule = ("can_see_all && ssl_on && plain_connections == 0", 'sslmode in ["verify-ca", "verify-full"]')
    verified = {"sslmode": "verify-full", "sslrootcert": str(postgres_server.ca)}
    good = await ask(
        f"{postgres_server.dsn(host='localhost')}?sslmode=verify-full&sslrootcert={postgres_server.ca}", preset="ssl"
    )
    assert verified["sslmode"] == good.observed["sslmode"]
    assert judged(good, *rule) == "pass"
    assert (good.observed["tls"], good.observed["tls_connections"]) == ("TLSv1.3", 1)
    with contextlib.closing(psycopg.connect(postgres_server.dsn("plain", sslmode="disable"))):
        seen = await ask(postgres_server.dsn(), preset="ssl")
        assert judged(seen, rule[0]) == "fail"
        assert seen.observed["plain_connections"] == 1
        assert (await ask(postgres_server.dsn(), preset="ssl", role="monitor")).observed["plain_connections"] == 0
    weak = await ask(postgres_server.dsn(sslmode="disable"), preset="ssl")
    assert (weak.observed["plain_connections"], weak.observed["tls"]) == (1, "none")
    nobody = await ask(postgres_server.dsn(), preset="ssl", role="tls_only")
    assert "plain_connections" not in nobody.observed and "no session came over TCP" in nobody.notes[0]


async def test_plain_sessions_of_other_roles_in_other_databases_are_counted(
    postgres_server: Postgres, postgres_database: str
) -> None:
    with contextlib.closing(psycopg.connect(postgres_server.dsn("app", postgres_database, sslmode="disable"))):
        seen = await ask(postgres_server.dsn(), preset="ssl")
        assert (seen.observed["database"], seen.observed["plain_connections"]) == ("postgres", 1)
        own = await ask(postgres_server.dsn("tls_only"), preset="ssl", try_plain="true")
    assert own.observed["plain_refused"] is True
    assert any("is about the role tls_only and the database postgres: others may" in note for note in own.notes)


async def test_a_server_that_turns_plain_connections_away_is_told_from_one_that_does_not(
    postgres_server: Postgres,
) -> None:
    strict = await ask(postgres_server.dsn("tls_only"), preset="ssl", try_plain="true")
    assert strict.observed["plain_refused"] is True
    lax = await ask(postgres_server.dsn("monitor"), preset="ssl", try_plain="true")
    assert lax.observed["plain_refused"] is False
    with postgres_server.setting(ssl="off"):
        off = await ask(postgres_server.dsn("monitor"), preset="ssl")
        assert (off.observed["ssl_on"], judged(off, "can_see_all && ssl_on && plain_connections == 0")) == (
            False,
            "fail",
        )
        refused = await error_of(postgres_server.dsn("monitor", sslmode="require"), preset="ssl")
        assert "does not support SSL" in refused.message


@pytest.mark.parametrize("preset", ["ssl", "connections", "sessions", "archiver"])
async def test_f12_a_role_that_sees_no_others_counts_nothing_about_them(postgres_server: Postgres, preset: str) -> None:
    with contextlib.closing(psycopg.connect(postgres_server.dsn("app", sslmode="disable"))):
        seen = await ask(postgres_server.dsn("plain"), preset=preset)
    assert seen.observed["can_see_all"] is False
    hidden = {"plain_connections", "tls_connections", "used", "capacity_ratio", "active", "backend_age", "replicas"}
    assert not hidden & seen.observed.keys()
    assert "sessions of others are hidden from captain's role: GRANT pg_monitor TO it" in seen.notes
    assert judged(seen, "can_see_all && plain_connections == 0") == "fail"
    assert judged(seen, "plain_connections == 0") == judged(seen, "capacity_ratio < 0.8") == "unknown"


async def test_connections_are_counted_against_what_is_left_for_clients(postgres_server: Postgres) -> None:
    with contextlib.closing(psycopg.connect(postgres_server.dsn("app"))) as other:
        other.execute("select 1")
        seen = await ask(postgres_server.dsn(), preset="connections", role="app")
    assert (seen.observed["max_connections"], seen.observed["usable_max"]) == (40, 37)
    assert (seen.observed["used"], seen.observed["used_here"], seen.observed["used_by_role"]) == (2, 1, 1)
    assert seen.observed["capacity_ratio"] == 2 / 37
    assert (seen.observed["idle_in_transaction"], seen.observed["active"]) == (1, 0), "captain itself is not counted"
    assert judged(seen, "capacity_ratio <= 0.8", "idle_in_transaction == 0") == "fail"


DJANGO = """
import sys
import django
from django.conf import settings
host, port, name, password, age = sys.argv[1:]
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": host, "PORT": port,
    "NAME": name, "USER": "app", "PASSWORD": password, "CONN_MAX_AGE": int(age)}}, INSTALLED_APPS=[])
django.setup()
from django.core.signals import request_finished, request_started
from django.db import connection
for _ in range(50):
    request_started.send(sender=None)
    connection.cursor().execute("select 1")
    request_finished.send(sender=None)
"""


async def test_f13_a_session_for_every_request_is_seen_and_a_kept_one_too(
    postgres_server: Postgres, postgres_database: str
) -> None:
    dsn = postgres_server.dsn("monitor", postgres_database)
    opened = {}
    for age in ("0", "600"):
        before = await ask(dsn, preset="sessions")
        arguments = ["127.0.0.1", str(postgres_server.port), postgres_database, PASSWORD, age]
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", DJANGO, *arguments], check=True, timeout=60)
        after = await ask(dsn, preset="sessions")
        opened[age] = int(str(after.observed["sessions"])) - int(str(before.observed["sessions"]))
        assert int(str(after.observed["xact_commit"])) > int(str(before.observed["xact_commit"]))
    # One of them is captain's own.
    assert opened["0"] >= 50 and opened["600"] <= 3


@pytest.fixture(scope="module")
def broken_files() -> Iterator[Postgres]:
    with running_postgres(archive_mode="off") as server:
        with (server.folder / "data" / "postgresql.conf").open("a") as file:
            file.write("innodb_buffer_pool_size = '128M'\n")
        yield server


async def test_f14_a_line_that_the_server_does_not_know_is_found_in_its_files(
    broken_files: Postgres, postgres_server: Postgres
) -> None:
    seen = await ask(broken_files.dsn("postgres"), preset="file_settings")
    assert seen.observed["row_count"] == 1
    rows = seen.observed["rows"]
    assert isinstance(rows, list) and isinstance(rows[0], dict)
    assert (rows[0]["name"], rows[0]["error"]) == ("innodb_buffer_pool_size", "unrecognized configuration parameter")
    clean = await ask(postgres_server.dsn("postgres"), preset="file_settings")
    assert clean.observed["row_count"] == 0 and int(str(clean.observed["file_settings"])) > 10
    blind = await ask(postgres_server.dsn("monitor"), preset="file_settings")
    assert "row_count" not in blind.observed and "rows" not in blind.observed
    assert blind.notes[0].startswith("pg_file_settings is hidden from captain's role: GRANT SELECT")


async def test_f14_an_option_of_mysql_in_the_connection_string_is_named() -> None:
    error = await error_of("postgresql://app:planted@127.0.0.1/shop?charset=utf8mb4")
    assert 'invalid connection option "charset"' in error.message and error.fault == "unclear"
    error = await error_of("host=127.0.0.1 user=app password=planted s3cret=x dbname=shop")
    assert error.message == "the connection string in DATABASE_URL holds an option that libpq does not know"


async def test_f16_archiving_is_off_by_default_and_its_last_file_has_an_age(
    broken_files: Postgres, postgres_server: Postgres
) -> None:
    none = await ask(broken_files.dsn(), preset="archiver")
    assert (none.observed["archive_mode"], none.observed["archive_timeout"]) == ("off", timedelta(0))
    assert "last_archived_age" not in none.observed and "nothing was archived yet" in none.notes
    rule = 'archive_timeout > duration("0s") && archive_timeout <= duration("5m")'
    assert judged(none, rule) == "fail"
    assert judged(none, 'last_archived_age <= duration("5m")') == "unknown"
    before = int(str((await ask(postgres_server.dsn(), preset="archiver")).observed["archived"]))
    postgres_server.run("create table if not exists wal_filler (i int)", "insert into wal_filler values (1)")
    postgres_server.run("select pg_switch_wal()")
    postgres_server.until(lambda: postgres_server.run("select archived_count from pg_stat_archiver")[0][0] > before)
    with postgres_server.setting(archive_timeout="300"):
        good = await ask(postgres_server.dsn(), preset="archiver")
    assert (
        judged(good, rule, 'last_archived_age <= duration("5m")', "archiver_failed == 0", "!archiver_failing") == "pass"
    )
    with postgres_server.setting(archive_command="false"):
        postgres_server.run("insert into wal_filler values (1)", "select pg_switch_wal()")
        postgres_server.until(lambda: postgres_server.run("select failed_count from pg_stat_archiver")[0][0] > 0)
        failing = await ask(postgres_server.dsn(), preset="archiver")
    assert failing.observed["archiver_failing"] is True
    postgres_server.run("select pg_stat_reset_shared('archiver')", "drop table wal_filler")


async def test_f16_archiving_that_has_no_command_is_not_taken_for_one_that_never_fails(
    postgres_server: Postgres, broken_files: Postgres
) -> None:
    good = await ask(postgres_server.dsn("plain"), preset="archiver")
    assert good.observed["archiving_configured"] is True and "archiver_failing" in good.observed
    with postgres_server.setting(archive_command=""):
        empty = await ask(postgres_server.dsn("plain"), preset="archiver")
    off = await ask(broken_files.dsn(), preset="archiver")
    assert (empty.observed["archive_mode"], off.observed["archive_mode"]) == ("on", "off")
    for seen in (empty, off):
        assert seen.observed["archiving_configured"] is False
        assert judged(seen, "!archiver_failing") == "unknown"
        assert any("no WAL is archived" in note for note in seen.notes)


async def test_f16_a_receiver_of_wal_that_replays_nothing_is_no_replica(broken_files: Postgres, tmp_path: Path) -> None:
    rules = broken_files.folder / "data" / "pg_hba.conf"
    rules.write_text(f"{rules.read_text()}local replication all trust\n")
    broken_files.run("select pg_reload_conf()")
    where = ["-h", str(broken_files.folder), "-p", str(broken_files.port), "-U", "postgres", "-D", str(tmp_path)]
    with subprocess.Popen([program("pg_receivewal"), *where], stderr=subprocess.DEVNULL) as receiver:
        try:
            streaming = "select count(*) from pg_stat_replication where state = 'streaming'"
            broken_files.until(lambda: broken_files.run(streaming) == [(1,)])
            seen = await ask(broken_files.dsn(), preset="archiver")
            assert seen.observed["replicas"] == 0 and judged(seen, "replicas >= 1") == "fail"
        finally:
            receiver.terminate()


async def test_f16_rows_are_counted_where_the_planner_has_no_guess(
    postgres_server: Postgres, postgres_database: str
) -> None:
    postgres_server.run(
        *('create table "Odd %s name" (id int)', "create table orders (id int)", "create schema billing"),
        *("insert into orders select generate_series(1, 7)", "create table billing.invoices (id int)"),
        "grant select on all tables in schema public to monitor",
        database=postgres_database,
    )
    guess = postgres_server.run("select reltuples from pg_class where relname = 'orders'", database=postgres_database)
    assert guess == [(-1.0,)]
    dsn = postgres_server.dsn("monitor", postgres_database)
    seen = await ask(dsn, preset="counts")
    assert seen.observed["counts"] == {"Odd %s name": 0, "orders": 7}
    assert "empty_tables" not in seen.observed
    assert seen.notes == ("billing.invoices was not counted: permission denied for schema billing",)
    some = await ask(dsn, preset="counts", tables=["orders", "public.orders", "gone"])
    assert some.observed["counts"] == {"orders": 7, "public.orders": 7}
    assert some.notes == ("gone was not counted: there is no such table",)
    listed = await ask(postgres_server.dsn("plain", postgres_database), preset="tables")
    assert listed.observed["tables"] == ["Odd %s name", "billing.invoices", "orders"]
    assert listed.observed["row_count"] == 3


async def test_f16_the_slow_statement_log_is_on_only_where_the_server_says_so(
    postgres_server: Postgres, postgres_database: str
) -> None:
    rule = ("slow_log_on", 'log_min_duration <= duration("1s")')
    good = await ask(postgres_server.dsn(), preset="slow")
    assert judged(good, *rule) == "pass" and good.observed["log_min_duration"] == timedelta(milliseconds=100)
    await ask(postgres_server.dsn(), query="select /* captain:canary:7f3a */ pg_sleep(0.15)")
    postgres_server.until(lambda: "captain:canary:7f3a" in postgres_server.log.read_text())
    with postgres_server.setting(log_min_duration_statement="-1"):
        off = await ask(postgres_server.dsn(), preset="slow")
        assert judged(off, *rule) == "fail" and judged(off, rule[1]) == "unknown"
    postgres_server.run(f"alter database {postgres_database} set log_min_duration_statement = -1")
    overridden = await ask(postgres_server.dsn("app", postgres_database), preset="slow")
    assert (overridden.observed["slow_log_on"], overridden.observed["slow_log_overrides"]) == (False, 1)
    assert "auto_explain" not in overridden.observed


async def test_settings_are_shown_without_those_that_hold_passwords(postgres_server: Postgres) -> None:
    seen = await ask(postgres_server.dsn("postgres"), preset="settings")
    assert judged(seen, 'settings["wal_level"] == "replica"', "pending_restart == 0") == "pass"
    settings = seen.observed["settings"]
    assert isinstance(settings, dict) and not {"primary_conninfo", "archive_command"} & settings.keys()


def test_f13_a_server_that_counts_no_sessions_leaves_them_out() -> None:
    """PostgreSQL before 14, which does not run here."""
    from captain.systems.sql.answer import Answer, Question, Server
    from captain.systems.sql.postgres_presets import sessions

    class Old:
        server = Server(130000, "PostgreSQL 13.0", "shop", None, can_see_all=False, tls="none")

        def ask(self, *_: Any) -> Answer:
            return Answer(("sessions", "xact_commit"), ((None, 7),))

    found = sessions(Old(), Question())  # type: ignore[arg-type]  # what is asked of it is all here
    assert found.observed == {"xact_commit": 7} and "this server counts no sessions" in found.notes[0]


def test_a_check_keeps_the_password_out_of_everything_it_writes(postgres_server: Postgres, tmp_path: Path) -> None:
    (tmp_path / "captain.yaml").write_text(
        "service: shop\nsecrets: [DATABASE_URL]\nenvironments: { staging: {} }\nchecklists: [go.yaml]\n"
    )
    (tmp_path / "go.yaml").write_text(
        "checklist: go\ntitle: Go\nsections:\n  - id: pre\n    title: P\n    phase: pre\n    steps:\n"
        "      - { id: up, title: Up, sql: { engine: postgres, dsn_env: DATABASE_URL } }\n"
        "      - id: denied\n        title: D\n"
        "        sql: { engine: postgres, dsn_env: DATABASE_URL, query: select * from pg_authid }\n"
        "        expect: [row_count > 0]\n"
    )
    environ = {"PATH": os.defpath, "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    environ |= {"CAPTAIN_LOG": str(tmp_path / "log.sqlite"), "DATABASE_URL": postgres_server.dsn("plain")}
    done = subprocess.run(
        [sys.executable, "-m", "captain", "check", "go", "-e", "staging", "--format", "json"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    steps = {step["id"]: step["verdict"] for step in json.loads(done.stdout)["sections"][0]["steps"]}
    assert (steps, done.returncode) == ({"up": "pass", "denied": "unknown"}, 3)
    kept = done.stdout + done.stderr + (tmp_path / "log.sqlite").read_bytes().decode("latin1")
    assert PASSWORD not in kept and "planted" not in kept


def test_a_step_that_cannot_be_is_refused_when_files_are_read() -> None:
    wrong = {
        "needs `dsn_env`": {"engine": "postgres"},
        "needs `path`": {"engine": "sqlite", "dsn_env": "X"},
        "either `preset` or `query`": {"engine": "postgres", "dsn_env": "X", "preset": "ssl", "query": "select 1"},
        "has no preset archiver for sqlite": {"engine": "sqlite", "path": "x", "preset": "archiver"},
        "begins with DELETE": {"engine": "postgres", "dsn_env": "X", "query": "delete from x"},
        "`tables` with the preset counts": {"engine": "postgres", "dsn_env": "X", "tables": ["x"]},
        "`role` with postgres": {"engine": "mysql", "dsn_env": "X", "preset": "ssl", "role": "x"},
        "`try_plain` with": {"engine": "mysql", "dsn_env": "X", "preset": "ssl", "try_plain": "true"},
        "`params` with": {"engine": "mysql", "dsn_env": "X", "params": ["x"]},
    }
    for sentence, keys in wrong.items():
        with pytest.raises(ValidationError, match=sentence.replace("`", ".")):
            SqlProbe.model_validate(keys)
    assert textwrap.dedent(SqlProbe.example)
