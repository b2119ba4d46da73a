"""The kind `command`: a program of the repository's that answers a question."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import Field

from captain.effects import Program
from captain.errors import ProbeError, ProgramError
from captain.fields import EnvName, Run, Text
from captain.measurement import Measurement, Value
from captain.probes import TEXT, Context, Probe, probe

_INT = re.compile(r"\s*(-?[0-9]{1,18})\s*")


@probe("command")
class CommandProbe(Probe):
    """What does a program say?

    It is started without a terminal, with a short list of captain's variables, and nothing it starts outlives it.
    A program that is not found, is killed or takes too long gave no answer: unknown, not a failure.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("exit_code == 0",)
    errors: ClassVar[str] = (
        "on_error decides (unknown): took too long, ended by a signal; "
        "unknown: not found, not executable, its folder is not there"
    )
    timeout: ClassVar[timedelta] = timedelta(seconds=60)
    later: ClassVar[frozenset[str]] = frozenset({"container"})
    example: ClassVar[str] = """\
id: no-pending-migrations
title: No pending migrations
command: { run: [./manage.py, migrate, --check], cwd: backend }
expect: exit_code == 0"""

    run: Run
    """Arguments, each staying one; or one text for `sh -c`."""
    cwd: Text = "."
    """The folder it is started in, relative to the one of captain.yaml."""
    env: Mapping[EnvName, Text] = Field(default_factory=dict)
    """Variables it is given; may hold `${{ secrets.NAME }}`."""
    parse: Literal["text", "json", "int"] = "text"
    """What stdout is."""

    class Observes(TypedDict, total=False):
        """What it said."""

        exit_code: Annotated[int, "how it ended"]
        stdout: Annotated[str, "what it wrote, without the last newline, at most 64 KiB"]
        stderr: Annotated[str, "what it complained about, without the last newline, at most 64 KiB"]
        json: Annotated[Any, "stdout as JSON, with parse: json"]
        value: Annotated[int, "stdout as a whole number, with parse: int"]

    def asks(self) -> str:
        return self.run if isinstance(self.run, str) else shlex.join(self.run)

    def programs(self) -> tuple[Program, ...]:
        return (Program(self.run, self.cwd, tuple(sorted(self.env))),)

    async def measure(self, ctx: Context) -> Measurement:
        from captain.effects.program import probe_environ, run_program

        asked = self.asks()
        try:
            done = await run_program(
                self.programs()[0].argv,
                cwd=ctx.root / self.cwd,
                env=probe_environ(ctx.environ, self.env),
                timeout=ctx.timeout,
            )
        except ProgramError as error:
            raise ProbeError(error.message, hint=error.hint) from error
        if done.timed_out:
            seconds = f"{ctx.timeout.total_seconds():g}s"
            raise ProbeError(f"{asked}: did not end within {seconds} and was stopped", fault="unclear")
        if done.exit_code is None:
            raise ProbeError(f"{asked}: ended by {done.signal or 'an unknown cause'}", fault="unclear")
        stdout, stderr = _text(done.stdout), _text(done.stderr)
        observed: dict[str, Value] = {
            "exit_code": done.exit_code,
            "stdout": ctx.clip(stdout),
            "stderr": ctx.clip(stderr),
        }
        notes = self._parsed(stdout, done.truncated, observed)
        body = stdout if not stderr else f"{stdout}\n--- stderr\n{stderr}".lstrip("\n")
        return Measurement(
            observed=observed,
            asked=asked,
            body=ctx.clip(body),
            truncated=done.truncated or len(body) > TEXT,
            notes=notes,
        )

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
