"""What a rollback strategy is: it takes the way back before the deploy, plans, and executes exactly that plan.

A strategy is one file of this package, named as the strategy, with one class under `@strategy("container")`.
`take` and `plan` only read. What changes something is a process of its own that outlives captain: a program of the
file's (`command`), or `execute` in `python -m captain.rollbacks DIR`; that one looks before every effect, so that a
part which is started again goes on where it stopped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from captain.blocking import Blocking
from captain.effects import ATTEMPT_DIRECTORY, Program
from captain.effects.environ import action_environ
from captain.fields import Id
from captain.registry import Registry

S = TypeVar("S", bound="Strategy")

Say = Callable[[str], None]
"""Says one line of progress; it reaches the screen and the attempt's output."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The way back as it stands before the deploy."""

    target: dict[str, Any]
    """Everything needed to go back, plain JSON; may hold environment values, so it never reaches the log."""
    to: str
    """The target in one line: `1.3.9 sha256:9f3c…`."""
    image: str | None = None
    env_names: tuple[str, ...] = ()
    ready: bool = True
    why: str | None = None
    """Why it is not ready."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plan, as a person confirms it."""

    verb: Literal["verify", "change", "stays", "not"]
    text: str


@dataclass(frozen=True, slots=True)
class RollbackContext:
    """What a strategy may use."""

    root: Path
    environ: Mapping[str, str]
    secrets: Mapping[str, str]
    blocking: Blocking
    resolve: Callable[[str], str]
    """Resolves `${{ }}` in one text; raises CaptainError naming what is missing."""
    values: Mapping[str, str] = field(default_factory=dict)
    """CAPTAIN_RUN, CAPTAIN_VERSION and the like, for programs."""


class Strategy(BaseModel):
    """Base of every strategy. Fields are the keys of one entry of `rollback.plan`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    example: ClassVar[str] = ""

    id: Id

    @property
    def part_timeout(self) -> timedelta:
        """How long one part may take before the shim ends it."""
        raise NotImplementedError

    def programs(self) -> tuple[Program, ...]:
        """Programs it starts, to be trusted before the deploy section opens."""
        return ()

    async def take(self, ctx: RollbackContext) -> Taken:
        """Read the way back and prove that it exists. Never raises for a missing target: `ready` is False."""
        raise NotImplementedError

    async def plan(self, target: Mapping[str, Any], ctx: RollbackContext) -> list[Line]:
        """What `execute` would do now, without doing it."""
        raise NotImplementedError

    async def execute(self, target: Mapping[str, Any], ctx: RollbackContext, say: Say, attempt: str) -> None:
        """Go back, looking before each effect. Runs in a process of its own; raises CaptainError where it fails.

        Strategies that start a program of the file's need none: `command` says what.
        """
        raise NotImplementedError

    async def settle(self, target: Mapping[str, Any], ctx: RollbackContext, attempt: str) -> None:
        """After the rollback was verified: remove what was kept for the case that it failed. May be repeated."""

    def command(self, target: Mapping[str, Any], ctx: RollbackContext) -> Command:
        """What the shim starts for this part: `execute` as a process of its own, unless a strategy says otherwise.

        `ctx.values` holds CAPTAIN_ATTEMPT.
        """
        attempt = ctx.values.get("CAPTAIN_ATTEMPT", "")
        part = {
            "format": PART_FORMAT,
            "strategy": self.name,
            "keys": _plain(self.model_dump(by_alias=True, exclude_none=True)),
            "target": dict(target),
            "attempt": attempt,
            "root": str(ctx.root),
            "values": dict(ctx.values),
        }
        return Command(
            how="api",
            argv=(sys.executable, "-P", "-m", "captain.rollbacks", ATTEMPT_DIRECTORY),
            shown=("captain", "rollback", self.name, self.id),
            cwd=ctx.root,
            env=action_environ(ctx.environ, ctx.secrets, ctx.values),
            files={PART_FILE: json.dumps(part, ensure_ascii=False, sort_keys=True)},
            env_names=tuple(sorted(ctx.values)),
        )


@dataclass(frozen=True, slots=True)
class Command:
    """What the shim starts: a program of the file's, or this package as a process of its own."""

    how: Literal["run", "shell", "api"]
    argv: tuple[str, ...]
    """ATTEMPT_DIRECTORY stands for the directory that is not known yet."""
    shown: tuple[str, ...]
    """What the log records: the program as the file names it, its arguments resolved; secrets cannot be there."""
    cwd: Path
    env: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    """Further files of the attempt's directory, 0600: what the process reads instead of arguments."""
    env_names: tuple[str, ...] = ()
    """Names of the variables it is given beyond those of captain's own environment."""


PART_FILE = "part.json"
PART_FORMAT = 1


def _plain(value: Any) -> Any:
    """Keys of a strategy as a file would write them, so that the model reads them again."""
    if isinstance(value, timedelta):
        return f"{round(value / timedelta(milliseconds=1))}ms"
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


strategies: Registry[type[Strategy]] = Registry("captain.rollbacks", "captain.rollbacks")

RESERVED = frozenset(["swarm", "compose", "git", "http"])
"""Strategies of later captains: accepted in files, noted by lint, never ready."""


def strategy(name: str) -> Callable[[type[S]], type[S]]:
    """Register a strategy under its name."""

    def keep(cls: type[S]) -> type[S]:
        cls.name = name
        strategies.register(name)(cls)
        return cls

    return keep
