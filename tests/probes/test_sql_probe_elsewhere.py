"""What the sql probe tells about a real MariaDB and about SQLite files."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymysql
import pytest
from pydantic import ValidationError

from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes.sql import SqlProbe
from tests.hostile_server import HostileServer
from tests.mariadb_server import PASSWORD, Mariadb, running_mariadb
from tests.probes.sql_part import ask, ask_file, verdict

MIB = 1024 * 1024


async def asked(dsn: str, **keys: Any) -> Measurement:
    seen = await ask(dsn, engine="mysql", **keys)
    assert PASSWORD not in repr(seen) and "planted" not in repr(seen)
    return seen


async def error_of(dsn: str, **keys: Any) -> ProbeError:
    with pytest.raises(ProbeError) as raised:
        await ask(dsn, engine="mysql", **keys)
    said = f"{raised.value.message} {raised.value.hint} {raised.value!r}"
    assert PASSWORD not in said and "planted" not in said and "s3cret" not in said
    return raised.value


def judged(seen: Measurement, *conditions: str) -> str:
    return verdict(SqlProbe, seen, *conditions)


async def test_a_mariadb_that_answers_passes_by_itself(mariadb_server: Mariadb) -> None:
    seen = await asked(mariadb_server.dsn())
    assert judged(seen) == "pass"
    assert int(str(seen.observed["version"])) >= 100000 and str(seen.observed["server"]).startswith("MariaDB ")
    assert (seen.observed["database"], seen.observed["tls"]) == ("shop", "TLSv1.3")
    over_socket = await asked(mariadb_server.dsn(unix_socket=str(mariadb_server.door)))
    assert judged(over_socket) == "pass"


async def test_values_and_parameters_of_mariadb(mariadb_server: Mariadb) -> None:
    query = "select count(*) as n, %s as text, 1.50 as exact, 5 %% 2 as rest, null as nothing from seq_1_to_3"
    seen = await asked(mariadb_server.dsn(), query=query, params=["it's \\ 100 %"])
    assert seen.observed["rows"] == [{"n": 3, "text": "it's \\ 100 %", "exact": 1.5, "rest": 1, "nothing": None}]
    many = await asked(mariadb_server.dsn(), query="select * from seq_1_to_500000 limit 400000", max_rows="5")
    assert many.observed["truncated"] is True and "row_count" not in many.observed
    counted = "with recursive n as (select 1 i union all select i + 1 from n where i < 900) select count(*) from n"
    assert (await asked(mariadb_server.dsn(), query=counted, max_rows="5")).observed["value"] == 900


@pytest.mark.parametrize(
    "statement",
    [
        *("select 1; delete from orders", "delete from orders", "select drain()", "select nextval(counter)"),
        *("select * from orders into outfile '/tmp/x'", "select /*!50000 drain() */ 1", "set autocommit = 0"),
        *("select get_lock('x', 1)", "select * from orders for update", "select next value for counter", "handler x"),
        *("set statement max_statement_time=0 for select 1", "select * from orders lock in share mode", "call x()"),
        *("analyze format=json select 1", "explain analyze select 1", "lock tables orders read", "do sleep(1)"),
    ],
)
async def test_nothing_that_does_more_than_read_gets_through_to_mariadb(
    mariadb_server: Mariadb, statement: str
) -> None:
    mariadb_server.run(
        *("create or replace sequence counter", "delete from orders", "insert into orders values (1, 'x')"),
        "create or replace function drain() returns int begin delete from orders; return 1; end",
    )
    with pytest.raises((ProbeError, ValidationError)):
        await asked(mariadb_server.dsn("owner"), query=statement)
    assert mariadb_server.run("select count(*) from orders") == [(1,)]
    assert mariadb_server.run("select next_not_cached_value from counter") == [(1,)]


async def test_the_protocol_itself_takes_no_second_statement(
    mariadb_server: Mariadb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("captain.systems.sql.mysql.reading", lambda text, _: text)
    mariadb_server.run("delete from orders", "insert into orders values (1, 'x')")
    probe = SqlProbe(engine="mysql", dsn_env="DATABASE_URL", query="select 1")
    from tests.probes.sql_part import context

    for statement, words in (("select 1; delete from orders", "syntax"), ("delete from orders", "READ ONLY")):
        with pytest.raises(ProbeError, match=words):
            changed = probe.model_copy(update={"query": statement})
            await changed.measure(context(DATABASE_URL=mariadb_server.dsn("owner")))
    assert mariadb_server.run("select count(*) from orders") == [(1,)]


async def test_f36_mariadb_logs_nothing_slow_and_keeps_nothing_by_default(mariadb_server: Mariadb) -> None:
    slow = await asked(mariadb_server.dsn(), preset="slow")
    assert slow.observed["slow_log_on"] is False and "log_min_duration" not in slow.observed
    assert judged(slow, 'slow_log_on && log_min_duration <= duration("1s")') == "fail"
    variables = (await asked(mariadb_server.dsn(), preset="settings")).observed["settings"]
    assert isinstance(variables, dict) and variables["long_query_time"] == "10.000000"
    assert (await asked(mariadb_server.dsn(), preset="archiver")).observed["binlog_on"] is False
    mariadb_server.run("set global slow_query_log = on", "set global long_query_time = 0.5")
    try:
        on = await asked(mariadb_server.dsn(), preset="slow")
        assert judged(on, "slow_log_on", 'log_min_duration <= duration("1s")') == "pass"
    finally:
        mariadb_server.run("set global slow_query_log = off", "set global long_query_time = 10")


async def test_f36_mariadb_without_a_certificate_has_no_tls_and_its_end_is_told() -> None:
    with running_mariadb("--performance-schema=ON", tls=False) as server:
        plain = await asked(server.dsn(), preset="ssl")
        assert (plain.observed["ssl_on"], plain.observed["ssl_required"], plain.observed["tls"]) == (
            False,
            False,
            "none",
        )
        assert plain.observed["plain_connections"] == 1
        assert "doesn't support it" in (await error_of(server.dsn(ssl_mode="REQUIRED"))).message
        waiting = asyncio.ensure_future(error_of(server.dsn(), query="select sleep(20)"))
        while not server.run("select 1 from information_schema.processlist where info like 'select sleep%'"):
            await asyncio.sleep(0.02)
        server.process.kill()
        ended = await waiting
        assert ended.fault == "unclear" and "Lost connection" in ended.message
        server.process.wait(10)


async def test_certificates_of_mariadb_are_verified_where_the_string_says_so(mariadb_server: Mariadb) -> None:
    ca = str(mariadb_server.ca)
    good = await asked(mariadb_server.dsn(host="localhost", ssl_mode="VERIFY_IDENTITY", ssl_ca=ca), preset="ssl")
    assert (good.observed["sslmode"], good.observed["tls"]) == ("verify_identity", "TLSv1.3")
    wrong_ca = await error_of(mariadb_server.dsn(host="localhost", ssl_mode="VERIFY_IDENTITY"))
    assert "certificate verify failed" in wrong_ca.message
    assert (await error_of(mariadb_server.dsn("tls_only", "", ssl_mode="DISABLED"))).fault == "instrument"


async def test_an_account_that_sees_no_others_counts_nothing_about_them(mariadb_server: Mariadb) -> None:
    for preset in ("ssl", "tables", "counts"):
        seen = await asked(mariadb_server.dsn("plain"), preset=preset)
        assert seen.observed["can_see_all"] is False and seen.notes
        assert not {"plain_connections", "tables", "row_count", "counts"} & seen.observed.keys()
    assert (await asked(mariadb_server.dsn("plain"), preset="counts", tables=["orders"])).observed["counts"]
    everything = await asked(mariadb_server.dsn(), preset="counts")
    counts = everything.observed["counts"]
    assert isinstance(counts, dict) and counts["payments"] == 0


async def test_sessions_and_connections_of_mariadb(mariadb_server: Mariadb) -> None:
    before = await asked(mariadb_server.dsn(), preset="sessions")
    with contextlib.closing(
        pymysql.connect(host="127.0.0.1", port=mariadb_server.port, user="owner", password=PASSWORD)
    ):
        seen = await asked(mariadb_server.dsn(), preset="connections")
    after = await asked(mariadb_server.dsn(), preset="sessions")
    assert int(str(after.observed["sessions"])) - int(str(before.observed["sessions"])) == 3
    assert int(str(seen.observed["used"])) >= 2 and judged(seen, "capacity_ratio <= 0.8") == "pass"


async def test_mariadb_is_left_in_time_and_with_little_memory(mariadb_server: Mariadb) -> None:
    began = time.monotonic()
    late = await error_of(mariadb_server.dsn(), query="select sleep(60)", seconds=1)
    assert time.monotonic() - began < 1.5 and "stopped by the server" in late.message
    tracemalloc.start()
    try:
        large = await error_of(mariadb_server.dsn(), query="select repeat('x', 15000000), repeat('x', 15000000)")
        assert "more than 16 MiB" in large.message
        assert tracemalloc.get_traced_memory()[1] < 80 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("manner", ["silent", "drip", "flood", "die"])
async def test_no_server_that_says_it_is_mysql_holds_the_probe_up(hostile_server: HostileServer, manner: str) -> None:
    began = time.monotonic()
    version = b"\x0a8.0.36\0" + b"\1\0\0\0" + b"a" * 8 + b"\0" + b"\xff\xf7" + b"\x21" + b"\2\0" + b"\xff\x81" + b"\x15"
    hello = version + b"\0" * 10 + b"b" * 12 + b"\0mysql_native_password\0"
    port = hostile_server.port(manner, greeting=len(hello).to_bytes(3, "little") + b"\0" + hello)
    dsn = f"mysql://app:{PASSWORD.replace('/', '%2F').replace('@', '%40')}@127.0.0.1:{port}/shop?ssl_mode=DISABLED"
    error = await error_of(dsn, seconds=1)
    assert time.monotonic() - began < 1.5 and error.fault == "unclear"


async def test_a_password_is_not_told_in_clear_text_without_tls(hostile_server: HostileServer) -> None:
    version = b"\x0a8.0.36\0" + b"\1\0\0\0" + b"a" * 8 + b"\0" + b"\xff\xf7" + b"\x21" + b"\2\0" + b"\xff\x81" + b"\x15"
    hello = version + b"\0" * 10 + b"b" * 12 + b"\0mysql_native_password\0"
    switch = b"\xfemysql_clear_password\0"
    port = hostile_server.port(
        "silent",
        greeting=len(hello).to_bytes(3, "little") + b"\0" + hello,
        after=len(switch).to_bytes(3, "little") + b"\2" + switch,
    )
    error = await error_of(f"mysql://app:planted@127.0.0.1:{port}/shop?ssl_mode=DISABLED", seconds=2)
    assert "asks for the password in clear text" in error.message


# ---------------------------------------------------------------- SQLite


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "create table orders (id integer primary key, state text);"
            "insert into orders (state) values ('paid'), ('new');"
            "create table payments (id integer); create view paid as select * from orders where state = 'paid';"
        )
    return path


async def test_a_file_is_asked_and_stays_as_it_was(file: Path) -> None:
    before = file.read_bytes(), sorted(path.name for path in file.parent.iterdir())
    assert judged(await ask_file(file)) == "pass"
    seen = await ask_file(file, query="select count(*) from orders where state = %s", params=["paid"])
    assert (seen.observed["value"], seen.asked) == (1, "sql shop.sqlite: select count(*) from orders where state = %s")
    assert (await ask_file(file, query="select * from paid")).observed["rows"] == [{"id": 1, "state": "paid"}]
    counted = await ask_file(file, preset="counts")
    assert counted.observed["counts"] == {"orders": 2, "payments": 0} and counted.observed["empty_tables"] == 1
    assert (await ask_file(file, query="pragma integrity_check")).observed["value"] == "ok"
    assert (file.read_bytes(), sorted(path.name for path in file.parent.iterdir())) == before


@pytest.mark.parametrize(
    "statement",
    [
        *("delete from orders", "attach 'x.sqlite' as x", "pragma user_version = 7", "pragma writable_schema = on"),
        *("select load_extension('x')", "select 1; delete from orders", "pragma journal_mode(wal)", "vacuum into 'x'"),
        *("with x as (select 1) delete from orders", "pragma wal_checkpoint", "begin", "create table x (i)"),
        *("select * from pragma_user_version(7)", "pragma temp_store_directory = '/'", "reindex"),
    ],
)
async def test_nothing_that_does_more_than_read_gets_through_to_a_file(file: Path, statement: str) -> None:
    before = file.read_bytes(), sorted(path.name for path in file.parent.iterdir())
    with pytest.raises((ProbeError, ValidationError)):
        await ask_file(file, query=statement)
    assert (file.read_bytes(), sorted(path.name for path in file.parent.iterdir())) == before


async def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="no such file"):
        await ask_file(tmp_path / "gone.sqlite")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "text").write_text("no database, only text that goes on for more than a page\n" * 100)
    with pytest.raises(ProbeError, match="file is not a database") as raised:
        await ask_file(tmp_path / "text", preset="tables")
    assert raised.value.fault == "unclear"


async def test_a_statement_over_a_file_ends_in_time_and_in_memory(file: Path) -> None:
    endless = "with recursive n as (select 1 i union all select i + 1 from n) select count(*) from n"
    began = time.monotonic()
    with pytest.raises(ProbeError, match="did not end in time"):
        await ask_file(file, query=endless, seconds=0.5)
    assert time.monotonic() - began < 1
    with pytest.raises(ProbeError, match="too big"):
        await ask_file(file, query="select hex(zeroblob(100000000))")
    rows = "with recursive n as (select 1 i union all select i + 1 from n) select hex(zeroblob(1000000)) from n"
    with pytest.raises(ProbeError, match="more than 16 MiB came back"):
        await ask_file(file, query=rows)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("begin exclusive")
        began = time.monotonic()
        with pytest.raises(ProbeError, match="locked"):
            await ask_file(file, query="select count(*) from orders", seconds=0.5)
        assert timedelta(seconds=time.monotonic() - began) < timedelta(seconds=1)
