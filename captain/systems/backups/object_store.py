"""A store of objects, asked with GET and HEAD only. Knows no maker's language, no ambient credentials, no verdict.

Over captain's own HTTP, so that every answer is bounded and every wait ends: the libraries for such stores keep a whole
answer in memory, look for credentials on the network and take a page that is no list for an empty one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from captain.clock import Clock
from captain.errors import Fault, ProbeError
from captain.http import Reply, fetch
from captain.measurement import Value
from captain.safe import safe
from captain.systems.backups.listing import MOST, Item, Listing
from captain.systems.backups.sigv4 import path_text, query_text
from captain.systems.backups.storage_xml import Page, texts

_PAGE = 8 * 1024 * 1024
_ENTRIES = 1000
_SHORT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Api:
    """How one kind of store is spoken to."""

    lists: Callable[[str, int, str | None], dict[str, str]]
    """The query for a page: of what prefix, how many objects at most, after which token."""
    page: Callable[[bytes], Page]
    """Reads it. Raises ValueError with a sentence."""
    hints: Mapping[str, str]
    """What to do about a code of an error."""
    metadata: str
    """How the names of headers with an object's own metadata begin."""
    encrypted: Callable[[Mapping[str, str]], bool | None]
    """Whether headers say that the server encrypts the object, None where they do not tell."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request."""
    closed: tuple[int, ...] = (401, 403)
    """Statuses with which it turns those away who have no key."""
    versioning: bool = False
    """Whether `?versioning` tells of a bucket that it keeps old versions."""
    region: str | None = None
    """The header that tells where a bucket lies."""
    named: str = "bucket"
    reach: str = "check `endpoint`"
    """What to do where nobody answers."""


@dataclass(frozen=True, slots=True)
class Access:
    """In whose name it is asked."""

    sign: Callable[[str, str, datetime], dict[str, str]] | None = field(default=None, repr=False)
    """The headers for a method and a URL at a moment."""
    query: str = field(default="", repr=False)
    """What is added to every URL, and never shown."""


NOBODY = Access()
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")


def token_access(token: str, name: str) -> Access:
    """Asks with an access token of OAuth, the value of the secret `name`. Raises ProbeError."""
    if not _TOKEN.fullmatch(token):
        raise ProbeError(f"the secret {name} holds no access token", fault="instrument", hint="it is one word")
    return Access(lambda *_: {"authorization": f"Bearer {token}"})


@dataclass(frozen=True, slots=True)
class Where:
    """How the bucket is reached."""

    endpoint: str
    """A URL, below whose path the bucket lies."""
    bucket: str
    prefix: str
    api: Api
    access: Access
    region: str | None = None
    """Where it should lie."""
    ca_file: Path | None = None


