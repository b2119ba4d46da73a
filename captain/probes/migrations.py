"""The kind `migrations`: what stands between the schema that is there and the one the release brings."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import AfterValidator, Field, model_validator

from captain.effects import Program
from captain.effects.program import Finished
from captain.errors import ProbeError, ProgramError
from captain.fields import EnvName, Text, wrong
from captain.measurement import Measurement, Value
from captain.probes import TEXT, Context, Probe, Safety, probe
from captain.safe import safe
from captain.systems.sql.migrations import Finding, Told, added_files, ask_project

_MARGIN = 0.9
"""Share of the attempt's time the project may take, so that captain's own error comes before the attempt's end."""
_RUN = {"django": ("python", "manage.py"), "alembic": ("python",), "table": ()}
_KINDS = ("irreversible", "destructive", "breaking")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}(\.[A-Za-z_][A-Za-z0-9_$]{0,62})?")
_MAX_ROWS = 20_000


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise wrong("is not the name of a table or column: letters, digits and _")
    return value


def _pattern(value: str) -> str:
    if value.startswith(("/", "~")) or ".." in Path(value).parts:
        raise wrong("is no pattern within the folder of captain.yaml")
    return value


def _range(value: str) -> str:
    if "${{" not in value and not all(value.partition("..")[::2]):
        raise wrong("is not two commits; write v1.3.9..v1.4.0")
    return value


@probe("migrations")
class MigrationsProbe(Probe):
    """Which migrations wait, do the models have others, and can those of the release be undone?

    Django and Alembic are asked through their own loaders, with the project's own Python: a short text of captain's
    is run through `manage.py shell` or `python -c`, which reads files, models and the table of applied migrations and
    changes nothing. That starts the project's code, so it is shown and accepted once. A part that crashes is told in a
    note, leaves its observations out and sets `crashed`; the others stay.

    `irreversible`, `destructive` and `breaking` count what stands in the way back from the migrations that the release
    adds (files added between the commits of the previous release and this one, or of `range`) and from those that
    wait. They are left out where it is not known which those are.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("as_expected",)
    timeout: ClassVar[timedelta] = timedelta(seconds=60)
    errors: ClassVar[str] = (
        "on_error decides (unknown): the project does not load, its program takes too long, the table is not reached; "
        "unknown: program or container not found, credentials missing"
    )
    more_than_reading: ClassVar[str] = "`container` makes it active: it starts a program in a running container"
    example: ClassVar[str] = """\
