"""The kind `logs`: what containers, files or a program logged, counted."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Any, ClassVar, Literal, Self, TypedDict
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from captain.effects import Program
from captain.errors import ProbeError, ProgramError, UsageError
from captain.fields import Bool, Duration, EnvName, PositiveInt, Run, Text, parse_duration, wrong
from captain.measurement import Measurement
from captain.probes import TEXT, Context, Probe, probe
from captain.systems.docker.look import Selection
from captain.systems.docker.reader import Reader, endpoint
from captain.systems.lines.containers import Containers, read_containers, skew
from captain.systems.lines.figures import Question, figures
from captain.systems.lines.files import MOST, Piece, newest_lines, read_files
from captain.systems.lines.records import Record
from captain.systems.lines.secrets import Redactor
from captain.systems.patterns import chooser, is_pattern

_MARGIN = 0.85
"""Share of the attempt's time it may take, so that its own error comes before the attempt's end."""
_LEFT_OUT = re.compile(rb"\n\xe2\x80\xa6 \d+ bytes left out \xe2\x80\xa6\n")
_MATCHED = 128
"""Characters of a message that a pattern of `ignore` is held against."""
_OF_SOURCE = {"file": ("path",), "command": ("run",), "docker": ()}


def _since(value: Any) -> Any:
    if value in ("deploy", "all"):
        return value
    try:
        return parse_duration(value)
    except ValueError as error:
        raise wrong(f"{error}; or deploy, or all") from error


def _choice(value: str) -> str:
    if "${{" not in value:
        try:
            chooser(value)
        except UsageError as error:
            raise wrong(error.message) from error
    return value


def _known(value: str) -> str:
    """A text or pattern that not everything matches: nothing would be an error any more."""
    if not value.strip() or (is_pattern(value) and chooser(_choice(value))("")):
        raise wrong("would ignore everything")
    return value


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


def _place(value: str) -> str:
    try:
        _zone(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise wrong("is no time zone that this machine knows, such as UTC or Europe/Berlin") from None
    return value


Since = Annotated[
    timedelta | Literal["deploy", "all"],
    BeforeValidator(_since),
    WithJsonSchema({"type": "string", "pattern": "^(deploy|all|(0|[1-9][0-9]*)(ms|s|m|h|d))$"}),
]


@probe("logs")
class LogsProbe(Probe):
    """What do the logs say: errors, stack traces, levels, secrets that do not belong there?

    Reads the newest lines, at most `tail` of each container or file and 8 MiB of all. Lines of a stack trace are one
    record. Nothing is counted where lines since `since` were not all read, or where there are none: silence is no
    health, nor is that of one container or file among others. No errors are no 0 where records name no level, but
    for those that `ignore` names. Secrets are looked for and never kept. An error is in a group by what was raised
    and where, or by its words without numbers; a group is new where it was not there in the time `before`.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("errors == 0", "tracebacks == 0")
    network: ClassVar[bool] = True
    errors: ClassVar[str] = (
        "on_error decides (unknown): no container or file matches, or not one for each name, the program failed; "
        "unknown: log or engine that cannot be read, a log driver that gives nothing back, lines without a time"
    )
    example: ClassVar[str] = """\
id: no-new-errors
title: No new errors since the deploy
logs: { source: docker, services: [backend, worker], since: deploy, before: 1h }
expect: ['new_groups == 0', 'json_ratio >= 0.95', 'secrets_found == 0']"""

    source: Literal["docker", "file", "command"]
    """Where the lines are."""
    host: Text | None = None
    """docker: the engine, default $DOCKER_HOST, else the docker context's."""
    names: tuple[Annotated[Text, AfterValidator(_choice)], ...] = ()
    """docker: containers by name, exact or `/regex/`."""
    services: tuple[Text, ...] = ()
    """docker: services of Compose or Swarm."""
    project: Text | None = None
    """docker: a Compose project or a Swarm stack."""
    path: Text | None = None
    """file: one file or a pattern such as `log/*.log`, relative to the folder of captain.yaml."""
    run: Run | None = None
    """command: a program that writes the lines to stdout, as `journalctl -o short-iso -u shop`."""
    cwd: Text = "."
    """command: the folder it is started in."""
    env: Mapping[EnvName, Text] = Field(default_factory=dict)
    """command: variables it is given; may hold `${{ secrets.NAME }}`."""
    since: Since = timedelta(minutes=15)
    """How far back to count: a duration, deploy (when this run began to deploy) or all (whatever was read)."""
    before: Duration = timedelta(hours=1)
    """How far before that errors are no new ones."""
    tail: Annotated[PositiveInt, Field(le=50_000)] = 5000
    """The newest lines of each container or file that are read."""
    timezone: Annotated[Text, AfterValidator(_place)] | None = None
    """The zone of times that name none, such as UTC or Europe/Berlin; this machine's by default."""
    required_fields: tuple[Text, ...] = ("level", "message")
    """What every structured line must say; level, message, ts and logger under their usual other names too."""
    canary: Text | None = None
    """A text to look for, such as the X-Request-ID of a request that another step sent."""
    ignore: tuple[Annotated[Text, AfterValidator(_known)], ...] = ()
    """Errors that are known, harmless lines without a level: a part of it, or `/regex/` for how the message begins."""
    redact: Bool = True
    """Hide what looks like a secret or an address in the lines kept as evidence."""

    class Observes(TypedDict, total=False):
        """What the lines amount to."""

        lines: Annotated[int, "lines that are not empty"]
        records: Annotated[int, "what was logged: a stack trace over many lines is one"]
        complete: Annotated[bool, "all lines since `since` were read, as far as the source keeps them"]
        json_ratio: Annotated[float, "lines that are JSON objects or logfmt; left out below 50 lines"]
        fields_missing: Annotated[list[str], "required_fields that a structured line lacks"]
        levels: Annotated[dict[str, int], "records by DEBUG, INFO, WARNING, ERROR, CRITICAL"]
        level_known_ratio: Annotated[float, "records that name a level; left out below 50 lines"]
        errors: Annotated[int, "records of ERROR and CRITICAL, stack traces without a level among them; see above"]
        warnings: Annotated[int, "records of WARNING"]
        debug_lines: Annotated[int, "records of DEBUG"]
        errors_per_min: Annotated[float, "errors per minute of the time the lines cover; left out below 30 s"]
        tracebacks: Annotated[int, "records with a stack trace"]
        groups: Annotated[list[dict[str, Any]], "errors by defect: fingerprint, count, first_at, new"]
        new_groups: Annotated[int, "groups that were not there before; left out where nothing of before was read"]
        slow_queries: Annotated[int, "slow queries that PostgreSQL or MySQL logged"]
        secrets_found: Annotated[int, "records with something that looks like a secret, or a declared one"]
        canary_found: Annotated[bool, "the canary's text is there (needs canary)"]
        canary: Annotated[datetime, "when it was written"]
        canary_missing: Annotated[list[str], "required_fields that the canary's line lacks, where it is structured"]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for key in _OF_SOURCE[self.source]:
            if getattr(self, key) is None:
                raise wrong(f"source: {self.source} needs `{key}`")
        return self

    def programs(self) -> tuple[Program, ...]:
        return () if self.run is None else (Program(self.run, self.cwd, tuple(sorted(self.env))),)

    @classmethod
    def prepare(cls) -> None:
        from captain.systems.docker_library import load

        load()

    def asks(self) -> str:
        meant = ", ".join([*self.names, *self.services, *([self.project] if self.project else [])]) or "all containers"
        run = self.run if isinstance(self.run, str) else shlex.join(self.run or ())
        what = {"docker": meant, "file": self.path or "", "command": run}[self.source]
        since = f"{self.since.total_seconds():g}s" if isinstance(self.since, timedelta) else self.since
        return f"logs of {what} (since: {since})"

    async def measure(self, ctx: Context) -> Measurement:
        began = time.monotonic()
        seconds = ctx.timeout.total_seconds() * _MARGIN
        if self.since == "deploy" and ctx.deployed_at is None:
            raise ProbeError(f"{self.asks()}: this run has not begun to deploy", hint="measure it after the deploy")
        now, notes, shown = ctx.clock.now(), list[str](), True
        start = self._start(ctx, now)
        if self.source == "docker":
            found = await self._of_containers(ctx, seconds)
            pieces, now, start, notes = found.pieces, found.now or now, found.start, found.notes
        elif self.source == "file":
            path, root, since = self.path or "", ctx.root, start
            pieces, notes, shown = await ctx.blocking(lambda: read_files(root, path, self.tail, since))
        else:
            pieces = await self._of_program(ctx, timedelta(seconds=seconds))
        asked = Question(
            now=now,
            since=start,
            before=self.before,
            required=self.required_fields,
            canary=self.canary,
            ignored=_ignoring(self.ignore),
            redactor=Redactor(ctx.secrets),
            until=began + seconds,
            zone=None if self.timezone is None else _zone(self.timezone),
        )
        told = await ctx.blocking(lambda: figures(pieces, asked))
        # What lies outside the folder of captain.yaml is counted and not shown: a repository must not point at keys.
        body = "\n".join(told.samples) if shown else None
        return Measurement(
            observed=told.observed,
            asked=f"{self.asks()}, the newest {self.tail} lines",
            body=None if body is None else ctx.clip(body),
            truncated=body is not None and len(body) > TEXT,
            notes=(*notes, *told.notes),
        )

    def _start(self, ctx: Context, now: datetime) -> datetime | None:
        """From when on lines count, by the clock that `now` is of."""
        if isinstance(self.since, timedelta):
            return now - self.since
        if self.since == "all" or ctx.deployed_at is None:
            return None
        return ctx.deployed_at + skew(now, ctx.clock.now())

    async def _of_containers(self, ctx: Context, seconds: float) -> Containers:
        where = endpoint(self.host, ctx.environ)
        selection = Selection(self.names, self.services, self.project)

        def start(engine_now: datetime | None) -> datetime | None:
            return self._start(ctx, engine_now or ctx.clock.now())

        def read() -> Containers:
            with Reader(where, seconds) as engine:
                return read_containers(engine, selection, self.tail, start, self.before)

        try:
            return await ctx.blocking(read)
        except UsageError as error:
            raise ProbeError(error.message) from error

    async def _of_program(self, ctx: Context, timeout: timedelta) -> list[Piece]:
        from captain.effects.program import probe_environ, run_program

        program, shown = self.programs()[0], self.asks()
        try:
            done = await run_program(
                program.argv,
                cwd=ctx.root / self.cwd,
                env=probe_environ(ctx.environ, self.env),
                timeout=timeout,
                limit=MOST,
            )
        except ProgramError as error:
            raise ProbeError(error.message, hint=error.hint) from error
        if done.timed_out:
            raise ProbeError(f"{shown}: did not end within {timeout.total_seconds():g}s", fault="unclear")
        if done.exit_code != 0:
            how = done.signal or f"exit code {done.exit_code}"
            raise ProbeError(f"{shown}: {how}", fault="unclear", hint="run it by hand")
        # Of too much output the beginning and the end are kept: only the end is a whole.
        *_, newest = _LEFT_OUT.split(done.stdout)
        cut = len(newest) < len(done.stdout)
        return [newest_lines(newest, "stdout", self.tail, cut=cut)]


def _ignoring(written: tuple[str, ...]) -> Callable[[Record], bool]:
    """Whether a record is meant by one of them."""
    patterns = [chooser(one) for one in written if is_pattern(one)]
    texts = [one for one in written if not is_pattern(one)]

    def ignored(record: Record) -> bool:
        if not written:
            return False
        text = record.text
        return any(one in text for one in texts) or any(match(record.message[:_MATCHED]) for match in patterns)

    return ignored
