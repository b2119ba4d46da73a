"""The kind `command`: a program of the repository's that answers a question."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import Field, model_validator

from captain.effects import Program
from captain.errors import ProbeError, ProgramError
from captain.fields import EnvName, Run, Text, wrong
from captain.measurement import Measurement, Value
from captain.probes import TEXT, Context, Probe, Safety, probe

if TYPE_CHECKING:
    from captain.effects.program import Finished

_INT = re.compile(r"\s*(-?[0-9]{1,18})\s*")


@probe("command")
class CommandProbe(Probe):
    """What does a program say?

    It is started without a terminal, with a short list of captain's variables, and nothing it starts outlives it.
    A program that is not found, is killed or takes too long gave no answer: unknown, not a failure.

    With `container` it runs in a running container of that name, or in one of the service of that name, whatever the
    repository holds: that is more than reading, so it runs only by itself where the environment allows `active`.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("exit_code == 0",)
    errors: ClassVar[str] = (
        "on_error decides (unknown): took too long, ended by a signal; "
        "unknown: not found, not executable, its folder is not there; the container does not run: on_error decides"
    )
    more_than_reading: ClassVar[str] = "active with container: it starts a program in a container"
    timeout: ClassVar[timedelta] = timedelta(seconds=60)
    example: ClassVar[str] = """\
id: no-pending-migrations
title: No pending migrations
command: { run: [./manage.py, migrate, --check], cwd: backend }
expect: exit_code == 0"""

    run: Run
    """Arguments, each staying one; or one text for `sh -c`."""
    cwd: Text = "."
    """The folder it is started in, relative to the one of captain.yaml; in a container to the one of its image."""
    env: Mapping[EnvName, Text] = Field(default_factory=dict)
    """Variables it is given; may hold `${{ secrets.NAME }}`."""
    parse: Literal["text", "json", "int"] = "text"
    """What stdout is."""
    container: Text | None = None
    """The running container it is started in, by name or by its service's: `shop_web` (Compose: project_service)."""
    host: Text | None = None
    """The engine of `container`, default $DOCKER_HOST, else the docker context's."""

    @model_validator(mode="before")
    @classmethod
    def _engine(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "host" in data and "container" not in data:
            raise wrong("names an engine in host, which has no effect without container")
        return data

    class Observes(TypedDict, total=False):
        """What it said."""

        tried: Annotated[bool, "it ran in the container; false where that was not permitted (needs container)"]
        exit_code: Annotated[int, "how it ended"]
        stdout: Annotated[str, "what it wrote, without the last newline, at most 64 KiB"]
        stderr: Annotated[str, "what it complained about, without the last newline, at most 64 KiB"]
        json: Annotated[Any, "stdout as JSON, with parse: json"]
        value: Annotated[int, "stdout as a whole number, with parse: int"]

    def asks(self) -> str:
        return self._asks(self.container)

    def _asks(self, container: str | None) -> str:
        said = self.run if isinstance(self.run, str) else shlex.join(self.run)
        return said if container is None else f"in {container}: {said}"

    def programs(self) -> tuple[Program, ...]:
        where = self.container if self.host is None else f"{self.container} of {self.host}"
        return (Program(self.run, self.cwd, tuple(sorted(self.env)), where),)

    @property
    def safety(self) -> Safety:
        return "read" if self.container is None else "active"

    async def measure(self, ctx: Context) -> Measurement:
        done, left, container = await self._done(ctx)
        asked = self._asks(container)
        if done.timed_out:
            seconds = f"{ctx.timeout.total_seconds():g}s"
            what = f"may still run in {container}" if left else "was stopped"
            raise ProbeError(f"{asked}: did not end within {seconds} and {what}", fault="unclear")
        if done.exit_code is None:
            raise ProbeError(f"{asked}: ended by {done.signal or 'an unknown cause'}", fault="unclear")
        stdout, stderr = _text(done.stdout), _text(done.stderr)
        observed: dict[str, Value] = {
            "exit_code": done.exit_code,
            "stdout": ctx.clip(stdout),
            "stderr": ctx.clip(stderr),
        }
        if container is not None:
            observed["tried"] = True
        notes = self._parsed(stdout, done.truncated, observed)
        body = stdout if not stderr else f"{stdout}\n--- stderr\n{stderr}".lstrip("\n")
        return Measurement(
            observed=observed,
            asked=asked,
            body=ctx.clip(body),
            truncated=done.truncated or len(body) > TEXT,
            notes=notes,
        )

    async def _done(self, ctx: Context) -> tuple[Finished, bool, str | None]:
        """How the program ended, whether it may still run, and in which container."""
        from captain.effects.program import probe_environ, run_program

        argv = self.programs()[0].argv
        if self.container is not None:
            from captain.systems.docker.exec import run_inside
            from captain.systems.docker.reader import endpoint

            where = endpoint(self.host, ctx.environ)
            cwd = None if self.cwd == "." else self.cwd
            done = await run_inside(
                ctx.blocking, where, self.container, argv, timeout=ctx.timeout, env=self.env, cwd=cwd
            )
            return done.finished, done.left, done.container
        try:
            env = probe_environ(ctx.environ, self.env)
            return await run_program(argv, cwd=ctx.root / self.cwd, env=env, timeout=ctx.timeout), False, None
        except ProgramError as error:
            raise ProbeError(error.message, hint=error.hint) from error

    def _parsed(self, stdout: str, truncated: bool, observed: dict[str, Value]) -> tuple[str, ...]:
        """Adds `json` or `value`; the reason where stdout is neither."""
        if self.parse == "text":
            return ()
        if truncated:
            return ("stdout is longer than captain reads",)
        if self.parse == "int":
            if (match := _INT.fullmatch(stdout)) is None:
                return ("stdout is not a whole number",)
            observed["value"] = int(match[1])
            return ()
        from captain.documents import parse_json

        try:
            observed["json"] = parse_json(stdout)
        except ValueError as error:
            return (f"stdout is not JSON: {error}",)
        return ()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").removesuffix("\n")
