"""Runs a program to its end, bounded in time and output, and leaves nothing of it behind. Knows no step and no log."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from captain.effects.environ import action_environ, find_program, probe_environ
from captain.errors import ProgramError

__all__ = ["LIMIT", "Finished", "action_environ", "find_program", "probe_environ", "run_program"]

LIMIT = 1024 * 1024
"""Bytes kept of each output stream: the first and the last half."""

_COOKIE = "CAPTAIN_PROGRAM"
_GRACE = 1.0
_GRACE_CANCELLED = 0.3
_DRAIN = 0.05
_DRAIN_KILLED = 0.5
_REAP = 2.0
_SWEEPS = 20


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a program."""

    exit_code: int | None
    """0 to 255, or None when it did not end by itself."""
    signal: str | None
    """SIGKILL and the like, when a signal ended it."""
    timed_out: bool
    """Whether captain ended it at the deadline."""
    stdout: bytes
    stderr: bytes
    truncated: bool
    """Whether the middle of stdout or stderr was left out."""
    duration: timedelta


async def run_program(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: timedelta,
    limit: int = LIMIT,
    stdin: bytes | int | None = None,
    stdout: int | None = None,
) -> Finished:
    """Run `argv` in a session of its own, without a terminal, and wait for its end.

    `stdin` and `stdout` may be open file descriptors. They are closed here as soon as the program has them; what goes
    through them is neither kept nor bounded.

    At the deadline and on cancellation the whole group gets TERM, then KILL. What it left running is killed as
    well: a probe leaves nothing behind. Raises ProgramError when it cannot be started.
    """
    cookie = secrets.token_hex(8)
    loop = asyncio.get_running_loop()
    began = loop.time()
    watch = _Watch(limit, {2} if stdout is not None else {1, 2})
    try:
        program = _program(argv, cwd, env)
        try:
            transport, _ = await loop.subprocess_exec(
                lambda: watch,
                str(program),
                *argv[1:],
                stdin=stdin if isinstance(stdin, int) else subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE if stdout is None else stdout,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env={**env, _COOKIE: cookie},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise _cannot_start(argv[0], program, error) from error
    finally:
        for end in (stdin, stdout):
            if isinstance(end, int):
                os.close(end)
    tree = _Tree(transport.get_pid(), cookie)
    timed_out = False
    try:
        if isinstance(stdin, bytes):
            watch.give(transport.get_pipe_transport(0), stdin)
        await asyncio.wait([watch.exited], timeout=timeout.total_seconds())
        timed_out = not watch.exited.done()
        if timed_out:
            tree.signal(signal.SIGTERM)
            await asyncio.wait([watch.exited], timeout=_GRACE)
        else:
            await asyncio.wait([watch.drained], timeout=_DRAIN)
    except asyncio.CancelledError:
        if not watch.exited.done():
            tree.signal(signal.SIGTERM)
            await asyncio.wait([watch.exited], timeout=_GRACE_CANCELLED)
        raise
    finally:
        tree.kill()
        await _let_go(transport, watch)
    code = transport.get_returncode()
    return Finished(
        exit_code=code if code is not None and code >= 0 and not timed_out else None,
        signal=_signal_name(-code) if code is not None and code < 0 else None,
        timed_out=timed_out,
        stdout=watch.kept[1].text(),
        stderr=watch.kept[2].text(),
        truncated=any(kept.dropped for kept in watch.kept.values()),
        duration=timedelta(seconds=loop.time() - began),
    )


def _program(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Path:
    if not argv or any("\0" in part for part in argv):
        raise ProgramError("cannot start a program: an argument holds a NUL character or there is none")
    program = find_program(argv[0], cwd=cwd, env=env)
    if not cwd.is_dir():
        raise ProgramError(f"cannot start {argv[0]}: the folder {cwd} is not there", hint="check `cwd`")
    return program


class Kept:
    """The first and the last half of a stream; what lies between is counted and let go."""

    def __init__(self, limit: int) -> None:
        self._half = max(limit // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self._cut = 0

    @property
    def dropped(self) -> int:
        """Bytes left out."""
        return self._cut + max(len(self._tail) - self._half, 0)

    def feed(self, data: bytes) -> None:
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room < len(data) else b""
        if len(self._tail) > 4 * self._half:
            self._cut += len(self._tail) - self._half
            del self._tail[: -self._half]

    def text(self) -> bytes:
        """What was kept, with one line in the middle saying how much was not."""
        if not self.dropped:
            return bytes(self._head + self._tail)
        return bytes(self._head) + f"\n… {self.dropped} bytes left out …\n".encode() + bytes(self._tail[-self._half :])


class _Watch(asyncio.SubprocessProtocol):
    """Hears what the program writes and when it ends."""

    def __init__(self, limit: int, piped: set[int]) -> None:
        loop = asyncio.get_running_loop()
        self.kept = {1: Kept(limit), 2: Kept(limit)}
        self.exited: asyncio.Future[None] = loop.create_future()
        self.drained: asyncio.Future[None] = loop.create_future()
        self._open = piped

    def give(self, pipe: asyncio.BaseTransport | None, data: bytes) -> None:
        if isinstance(pipe, asyncio.WriteTransport):
            pipe.write(data)
            pipe.close()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.kept[fd].feed(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open.discard(fd)
        if not self._open and not self.drained.done():
            self.drained.set_result(None)

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)


async def _let_go(transport: asyncio.SubprocessTransport, watch: _Watch) -> None:
    """Reap it and close the pipes, even where something that cannot be killed still holds their other end."""
    try:
        await asyncio.wait([watch.exited], timeout=_REAP)
        await asyncio.wait([watch.drained], timeout=_DRAIN_KILLED)
    finally:
        transport.close()
    await asyncio.wait([watch.drained], timeout=_DRAIN_KILLED)


class _Tree:
    """The program, its group, and where /proc shows it everything that carries its cookie in the environment."""

    def __init__(self, pid: int, cookie: str) -> None:
        self._pid = pid
        self._mark = f"{_COOKIE}={cookie}".encode()

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, number)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # A stopped process answers TERM only once it goes on.
            os.killpg(self._pid, signal.SIGCONT)

    def kill(self) -> None:
        """KILL the group, then whatever left it, again until a look finds nothing: a fork bomb needs several."""
        for _ in range(_SWEEPS):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)
            strays = self._strays()
            for pid in strays:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if not strays:
                return

    def _strays(self) -> list[int]:
        """Processes outside the group that the program started; empty where there is no /proc."""
        found = []
        with contextlib.suppress(OSError), os.scandir("/proc") as entries:
            pids = [int(entry.name) for entry in entries if entry.name.isdigit()]
            for pid in pids:
                if pid not in (self._pid, os.getpid()) and self._mark in _environ_of(pid).split(b"\0"):
                    found.append(pid)
        return found


def _environ_of(pid: int) -> bytes:
    """The environment a process was started with, empty where it cannot be read. Asked of every process there is."""
    try:
        handle = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(handle, LIMIT)
    except OSError:
        return b""
    finally:
        os.close(handle)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _cannot_start(name: str, program: Path, error: OSError | ValueError) -> ProgramError:
    if isinstance(error, FileNotFoundError):
        return ProgramError(f"cannot start {name}: the interpreter that {program} names is not there")
    if isinstance(error, OSError) and error.strerror:
        return ProgramError(f"cannot start {name}: {error.strerror}", hint=f"is the first line of {program} a #! line?")
    return ProgramError(f"cannot start {name}: {error}")
