"""Runs a program in a running container, bounded in time and output, and stops it there when its time is over.

Without a terminal and without stdin; arguments reach the program as they are. Knows no probe and no verdict.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from captain.blocking import Blocking
from captain.effects.program import LIMIT, Finished, Kept
from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.docker.containers import name_of, service_names
from captain.systems.docker.reader import READS, Document, Endpoint, Reader

_STARTER = (
    # Says first which process it is, so that it can be stopped, and becomes the program then.
    'm="$1"; shift; echo "$m $$" >&2; trap \'echo "$m not found" >&2\' EXIT; '
    'command -v "$1" >/dev/null 2>&1 || exit 127; exec "$@"'
)
_STOPPER = 'kill -TERM -- "-$1" || kill -TERM "$1"; sleep 0.5; kill -KILL -- "-$1" || kill -KILL "$1"'
_OUTPUT = 1024**4
"""Bytes that a program may write: more than any can in its time."""
_CHUNK = 64 * 1024
_MARGIN = 0.9
"""Share of the time that everything may take, so that its own sentence comes before its caller's patience ends."""
_STOPPING = timedelta(seconds=2)
"""At most so much of the time is kept for stopping the program."""
_CANCELLED = 1.0
"""Seconds a cancelled caller waits so that the program is told to stop."""
_LOOK = 0.05


@dataclass(frozen=True, slots=True)
class Executed:
    """What became of a program in a container."""

    finished: Finished
    container: str
    """The name of the container it ran in: of a service with several, one of them."""
    left: bool
    """Whether it did not end in time and may still run there."""


async def run_inside(
    blocking: Blocking,
    where: Endpoint,
    container: str,
    argv: Sequence[str],
    *,
    timeout: timedelta,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    limit: int = LIMIT,
) -> Executed:
    """Run `argv` in the container of that name or id, else in one running container of the service of that name.

    Raises ProbeError, fault `unclear` where the container is not there or does not run, `instrument` where the engine
    does not answer or there is no such program. Cancelling stops the program too.
    """
    if not argv or any("\0" in part for part in (*argv, *(env or {}).values())):
        raise ProbeError("cannot start a program: an argument holds a NUL character or there is none")
    stop = _Stop()
    job = _Job(container, tuple(argv), dict(env or {}), cwd, timeout.total_seconds() * _MARGIN, limit, stop)

    async def done() -> Executed:
        return await blocking(lambda: _run(where, job))

    task = asyncio.ensure_future(done())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.now()
        await asyncio.wait([task], timeout=_CANCELLED)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task
        raise


class _Stop:
    """Lets one thread end what another waits for."""

    def __init__(self) -> None:
        self.wanted = threading.Event()
        self._cut: Callable[[], None] | None = None

    def now(self) -> None:
        self.wanted.set()
        if self._cut is not None:
            self._cut()

    @contextlib.contextmanager
    def over(self, response: Any, seconds: float) -> Iterator[None]:
        """While this is entered `now`, or the end of `seconds`, ends the reading of a response."""

        def cut() -> None:
            # A transport that cannot be cut off (ssh) has its own timeout for each read.
            with contextlib.suppress(Exception):
                response.raw.shutdown()

        self._cut = cut
        timer = threading.Timer(max(seconds, 0), cut)
        timer.daemon = True
        timer.start()
        try:
            if self.wanted.is_set():
                cut()
            yield
        finally:
            timer.cancel()
            self._cut = None
            response.close()


@dataclass(frozen=True, slots=True)
class _Job:
    container: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str | None
    seconds: float
    limit: int
    stop: _Stop


def _run(where: Endpoint, job: _Job) -> Executed:
    with Executor(where, job.seconds) as engine:
        return engine.run(job)


def found_running(engine: Reader, name: str) -> Document:
    """The running container of that name or id, else one of the service of that name.

    Raises ProbeError, fault `unclear`, where there is none.
    """
    found = engine.container(name)
    if found is None:
        listed = [one for one in engine.containers() if name in service_names(one.get("Labels") or {})]
        running = sorted((one for one in listed if one.get("State") == "running"), key=lambda one: str(one["Id"]))
        if not running:
            what = "runs no container of" if listed else "has no container or service"
            raise ProbeError(f"{engine.where.name} {what} {safe(name, 200)}", fault="unclear")
        found = engine.container(str(running[0]["Id"]))
    if found is None or not runs(found):
        how = "is paused" if ((found or {}).get("State") or {}).get("Paused") else "does not run"
        raise ProbeError(f"the container {safe(name, 200)} {how}", fault="unclear")
    return found


def runs(document: Document) -> bool:
    """Whether a container runs. Between a crash and the next start the engine calls it running and restarting."""
    state = document.get("State") or {}
    return bool(state.get("Running")) and not state.get("Paused") and not state.get("Restarting")


