"""What the backup probe tells about real dumps on disk and about lists of programs."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from captain.errors import ProbeError
from captain.measurement import Verdict
from captain.probes.backup import BackupProbe
from tests.dumps import DATABASE, Dumps, packed, rested
from tests.mariadb_server import Mariadb
from tests.postgres_server import program
from tests.probes.backup_asking import ask, verdict
from tests.requirements import need

MYSQL = b"-- MySQL dump 10.13\n" + b"INSERT INTO t VALUES (1);\n" * 100 + b"-- Dump completed on 2026-11-23  3:04:11\n"


def put(folder: Path, name: str, data: bytes, age: float = 3600) -> Path:
    path = folder / name
    path.write_bytes(data)
    return rested(path, age)


@pytest.mark.parametrize("format_", ["custom", "tar", "directory", "text", "cluster"])
async def test_a_fresh_dump_of_every_format_passes(dumps: Dumps, format_: str) -> None:
    found = await ask(dumps.folder, path=format_, engine="postgres")
    assert verdict(found, engine="postgres") is Verdict.PASS, found.notes
    assert found.observed["valid"] is True
    assert found.observed["tables"] == 2 or format_ == "cluster"
    assert found.observed["count"] == 1


@pytest.mark.parametrize("cut", [1, 100, 2048, 60_000])
async def test_f15_a_cut_archive_still_lists_its_contents_and_fails_all_the_same(
    dumps: Dumps, tmp_path: Path, cut: int
) -> None:
    path = put(tmp_path, "cut.dump", dumps.path("custom").read_bytes()[:-cut])
    listed = subprocess.run([program("pg_restore"), "--list", path], stdout=subprocess.DEVNULL, check=False)
    assert listed.returncode == 0, "the list of contents proves nothing"
    found = await ask(tmp_path, path="cut.dump", engine="postgres")
    assert found.observed["valid"] is False
    assert verdict(found) is Verdict.FAIL
    assert found.observed["trouble"] == "pg_restore: could not read from input file: end of file"
    assert any("end of file" in note for note in found.notes) and "end of file" in str(found.body)
    short = await ask(tmp_path, path="cut.dump", engine="postgres", verify="list")
    assert "valid" not in short.observed and short.observed["tables"] == 2
    assert verdict(short) is Verdict.UNKNOWN


async def test_f15_pg_restore_takes_a_tar_that_is_cut_and_captain_does_not(dumps: Dumps, tmp_path: Path) -> None:
    whole = dumps.path("tar").read_bytes()
    path = put(tmp_path, "cut.tar", whole[: len(whole) * 2 // 3])
    read = subprocess.run([program("pg_restore"), "--file=/dev/null", path], check=False)
    assert read.returncode == 0, "not even reading it shows that it is cut"
    found = await ask(tmp_path, path="cut.tar", engine="postgres")
    assert verdict(found) is Verdict.FAIL
    assert any("does not reach its end" in note for note in found.notes)


@pytest.mark.parametrize("option", ["-Fc", "-Ft", "-Fd", "-Fp"])
async def test_a_dump_of_an_empty_database_is_no_backup_of_one(
    dumps: Dumps, postgres_database: str, tmp_path: Path, option: str
) -> None:
    path = tmp_path / "empty.dump"
    command = [program("pg_dump"), option, "-f", str(path), dumps.server.dsn("app", postgres_database)]
    subprocess.run(command, check=True, timeout=60)
    rested(path)
    found = await ask(tmp_path, path="empty.dump", engine="postgres")
    assert (found.observed["valid"], found.observed["tables"]) == (True, 0)
    assert verdict(found, engine="postgres") is Verdict.FAIL


@pytest.mark.parametrize("options", [["-Fc", "-Z0"], ["-Ft"], ["-Fd", "-Z0"], ["-Fp"]])
async def test_a_hole_in_data_that_is_not_compressed_is_seen(dumps: Dumps, tmp_path: Path, options: list[str]) -> None:
    torn = tmp_path / "torn.dump"
    command = [program("pg_dump"), *options, "-f", str(torn), dumps.server.dsn("app", DATABASE)]
    subprocess.run(command, check=True, timeout=60)
    rested(torn)
    assert verdict(await ask(tmp_path, path="torn.dump", engine="postgres")) is Verdict.PASS
    file = max(torn.glob("*.dat"), key=lambda path: path.stat().st_size) if torn.is_dir() else torn
    data = bytearray(file.read_bytes())
    at = data.index(hashlib.md5(b"4000").hexdigest().encode(), len(data) // 4)
    data[at : at + 200] = bytes(200)
    file.write_bytes(data)
    rested(torn)
    if options[0] != "-Fp":
        run = subprocess.run([program("pg_restore"), "--file=/dev/null", torn], check=False)
        assert run.returncode == 0, "pg_restore itself takes it"
    found = await ask(tmp_path, path="torn.dump", engine="postgres")
    assert found.observed["valid"] is False and verdict(found) is Verdict.FAIL
    assert any("NUL bytes" in note for note in found.notes)


@pytest.mark.parametrize("format_", ["text", "cluster"])
@pytest.mark.parametrize("cut", [40, 300, 5000])
async def test_f15_a_cut_text_dump_fails(dumps: Dumps, tmp_path: Path, format_: str, cut: int) -> None:
    put(tmp_path, "cut.sql", dumps.path(format_).read_bytes()[:-cut])
    found = await ask(tmp_path, path="cut.sql", engine="postgres")
    assert verdict(found) is Verdict.FAIL, found.notes


async def test_a_directory_whose_data_is_cut_or_gone_fails(dumps: Dumps, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(dumps.path("directory"), copy)
    largest = max(copy.glob("*.dat*"), key=lambda each: each.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-5])
    rested(copy)
    assert verdict(await ask(tmp_path, path="copy", engine="postgres")) is Verdict.FAIL
    largest.unlink()
    rested(copy)
    assert (await ask(tmp_path, path="*", engine="postgres")).observed["valid"] is False


@pytest.mark.parametrize("tool", ["gzip", "bzip2", "xz", "zstd"])
async def test_a_packed_dump_is_read_through_its_packing(dumps: Dumps, tmp_path: Path, tool: str) -> None:
    need(tool, None if shutil.which(tool) else "not installed")
    for format_ in ("text", "custom"):
        whole = packed(tool, dumps.path(format_).read_bytes())
        put(tmp_path, "whole", whole)
        put(tmp_path, "cut", whole[:-100])
        good = await ask(tmp_path, path="whole", engine="postgres")
        assert verdict(good) is Verdict.PASS, good.notes
        assert good.observed["format"] == f"postgres {format_} in {tool}"
        assert verdict(await ask(tmp_path, path="cut", engine="postgres")) is Verdict.FAIL


async def test_the_newest_counts_and_a_link_to_it_is_not_another_one(tmp_path: Path) -> None:
    for night in range(5):
        put(tmp_path, f"shop-{night}.sql", MYSQL, 3600 + 86400 * night)
    (tmp_path / "latest.sql").symlink_to("shop-0.sql")
    found = (await ask(tmp_path, path="*.sql", window=timedelta(days=3))).observed
    assert found["count"] == 5
    assert found["newest_key"] == str(tmp_path / "shop-0.sql")
    assert found["newest_size"] == len(MYSQL) and found["size_ratio"] == 1.0
    assert isinstance(found["gap_max"], timedelta) and abs(found["gap_max"] - timedelta(days=1)) < timedelta(minutes=1)


async def test_a_stale_backup_fails_however_whole_it_is(tmp_path: Path) -> None:
    put(tmp_path, "old.sql", MYSQL, 30 * 3600)
    found = await ask(tmp_path, path="*.sql")
    assert found.observed["valid"] is True
    assert verdict(found) is Verdict.FAIL


async def test_a_dump_of_another_engine_fails(tmp_path: Path) -> None:
    put(tmp_path, "a.sql", MYSQL)
    found = await ask(tmp_path, path="a.sql", engine="postgres")
    assert verdict(found) is Verdict.FAIL
    assert any("mysql text dump, not one of postgres" in note for note in found.notes)


async def test_an_empty_file_fails_and_an_unknown_one_is_unknown(tmp_path: Path) -> None:
    put(tmp_path, "a.sql", b"")
    assert verdict(await ask(tmp_path, path="a.sql")) is Verdict.FAIL
    put(tmp_path, "a.sql", b"<html>404 Not Found</html>" * 100)
    assert verdict(await ask(tmp_path, path="a.sql", engine="postgres")) is Verdict.UNKNOWN
    assert verdict(await ask(tmp_path, path="a.sql")) is Verdict.UNKNOWN


async def test_a_folder_without_a_backup_fails(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    found = await ask(tmp_path, path="*.dump")
    assert found.observed == {"count": 0, "unfinished": 0}
    assert verdict(found) is Verdict.FAIL


async def test_a_folder_that_is_not_there_is_unknown_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=r"folder .*/drive: no such file or directory") as raised:
        await ask(tmp_path, path="drive/*.dump")
    assert raised.value.fault == "instrument" and "mounted" in str(raised.value.hint)
    with pytest.raises(ProbeError, match="file is no folder"):
        (tmp_path / "file").touch()
        await ask(tmp_path, path="file/*/*.dump")


async def test_a_folder_that_may_not_be_read_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("captain.systems.backups.folder.os.scandir", refuse)
    with pytest.raises(ProbeError, match="cannot be read: permission denied") as raised:
        await ask(tmp_path, path="*.dump")
    assert raised.value.fault == "instrument"


async def test_a_drive_that_is_not_mounted_is_unknown_even_where_its_folder_holds_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a.sql", MYSQL)
    monkeypatch.setattr("captain.systems.backups.folder._unmounted_here", lambda folder: "/mnt/backup")
    with pytest.raises(ProbeError, match="the drive of /mnt/backup is not mounted"):
        await ask(tmp_path, path="*.sql")


async def test_a_backup_that_is_being_written_is_not_the_newest(tmp_path: Path) -> None:
    put(tmp_path, "done.sql", MYSQL)
    put(tmp_path, "growing.sql", b"-- MySQL dump 10.13\n", 0)
    put(tmp_path, "next.sql.part", b"", 60)
    found = await ask(tmp_path, path=".")
    assert (found.observed["count"], found.observed["unfinished"]) == (1, 2)
    assert found.observed["newest_key"] == str(tmp_path / "done.sql")
    assert verdict(found, "count > 0", "valid") is Verdict.PASS


async def test_a_backup_that_changes_while_it_is_read_cannot_be_judged(tmp_path: Path) -> None:
    path = put(tmp_path, "a.sql", MYSQL)
    from captain.systems.backups import folder as backup_folder

    original = backup_folder._opened
    try:
        backup_folder._opened = lambda each: (path.write_bytes(MYSQL * 2), original(each))[1]  # type: ignore[assignment]
        found = await ask(tmp_path, path="a.sql")
    finally:
        backup_folder._opened = original
    assert "valid" not in found.observed
    assert any("changed while it was read" in note for note in found.notes)


async def test_a_digest_beside_a_backup_must_fit(tmp_path: Path) -> None:
    put(tmp_path, "a.sql", MYSQL)
    digest = hashlib.sha256(MYSQL).hexdigest()
    (tmp_path / "a.sql.sha256").write_text(f"{digest.upper()}  a.sql\n")
    found = await ask(tmp_path, path="a.sql")
    assert (found.observed["sha256_match"], found.observed["valid"], found.observed["sha256"]) == (True, True, digest)
    put(tmp_path, "a.sql", MYSQL.replace(b"(1)", b"(2)"))
    broken = await ask(tmp_path, path="a.sql")
    assert (broken.observed["sha256_match"], broken.observed["valid"]) == (False, False)
    assert verdict(broken) is Verdict.FAIL
    (tmp_path / "a.sql.sha256").write_text("not found\n")
    unreadable = await ask(tmp_path, path="a.sql")
    assert "sha256_match" not in unreadable.observed and "valid" not in unreadable.observed


async def test_a_digest_that_fits_does_not_make_an_unseen_dump_whole(tmp_path: Path) -> None:
    data = b"age-encryption.org/v1\n" + os.urandom(5000)
    put(tmp_path, "files.age", data)
    (tmp_path / "files.age.sha256").write_text(hashlib.sha256(data).hexdigest())
    found = await ask(tmp_path, path="files.age")
    assert found.observed["sha256_match"] is True and "valid" not in found.observed
    assert verdict(found) is Verdict.UNKNOWN and verdict(found, "sha256_match") is Verdict.PASS


def shop(path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.execute("create table orders (id integer primary key, note text)")
    connection.executemany("insert into orders (note) values (?)", [("x" * 100,)] * 2000)
    connection.execute("create index by_note on orders (note)")
    connection.commit()
    connection.close()
    return rested(path)


async def test_an_sqlite_file_passes_its_integrity_check_or_fails(tmp_path: Path) -> None:
    path = shop(tmp_path / "a.sqlite")
    found = await ask(tmp_path, path="*.sqlite", engine="sqlite")
    assert verdict(found) is Verdict.PASS, found.notes
    assert found.observed["tables"] == 1
    assert [each.name for each in tmp_path.iterdir()] == ["a.sqlite"], "nothing was made beside it"
    data = bytearray(path.read_bytes())
    data[8192:12288] = os.urandom(4096)
    put(tmp_path, "a.sqlite", bytes(data))
    assert verdict(await ask(tmp_path, path="*.sqlite", engine="sqlite")) is Verdict.FAIL
    put(tmp_path, "a.sqlite", bytes(data[: len(data) // 2]))
    assert verdict(await ask(tmp_path, path="*.sqlite", engine="sqlite")) is Verdict.FAIL


async def test_an_sqlite_file_copied_without_its_wal_is_not_called_whole(tmp_path: Path) -> None:
    live, copy = tmp_path / "live.db", tmp_path / "copy.sqlite"
    with contextlib.closing(sqlite3.connect(live)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table orders (id integer)")
        connection.execute("pragma wal_checkpoint(truncate)")
        connection.executemany("insert into orders values (?)", [(number,) for number in range(5000)])
        connection.commit()
        shutil.copy(live, copy)
        connection.execute("vacuum into ?", [str(tmp_path / "vacuumed.sqlite")])
    rested(copy)
    rested(tmp_path / "vacuumed.sqlite")
    found = await ask(tmp_path, path="copy.sqlite", engine="sqlite")
    assert "valid" not in found.observed and "tables" not in found.observed
    assert "-wal file that was not copied" in str(found.observed["trouble"]) and verdict(found) is Verdict.UNKNOWN
    assert (await ask(tmp_path, path="vacuumed.sqlite", engine="sqlite")).observed["valid"] is True


async def test_a_missing_tool_leaves_out_what_it_would_say(dumps: Dumps) -> None:
    found = await ask(dumps.folder, path="custom", engine="postgres", environ={"PATH": "/nowhere"})
    assert "valid" not in found.observed and found.observed["count"] == 1
    assert any("cannot start pg_restore" in note and "install it" in note for note in found.notes)
    assert verdict(found) is Verdict.UNKNOWN


async def test_a_dump_that_takes_too_long_is_unknown_in_time_and_its_programs_are_gone(tmp_path: Path) -> None:
    slow = tmp_path / "bin" / "pg_restore"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 61.25\n")
    slow.chmod(0o755)
    put(tmp_path, "a.dump", b"PGDMP" + b"x" * 5_000_000)
    began = time.monotonic()
    environ = {"PATH": f"{slow.parent}:/usr/bin:/bin"}
    found = await ask(tmp_path, path="*.dump", engine="postgres", seconds=1, environ=environ)
    assert time.monotonic() - began < 1.5
    assert "valid" not in found.observed and any("did not end in time" in note for note in found.notes)
    assert subprocess.run(["pgrep", "-f", "sleep 61.25"], stdout=subprocess.DEVNULL, check=False).returncode == 1


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


async def test_nothing_is_left_open_when_somebody_gives_up(tmp_path: Path) -> None:
    slow = tmp_path / "bin" / "pg_restore"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 62.25\n")
    slow.chmod(0o755)
    put(tmp_path, "a.dump", b"PGDMP" + b"x" * 5_000_000)
    before = open_files()
    asking = asyncio.ensure_future(ask(tmp_path, path="*.dump", environ={"PATH": f"{slow.parent}:/usr/bin:/bin"}))
    while subprocess.run(["pgrep", "-f", "sleep 62.25"], stdout=subprocess.DEVNULL, check=False).returncode:
        await asyncio.sleep(0.02)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert subprocess.run(["pgrep", "-f", "sleep 62.25"], stdout=subprocess.DEVNULL, check=False).returncode == 1
    assert open_files() <= before


async def test_a_program_lists_what_captain_cannot_reach(tmp_path: Path) -> None:
    contents = [
        {
            "Key": f"db/app-202611{17 + night}T0300.dump",
            "LastModified": f"2026-11-{17 + night}T03:04:11+00:00",
            "Size": size,
        }
        for night, size in enumerate([91_000_111, 91_200_200, 91_400_300, 91_600_400, 91_800_500, 92_000_600, 1204])
    ]
    (tmp_path / "list.json").write_text(json.dumps({"Contents": contents, "RequestCharged": None, "Prefix": "db/"}))
    now = datetime(2026, 11, 23, 4, tzinfo=UTC)
    found = await ask(tmp_path, source="command", run=("cat", "list.json"), at=now)
    assert found.observed["count"] == 7 and found.observed["newest_size"] == 1204
    assert found.observed["size_ratio"] == pytest.approx(1.3e-05, rel=0.02)
    assert found.observed["newest_age"] == timedelta(minutes=55, seconds=49)
    assert verdict(found, "newest_age <= duration('26h')", "size_ratio >= 0.5") is Verdict.FAIL
    assert verdict(found) is Verdict.UNKNOWN, "nobody read it"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 3", r"sh -c 'exit 3': exit 3"),
        ("echo AccessDenied >&2; exit 254", "exit 254: AccessDenied"),
        ("echo '{\"Prefix\": null}'", "no Contents"),
        ("true", "not JSON"),
        ("kill -9 $$", "SIGKILL"),
    ],
)
async def test_a_program_that_lists_nothing_usable_is_unknown(tmp_path: Path, script: str, why: str) -> None:
    with pytest.raises(ProbeError, match=why):
        await ask(tmp_path, source="command", run=("sh", "-c", script))


async def test_a_program_that_says_there_is_none_is_believed(tmp_path: Path) -> None:
    found = await ask(tmp_path, source="command", run=("echo", "[]"))
    assert verdict(found) is Verdict.FAIL


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({}, "source file needs `path`"),
        ({"source": "s3"}, "source s3 needs `prefix`"),
        ({"source": "command"}, "source command needs `run`"),
        ({"path": "x", "prefix": "shop/pg/"}, "`prefix` belongs to source s3"),
        ({"path": "/srv/**/x"}, r"\*\* is not known here"),
        ({"source": "s3", "prefix": "/pg"}, "begins with the name of a bucket"),
        ({"source": "s3", "prefix": "shop", "endpoint": "https://u:p@x"}, "holds a user or password"),
        ({"source": "s3", "prefix": "shop", "endpoint": "https://x/?a=b"}, "not the address of an API"),
        ({"source": "command", "run": ["x"], "verify": "read"}, "never read"),
        ({"path": "x", "verify": "restore"}, "needs `scratch_dsn_env`"),
        ({"path": "x", "verify": "restore", "scratch_dsn_env": "S", "engine": "mysql"}, "only dumps of PostgreSQL"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        BackupProbe(**keys)


def test_the_parameters_of_the_documents_are_known() -> None:
    probe = BackupProbe.model_validate({"source": "s3", "prefix": "shop/pg/", "engine": "postgres", "verify": "read"})
    assert probe.asks() == "backups in s3://shop/pg/" and probe.safety == "read"
    drill = BackupProbe(path="x", verify="restore", scratch_dsn_env="S")
    assert drill.safety == "drill" and len(drill.does()) == 2 and "server in S" in drill.does()[0]
    assert BackupProbe(source="command", run=["aws", "s3"]).programs()[0].argv == ("aws", "s3")


async def test_a_dump_of_a_real_mariadb_passes_whole_and_fails_cut(mariadb_server: Mariadb, tmp_path: Path) -> None:
    tool = shutil.which("mariadb-dump")
    need("mariadb", None if tool else "mariadb-dump is not installed")
    mariadb_server.run("insert into shop.orders (state) select seq from seq_1_to_2000")
    where = ["--no-defaults", "-uroot", f"--socket={mariadb_server.door}"]
    for name, more in {"one": ["shop"], "all": ["--all-databases"], "bare": ["--skip-comments", "shop"]}.items():
        made = subprocess.run([str(tool), *where, *more], stdout=subprocess.PIPE, check=True).stdout
        put(tmp_path, name, made)
        put(tmp_path, f"cut-{name}", made[:-60])
    for name in ("one", "all"):
        found = await ask(tmp_path, path=name, engine="mysql")
        assert verdict(found, engine="mysql") is Verdict.PASS, found.notes
        assert verdict(await ask(tmp_path, path=f"cut-{name}", engine="mysql")) is Verdict.FAIL
    assert verdict(await ask(tmp_path, path="bare", engine="mysql")) is Verdict.UNKNOWN
    assert verdict(await ask(tmp_path, path="one", engine="postgres")) is Verdict.FAIL
