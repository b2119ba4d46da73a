"""Starts one program, outlives captain, and writes down what became of it. Knows nothing but its directory.

`attempt` starts it in an isolated interpreter without site-packages; `spool` describes the files of the directory.
Standard library and those two neighbours only.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from typing import Any

from captain.effects.processes import Process, look, processes
from captain.effects.spool import STREAMS, Output, claim, exists, finish, read_spec, write

POLL = 0.1
KILL_WAIT = 5.0
DRAIN_WAIT = 1.0
MAX_SURVIVORS = 20
_CHUNK = 65536


def main(name: str) -> None:
    """Leave the terminal and captain behind, then supervise. Returns at once in the caller's process."""
    directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    with contextlib.suppress(OSError):
        os.setsid()
    if os.fork():
        return
    umask = os.umask(0o077)
    null = os.open(os.devnull, os.O_RDWR)
    log = os.open("shim.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600, dir_fd=directory)
    for number, file in ((0, null), (1, null), (2, log)):
        os.dup2(file, number)
    os.chdir("/")
    _adopt_orphans()
    Shim(directory, umask).run()


def _adopt_orphans() -> None:
    """Descendants that lose their parent become children of this process: none escapes the sweep."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


class Shim:
    """Supervises one program from its start to its end."""

    def __init__(self, directory: int, umask: int) -> None:
        self._directory = directory
        self._umask = umask
        self._began = time.monotonic()
        self._stopping = False
        self._pid = 0
        self._status: int | None = None
        """As waitpid gives it, once the program itself ended."""
        self._selector = selectors.DefaultSelector()
        self._outputs: dict[str, Output] = {}

    def run(self) -> None:
        """Start it unless somebody did, and stay until its end is written down."""
        self._listen()
        spec = read_spec(self._directory)
        me = look(os.getpid())
        mine = {"shim": os.getpid(), "shim_starttime": me.starttime if me else 0, "boot": spec["boot"]}
        if not claim(self._directory, mine) or exists(self._directory, "pid") or exists(self._directory, "rc"):
            return
        os.unlink("spec.json", dir_fd=self._directory)
        if self._asked_to_stop():
            self._finish("cancelled")
            return
        try:
            self._outputs = {name: Output(self._directory, name) for name in STREAMS}
            self._start(spec)
        except OSError as error:
            text = f"cannot start {spec['argv'][0]}: {error.strerror} ({error.filename})"[:300]
            self._finish("exited", code=126 if error.errno == errno.EACCES else 127, error=text)
            return
        child = look(self._pid)
        with contextlib.suppress(OSError):  # on a full disk `started` still names this process
            write(
                self._directory,
                "pid",
                json.dumps({"pid": self._pid, "starttime": child.starttime if child else 0}),
            )
        outcome = self._supervise(self._began + spec["timeout_ms"] / 1000, spec["grace_ms"] / 1000)
        code, name = _ending(self._status)
        if outcome == "exited" and name is not None:
            outcome = "signalled"
        left = [f"{process.name} (pid {process.pid})" for process in self._tree()]
        self._finish(outcome, code=code, name=name, left=left[:MAX_SURVIVORS])
        self._linger()

    def _listen(self) -> None:
        """Signals wake the loop. Handlers, unlike SIG_IGN, are not handed on to the program."""
        wake, woken = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        self._selector.register(wake, selectors.EVENT_READ, None)

        def stop(number: int, frame: object) -> None:
            self._stopping = True

        def go_on(number: int, frame: object) -> None:
            pass

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        for number in (signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, go_on)

    def _ended(self) -> bool:
        return self._status is not None

    def _asked_to_stop(self) -> bool:
        return self._stopping or exists(self._directory, "stop")

    def _start(self, spec: dict[str, Any]) -> None:
        self._began = time.monotonic()
        child = subprocess.Popen(
            spec["argv"],
            cwd=spec["cwd"],
            env=spec["env"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            umask=self._umask,
        )
        self._pid = child.pid
        child.returncode = 0  # reaped here, together with every orphan
        for name, stream in zip(STREAMS, (child.stdout, child.stderr), strict=True):
            if stream is not None:
                pipe = os.dup(stream.fileno())
                stream.close()
                os.set_blocking(pipe, False)
                self._selector.register(pipe, selectors.EVENT_READ, name)

    def _supervise(self, deadline: float, grace: float) -> str:
        """Until it ended by itself (`exited`) or had to be ended."""
        while not self._ended():
            if self._asked_to_stop():
                self._end(grace)
                return "cancelled"
            if time.monotonic() >= deadline:
                self._end(grace)
                return "timed_out"
            self._pump(min(POLL, max(deadline - time.monotonic(), 0)))
        until = time.monotonic() + DRAIN_WAIT
        while self._pump(0) and time.monotonic() < until:
            pass
        return "exited"

    def _end(self, grace: float) -> None:
        """TERM to the whole tree, then KILL until nothing is left of it or nothing helps."""
        for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, KILL_WAIT)):
            until = time.monotonic() + patience
            told: set[int] = set()
            while time.monotonic() < until and (tree := self._tree()):
                for process in tree:
                    if number == signal.SIGKILL or process.pid not in told:
                        told.add(process.pid)
                        _send(process.pid, number)
                        _send(process.pid, signal.SIGCONT)  # a stopped one answers TERM only once it goes on
                self._pump(POLL / 2)
            self._pump(0)

    def _tree(self) -> list[Process]:
        """What descends from the program, orphans included where the kernel hands them to this process."""
        every = [process for process in processes() if process.state != "Z" and process.pid != os.getpid()]
        found = {process.pid: process for process in every if process.group == self._pid}
        fresh = {os.getpid(), *found}
        while fresh:
            children = {p.pid: p for p in every if p.ppid in fresh and p.pid not in found}
            found |= children
            fresh = set(children)
        return sorted(found.values())

    def _pump(self, wait: float | None, *, keep: bool = True) -> bool:
        """Move what was written into the files, or nowhere, and reap what ended. True where something moved."""
        moved = False
        for key, _ in self._selector.select(wait):
            with contextlib.suppress(BlockingIOError):
                data = os.read(key.fd, _CHUNK)
                if key.data is None:
                    continue
                moved = True
                if not data:
                    self._selector.unregister(key.fd)
                elif keep:
                    self._outputs[key.data].feed(data)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._pid:
                    self._status = ended[1]
        return moved

    def _finish(
        self,
        outcome: str,
        *,
        code: int | None = None,
        name: str | None = None,
        left: list[str] | None = None,
        error: str | None = None,
    ) -> None:
        for output in self._outputs.values():
            output.close()
        rc = {
            "outcome": outcome,
            "exit_code": code,
            "signal": name,
            "survivors": left or [],
            "duration_ms": round((time.monotonic() - self._began) * 1000),
            "truncated": any(output.truncated for output in self._outputs.values()),
            "error": error,
        }
        finish(self._directory, rc)

    def _linger(self) -> None:
        """Drain what the program left running, as long as it writes: a closed pipe would kill it."""
        while not self._stopping and len(self._selector.get_map()) > 1:
            self._pump(None, keep=False)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _ending(status: int | None) -> tuple[int | None, str | None]:
    """Exit code and name of the signal, of which at most one is known."""
    if status is None:
        return None, None
    if not os.WIFSIGNALED(status):
        return os.WEXITSTATUS(status), None
    number = os.WTERMSIG(status)
    try:
        return None, signal.Signals(number).name
    except ValueError:
        return None, f"signal {number}"
