"""The restore drill: into a database of its own, which is gone afterwards whatever happens."""

from __future__ import annotations

import asyncio
import gzip
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from captain.errors import ProbeError
from captain.measurement import Measurement, Verdict
from captain.systems.backups.pg_scratch import Server, missing, rows_ratio
from tests.cloud_server import ACCOUNT, BUCKET, TOKEN, Cloud
from tests.dumps import DATABASE, ROWS, Dumps, rested
from tests.hostile_server import HostileServer
from tests.postgres_server import PASSWORD, Postgres, running_postgres
from tests.probes.backup_asking import ask, verdict
from tests.s3_server import KEY_ID, SECRET, S3Server

EXPECT = ("valid", "table_diff == 0", "restored_rows_ratio >= 0.99", "cleaned_up")


@pytest.fixture(scope="session")
def driller(postgres_server: Postgres) -> Iterator[str]:
    """A role that may create databases and nothing else."""
    postgres_server.run(f"create role driller login createdb password '{PASSWORD}'")
    yield "driller"
    postgres_server.run("drop role driller")


def scratch_databases(server: Postgres) -> list[str]:
    rows = server.run("select datname from pg_database where datname like 'captain%'")
    return [name for (name,) in rows]


async def drill(dumps: Dumps, path: str | Path, secrets: dict[str, str], **keys: Any) -> Measurement:
    if "SOURCE" in secrets:
        keys.setdefault("dsn_env", "SOURCE")
    found = await ask(
        dumps.folder,
        path=str(path),
        engine="postgres",
        verify="restore",
        scratch_dsn_env="SCRATCH",
        secrets=secrets,
        **keys,
    )
    assert PASSWORD not in repr(found)
    return found


@pytest.fixture
def secrets(dumps: Dumps, driller: str) -> dict[str, str]:
    server = dumps.server
    return {"SCRATCH": server.dsn(driller), "SOURCE": server.dsn("app", DATABASE)}


@pytest.mark.parametrize("format_", ["custom", "tar", "directory"])
async def test_a_whole_dump_comes_back_with_all_its_rows(dumps: Dumps, secrets: dict[str, str], format_: str) -> None:
    found = await drill(dumps, format_, secrets, key_tables=("orders", "public.nothing"))
    assert verdict(found, *EXPECT) is Verdict.PASS, found.notes
    assert (found.observed["tables"], found.observed["restored_rows_ratio"]) == (2, 1.0)
    assert found.observed["restore"].total_seconds() > 0  # type: ignore[union-attr]
    assert scratch_databases(dumps.server) == []


async def test_the_source_is_compared_row_by_row_and_table_by_table(
    dumps: Dumps, secrets: dict[str, str], postgres_database: str
) -> None:
    dumps.server.run(
        "create table orders (id int)",
        f"insert into orders select generate_series(1, {ROWS * 2})",
        "create table nothing (id int)",
        "create table invoices (id int)",
        database=postgres_database,
        role="app",
    )
    secrets["SOURCE"] = dumps.server.dsn("app", postgres_database)
    found = await drill(dumps, "custom", secrets, key_tables=("orders", "invoices"))
    assert found.observed["table_diff"] == 1 and found.observed["restored_rows_ratio"] == 0.5
    assert any("not restored: public.invoices" in note for note in found.notes)
    assert verdict(found, *EXPECT) is Verdict.FAIL
    found = await drill(dumps, "custom", secrets, key_tables=("no_such",))
    assert "restored_rows_ratio" not in found.observed
    assert any("the source has no table no_such" in note for note in found.notes)


async def test_without_a_source_the_dump_itself_says_what_must_come_back(dumps: Dumps, secrets: dict[str, str]) -> None:
    del secrets["SOURCE"]
    found = await drill(dumps, "custom", secrets, key_tables=("orders",))
    assert found.observed["table_diff"] == 0 and "restored_rows_ratio" not in found.observed
    assert verdict(found, *EXPECT) is Verdict.UNKNOWN
    found = await drill(dumps, "custom", secrets, key_tables=("invoices",))
    assert found.observed["restored_rows_ratio"] == 0.0