class Executor(Reader):
    """Starts programs in containers, and reads. Nothing else is changed through it."""

    methods = READS | {"POST"}

    def run(self, job: _Job) -> Executed:
        began = time.monotonic()
        keep = min(_STOPPING.total_seconds(), job.seconds / 3)
        until = began + job.seconds - keep
        found = found_running(self, job.container)
        mark = f"captain-{secrets.token_hex(8)}"
        ident, streams = self._started(found, ("sh", "-c", _STARTER, "sh", mark, *job.argv), job, until)
        pid, stderr = _told(mark, streams[2].text())
        if pid is None and _no_shell(streams[1].text()):
            # Nothing was started yet: such a container has the program and nothing else.
            ident, streams = self._started(found, job.argv, job, until)
            stderr = streams[2].text()
        # What was cut off may lack its end, even where the program came to its own.
        cut = time.monotonic() >= until or job.stop.wanted.is_set()
        state = self._exec(ident)
        name, ran = name_of(found), pid is not None
        left = bool(state.get("Running"))
        if left:
            if not cut and time.monotonic() < until - _LOOK:
                raise ProbeError(f"{self.where.name}: the connection ended before the program did", fault="unclear")
            left = not self._stopped(str(found["Id"]), pid, ident, began + job.seconds)
        code = state.get("ExitCode")
        if not state.get("Running") and (stderr is None or (not ran and code in (126, 127))):
            said = _line(streams[1].text()) if stderr is not None else ""
            raise ProbeError(f"cannot start {safe(job.argv[0], 200)} in {name}: {said or 'there is no such program'}")
        over = bool(state.get("Running"))
        return Executed(
            Finished(
                exit_code=None if over or not isinstance(code, int) else code,
                signal=None,
                timed_out=over,
                stdout=streams[1].text(),
                stderr=stderr or b"",
                truncated=cut or any(kept.dropped for kept in streams.values()),
                duration=timedelta(seconds=time.monotonic() - began),
            ),
            name,
            left,
        )

    def _started(self, found: Document, argv: Sequence[str], job: _Job, until: float) -> tuple[str, dict[int, Kept]]:
        """Start a program and read what it writes until it ends, its time is over or nobody wants it any more."""
        env = [f"{name}={value}" for name, value in job.env.items()]
        ident = str(
            self._ask(lambda: self._api.exec_create(str(found["Id"]), list(argv), environment=env, workdir=job.cwd))[
                "Id"
            ]
        )
        streams = {1: Kept(job.limit), 2: Kept(job.limit)}
        url = self._api._url("/exec/{0}/start", ident)
        data = {"Detach": False, "Tty": False}
        # What is kept is bounded by itself; the time bounds how much is read.
        self._budget.stream(_OUTPUT)
        response = self._ask(lambda: self._api._post_json(url, data=data, stream=True))
        with self._told(), job.stop.over(response, until - time.monotonic()):
            self._api._raise_for_status(response)
            self._read(response.raw, streams, until)
        return ident, streams

    def _read(self, raw: Any, streams: dict[int, Kept], until: float) -> None:
        """Take the frames of both streams apart: one byte which, three of nothing, four of length, then as much."""
        head, left, which = b"", 0, 1
        while time.monotonic() < until:
            try:
                data = raw.read1(_CHUNK)
            except Exception:
                # Cut off at the end of the time; what came before counts.
                return
            if not data:
                return
            while data:
                if left:
                    streams[which].feed(data[:left])
                    data, left = data[left:], max(left - len(data), 0)
                    continue
                need = 8 - len(head)
                head, data = head + data[:need], data[need:]
                if len(head) == 8:
                    if head[0] not in streams or head[1:4] != b"\0\0\0":
                        raise ValueError("the answer is not the engine's API")
                    which, left, head = head[0], int.from_bytes(head[4:], "big"), b""

    def _exec(self, ident: str) -> Document:
        return dict(self._ask(lambda: self._api.exec_inspect(ident)))

    def _stopped(self, container: str, pid: str | None, ident: str, until: float) -> bool:
        """Tell the program to stop, and see whether it does. The engine itself knows no way to end an exec."""
        if pid is None:
            return False
        with contextlib.suppress(ProbeError):
            made = self._ask(
                lambda: self._api.exec_create(container, ["sh", "-c", _STOPPER, "sh", pid], stdout=False, stderr=False)
            )
            self._ask(lambda: self._api.exec_start(made["Id"], detach=True))
            while time.monotonic() < until:
                if not self._exec(ident).get("Running"):
                    return True
                time.sleep(_LOOK)
        return False


def _told(mark: str, stderr: bytes) -> tuple[str | None, bytes | None]:
    """The process that the starter became, and what the program itself wrote; None where it was not found."""
    first, _, rest = stderr.partition(b"\n")
    begin = f"{mark} ".encode()
    if not first.startswith(begin) or not (pid := first.removeprefix(begin)).isdigit():
        return None, stderr
    missing = f"{mark} not found\n".encode()
    return pid.decode(), None if missing in rest else rest


def _no_shell(stdout: bytes) -> bool:
    return stdout.startswith(b"OCI runtime exec failed") and b'"sh"' in stdout


def _line(data: bytes) -> str:
    return safe(" ".join(data.decode("utf-8", "replace").split()), 300)
