"""One backup read to its end, compared with its digest, or restored for a drill. Finds out, judges nothing."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from captain.blocking import Blocking
from captain.errors import ProbeError
from captain.measurement import Value
from captain.safe import safe
from captain.systems.backups import dump_format as formats
from captain.systems.backups.dump import Enough, Reader, Reading, Tools
from captain.systems.backups.listing import Item
from captain.systems.backups.pg_archive import read_folder
from captain.systems.backups.pg_scratch import Scratch, Server, missing, rows_ratio, same

_SIDECARS = (".sha256", ".sha256sum")
_SIDECAR = 4096
_DIGEST = re.compile(rb"\A\\?([0-9a-fA-F]{64})(?=\s|\Z)")
_SHARE = 0.9
"""Share of the time after which a drill stops, so that its database can be dropped in the rest."""


class Place(Protocol):
    """Where backups lie."""

    async def read(self, item: Item, take: Callable[[bytes], Awaitable[None]]) -> None: ...

    async def small(self, key: str, limit: int) -> bytes | None: ...


async def read(place: Place, item: Item, tools: Tools, blocking: Blocking, *, on_disk: bool) -> Reading:
    """Read it as far as `tools` want it. Raises ProbeError where it cannot be got at."""
    if item.folder:
        found = Reading(formats.FOLDER, size=item.size)
        await read_folder(Path(item.key), found, tools)
        return found
    reader = Reader(tools, blocking)
    found = reader.reading
    try:
        await place.read(item, reader.take)
        await reader.end()
    except Enough:
        return found
    finally:
        await reader.close()
    if on_disk and found.format == formats.SQLITE and not found.packed and found.intact is None:
        from captain.systems.sql.sqlite_file import check

        found.why = ""
        end = time.monotonic() + tools.deadline - asyncio.get_running_loop().time()
        await blocking(lambda: check(Path(item.key), found, end))
    return found


async def told_digest(place: Place, item: Item) -> str | None:
    """The SHA-256 that lies beside a backup, None where there is none. Raises ProbeError for a file without one."""
    if item.folder:
        return None
    for suffix in _SIDECARS:
        data = await place.small(item.key + suffix, _SIDECAR)
        if data is None:
            continue
        match = _DIGEST.match(data.lstrip())
        if match is None:
            raise ProbeError(f"{safe(item.key + suffix, 200)} holds no SHA-256")
        return match[1].decode().lower()
    return None


def settle(found: Reading, digest: str | None, engine: formats.Engine) -> tuple[bool | None, str, bool | None]:
    """Whether the backup is whole, the reason where it is not or cannot be told, and whether the digest fits."""
    fits = None if digest is None or not found.sha256 else digest == found.sha256
    intact, why = found.intact, found.why
    theirs = formats.engine_of(found.format)
    if fits is False:
        return False, "its SHA-256 is not the one that was written down for it", fits
    if intact is False:
        return intact, why, fits
    if engine != "file" and theirs is not None and theirs != engine:
        return False, f"it is a {found.format} dump, not one of {engine}", fits
    if engine != "file" and theirs is None:
        return None, why or f"it does not begin like a dump of {engine}", fits
    return intact, why, fits


@dataclass(slots=True)
class Drill:
    """What a restore into a scratch database showed."""

    reading: Reading
    observed: dict[str, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


async def drill(
    place: Place,
    item: Item,
    tools: Tools,
    blocking: Blocking,
    *,
    scratch: Server,
    source: Server | None,
    key_tables: Sequence[str],
) -> Drill:
    """Restore it into a database of its own, count, and drop that database whatever happens. Raises ProbeError."""
    loop = asyncio.get_running_loop()
    end = loop.time() + (tools.deadline - loop.time()) * _SHARE

    def left() -> timedelta:
        return timedelta(seconds=max(end - loop.time(), 0.01))

    if source is not None:
        await _refuse_same(scratch, source, left())
    made = Scratch(scratch)
    done = Drill(Reading())
    try:
        await made.create(left())
        began = loop.time()
        into = replace(
            tools,
            deadline=end,
            arguments=(
                *("--no-owner", "--no-privileges", "--no-tablespaces", "--exit-on-error"),
                f"--dbname={made.server.database}",
            ),
            extra=made.server.variables(),
        )
        async with asyncio.timeout_at(end):
            done.reading = await read(place, item, into, blocking, on_disk=False)
        if done.reading.intact:
            done.observed["restore"] = timedelta(seconds=loop.time() - began)
            await _compare(made.server, source, key_tables, done, left)
    except TimeoutError:
        done.reading.intact, done.reading.why = None, "the restore did not end in time; give the step more `timeout`"
    except ProbeError as error:
        if not await made.drop(_rest(tools)):
            hint = f"drop the scratch database {made.server.shown}, it may still be there"
            raise ProbeError(error.message, fault=error.fault, hint=hint) from error
        raise
    finally:
        done.observed["cleaned_up"] = await made.drop(_rest(tools))
    if not done.observed["cleaned_up"]:
        done.notes.append(f"the scratch database {made.server.shown} may still be there: drop it")
    if made.left:
        done.notes.append(f"scratch databases of earlier drills are still there: {', '.join(made.left)}")
    return done


def _rest(tools: Tools) -> timedelta:
    return timedelta(seconds=max(tools.deadline - asyncio.get_running_loop().time(), 2))


async def _refuse_same(scratch: Server, source: Server, timeout: timedelta) -> None:
    async with scratch.connected(timeout, reads=True) as one, source.connected(timeout, reads=True) as other:
        if await same(one, other):
            raise ProbeError(
                f"{scratch.name} and {source.name} lead to the same database: nothing is restored there",
                hint=f"let {scratch.name} lead to another one, best on another server",
            )


async def _compare(
    restored: Server, source: Server | None, key_tables: Sequence[str], done: Drill, left: Callable[[], timedelta]
) -> None:
    """Adds what came back. A source that cannot be asked leaves out what needs it."""
    async with restored.connected(left(), reads=True) as connection:
        tables = await connection.tables()
        counts = {table: await connection.count(table) for table in key_tables}
    done.observed["tables"] = len(tables)
    if source is None:
        listed = done.reading.tables
        if listed is not None:
            done.observed["table_diff"] = abs(listed - len(tables))
        absent = [table for table, count in counts.items() if count is None]
        if absent:
            done.observed["restored_rows_ratio"] = 0.0
            done.notes.append(f"not restored: {safe(', '.join(absent), 300)}")
        elif key_tables:
            done.notes.append("restored_rows_ratio needs dsn_env, the database to compare with")
        return
    try:
        async with source.connected(left(), reads=True) as connection:
            theirs = await connection.tables()
            wanted = {table: await connection.count(table) for table in key_tables}
    except ProbeError as error:
        done.notes.append(f"not compared with the source: {error.message}")
        return
    lacking = missing(tables, theirs)
    done.observed["table_diff"] = len(lacking)
    if lacking:
        done.notes.append(f"not restored: {safe(', '.join(lacking[:20]), 300)}")
    unknown = [table for table, count in wanted.items() if count is None]
    if unknown:
        done.notes.append(f"the source has no table {safe(', '.join(unknown), 300)}: check `key_tables`")
    elif (ratio := rows_ratio(counts, wanted)) is not None:
        done.observed["restored_rows_ratio"] = ratio