@pytest.mark.parametrize("cut", [1, 2048, 60_000])
async def test_a_cut_dump_fails_and_leaves_nothing_behind(
    dumps: Dumps, secrets: dict[str, str], tmp_path: Path, cut: int
) -> None:
    path = tmp_path / "cut.dump"
    path.write_bytes(dumps.path("custom").read_bytes()[:-cut])
    found = await drill(dumps, rested(path), secrets)
    assert found.observed["valid"] is False and found.observed["cleaned_up"] is True
    assert verdict(found, *EXPECT) is Verdict.FAIL
    assert scratch_databases(dumps.server) == []


async def test_a_text_dump_is_never_run(dumps: Dumps, secrets: dict[str, str]) -> None:
    found = await drill(dumps, "text", secrets)
    assert "valid" not in found.observed and found.observed["cleaned_up"] is True
    assert any("only archives of pg_dump are restored" in note for note in found.notes)


async def test_the_source_itself_is_never_restored_into(dumps: Dumps, secrets: dict[str, str]) -> None:
    secrets["SCRATCH"] = dumps.server.dsn("driller", DATABASE, host="localhost")
    with pytest.raises(ProbeError, match="SCRATCH and SOURCE lead to the same database") as raised:
        await drill(dumps, "custom", secrets)
    assert raised.value.fault == "instrument"


async def test_a_role_that_may_not_create_databases_is_unknown(dumps: Dumps, secrets: dict[str, str]) -> None:
    secrets["SCRATCH"] = dumps.server.dsn("plain")
    with pytest.raises(ProbeError, match="permission denied to create database") as raised:
        await drill(dumps, "custom", secrets)
    assert raised.value.fault != "subject"


async def test_a_wrong_password_is_unknown_and_shown_nowhere(dumps: Dumps, secrets: dict[str, str]) -> None:
    secrets["SCRATCH"] = secrets["SCRATCH"].replace("driller:", "driller:wr0ng")
    with pytest.raises(ProbeError, match="password authentication failed") as raised:
        await drill(dumps, "custom", secrets)
    said = f"{raised.value.message} {raised.value.hint}"
    assert "wr0ng" not in said and PASSWORD not in said and "check SCRATCH" in said


@pytest.mark.parametrize("dsn", ["host=a,b", "postgresql://u:planted@h:notaport/x", "planted"])
def test_a_string_that_is_none_is_not_repeated(dsn: str) -> None:
    with pytest.raises(ProbeError, match="SCRATCH") as raised:
        Server(dsn, "SCRATCH")
    assert "planted" not in f"{raised.value.message} {raised.value.hint}"


async def test_over_tls_the_name_of_the_server_is_verified(dumps: Dumps, secrets: dict[str, str]) -> None:
    server = dumps.server
    secrets["SCRATCH"] = server.dsn("driller", host="localhost", sslmode="verify-full", sslrootcert=str(server.ca))
    found = await drill(dumps, "custom", secrets)
    assert found.observed["valid"] is True, found.notes


async def test_over_a_unix_socket_it_works_as_well(dumps: Dumps) -> None:
    server = dumps.server
    found = await drill(
        dumps, "custom", {"SCRATCH": f"host={server.folder} port={server.port} user=driller dbname=postgres"}
    )
    assert found.observed["valid"] is True, found.notes


