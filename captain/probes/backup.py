"""The kind `backup`: a list of backups, and the newest of them read to its end or restored."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import AfterValidator, Field, model_validator

from captain.effects import Program
from captain.errors import ProbeError
from captain.fields import Bool, Duration, EnvName, Run, Text, wrong
from captain.http.keys import BaseUrl
from captain.measurement import Measurement, Value
from captain.probes import TEXT, Context, Probe, Safety, probe
from captain.safe import safe
from captain.systems.backups.check import Drill, drill, read, seen_in, told_digest
from captain.systems.backups.cloud import APIS, Names, access, address
from captain.systems.backups.folder import Folder
from captain.systems.backups.listing import Item, Listing, sort_out, summary
from captain.systems.backups.object_store import NOBODY, Access, Store, Where
from captain.systems.backups.pg_archive import READ, Tools
from captain.systems.backups.pg_scratch import Server

_MARGIN = 0.9
"""Share of the attempt's time that asking may take, so that its own sentence comes before the attempt's end."""
_LISTING = 0.5
"""Share of it that the list alone may take."""
_SETTLED = timedelta(seconds=10)
"""How long a file on disk must have been left alone to be finished."""
_SHOWN = 50
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}(/.*)?", re.DOTALL)
_LOOPBACK = re.compile(r"http://(127(\.\d+){3}|localhost|\[::1\])(:\d+)?(/.*)?")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_STORE = frozenset(("prefix", "endpoint", "secret_key_env", "token_env", "anonymous", "ca_file"))
_OF_SOURCE = {
    "file": frozenset(("path",)),
    "s3": _STORE | {"region", "key_id_env"},
    "gcs": _STORE | {"key_id_env", "service_account_env"},
    "azure": _STORE | {"account", "sas_env"},
    "command": frozenset(("run", "cwd", "env")),
}
_NEEDED = {"file": ("path",), "azure": ("prefix", "account"), "command": ("run",)}
_IN_WHOSE_NAME = {
    "gcs": ("service_account_env", "secret_key_env", "token_env", "anonymous"),
    "azure": ("secret_key_env", "sas_env", "token_env", "anonymous"),
}
_URLS = {"s3": "s3://", "gcs": "gs://"}


def _pattern(value: str) -> str:
    if "**" in value or "\0" in value:
        raise wrong("takes * ? [ ] within one part of the path; ** is not known here")
    return value


def _prefix(value: str) -> str:
    if "${{" not in value and not _BUCKET.fullmatch(value):
        raise wrong("begins with the name of a bucket: BUCKET/KEY-PREFIX")
    return value


def _account(value: str) -> str:
    if "${{" not in value and not _ACCOUNT.fullmatch(value):
        raise wrong("is not the name of a storage account: 3 to 24 lower-case letters and digits")
    return value


@probe("backup")
class BackupProbe(Probe):
    """Is there a fresh backup, and can it be read to its end?

    The newest backup is read whole, on disk or straight from the bucket, never kept: an archive of pg_dump goes
    through pg_restore, whose SQL is thrown away (its list of contents alone proves nothing: a cut archive still has
    it), a text dump must end with the line that says it is complete, gzip, bzip2, xz and zstd must end properly, an
    SQLite file must pass its integrity check, and a SHA-256 in a file beside it (`.sha256`) or in the object's
    metadata must fit. Where data is not compressed, as in a text, with `-Ft` or `-Z0`, nothing guards it: a hole of
    NUL bytes is seen there, other changed bytes only where a SHA-256 was written down.

    `valid` is left out where captain cannot tell: for what is encrypted, of another format or without its comments,
    and for an SQLite file in WAL mode, which is whole without the newest changes in its `-wal` as well.
    There `sha256_match` says that it is what was written, and `unpacked` that its packing is whole; neither says that
    whatever wrote it came to its end.

    S3, Google Cloud Storage (`gcs`) and Azure Blob Storage (`azure`) are asked with GET and HEAD, and only with the
    secrets that the file names: never with what else the machine has, or hands out. gcs takes service_account_env,
    key_id_env with secret_key_env, or token_env; azure takes secret_key_env, sas_env or token_env. `public` is measured
    with requests that carry no key. For other stores, and for what only their own tools see (object lock, another
    account), let `source: command` or the kind `command` ask them: `run: [aws, s3api, list-objects-v2, …]`.

    `verify: restore` is a drill: pg_restore runs what the dump holds in a new database `captain_scratch_…` of the
    server that scratch_dsn_env leads to, which is dropped afterwards. Give it a role that may create databases and
    nothing else, best on a server of its own.
    """

    default_expect: ClassVar[tuple[str, ...]] = (
        "count > 0",
        'newest_age <= duration("26h")',
        "newest_size >= 1024",
        "valid",
    )
    network: ClassVar[bool] = True
    errors: ClassVar[str] = (
        "on_error decides (unknown): the storage does not answer, or not in time; unknown: no folder, an unmounted "
        "drive, no such bucket, no right to list, nothing below a prefix nor beside it, a program that lists none"
    )
    timeout: ClassVar[timedelta] = timedelta(minutes=5)
    more_than_reading: ClassVar[str] = "`verify: restore` is a drill: it creates a scratch database and drops it"
    example: ClassVar[str] = """\
