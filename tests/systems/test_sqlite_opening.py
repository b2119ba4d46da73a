"""A SQLite file is asked without a trace beside it, and what is no whole database is not taken for one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from captain.errors import ProbeError
from captain.probes.migrations import MigrationsProbe
from captain.systems.sql.sqlite import Sqlite, ask_sqlite
from tests.probes.sql_part import ask_file, context, in_a_thread

PRODUCT, CAPTAIN = 33, 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may write in, as a product's is for a group that captain is in."""
    with tempfile.TemporaryDirectory() as top:
        Path(top).chmod(0o755)
        made = Path(top) / "data"
        made.mkdir()
        made.chmod(0o777)
        yield made


def connected(folder: Path, mode: str = "wal") -> sqlite3.Connection:
    """The product, with its database open."""
    connection = sqlite3.connect(folder / "shop.db", isolation_level=None)
    connection.execute(f"pragma journal_mode = {mode}")
    connection.execute("create table if not exists schema_migrations (version text, filler text)")
    connection.executemany("insert into schema_migrations values (?, ?)", [("1", "x" * 500)] * 100)
    return connection


def beside(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """Everything there: owner, size, mode and time of change."""
    found = {}
    for path in folder.iterdir():
        status = path.stat()
        found[path.name] = (status.st_uid, status.st_size, status.st_mode, status.st_mtime_ns)
    return found


@contextlib.contextmanager
def somebody(user: int) -> Iterator[None]:
    """This process as another user."""
    os.setegid(user)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


COUNT = "select count(*) from schema_migrations"


async def test_a_database_in_wal_mode_that_nobody_has_open_gets_nothing_beside_it(folder: Path) -> None:
    connected(folder).close()
    before = beside(folder)
    assert list(before) == ["shop.db"]
    assert (await ask_file(folder / "shop.db", query=COUNT)).observed["value"] == 100
    (folder / "0001_a.sql").write_text("")
    probe = MigrationsProbe(tool="table", engine="sqlite", path="shop.db", files="*.sql")
    assert (await probe.measure(context(root=folder))).observed["as_expected"] is True
    (folder / "0001_a.sql").unlink()
    assert beside(folder) == before
    link = folder.parent / "link.db"
    link.symlink_to(folder / "shop.db")
    await ask_file(link, query=COUNT)
    assert beside(folder) == before


@pytest.mark.skipif(os.getuid() != 0, reason="needs two users")
async def test_a_product_of_another_user_still_writes_after_captain_asked(folder: Path) -> None:
    with somebody(PRODUCT):
        connected(folder).close()
        (folder / "shop.db").chmod(0o644)
    with somebody(CAPTAIN):
        assert (await ask_file(folder / "shop.db", query=COUNT)).observed["value"] == 100
    with somebody(PRODUCT), contextlib.closing(connected(folder)) as product:
        before = beside(folder)
        assert len(before) == 3
        with somebody_else():
            assert (await ask_file(folder / "shop.db", query=COUNT)).observed["value"] == 200
        assert beside(folder) == before
        product.execute("insert into schema_migrations values ('2', '')")
    assert list(beside(folder)) == ["shop.db"]


@contextlib.contextmanager
def somebody_else() -> Iterator[None]:
    """captain's user, while this process is the product's."""
    os.seteuid(0)
    try:
        with somebody(CAPTAIN):
            yield
    finally:
        os.setegid(PRODUCT)
        os.seteuid(PRODUCT)


async def test_what_a_product_left_behind_when_it_was_killed_is_read_and_stays(folder: Path) -> None:
    with contextlib.closing(connected(folder)):
        left = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name, content in left.items():
        (folder / name).write_bytes(content)
    before = beside(folder)
    assert (await ask_file(folder / "shop.db", query=COUNT)).observed["value"] == 100
    assert beside(folder) == before
    (folder / "shop.db-shm").unlink()
    with pytest.raises(ProbeError, match=r"shop\.db-wal has no shop\.db-shm beside it") as raised:
        await ask_file(folder / "shop.db", query=COUNT)
    assert raised.value.fault == "unclear"
    assert beside(folder).keys() == {"shop.db", "shop.db-wal"}


async def test_a_file_that_changes_while_it_is_read_as_still_is_no_answer(folder: Path) -> None:
    connected(folder).close()

    def work(db: Sqlite) -> int:
        with contextlib.closing(connected(folder)) as product:
            product.execute("pragma wal_checkpoint")
        return len(db.ask("select 1").rows)

    asking = context().timeout
    with pytest.raises(ProbeError, match="was written while it was read"):
        await ask_sqlite("sql", folder / "shop.db", work, blocking=in_a_thread, timeout=asking)


@pytest.mark.parametrize("mode", ["wal", "delete"])
async def test_what_is_no_whole_database_does_not_answer(folder: Path, mode: str) -> None:
    connected(folder, mode).close()
    file = folder / "shop.db"
    whole = file.read_bytes()
    contents = {
        "is empty": b"",
        "file is not a database": b"this is not a database\n" * 100,
        "is cut off|malformed": whole[: 4096 * 3],
        f"cut off: {len(whole) - 1} bytes of {len(whole)}": whole[:-1],
        "malformed": whole[:50],
        "database": whole[:10],
    }
    for words, content in contents.items():
        file.write_bytes(content)
        with pytest.raises(ProbeError, match=words) as raised:
            await ask_file(file)
        assert raised.value.fault == "unclear"
        assert list(beside(folder)) == ["shop.db"]
    file.write_bytes(whole)
    assert (await ask_file(file)).observed["value"] is True


async def test_a_writer_is_not_disturbed_by_two_who_ask_at_once(folder: Path) -> None:
    """Closing a descriptor of a file drops every lock that the process has on it."""
    connected(folder, "delete").close()
    file, timeout = folder / "shop.db", context().timeout
    writing = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).executescript('delete from {}')"

    def second(_: Sqlite) -> None:
        return None

    def first(db: Sqlite) -> str:
        rows = db._connection.execute("select * from schema_migrations")
        rows.fetchone()
        asyncio.run(ask_sqlite("sql", file, second, blocking=in_a_thread, timeout=timeout))
        code = [sys.executable, "-c", writing.format("schema_migrations"), str(file)]
        done = subprocess.run(code, capture_output=True, text=True, check=False)
        rows.close()
        return done.stderr

    assert "database is locked" in await ask_sqlite("sql", file, first, blocking=in_a_thread, timeout=timeout)