async def test_a_drill_that_takes_too_long_is_unknown_and_leaves_nothing_behind(
    dumps: Dumps, secrets: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "pg_restore"
    slow.write_text("#!/bin/sh\nexec sleep 63.25\n")
    slow.chmod(0o755)
    began = time.monotonic()
    found = await drill(dumps, "custom", secrets, seconds=3, environ={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert time.monotonic() - began < 3.5
    assert "valid" not in found.observed and found.observed["cleaned_up"] is True
    assert any("did not end in time" in note for note in found.notes)
    assert scratch_databases(dumps.server) == []


async def test_somebody_who_gives_up_leaves_nothing_behind(
    dumps: Dumps, secrets: dict[str, str], tmp_path: Path
) -> None:
    slow = tmp_path / "pg_restore"
    slow.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nexec sleep 64.25\n")
    slow.chmod(0o755)
    going = asyncio.ensure_future(drill(dumps, "custom", secrets, environ={"PATH": f"{tmp_path}:/usr/bin:/bin"}))
    while not (tmp_path / "started").exists():
        assert not going.done()
        await asyncio.sleep(0.02)
    assert len(scratch_databases(dumps.server)) == 1
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert scratch_databases(dumps.server) == []


async def test_scratch_databases_of_earlier_drills_are_named_and_left_alone(
    dumps: Dumps, secrets: dict[str, str]
) -> None:
    dumps.server.run("create database captain_scratch_old owner driller")
    try:
        found = await drill(dumps, "custom", secrets)
        assert found.notes == ("scratch databases of earlier drills are still there: captain_scratch_old",)
        assert scratch_databases(dumps.server) == ["captain_scratch_old"]
    finally:
        dumps.server.run("drop database captain_scratch_old")


@pytest.mark.parametrize("manner", ["silent", "drip", "flood", "die"])
async def test_a_server_that_misbehaves_ends_the_drill_in_time(
    dumps: Dumps, hostile_server: HostileServer, manner: str
) -> None:
    port = hostile_server.port(manner, after=b"N" if manner != "silent" else b"")
    dsn = f"postgresql://driller:planted@127.0.0.1:{port}/postgres"
    began = time.monotonic()
    with pytest.raises(ProbeError) as raised:
        await drill(dumps, "custom", {"SCRATCH": dsn}, seconds=1)
    assert time.monotonic() - began < 1.5
    assert raised.value.fault != "subject" and "planted" not in raised.value.message


async def test_a_server_that_dies_meanwhile_says_so_and_what_may_be_left(dumps: Dumps, tmp_path: Path) -> None:
    slow = tmp_path / "pg_restore"
    slow.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nexec sleep 1\n")
    slow.chmod(0o755)
    with running_postgres() as server:
        dsn = server.dsn("postgres")
        environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        going = asyncio.ensure_future(drill(dumps, "custom", {"SCRATCH": dsn}, environ=environ))
        while not (tmp_path / "started").exists():
            assert not going.done()
            await asyncio.sleep(0.02)
        server.process.send_signal(signal.SIGQUIT)
        server.process.wait(20)
        with pytest.raises(ProbeError, match="connection refused") as raised:
            await going
    assert "drop the scratch database captain_scratch_" in str(raised.value.hint)


def test_rows_and_tables_are_compared_by_what_the_source_has() -> None:
    assert rows_ratio({"a": 99, "b": 5}, {"a": 100, "b": 5}) == 0.99
    assert rows_ratio({"a": None}, {"a": 3}) == 0.0
    assert rows_ratio({"a": 0}, {"a": 0}) == 1.0
    assert rows_ratio({}, {}) is None
    assert missing(["a", "extra"], ["a", "b"]) == ["b"]


async def test_the_copy_in_the_bucket_is_restored_from_there(
    dumps: Dumps, secrets: dict[str, str], s3_server: S3Server
) -> None:
    bucket = s3_server.bucket()
    s3_server.put(bucket, "pg/shop.dump.gz", gzip.compress(dumps.path("custom").read_bytes()))
    found = await ask(
        dumps.folder,
        source="s3",
        prefix=f"{bucket}/pg/",
        endpoint=s3_server.url,
        engine="postgres",
        verify="restore",
        scratch_dsn_env="SCRATCH",
        dsn_env="SOURCE",
        key_tables=("orders",),
        secrets={**secrets, "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET},
    )
    assert verdict(found, *EXPECT) is Verdict.PASS, found.notes
    assert found.observed["format"] == "postgres custom in gzip"
    assert scratch_databases(dumps.server) == []


async def test_the_copy_in_another_cloud_is_restored_from_there(
    dumps: Dumps, secrets: dict[str, str], cloud: Cloud
) -> None:
    cloud.put("pg/shop.dump", dumps.path("custom").read_bytes())
    account: dict[str, Any] = {"account": ACCOUNT} if cloud.name == "azure" else {}
    found = await ask(
        dumps.folder,
        source=cloud.name,
        prefix=f"{BUCKET}/pg/",
        endpoint=cloud.url,
        token_env="TOKEN",
        engine="postgres",
        verify="restore",
        scratch_dsn_env="SCRATCH",
        dsn_env="SOURCE",
        key_tables=("orders",),
        secrets={**secrets, "TOKEN": TOKEN},
        **account,
    )
    assert verdict(found, *EXPECT) is Verdict.PASS, found.notes
    assert scratch_databases(dumps.server) == []