id: backups-verified
title: Database backups verified
backup: { source: file, path: '/var/backups/shop/*.dump', engine: postgres }
expect: ['valid', 'newest_age <= duration("26h")', 'size_ratio >= 0.5 && size_ratio <= 2.0']"""

    source: Literal["file", "s3", "gcs", "azure", "command"] = "file"
    """Where the backups lie: on disk, in a bucket, in a container, or where a program lists them."""
    path: Annotated[Text, AfterValidator(_pattern)] | None = None
    """file: a folder, or a pattern such as `/var/backups/*/shop-*.dump`, relative to the folder of captain.yaml."""
    prefix: Annotated[Text, AfterValidator(_prefix)] | None = None
    """s3, gcs, azure: BUCKET/KEY-PREFIX, CONTAINER/KEY-PREFIX; a folder ends with /, as `shop/pg/`."""
    pattern: Text | None = None
    """Only backups whose last part of the name fits, as `*.dump`."""
    endpoint: BaseUrl | None = None
    """s3, gcs, azure: the URL of the server, default Amazon's in the region, Google's, the account's."""
    region: Text = "us-east-1"
    """s3: the region the bucket lies in."""
    account: Annotated[Text, AfterValidator(_account)] | None = None
    """azure: the storage account."""
    key_id_env: EnvName = "AWS_ACCESS_KEY_ID"
    """s3, gcs: the secret that holds the id of the access key; of an HMAC key, which gcs has no default for."""
    secret_key_env: EnvName = "AWS_SECRET_ACCESS_KEY"
    """s3, gcs, azure: the secret that holds the key itself; azure: one of the account's keys. The default is s3's."""
    token_env: EnvName | None = None
    """The secret that holds a token; s3: of a temporary key; gcs, azure: an access token of OAuth."""
    service_account_env: EnvName | None = None
    """gcs: the secret that holds the JSON key of a service account."""
    sas_env: EnvName | None = None
    """azure: the secret that holds a shared access signature: `sv=…&sig=…`."""
    anonymous: Bool = False
    """s3, gcs, azure: ask without a key."""
    ca_file: Text | None = None
    """s3, gcs, azure: certificate authorities to trust instead of the machine's, a PEM file."""
    run: Run | None = None
    """command: prints `[{"key": …, "modified": "2026-11-23T03:04:11Z", "size": …}]`, or as `aws s3api` does."""
    cwd: Text = "."
    """command: the folder it is started in, relative to the one of captain.yaml."""
    env: Mapping[EnvName, Text] = Field(default_factory=dict)
    """command: variables it is given; may hold `${{ secrets.NAME }}`."""
    engine: Literal["postgres", "mysql", "sqlite", "file"] = "file"
    """Whose dump it must be; `file` takes any, the others expect `tables > 0` too, where you say nothing."""
    verify: Literal["none", "list", "read", "restore"] = "read"
    """How far the newest is looked into. `list` reads only its beginning, which never makes it valid; with source
    command nothing is read."""
    window: Duration = timedelta(days=7)
    """The time in which gap_max looks for gaps."""
    scratch_dsn_env: EnvName | None = None
    """The secret with a connection string to the PostgreSQL server in which a drill restores."""
    dsn_env: EnvName | None = None
    """The secret with a connection string to the database that was backed up, to compare a restore with."""
    key_tables: tuple[Text, ...] = ()
    """Tables whose rows are counted after a restore: `orders` or `shop.orders`."""

    class Observes(TypedDict, total=False):
        """What lies there, and what reading the newest showed."""

        count: Annotated[int, "backups, without those still being written"]
        unfinished: Annotated[int, "files still being written: touched within 10 s, or named .part, .tmp and the like"]
        newest_key: Annotated[str, "the newest backup's name"]
        newest_at: Annotated[datetime, "when it was last written"]
        newest_age: Annotated[timedelta, "time since then, by the storage's clock where it tells it"]
        newest_size: Annotated[int, "its bytes"]
        min_size: Annotated[int, "bytes of the smallest"]
        size_ratio: Annotated[float, "size of the newest to the median of the seven before it; of at least three"]
        gap_max: Annotated[timedelta, "the longest time within window without a new backup, until now"]
        valid: Annotated[bool, "the newest was read, or restored, to its end and is whole"]
        trouble: Annotated[str, "why the newest is not valid, or why that cannot be told"]
        unpacked: Annotated[bool, "what it is packed in, such as gzip, was read to its end"]
        format: Annotated[str, 'what it is, as in "postgres custom" or "postgres text in gzip"']
        sha256: Annotated[str, "its digest, where all of it was read"]
        sha256_match: Annotated[bool, "its digest is the one in the file beside it or in its metadata"]
        tables: Annotated[int, "tables in a dump of SQL or of pg_dump, an SQLite file or a restored database"]
        encrypted: Annotated[bool, "s3, azure: the newest is encrypted by the server, as it says"]
        versioned: Annotated[bool, "s3, gcs: the bucket keeps old versions"]
        public: Annotated[bool, "in a store: without a key the bucket can be listed or the newest read, from here"]
        region: Annotated[str, "s3: where the bucket says it lies"]
        restore: Annotated[timedelta, "drill: time to restore it"]
        table_diff: Annotated[int, "drill: tables that did not come back; of the source with dsn_env, else of the dump"]
        restored_rows_ratio: Annotated[
            float, "drill: the smallest share of rows of key_tables that came back, of those with any"
        ]
        cleaned_up: Annotated[bool, "drill: the scratch database is gone"]

    @classmethod
    def expects(cls, params: Mapping[str, Any]) -> tuple[str, ...]:
        # A dump of an empty database is as whole as any.
        known = params.get("engine", "file") != "file"
        return (*cls.default_expect, "tables > 0") if known else cls.default_expect

    @model_validator(mode="after")
    def _fitting(self) -> BackupProbe:
        for needed in _NEEDED.get(self.source, ("prefix",)):
            if getattr(self, needed) is None:
                raise wrong(f"source {self.source} needs `{needed}`")
        for name in sorted(self.model_fields_set - _OF_SOURCE[self.source]):
            if owners := [source for source, names in _OF_SOURCE.items() if name in names]:
                raise wrong(f"`{name}` belongs to source {' and '.join(owners)}")
        self._one_way()
        if self.source == "command" and "verify" in self.model_fields_set and self.verify != "none":
            raise wrong("what a program lists is never read; leave `verify` out")
        if self.verify == "restore" and self.scratch_dsn_env is None:
            raise wrong("`verify: restore` needs `scratch_dsn_env`")
        if self.verify == "restore" and self.engine not in ("postgres", "file"):
            raise wrong("only dumps of PostgreSQL are restored here; leave `verify: restore` out")
        return self

    def _one_way(self) -> None:
        ways = _IN_WHOSE_NAME.get(self.source)
        if ways is None:
            return
        given = [way for way in ways if way in self.model_fields_set and getattr(self, way)]
        if len(given) != 1:
            raise wrong(f"source {self.source} takes one of {', '.join(f'`{way}`' for way in ways)}")
        if self.source == "gcs" and ("key_id_env" in self.model_fields_set) is not (given == ["secret_key_env"]):
            raise wrong("`key_id_env` and `secret_key_env` stand together: an HMAC key has both")
        if given[0] in ("token_env", "sas_env") and self._plain():
            raise wrong("the endpoint has no TLS: whoever is on the way could use what is sent with every request")

    def _plain(self) -> bool:
        return (self.endpoint or "").startswith("http://") and not _LOOPBACK.fullmatch(self.endpoint or "")

    @property
    def safety(self) -> Safety:
        return "drill" if self.verify == "restore" else "read"

    @classmethod
    def prepare(cls) -> None:
        from captain.http import load

        load()

    def asks(self) -> str:
        if self.source == "command":
            said = self.run if isinstance(self.run, str) else shlex.join(self.run or ())
            return f"backups that {said} lists"
        if self.source == "file":
            where = f"{self.path}"
        elif self.source == "azure":
            where = f"{self._address()}/{self.prefix}"
        else:
            at = "" if self.endpoint is None else f" at {self.endpoint}"
            where = f"{_URLS[self.source]}{self.prefix}{at}"
        named = f" named {self.pattern}" if self.pattern is not None else ""
        return f"backups in {where}{named}"

    def does(self) -> tuple[str, ...]:
        """What measuring does where it does more than read, one line each."""
        if self.verify != "restore":
            return (self.asks(),)
        where = f"a new database captain_scratch_… of the server in {self.scratch_dsn_env}"
        return (f"restores the newest of the {self.asks()} into {where}", "afterwards drops that database")

    def programs(self) -> tuple[Program, ...]:
        return () if self.run is None else (Program(self.run, self.cwd, tuple(sorted(self.env))),)

    async def measure(self, ctx: Context) -> Measurement:
        loop = asyncio.get_running_loop()
        began, seconds = loop.time(), ctx.timeout.total_seconds() * _MARGIN
        end = began + seconds
        asked = self.asks()
        place = self._place(ctx, end)
        try:
            listed_by = end if self.verify == "none" or place is None else began + seconds * _LISTING
            async with asyncio.timeout_at(listed_by):
                listing = await (self._told(ctx) if place is None else place.listing())
        except TimeoutError as error:
            told = f"{safe(asked, 300)}: the list did not come in time"
            raise ProbeError(told, fault="unclear", hint="give the step more `timeout`") from error
        now = listing.now or ctx.clock.now()
        settled = now - _SETTLED if self.source == "file" else None
        kept = sort_out(listing.items, self.pattern, settled)
        observed = summary(kept.backups, now, self.window) | {"unfinished": len(kept.unfinished)}
        notes = [*self._remarks(), *listing.notes]
        if kept.unfinished:
            notes.append(f"not counted, still being written: {safe(kept.unfinished[0].key, 200)}")
        if kept.backups and place is not None:
            await self._look_into(ctx, place, kept.backups[0], end, observed, notes)
        shown = [{"key": one.key, "modified": one.modified.isoformat(), "size": one.size} for one in kept.backups]
        body = json.dumps({"notes": notes, "newest": shown[:_SHOWN]}, indent=1, ensure_ascii=False)
        return Measurement(
            observed=observed,
            asked=asked,
            body=ctx.clip(body),
            truncated=len(shown) > _SHOWN or len(body) > TEXT,
            notes=tuple(notes),
        )

    def _place(self, ctx: Context, end: float) -> Folder | Store | None:
        """None where only a program knows it."""
        if self.source == "file":
            return Folder(Path(ctx.root / (self.path or ".")), ctx.blocking, ctx.timeout)
        if self.source == "command":
            return None
        bucket, _, prefix = (self.prefix or "").partition("/")
        ca_file = None if self.ca_file is None else ctx.root / self.ca_file
        region = self.region if self.source == "s3" else None
        where = Where(self._address(), bucket, prefix, APIS[self.source], self._access(ctx), region, ca_file)
        return Store(where, ctx.clock, end, ctx.timeout)

    def _address(self) -> str:
        if self.endpoint is not None or self.source == "file" or self.source == "command":
            return (self.endpoint or "").rstrip("/")
        return address(self.source, self.region, self.account or "")

    def _access(self, ctx: Context) -> Access:
        if self.anonymous or self.source == "file" or self.source == "command":
            return NOBODY
        names = Names(self.key_id_env, self.secret_key_env, self.token_env, self.service_account_env, self.sas_env)
        return access(self.source, names, ctx.secret, self.region, self.account or "")

    def _remarks(self) -> list[str]:
        """What somebody should know before anything was read."""
        if self._plain():
            return ["the endpoint has no TLS: whoever is on the way can read and change the backups"]
        if self.source == "command":
            return ["only listed: what a program lists is not read, so `valid` is not observed"]
        return []

    async def _told(self, ctx: Context) -> Listing:
        from captain.effects.program import probe_environ
        from captain.systems.backups.told import listed

        environ = probe_environ(ctx.environ, self.env)
        return await listed(self.programs()[0], ctx.root, environ, ctx.timeout * _MARGIN * 0.9)

    async def _look_into(
        self,
        ctx: Context,
        place: Folder | Store,
        newest: Item,
        end: float,
        observed: dict[str, Value],
        notes: list[str],
    ) -> None:
        """Adds what the newest shows. What cannot be found out of it is left out: the list stands all the same."""
        told: str | None = None
        if isinstance(place, Store):
            facts, unknown, told = await place.facts(newest)
            observed |= facts
            notes += unknown
        if self.verify == "none":
            return
        name = safe(newest.key, 200)
        tools = Tools(ctx.environ, end, ("--list",) if self.verify == "list" else READ)
        try:
            async with asyncio.timeout_at(None if self.verify == "restore" else end):
                digest = await told_digest(place, newest) or (told or "").lower() or None
                if self.verify == "restore":
                    done = await self._drilled(ctx, place, newest, tools)
                else:
                    found = await read(place, newest, tools, ctx.blocking, on_disk=isinstance(place, Folder))
                    done = Drill(found)
        except TimeoutError:
            _tell("reading it did not end in time; give the step more `timeout`", name, observed, notes)
            return
        except ProbeError as error:
            if self.verify == "restore":
                raise
            _tell(f"{error.message}{f'; {error.hint}' if error.hint else ''}", name, observed, notes)
            return
        self._settle(done, digest, name, observed, notes)

    async def _drilled(self, ctx: Context, place: Folder | Store, newest: Item, tools: Tools) -> Drill:
        scratch_name = self.scratch_dsn_env or ""
        scratch = Server(ctx.secret(scratch_name), scratch_name, ctx.root)
        source = None if self.dsn_env is None else Server(ctx.secret(self.dsn_env), self.dsn_env, ctx.root)
        return await drill(
            place, newest, tools, ctx.blocking, scratch=scratch, source=source, key_tables=self.key_tables
        )

    def _settle(self, done: Drill, digest: str | None, name: str, observed: dict[str, Value], notes: list[str]) -> None:
        seen, why = seen_in(done.reading, digest, self.engine)
        observed |= seen | done.observed
        if why:
            _tell(why, name, observed, notes)
        notes += done.notes


def _tell(why: str, name: str, observed: dict[str, Value], notes: list[str]) -> None:
    observed["trouble"] = why
    notes.append(f"{name}: {why}")
