"""A bucket of S3, or of what speaks like it, asked with GET and HEAD only. No ambient credentials, no verdict.

Over captain's own HTTP, so that every answer is bounded and every wait ends: the libraries for S3 keep a whole answer
in memory, look for credentials on the network and say little about why something was refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from captain.clock import Clock
from captain.errors import Fault, ProbeError
from captain.http import Reply, fetch
from captain.measurement import Value
from captain.safe import safe
from captain.systems.backups.listing import MOST, Item, Listing
from captain.systems.backups.s3_text import page, texts
from captain.systems.backups.sigv4 import Key, path_text, query_text, signed

_PAGE = 8 * 1024 * 1024
_SHORT = 64 * 1024
_REGION = "x-amz-bucket-region"
_HINTS = {
    "AccessDenied": "give captain's key s3:ListBucket and s3:GetObject there",
    "AllAccessDisabled": "give captain's key s3:ListBucket and s3:GetObject there",
    "ExpiredToken": "renew the temporary key",
    "InvalidAccessKeyId": "check the access key",
    "InvalidToken": "renew the temporary key",
    "NoSuchBucket": "prefix is BUCKET/KEY-PREFIX; check the bucket's name and `endpoint`",
    "RequestTimeTooSkewed": "set the clock of this machine (timedatectl)",
    "SignatureDoesNotMatch": "check the secret key",
    "SlowDown": "ask again later",
}


@dataclass(frozen=True, slots=True)
class Where:
    """How the bucket is reached."""

    endpoint: str
    """A URL without a path."""
    region: str
    bucket: str
    prefix: str
    key: Key | None
    """None asks without a signature."""
    ca_file: Path | None = None


class Bucket:
    """One bucket. Every method raises ProbeError, never of fault `subject`: storage is an instrument here."""

    def __init__(self, where: Where, clock: Clock, deadline: float, timeout: timedelta) -> None:
        self.where = where
        self._clock = clock
        self._deadline = deadline
        """Of the loop's clock."""
        self._timeout = timeout
        self.region: str | None = None
        """Where the bucket says it lies, once it was asked."""

    async def listing(self) -> Listing:
        """Every object below the prefix. Nothing there counts only where something lies beside it."""
        items, now = await self._below(self.where.prefix)
        if items or not self.where.prefix:
            return Listing(tuple(items), now)
        above, slash, _ = self.where.prefix.rstrip("/").rpartition("/")
        beside = await self._page({"prefix": f"{above}{slash}", "max-keys": "1"})
        if not beside[0]:
            raise ProbeError(
                f"nothing lies below {safe(self.where.prefix, 200)} in bucket {self.where.bucket}, nor beside it",
                hint="check `prefix`: BUCKET/KEY-PREFIX",
            )
        return Listing((), now, ("nothing lies below the prefix; beside it in the bucket there is something",))

    async def read(self, item: Item, take: Callable[[bytes], Awaitable[None]]) -> None:
        """Give the object to `take` from its first byte to its last."""
        taken = 0

        async def count(data: bytes) -> None:
            nonlocal taken
            taken += len(data)
            await take(data)

        await self._ask("GET", item.key, take=count)
        if taken != item.size:
            raise ProbeError(f"{safe(item.key, 200)} changed while it was read", hint="ask again when it is complete")

    async def small(self, key: str, limit: int) -> bytes | None:
        """A short object, None where there is none."""
        reply = await self._ask("GET", key, limit=limit, also=(404,))
        return None if reply.status == 404 else reply.body

    async def facts(self, newest: Item) -> tuple[dict[str, Value], list[str], str | None]:
        """What can be seen of encryption, versions, place and openness; what could not; the digest in the metadata."""
        observed: dict[str, Value] = {}
        notes: list[str] = []
        digest: str | None = None
        heads, versioning, opened = await asyncio.gather(
            self._ask("HEAD", newest.key),
            self._ask("GET", query={"versioning": ""}),
            self._open_to_all(newest.key),
            return_exceptions=True,
        )
        for name, answer in (("encrypted", heads), ("versioned", versioning), ("public", opened)):
            if isinstance(answer, ProbeError):
                notes.append(f"{name} is not known: {answer.message}")
            elif isinstance(answer, BaseException):
                raise answer
        if isinstance(heads, Reply):
            observed["encrypted"] = "x-amz-server-side-encryption" in heads.headers
            digest = heads.headers.get("x-amz-meta-sha256")
        if isinstance(versioning, Reply):
            observed["versioned"] = texts(versioning.body).get("Status") == "Enabled"
        if isinstance(opened, bool):
            observed["public"] = opened
        if self.region is not None:
            observed["region"] = self.region
        return observed, notes, digest

    async def _open_to_all(self, key: str) -> bool:
        """Whether a request without a signature may list the bucket or read the newest backup, from here."""
        listed = await self._ask("GET", query={"list-type": "2", "max-keys": "1"}, bare=True, also=(401, 403))
        read = await self._ask("HEAD", key, bare=True, also=(401, 403))
        return 200 in (listed.status, read.status)

    async def _below(self, prefix: str) -> tuple[list[Item], datetime | None]:
        found: list[Item] = []
        query = {"prefix": prefix, "max-keys": "1000"}
        seen: set[str] = set()
        while True:
            items, more, now = await self._page(query)
            found += items
            if more is None:
                # What a console shows as a folder is an empty object.
                return [item for item in found if not item.key.endswith("/")], now
            if len(found) > MOST or more in seen:
                raise ProbeError(
                    f"the list of bucket {self.where.bucket} does not end within {MOST} objects",
                    hint="narrow `prefix`",
                )
            seen.add(more)
            query["continuation-token"] = more

    async def _page(self, query: dict[str, str]) -> tuple[list[Item], str | None, datetime | None]:
        reply = await self._ask("GET", query={"list-type": "2", **query}, limit=_PAGE)
        if reply.truncated:
            raise ProbeError(f"the list of bucket {self.where.bucket} is longer than captain reads")
        try:
            read = page(reply.body)
        except ValueError as error:
            hint = "is `endpoint` the address of an S3 API, and not of a console or a web page?"
            raise ProbeError(f"GET {safe(reply.url, 300)}: {error}", fault="unclear", hint=hint) from error
        self.region = self.region or reply.headers.get(_REGION)
        return read.items, read.more, _moment(reply.headers.get("date"))

    async def _ask(
        self,
        method: str,
        key: str = "",
        *,
        query: dict[str, str] | None = None,
        take: Callable[[bytes], Awaitable[None]] | None = None,
        limit: int = _SHORT,
        bare: bool = False,
        also: tuple[int, ...] = (),
    ) -> Reply:
        where = self.where
        url = where.endpoint.rstrip("/") + path_text(where.bucket, key)
        if query:
            url += f"?{query_text(query)}"
        headers = {}
        if where.key is not None and not bare:
            headers = signed(method, url, where.key, where.region, self._clock.now())
        left = self._deadline - asyncio.get_running_loop().time()
        try:
            if left <= 0:
                raise ProbeError(f"{method} {url}: no time is left of {self._timeout.total_seconds():g}s")
            reply = await fetch(
                url,
                method=method,
                headers=headers,
                timeout=timedelta(seconds=left),
                ca_file=where.ca_file,
                limit=limit,
                take=take,
            )
        except ProbeError as error:
            fault: Fault = "instrument" if error.fault == "instrument" else "unclear"
            raise ProbeError(error.message, fault=fault, hint=error.hint or "check `endpoint`") from error
        if reply.status != 200 and reply.status not in also:
            raise _refused(f"{method} {safe(reply.url, 300)}", reply, where)
        return reply


def _refused(asked: str, reply: Reply, where: Where) -> ProbeError:
    said = texts(reply.body)
    code = said.get("Code", "")
    region = reply.headers.get(_REGION) or said.get("Region")
    words = f"{reply.status} {safe(code, 60)}".strip()
    if message := said.get("Message"):
        words = f"{words}: {safe(message, 200)}"
    hint = _HINTS.get(code)
    if hint is None and region and region != where.region:
        hint = f"the bucket lies elsewhere; write region: {safe(region, 40)}"
    if hint is None and reply.status in (401, 403):
        hint = "give captain's key the right to" if where.key else "it wants a key; leave `anonymous` out"
    unclear = reply.status >= 500 or reply.status == 429
    return ProbeError(f"{asked}: {words}", fault="unclear" if unclear else "instrument", hint=hint)


def _moment(date: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(date or "")
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo is not None else None
