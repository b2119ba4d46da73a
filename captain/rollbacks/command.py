"""The strategy `command`: a program of the repository's takes the release back."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from captain.effects import Program
from captain.effects.environ import action_environ, find_program
from captain.errors import CaptainError, ProgramError
from captain.fields import Duration, EnvName, Run, Text
from captain.rollbacks import Command, Line, RollbackContext, Strategy, Taken, strategy


@strategy("command")
class CommandStrategy(Strategy):
    """Runs a program that goes back to the previous release.

    Templates see the release that is left as `release` and the one gone back to as `previous`. What the program
    changes captain cannot see: the steps under `verify` prove it.
    """

    example: ClassVar[str] = """\
id: shop
strategy: command
run: [./deploy.sh, '${{ previous.version }}']
timeout: 10m"""

    run: Run
    """Arguments, each staying one; or one text for `sh -c`."""
    cwd: Text = "."
    """The folder it is started in, relative to the one of captain.yaml."""
    env: Mapping[EnvName, Text] = Field(default_factory=dict)
    """Variables it is given; may hold `${{ secrets.NAME }}`."""
    timeout: Duration = timedelta(minutes=10)
    """After it the whole process tree is ended, and what it did is unknown."""

    @property
    def part_timeout(self) -> timedelta:
        return self.timeout

    def programs(self) -> tuple[Program, ...]:
        return (Program(self.run, self.cwd, tuple(sorted(self.env))),)

    async def take(self, ctx: RollbackContext) -> Taken:
        names = tuple(sorted(self.env))
        try:
            ready = self._resolved(ctx)
        except CaptainError as error:
            why = error.message + (f"; {error.hint}" if error.hint else "")
            return Taken({}, self._written(), env_names=names, ready=False, why=why)
        # Values of env stay out: they are secrets, and are resolved again when it runs.
        target = {"program": str(ready.program), "argv": list(ready.argv), "cwd": str(ready.cwd), "env": list(names)}
        return Taken(target, ready.shown, env_names=names)

    async def plan(self, target: Mapping[str, Any], ctx: RollbackContext) -> list[Line]:
        ready = self._resolved(ctx)
        lines = [Line("change", f"run {ready.shown} in {ready.cwd} (at most {_spoken(self.timeout)})")]
        if list(ready.argv) != target.get("argv"):
            lines.append(Line("verify", f"before the deploy it was {shlex.join(target.get('argv', []))}"))
        lines.append(Line("not", "what it changes is not seen by captain; the verify steps prove the result"))
        return lines

    def command(self, target: Mapping[str, Any], ctx: RollbackContext) -> Command:
        ready = self._resolved(ctx)
        return Command(
            how="shell" if isinstance(self.run, str) else "run",
            argv=(str(ready.program), *ready.argv[1:]),
            shown=ready.argv,
            cwd=ready.cwd,
            env=ready.env,
            env_names=tuple(sorted({*self.env, *ctx.values})),
        )

    def _resolved(self, ctx: RollbackContext) -> _Ready:
        """Everything it takes to start now. Raises CaptainError naming what is missing."""
        argv = self.programs()[0].argv if isinstance(self.run, str) else tuple(ctx.resolve(part) for part in self.run)
        cwd = ctx.root / ctx.resolve(self.cwd)
        given = {name: ctx.resolve(value) for name, value in self.env.items()}
        # What captain says of the run is not the file's to change.
        env = action_environ(ctx.environ, ctx.secrets, {**given, **ctx.values})
        if not cwd.is_dir():
            raise ProgramError(f"cannot start {argv[0]}: the folder {cwd} is not there", hint="check `cwd`")
        return _Ready(find_program(argv[0], cwd=cwd, env=env), argv, cwd, env)

    def _written(self) -> str:
        return self.run if isinstance(self.run, str) else shlex.join(self.run)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A program that could be started now."""

    program: Path
    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]

    @property
    def shown(self) -> str:
        return self.argv[2] if self.argv[:2] == ("/bin/sh", "-c") else shlex.join(self.argv)


def _spoken(duration: timedelta) -> str:
    seconds = round(duration.total_seconds())
    return f"{seconds // 60} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds} s"