class Store:
    """One bucket or container. Methods raise ProbeError, never of fault `subject`: storage is an instrument here."""

    def __init__(self, where: Where, clock: Clock, deadline: float, timeout: timedelta) -> None:
        self.where = where
        self._api = where.api
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
        if not await self._anything(f"{above}{slash}"):
            raise ProbeError(
                f"nothing lies below {safe(self.where.prefix, 200)} in {self._name}, nor beside it",
                hint=f"check `prefix`: {self._api.named.upper()}/KEY-PREFIX",
            )
        return Listing((), now, (f"nothing lies below the prefix; beside it in the {self._api.named} is something",))

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
            self._versioning(),
            self._open_to_all(newest.key),
            return_exceptions=True,
        )
        for name, answer in (("encrypted", heads), ("versioned", versioning), ("public", opened)):
            if isinstance(answer, ProbeError):
                notes.append(f"{name} is not known: {answer.message}")
            elif isinstance(answer, BaseException):
                raise answer
        if isinstance(heads, Reply):
            digest = heads.headers.get(f"{self._api.metadata}sha256")
            if (encrypted := self._api.encrypted(heads.headers)) is not None:
                observed["encrypted"] = encrypted
        if isinstance(versioning, bool):
            observed["versioned"] = versioning
        if isinstance(opened, bool):
            observed["public"] = opened
        if self.region is not None:
            observed["region"] = self.region
        return observed, notes, digest

    async def _versioning(self) -> bool | None:
        if not self._api.versioning:
            return None
        return texts((await self._ask("GET", query={"versioning": ""})).body).get("Status") == "Enabled"

    async def _open_to_all(self, key: str) -> bool:
        """Whether a request without a signature may list the bucket or read the newest backup, from here."""
        closed = self._api.closed
        listed = await self._ask("GET", query=self._api.lists("", 1, None), bare=True, also=closed)
        read = await self._ask("HEAD", key, bare=True, also=closed)
        return 200 in (listed.status, read.status)

    async def _below(self, prefix: str) -> tuple[list[Item], datetime | None]:
        found: list[Item] = []
        now: datetime | None = None
        async for items, told in self._pages(prefix, _ENTRIES):
            found += items
            now = told
            if len(found) > MOST:
                raise self._endless()
        # What a console shows as a folder is an empty object.
        return [item for item in found if not item.key.endswith("/")], now

    async def _anything(self, prefix: str) -> bool:
        async with aclosing(self._pages(prefix, 1)) as pages:
            async for items, _ in pages:
                if items:
                    return True
        return False

    async def _pages(self, prefix: str, most: int) -> AsyncGenerator[tuple[list[Item], datetime | None], None]:
        """Page by page to the end of the list. A page may be empty and not be the last."""
        seen: set[str] = set()
        token: str | None = None
        while True:
            items, token, now = await self._page(prefix, most, token)
            yield items, now
            if token is None:
                return
            if token in seen:
                raise self._endless()
            seen.add(token)

    def _endless(self) -> ProbeError:
        return ProbeError(f"the list of {self._name} does not end within {MOST} objects", hint="narrow `prefix`")

    async def _page(
        self, prefix: str, most: int, token: str | None = None
    ) -> tuple[list[Item], str | None, datetime | None]:
        reply = await self._ask("GET", query=self._api.lists(prefix, most, token), limit=_PAGE)
        if reply.truncated:
            raise ProbeError(f"the list of {self._name} is longer than captain reads")
        try:
            read = self._api.page(reply.body)
        except ValueError as error:
            hint = "is `endpoint` the address of the store's API, and not of a console or a web page?"
            raise ProbeError(f"GET {safe(reply.url, 300)}: {error}", fault="unclear", hint=hint) from error
        self.region = self.region or reply.headers.get(self._api.region or "")
        return read.items, read.more, _moment(reply.headers.get("date"))

    @property
    def _name(self) -> str:
        return f"{self._api.named} {self.where.bucket}"

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
        access = NOBODY if bare else where.access
        headers = dict(where.api.headers)
        if access.sign is not None:
            headers |= access.sign(method, url, self._clock.now())
        left = self._deadline - asyncio.get_running_loop().time()
        try:
            if left <= 0:
                raise ProbeError(f"{method} {url}: no time is left of {self._timeout.total_seconds():g}s")
            reply = await fetch(
                url,
                method=method,
                headers=headers,
                secret_query=access.query,
                timeout=timedelta(seconds=left),
                ca_file=where.ca_file,
                limit=limit,
                take=take,
            )
        except ProbeError as error:
            fault: Fault = "instrument" if error.fault == "instrument" else "unclear"
            raise ProbeError(error.message, fault=fault, hint=error.hint or where.api.reach) from error
        if reply.status != 200 and reply.status not in also:
            raise _refused(f"{method} {safe(reply.url, 300)}", reply, where)
        return reply


def _refused(asked: str, reply: Reply, where: Where) -> ProbeError:
    said = texts(reply.body)
    code = said.get("Code", "")
    region = reply.headers.get(where.api.region or "") or said.get("Region")
    words = f"{reply.status} {safe(code, 60)}".strip()
    if message := said.get("Message"):
        words = f"{words}: {safe(message, 200)}"
    hint = where.api.hints.get(code)
    if hint is None and region and where.region and region != where.region:
        hint = f"the bucket lies elsewhere; write region: {safe(region, 40)}"
    if hint is None and reply.status in (401, 403):
        hint = (
            "give captain's key the right to" if where.access is not NOBODY else "it wants a key; leave `anonymous` out"
        )
    unclear = reply.status >= 500 or reply.status == 429
    return ProbeError(f"{asked}: {words}", fault="unclear" if unclear else "instrument", hint=hint)


def _moment(date: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(date or "")
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo is not None else None
