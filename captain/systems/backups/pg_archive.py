"""pg_restore and zstd as readers of a stream: the layers of a dump that need a program. Knows no backup.

pg_restore writes the SQL of an archive to /dev/null and so runs none of it, or, in a drill, into a scratch database.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from captain.effects.program import Finished, probe_environ, run_program
from captain.errors import ProgramError
from captain.safe import safe
from captain.systems.backups.dump_format import TAR
from captain.systems.backups.dump_layers import Enough, Layer, Reading, Unreadable
from captain.systems.backups.pipe import Closed, FromProgram, ToProgram
from captain.systems.backups.tar_end import TarEnd

_LIMIT = 4 * 1024 * 1024
"""Bytes kept of what pg_restore says: one line for each object of the archive."""
_TABLE = re.compile(rb"^(?:pg_restore: creating TABLE \"|\d+; \d+ \d+ TABLE (?!DATA))", re.MULTILINE)
# What says something about the machine or the tool, not about the archive.
_OURS = re.compile(
    "unsupported version|does not support compression|not supported (by|in) this|out of memory|too many open files"
    "|no space left|could not write|out-of-order restore|out of order|could not connect|connection to server"
    "|server closed the|permission denied|must be owner|must be superuser|frame requires too much memory|window size"
)


@dataclass(frozen=True, slots=True)
class Tools:
    """How the programs are started, and what pg_restore is to do."""

    environ: Mapping[str, str]
    """captain's own; the programs get a few names of it."""
    deadline: float
    """Of the loop's clock."""
    arguments: tuple[str, ...] = ("--file=/dev/null",)
    """`--list` reads the list of contents only, `--dbname=…` restores."""
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables besides, which may hold a password."""

    @property
    def lists(self) -> bool:
        return self.arguments == ("--list",)

    @property
    def restores(self) -> bool:
        return any(argument.startswith("--dbname=") for argument in self.arguments)

    def restore(self, *more: str) -> list[str]:
        """The command line of pg_restore."""
        verbose = () if self.lists else ("--verbose",)
        return ["pg_restore", *verbose, *self.arguments, *more]

    async def run(self, argv: Sequence[str], stdin: int | None = None, stdout: int | None = None) -> Finished:
        """Raises ProgramError."""
        left = max(self.deadline - asyncio.get_running_loop().time(), 0.01)
        env = {**probe_environ(self.environ), "LC_ALL": "C", **self.extra}
        return await run_program(
            argv,
            cwd=Path("/"),
            env=env,
            timeout=timedelta(seconds=left),
            limit=_LIMIT,
            stdin=stdin,
            stdout=stdout,
        )


class Archive:
    """An archive of pg_dump, given to pg_restore."""

    def __init__(self, reading: Reading, tools: Tools) -> None:
        self._reading = reading
        self._tools = tools
        self._tar = TarEnd() if reading.format == TAR else None
        self._program = _Fed(tools, tools.restore())

    async def feed(self, data: bytes) -> None:
        if self._tar is not None:
            self._tar.feed(data)
        if not await self._program.write(data) and self._tools.lists:
            await self.end()
            raise Enough

    async def end(self) -> None:
        ended = await self._program.end()
        if self._tar is not None and not self._tar.complete and not self._tools.lists:
            raise Unreadable("the tar archive does not reach its end: it was cut off")
        judge(self._reading, ended, self._tools)

    async def close(self) -> None:
        await self._program.close()


class Zstd:
    """zstd, which Python does not know yet."""

    def __init__(self, reading: Reading, tools: Tools, inner: Layer) -> None:
        self._reading = reading
        self._inner = inner
        self._out = FromProgram()
        self._program = _Fed(tools, ["zstd", "--decompress", "--stdout", "--quiet"], self._out)
        self._pump = asyncio.ensure_future(self._pass_on())

    async def feed(self, data: bytes) -> None:
        await self._program.write(data)
        if self._pump.done():
            self._pump.result()

    async def end(self) -> None:
        ended = await self._program.end()
        await self._pump
        said = failure(self._reading, ended, "zstd")
        if said is not None:
            self._reading.unpacked = False
            raise Unreadable(f"the zstd data is damaged: {said}")
        if not self._reading.why:
            self._reading.unpacked = True
            await self._inner.end()

    async def close(self) -> None:
        self._pump.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self._pump
        await self._program.close()
        self._out.close()

    async def _pass_on(self) -> None:
        try:
            async for data in self._out.chunks():
                await self._inner.feed(data)
        finally:
            self._out.close()


class _Fed:
    """A program that runs while it is written to."""

    def __init__(self, tools: Tools, argv: Sequence[str], stdout: FromProgram | None = None) -> None:
        self._pipe = ToProgram()
        self._stdout = stdout
        self._begun = False
        self._running = asyncio.ensure_future(self._run(tools, argv))

    async def _run(self, tools: Tools, argv: Sequence[str]) -> Finished | ProgramError:
        self._begun = True
        try:
            return await tools.run(argv, self._pipe.end, None if self._stdout is None else self._stdout.end)
        except ProgramError as error:
            return error

    async def write(self, data: bytes) -> bool:
        """False once it reads no more."""
        try:
            await self._pipe.write(data)
        except Closed:
            return False
        return True

    async def end(self) -> Finished | ProgramError:
        """How it ended, all having been written."""
        self._pipe.close()
        return await asyncio.shield(self._running)

    async def close(self) -> None:
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running
        self._pipe.close()
        if not self._begun:
            for end in (self._pipe.end, -1 if self._stdout is None else self._stdout.end):
                if end >= 0:
                    os.close(end)


async def read_folder(path: Path, reading: Reading, tools: Tools) -> None:
    """An archive of several files: pg_restore opens them itself."""
    try:
        ended: Finished | ProgramError = await tools.run(tools.restore("--format=directory", str(path)))
    except ProgramError as error:
        ended = error
    try:
        judge(reading, ended, tools)
    except Unreadable as error:
        reading.intact, reading.why = False, str(error)


def judge(reading: Reading, ended: Finished | ProgramError, tools: Tools) -> None:
    """What the end of pg_restore says about the archive. Raises Unreadable."""
    said = failure(reading, ended, "pg_restore")
    if said is not None:
        raise Unreadable(f"pg_restore: {said}")
    if isinstance(ended, Finished) and not reading.why:
        if not ended.truncated:
            reading.tables = len(_TABLE.findall(ended.stdout if tools.lists else ended.stderr))
        if tools.lists:
            reading.why = "only its list of contents was read, which a cut archive still has"
        else:
            reading.intact = True


def failure(reading: Reading, ended: Finished | ProgramError, name: str) -> str | None:
    """Why the data is damaged, None where it is not; `why` of the reading where that cannot be told."""
    if isinstance(ended, ProgramError):
        hint = "" if ended.hint is None else f"; {ended.hint}"
        reading.why = f"{ended.message}{hint}"
    elif ended.timed_out:
        reading.why = f"{name} did not end in time"
    elif ended.exit_code is None:
        reading.why = f"{name} was ended by {ended.signal or 'an unknown cause'}"
    elif ended.exit_code != 0:
        said = complaint(ended.stderr) or f"exit {ended.exit_code}"
        if not _OURS.search(said.lower()):
            return said
        reading.why = f"{name}: {said}"
    return None


def complaint(stderr: bytes) -> str:
    """The line of a program that says what went wrong, as one calm line."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    wrong = [line for line in lines if "error:" in line.lower()]
    line = (wrong or lines or [""])[0]
    return safe(re.sub(r"^\S+: (error|fatal): ", "", line), 300)
