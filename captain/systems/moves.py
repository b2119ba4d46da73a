"""One thing that a drill does or waits for, as files write it, and the doing of it, bounded. Judges nothing.

What did not work is a ProbeError.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from captain.blocking import Blocking
from captain.effects import Program
from captain.effects.program import Finished, probe_environ, run_program
from captain.errors import ProbeError
from captain.fields import Duration, EnvName, Holds, Run, Text, wrong
from captain.safe import safe
from captain.systems.docker.comeback import STEADY as STEADY
from captain.systems.docker.exec import run_inside
from captain.systems.docker.reader import endpoint
from captain.systems.docker.signal import signal_container

CRASHES = ("TERM", "INT", "QUIT", "KILL", "ABRT", "SEGV")
"""Signals after which a process is expected to be gone."""
WITHIN = timedelta(seconds=30)
"""How long is waited where the file does not say."""
EVERY = timedelta(milliseconds=500)


class Arguments(BaseModel):
    """How something is done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    signal: Literal["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL", "STOP", "CONT", "ABRT", "SEGV"] | None = None
    """Of `signal`."""
    pid: Literal["host", "container"] | None = None
    """Of `signal`: by the process's number on the engine's host, or from inside; default whichever works."""
    run: Run | None = None
    """Of `exec` and `run`: arguments, or one text for `sh -c`."""
    cwd: Text = "."
    """Of `exec` and `run`: the folder it is started in."""
    env: Mapping[EnvName, Text] = Field(default_factory=dict)
    """Of `exec` and `run`: variables it is given; may hold `${{ secrets.NAME }}`."""


class Move(BaseModel):
    """Something that is done, or something that is waited for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    do: Literal["signal", "exec", "run"] | None = None
    """`signal` the first process of a container, `exec` a program in one, `run` a program here."""
    target: Text | None = None
    """The container, by name or by its service's: `shop_web` (Compose: project_service)."""
    args: Arguments = Arguments()
    """How it is done."""
    until: Holds | None = None
    """What must come true before it goes on; `before.` is what was seen before anything was done."""
    within: Duration | None = None
    """How long `until` may take, default 30s."""
    hold: Duration | None = Field(default=None, alias="for")
    """How long it must then stay true; default 3s where a signal ended a process since the `until` before, else 0s."""
    every: Duration | None = None
    """How often `until` is looked at, default 500ms."""

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        if ("do" in data) == ("until" in data):
            raise wrong("takes either do or until")
        if "until" in data and (extra := {"target", "args"} & data.keys()):
            raise wrong(f"{min(extra)} has no effect beside until")
        if "do" in data:
            _complete(str(data["do"]), data)
        return data

    def says(self) -> str:
        """The move in one line."""
        if self.until is not None:
            stays = f", for {brief(self.hold)}" if self.hold else ""
            return f"waits at most {brief(self.within or WITHIN)} until {' and '.join(self.until)}{stays}"
        if self.do == "signal":
            return f"sends {self.args.signal} to the first process of {self.target}"
        run = self.args.run or ()
        said = run if isinstance(run, str) else shlex.join(run)
        return f"runs in {self.target}: {said}" if self.do == "exec" else f"runs {said}"

    @property
    def crashes(self) -> bool:
        """Whether a process is expected to be gone after it."""
        return self.do == "signal" and self.args.signal in CRASHES

    def program(self, host: str | None) -> Program | None:
        """What is started, None where nothing is."""
        if self.args.run is None:
            return None
        where = None if self.do == "run" else self.target if host is None else f"{self.target} of {host}"
        return Program(self.args.run, self.args.cwd, tuple(sorted(self.args.env)), where)


def _complete(do: str, data: Mapping[str, Any]) -> None:
    """Raises where a move lacks what it needs, or is given what it does not read."""
    args = data.get("args")
    given = set(args) if isinstance(args, Mapping) else set()
    wants = {"signal": {"signal", "pid"}, "exec": {"run", "cwd", "env"}, "run": {"run", "cwd", "env"}}.get(do)
    if wants is None:
        return
    if (do != "run") != ("target" in data):
        raise wrong(f"names no target for {do}" if do != "run" else "names a target, which run does not have")
    need = "signal" if do == "signal" else "run"
    if need not in given:
        raise wrong(f"names no args.{need} for {do}")
    if strange := given - wants:
        raise wrong(f"names args.{min(strange)}, which {do} does not have")
    if wrongly := {"within", "for", "every"} & data.keys():
        raise wrong(f"{min(wrongly)} has no effect beside do")


async def perform(
    move: Move, *, blocking: Blocking, root: Path, environ: Mapping[str, str], host: str | None, timeout: timedelta
) -> str:
    """Do it, and say how it went. Raises ProbeError where it did not work."""
    if move.do == "signal":
        target, signal, where = move.target or "", move.args.signal or "", endpoint(host, environ)
        pid, ends = move.args.pid, move.crashes
        return await signal_container(blocking, where, target, signal, pid=pid, ends=ends, timeout=timeout)
    program = move.program(None)
    assert program is not None
    if move.do == "exec":
        cwd = None if program.cwd == "." else program.cwd
        done = await run_inside(
            blocking,
            endpoint(host, environ),
            move.target or "",
            program.argv,
            timeout=timeout,
            env=move.args.env,
            cwd=cwd,
        )
        return _well(done.finished, timeout, f" in {done.container}", left=done.left)
    given = probe_environ(environ, move.args.env)
    ended = await run_program(program.argv, cwd=root / program.cwd, env=given, timeout=timeout)
    return _well(ended, timeout, "", left=False)


def _well(ended: Finished, timeout: timedelta, where: str, *, left: bool) -> str:
    if ended.exit_code == 0 and not ended.timed_out:
        return f"exit 0{where}"
    if ended.timed_out:
        more = " and may still run" if left else ""
        raise ProbeError(f"did not end within {timeout.total_seconds():g}s{where}{more}", fault="unclear")
    said = safe(" ".join((ended.stderr or ended.stdout).decode("utf-8", "replace").split()), 300)
    how = f"exit {ended.exit_code}" if ended.exit_code is not None else f"ended by {ended.signal}"
    raise ProbeError(f"{how}{where}{f': {said}' if said else ''}", fault="unclear")


def brief(value: timedelta) -> str:
    """`30s`, `0.5s`."""
    return f"{value.total_seconds():g}s"


@dataclass(frozen=True)
class Sight:
    """What one look at an `until` came to."""

    truth: bool | None
    said: str
    failed: bool
    """Whether the product failed a probe."""
    before: bool = False
    """Whether it held before anything was done."""
    stands: list[Mapping[str, int]] = field(default_factory=list)
    """Of each thing that was made to crash: its containers and how often each was restarted."""


async def to_the_end(work: Awaitable[str | None]) -> str | None:
    """The result of bounded work, whoever wants to break it off meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
    return task.result()
