"""Whether a dump is whole, piece by piece, without a database."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import lzma
import os
import tarfile
import tracemalloc
from collections.abc import Callable
from typing import TypeVar

import pytest

from captain.systems.backups.dump import Enough, Reader, Reading, Tools
from captain.systems.backups.dump_format import CLUSTER, MYSQL, TEXT, complete, recognise
from captain.systems.backups.pg_archive import READ
from captain.systems.backups.tar_end import TarEnd
from tests.dumps import packed as packed_by

T = TypeVar("T")

MARIADB = b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19  Distrib 10.11.14-MariaDB\n--\n"
MYSQL_HEAD = b"-- MySQL dump 10.13  Distrib 8.0.40, for Linux (x86_64)\n--\n"
MYSQL_END = b"\n-- Dump completed on 2026-11-23  3:04:11\n"
ROWS = b"INSERT INTO `orders` VALUES (1,'x');\n" * 3000
PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


async def in_a_thread(call: Callable[[], T], /) -> T:
    return await asyncio.to_thread(call)


async def read(data: bytes, *arguments: str, piece: int = 1000, environ: dict[str, str] | None = None) -> Reading:
    end = asyncio.get_running_loop().time() + 20
    tools = Tools(dict(os.environ) if environ is None else environ, end, arguments or READ)
    reader = Reader(tools, in_a_thread)
    try:
        for at in range(0, len(data), piece):
            await reader.take(data[at : at + piece])
        await reader.end()
    except Enough:
        pass
    finally:
        await reader.close()
    return reader.reading


@pytest.mark.parametrize("head", [MARIADB, MYSQL_HEAD])
@pytest.mark.parametrize("piece", [1, 1000, 10**7])
async def test_a_dump_of_mysql_that_says_it_completed_is_whole(head: bytes, piece: int) -> None:
    found = await read(head + ROWS[:3000] + MYSQL_END, piece=piece)
    assert (found.format, found.intact, found.why) == (MYSQL, True, "")


@pytest.mark.parametrize("piece", [1, 7, 10**6])
async def test_tables_of_a_dump_of_sql_are_counted_over_the_edges_of_pieces(piece: int) -> None:
    table = b"--\n-- Table structure for table `orders`\n--\n"
    data = b"INSERT INTO `t` VALUES ('" + b"x" * 3000 + b"-- Table structure for table `no`');\n"
    assert (await read(MYSQL_HEAD + table + data + table + MYSQL_END, piece=piece)).tables == 2
    assert (await read(MYSQL_HEAD + data + MYSQL_END, piece=piece)).tables == 0


async def test_a_dump_of_mysql_that_stops_is_not() -> None:
    for cut in (len(MYSQL_END), 20, len(MYSQL_END) + 500):
        found = await read((MYSQL_HEAD + ROWS + MYSQL_END)[:-cut])
        assert found.intact is False and "cut off" in found.why


@pytest.mark.parametrize("piece", [1000, 10**7])
async def test_a_dump_of_sql_with_a_hole_is_not_whole(piece: int) -> None:
    for packing in ("gzip", "xz", "zstd", None):
        torn = MYSQL_HEAD + ROWS[:3000] + b"\0" * 4096 + ROWS[3000:] + MYSQL_END
        found = await read(torn if packing is None else packed_by(packing, torn), piece=piece)
        assert found.intact is False and "NUL bytes" in found.why, packing


async def test_a_dump_without_comments_cannot_be_judged() -> None:
    found = await read(ROWS)
    assert found.intact is None and "none that captain knows" in found.why


@pytest.mark.parametrize("packing", [*PACKERS])
async def test_what_is_packed_is_unpacked_to_its_end(packing: str) -> None:
    whole = PACKERS[packing](MYSQL_HEAD + ROWS + MYSQL_END)
    found = await read(whole, piece=100)
    assert (found.intact, found.format, found.packed) == (True, MYSQL, packing)
    for cut in (1, 5, len(whole) // 2):
        assert (await read(whole[:-cut])).intact is False
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 0xFF
    assert (await read(bytes(broken))).intact is False


async def test_a_complete_packing_of_a_cut_dump_is_not_whole() -> None:
    found = await read(gzip.compress((MYSQL_HEAD + ROWS)[:-100]))
    assert found.intact is False and "cut off" in found.why


async def test_several_members_of_gzip_are_one_dump_and_padding_is_none_of_it() -> None:
    parts = gzip.compress(MYSQL_HEAD + ROWS) + gzip.compress(MYSQL_END)
    assert (await read(parts + b"\0" * 1000, piece=64)).intact is True
    assert (await read(parts[:-3])).intact is False
    found = await read(parts + b"garbage", piece=64)
    assert found.intact is False and "something else" in found.why


async def test_packing_within_packing_is_followed() -> None:
    found = await read(gzip.compress(lzma.compress(MYSQL_HEAD + ROWS + MYSQL_END)))
    assert (found.intact, found.packed) == (True, "gzip, xz")


async def test_a_pipe_that_broke_early_is_packed_properly_and_not_whole_for_that() -> None:
    found = await read(gzip.compress(ROWS[:-10]))
    assert (found.intact, found.unpacked, found.format) == (None, True, "unknown")
    assert "whether what is in it is whole cannot be seen" in found.why
    cut = await read(gzip.compress(ROWS)[:-10])
    assert (cut.intact, cut.unpacked) == (False, False)


@pytest.mark.parametrize("data", [b"", gzip.compress(b"", mtime=0)])
async def test_an_empty_dump_is_not_whole(data: bytes) -> None:
    found = await read(data)
    assert (found.intact, found.why) == (False, "it is empty")


@pytest.mark.parametrize("data", [b"-----BEGIN PGP MESSAGE-----\n", b"age-encryption.org/v1\n", b"Salted__xxxxxxxx"])
async def test_an_encrypted_dump_cannot_be_judged(data: bytes) -> None:
    found = await read(data + b"x" * 5000)
    assert found.intact is None and "encrypted" in found.why


async def test_a_bomb_does_not_fill_the_memory() -> None:
    bomb = gzip.compress(gzip.compress(b"\0" * 200_000_000))
    tracemalloc.start()
    try:
        found = await read(bomb, piece=65536)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.unpacked is True
    assert peak < 16 * 1024 * 1024


async def test_a_missing_pg_restore_says_nothing_about_the_dump() -> None:
    found = await read(b"PGDMP" + b"x" * 5000, environ={"PATH": "/nowhere"})
    assert found.intact is None
    assert found.why == "cannot start pg_restore: it is in no folder of PATH; install it, or write its path"
    assert len(found.sha256) == 64, "its digest can be told all the same"


async def test_a_missing_zstd_says_nothing_about_the_dump() -> None:
    found = await read(b"\x28\xb5\x2f\xfd" + b"x" * 5000, environ={"PATH": "/nowhere"})
    assert found.intact is None and "zstd" in found.why


async def test_a_dump_newer_than_pg_restore_cannot_be_judged() -> None:
    found = await read(b"PGDMP\x01\x63\x00" + b"\x04\x08\x01" + b"\0" * 5000)
    assert found.intact is None and "unsupported version (1.99) in file header" in found.why


async def test_only_the_beginning_of_a_text_is_looked_at_for_a_list() -> None:
    found = await read(MYSQL_HEAD + ROWS + MYSQL_END, "--list")
    assert (found.format, found.intact, found.sha256) == (MYSQL, None, "")


PG = b"--\n-- PostgreSQL database dump\n--\n\n"
PG_RESTRICTED = PG + b"\\restrict Abc1\n\n"
PG_END = b"--\n-- PostgreSQL database dump complete\n--\n\n"
CLUSTER_END = b"--\n-- PostgreSQL database cluster dump complete\n--\n\n"


def test_f15_the_line_at_the_end_may_stand_before_another_one() -> None:
    assert complete(PG, b"x\n" + PG_END, TEXT)
    assert complete(PG_RESTRICTED, b"x\n" + PG_END + b"\\unrestrict Abc1\n\n", TEXT)
    assert not complete(PG_RESTRICTED, b"x\n" + PG_END, TEXT)
    assert not complete(PG_RESTRICTED, b"x\n" + PG_END + b"\\unrestrict Ab", TEXT)
    assert not complete(PG, b"x\n" + PG_END + b"COPY orders FROM stdin;\n1\n", TEXT)
    assert not complete(PG, b"", TEXT)


def test_a_dump_of_several_databases_is_not_complete_after_one_of_them() -> None:
    assert not complete(b"", PG_END, CLUSTER)
    assert complete(b"", PG_END + b"\n" + CLUSTER_END, CLUSTER)


@pytest.mark.parametrize(
    "head", [b"x" * 512, b"<html>-- PostgreSQL database dump\n", b"-- PostgreSQL database dump2\n"]
)
def test_what_only_mentions_a_dump_is_none(head: bytes) -> None:
    assert recognise(head) == "unknown"


def archive(size: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name in ("a", "b"):
            entry = tarfile.TarInfo(name)
            entry.size = size
            made.addfile(entry, io.BytesIO(b"x" * size))
    return out.getvalue()


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 5000])
@pytest.mark.parametrize("piece", [1, 700, 100_000])
def test_a_tar_archive_is_followed_to_its_end(size: int, piece: int) -> None:
    data = archive(size)
    walk = TarEnd()
    for at in range(0, len(data), piece):
        walk.feed(data[at : at + piece])
    assert walk.complete
    cut = TarEnd()
    cut.feed(data[: 512 + size])
    assert not cut.complete and not cut.malformed


async def test_a_tar_of_files_is_whole_when_its_end_is_there() -> None:
    data = archive(5000)
    assert (await read(data)).intact is True
    assert (await read(data[:6000])).intact is False
    found = await read(data[:512] + b"y" * 20000)
    assert found.intact is None and "followed" in found.why