id: migrations-can-be-undone
title: Migrations of this release can be undone
migrations: { tool: django, cwd: backend, run: [.venv/bin/python, manage.py], expected_unapplied: any }
expect: ['model_drift == 0', 'irreversible == 0', 'destructive == 0']"""

    tool: Literal["django", "alembic", "table"]
    """Whose migrations they are; `table` compares files with a table of applied ones."""
    cwd: Text = "."
    """The folder of the project, relative to the one of captain.yaml; in a container the path there."""
    run: tuple[Text, ...] = ()
    """The project's Python, for django with its manage.py: default `python manage.py`, for alembic `python`."""
    env: Mapping[EnvName, Text] = Field(default_factory=dict)
    """Variables the project is given; may hold `${{ secrets.NAME }}`."""
    container: Text | None = None
    """A running container, or the service of one, in which the project is asked instead of on this machine."""
    host: Text | None = None
    """The engine of `container`, default $DOCKER_HOST, else the docker context's."""
    database: Text = "default"
    """For django: which of DATABASES."""
    config: Text = "alembic.ini"
    """For alembic: its file, in `cwd`."""
    range: Annotated[Text, AfterValidator(_range)] | None = None
    """Two commits, `v1.3.9..v1.4.0`, between which migrations are the release's; default previous and this release."""
    expected_unapplied: tuple[Text, ...] | Literal["any"] = ()
    """Migrations that may wait: `shop.0007_price`, a revision, a file's name; or `any`."""
    engine: Literal["postgres", "mysql", "sqlite"] = "postgres"
    """For table: the database."""
    dsn_env: EnvName | None = None
    """For table: the secret that holds the connection string."""
    path: Text | None = None
    """For table: the file of an SQLite database."""
    files: Annotated[Text, AfterValidator(_pattern)] | None = None
    """For table: the files, `db/migrations/*.sql`, relative to the folder of captain.yaml."""
    table: Annotated[Text, AfterValidator(_name)] = "schema_migrations"
    """For table: its name."""
    column: Annotated[Text, AfterValidator(_name)] = "version"
    """For table: the column with numbers or names of files."""
    keeps: Literal["all", "latest"] = "all"
    """For table: whether it has a row for each migration, or only one for the latest."""

    class Observes(TypedDict, total=False):
        """What the project and its database say."""

        unapplied: Annotated[int, "migrations that wait"]
        unapplied_names: Annotated[list[str], "their names, sorted"]
        plan: Annotated[list[str], "their names, in the order they would be applied"]
        as_expected: Annotated[bool, "those that wait are exactly those of expected_unapplied"]
        applied: Annotated[int, "migrations the database has"]
        foreign: Annotated[int, "migrations the database has and the files have not"]
        foreign_names: Annotated[list[str], "their names"]
        conflicts: Annotated[int, "branches that must be merged"]
        model_drift: Annotated[int, "changes of the models that no migration has"]
        drift: Annotated[list[str], "these changes"]
        new_in_release: Annotated[int, "migrations the release adds"]
        new_names: Annotated[list[str], "their names"]
        looked_at: Annotated[int, "migrations whose operations were looked at: the release's and those that wait"]
        irreversible: Annotated[int, "operations of these that cannot be undone"]
        destructive: Annotated[int, "operations of these that lose or narrow data"]
        breaking: Annotated[
            int, "operations of these that the previous release cannot live with, the destructive included"
        ]
        findings: Annotated[list[dict[str, Any]], "one mapping per finding: migration, op, kind, reason"]
        crashed: Annotated[bool, "a part of the project's code ended with an error"]

    @model_validator(mode="after")
    def _fits(self) -> MigrationsProbe:
        if self.tool != "table":
            given = {"dsn_env", "path", "files"} & self.model_fields_set
            if given:
                raise wrong(f"takes {', '.join(sorted(given))} with tool: table only")
            if self.host is not None and self.container is None:
                raise wrong("names an engine in host, which has no effect without container")
            return self
        if {"container", "run", "env"} & self.model_fields_set:
            raise wrong("starts no program with tool: table, so it takes no container, run or env")
        if self.files is None:
            raise wrong("needs `files` with tool: table")
        if (self.path is None) == (self.engine == "sqlite") or (self.dsn_env is None) != (self.engine == "sqlite"):
            raise wrong("needs `dsn_env`, or with engine: sqlite `path`")
        return self

    @property
    def argv(self) -> tuple[str, ...]:
        """The program that is started, without captain's text behind it."""
        return self.run or _RUN[self.tool]

    def asks(self) -> str:
        if self.tool == "table":
            return f"{self.table} of {self.path or f'${self.dsn_env}'} beside {self.files}"
        said = f"{self.tool} migrations of {shlex.join(self.argv)} in {self.cwd}"
        return said if self.container is None else f"{said} of {self.container}"

    def programs(self) -> tuple[Program, ...]:
        if self.tool == "table":
            return ()
        where = self.container if self.host is None else f"{self.container} of {self.host}"
        return (Program(self.argv, self.cwd, tuple(sorted(self.env)), where),)

    @property
    def safety(self) -> Safety:
        return "read" if self.container is None else "active"

    async def measure(self, ctx: Context) -> Measurement:
        notes: list[str] = []
        files = await self._added(ctx, notes)
        if self.tool == "table":
            observed = await self._beside_table(ctx, files, notes)
        else:
            observed = await self._told(ctx, files, notes)
        body = json.dumps({name: value for name, value in observed.items() if isinstance(value, list)}, indent=1)
        return Measurement(
            observed=observed,
            asked=self.asks(),
            body=ctx.clip(body),
            truncated=len(body) > TEXT,
            notes=tuple(notes),
        )

    async def _added(self, ctx: Context, notes: list[str]) -> tuple[str, ...] | None:
        """Files the release adds, None where that cannot be known."""
        earlier, later = self._commits(ctx)
        if not earlier or not later:
            notes.append("which migrations the release adds is not known: no previous release and no `range`")
            return None
        if ctx.repo is None:
            notes.append("which migrations the release adds is not known: captain.yaml lies in no git work tree")
            return None
        from captain.systems.git.program import Git

        suffixes = (".py",) if self.tool != "table" else tuple({Path(str(self.files)).suffix} - {""})
        try:
            return await added_files(Git(ctx.repo, ctx.environ, ctx.timeout * _MARGIN), earlier, later, suffixes)
        except ProbeError as error:
            notes.append(f"which migrations the release adds is not known: {error.message}")
            return None

    def _commits(self, ctx: Context) -> tuple[str | None, str | None]:
        if self.range is not None:
            earlier, _, later = self.range.partition("..")
            return earlier, later
        commits = (None if one is None else one.commit for one in (ctx.previous, ctx.release))
        return next(commits), next(commits)

    async def _told(self, ctx: Context, files: tuple[str, ...] | None, notes: list[str]) -> dict[str, Value]:
        async def run(argv: Sequence[str]) -> Finished:
            return await self._run(ctx, argv)

        tool: Literal["django", "alembic"] = "alembic" if self.tool == "alembic" else "django"
        told = await ask_project(
            f"migrations: {self.asks()}", tool, run, self.argv, files or (), database=self.database, config=self.config
        )
        notes += [f"the part about the {part} ended with: {said}" for part, said in told.errors.items()]
        return self._seen(told, known=files is not None, deployed=ctx.deployed_at is not None, notes=notes)

    async def _run(self, ctx: Context, argv: Sequence[str]) -> Finished:
        from captain.effects.program import probe_environ, run_program

        env = {"PYTHONDONTWRITEBYTECODE": "1", **self.env}
        timeout = ctx.timeout * _MARGIN
        if self.container is not None:
            from captain.systems.docker.exec import run_inside
            from captain.systems.docker.reader import endpoint

            cwd = None if self.cwd == "." else self.cwd
            where = endpoint(self.host, ctx.environ)
            done = await run_inside(ctx.blocking, where, self.container, argv, timeout=timeout, env=env, cwd=cwd)
            return done.finished
        try:
            around = probe_environ(ctx.environ, env)
            return await run_program(argv, cwd=ctx.root / self.cwd, env=around, timeout=timeout)
        except ProgramError as error:
            raise ProbeError(f"migrations: {error.message}", hint=error.hint) from error

    def _seen(self, told: Told, *, known: bool, deployed: bool, notes: list[str]) -> dict[str, Value]:
        """What conditions see of a project's report. `known`: which files the release adds."""
        observed: dict[str, Value] = {"crashed": bool(told.errors)}
        if not told.known:
            notes.append("the project has no migration: nothing was looked at")
            return observed
        if told.unapplied is not None:
            observed.update(self._waiting(told.unapplied))
        if told.foreign is not None:
            observed |= {"foreign": len(told.foreign), "foreign_names": list(told.foreign)}
        counts = {"applied": told.applied, "conflicts": told.conflicts}
        observed |= {name: count for name, count in counts.items() if count is not None}
        if told.drift is not None:
            observed |= {"model_drift": len(told.drift), "drift": list(told.drift)}
        if known and told.missing:
            shown = ", ".join(safe(file, 100) for file in told.missing[:3])
            notes.append(f"the project that was asked lacks {len(told.missing)} migrations of the release: {shown}")
        elif known:
            observed |= {"new_in_release": len(told.new), "new_names": list(told.new)}
        # What waits is the release's own only until it is deployed; where nothing waits, it may be there already.
        judged = not told.missing if known else bool(told.unapplied) and not deployed
        if judged and told.findings is not None:
            observed.update(_found(told.findings))
            observed["looked_at"] = len(told.looked_at or ())
        return observed

    def _waiting(self, unapplied: Sequence[str]) -> dict[str, Value]:
        found: dict[str, Value] = {
            "unapplied": len(unapplied),
            "unapplied_names": list[Value](sorted(unapplied)),
            "plan": list(unapplied),
        }
        if self.expected_unapplied != "any":
            found["as_expected"] = set(unapplied) == set(self.expected_unapplied)
        return found

    async def _beside_table(self, ctx: Context, added: tuple[str, ...] | None, notes: list[str]) -> dict[str, Value]:
        from captain.systems.sql.migration_files import standing, without_way_back

        def listed() -> list[str]:
            found = islice(ctx.root.glob(str(self.files)), _MAX_ROWS)
            return sorted(path.name for path in found if path.is_file())

        names = await ctx.blocking(listed)
        if not names:
            raise ProbeError(f"migrations: no file matches {safe(self.files)}", hint="check `files`")
        applied = await self._applied(ctx)
        stand = standing(names, applied, latest=self.keeps == "latest")
        observed: dict[str, Value] = {"applied": len(applied), "crashed": False}
        if stand.unread:
            shown = ", ".join(safe(name, 60) for name in stand.unread[:3])
            notes.append(f"{len(stand.unread)} files begin with no number and are not named in {self.table}: {shown}")
        else:
            observed.update(self._waiting(stand.unapplied))
        if self.keeps == "all":
            observed |= {"foreign": len(stand.foreign), "foreign_names": list(stand.foreign)}
        new = None if added is None else {Path(file).name for file in added} & set(names)
        if new is not None:
            observed |= {"new_in_release": len(new), "new_names": list[Value](sorted(new))}
        lost = without_way_back(names)
        if lost is None:
            notes.append(
                "the files are not written in pairs (.up. and .down.): whether they can be undone is not known"
            )
        elif new is not None or (stand.unapplied and ctx.deployed_at is None):
            looked_at = {*(new or ()), *stand.unapplied}
            observed["irreversible"] = sum(1 for name in lost if name in looked_at)
            observed["looked_at"] = len(looked_at)
        return observed

    async def _applied(self, ctx: Context) -> list[str]:
        from captain.systems.sql.answer import Database
        from captain.systems.sql.ask import address, ask_database
        from captain.systems.sql.dsn import Address

        mark = "`" if self.engine == "mysql" else '"'
        table = ".".join(f"{mark}{part}{mark}" for part in self.table.split("."))
        statement = f"select {mark}{self.column}{mark} from {table}"

        def place() -> Address | Path:
            if self.engine == "sqlite":
                return ctx.root / str(self.path)
            secret = str(self.dsn_env)
            return address(self.engine, ctx.secret(secret), secret, "migrations")

        def read(db: Database) -> list[str]:
            answer = db.ask(statement, limit=_MAX_ROWS)
            if answer.more:
                raise ProbeError(f"migrations: {self.table} has more than {_MAX_ROWS} rows")
            return [str(row[0]) for row in answer.rows if row[0] is not None]

        # On a thread, because the library is loaded there.
        where = await ctx.blocking(place)
        timeout = ctx.timeout * _MARGIN
        asked = f"migrations: {self.table} of {self.path if isinstance(where, Path) else where.where}"
        return await ask_database(
            self.engine, asked, where, read, blocking=ctx.blocking, timeout=timeout, root=ctx.root
        )


def _found(findings: Sequence[Finding]) -> dict[str, Value]:
    kinds = [finding.kind for finding in findings]
    return {
        "irreversible": kinds.count("irreversible"),
        "destructive": kinds.count("destructive"),
        "breaking": kinds.count("breaking") + kinds.count("destructive"),
        "findings": [
            {"migration": one.migration, "op": one.op, "kind": one.kind, "reason": one.reason} for one in findings
        ],
    }
