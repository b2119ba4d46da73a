"""Reads a JSON API page by page under one deadline, and says in words what it refuses. Knows no forge, no verdict."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from captain.documents import parse_json
from captain.errors import ProbeError
from captain.http import Reply, fetch
from captain.safe import safe

LIMIT = 8 * 1024 * 1024
"""Bytes of one page: fifty checks may each carry 128 KiB of report."""
PAGE = 50
MAX_PAGES = 20
MAX_REQUESTS = 200
AT_ONCE = 4

_NEXT = re.compile(r'<([^<>]{1,2000})>\s*;[^,<]{0,200}?\brel="?next"?')
_NUMBER = re.compile(r"[0-9]{1,11}")
T = TypeVar("T")


class Refused(ProbeError):
    """The API answered, and not with what was asked for."""

    def __init__(self, status: int, message: str, hint: str | None) -> None:
        # Whatever a server that is down means for the product, what it refuses to a token means nothing for it.
        super().__init__(message, fault="instrument" if status < 500 else "unclear", hint=hint)
        self.status = status


@dataclass(slots=True)
class Rest:
    """One API, asked with GET only. Every method raises ProbeError where there is no usable answer."""

    name: str
    """What people call it: GitHub."""
    base: str
    """The URL every path is added to."""
    headers: Mapping[str, str]
    deadline: float
    """By the loop's clock."""
    token: str = ""
    needs: str = ""
    """What a token must be allowed to do."""
    remaining: int | None = None
    """Requests that the rate limit still allows, as the last answer said."""
    now: datetime | None = None
    """The latest time that an answer gave."""
    _count: int = 0
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def get(self, path: str, **query: object) -> Any:
        """One answer."""
        return (await self._ask(self._url(path, query)))[0]

    async def pages(
        self, path: str, key: str | None = None, *, most: int = MAX_PAGES * PAGE, **query: object
    ) -> list[Any]:
        """The items of every page, read to the end: a list, or the list under `key` of an object.

        Raises ProbeError for more than `most` items, and where fewer came than the answer says there are: what was
        not read may be what is wrong.
        """
        url: str | None = self._url(path, {"per_page": PAGE, **query})
        found: list[Any] = []
        announced = pages = 0
        while url is not None:
            pages += 1
            if pages > MAX_PAGES:
                raise ProbeError(f"{self.name} {safe(path, 200)}: more than {MAX_PAGES} pages")
            value, reply = await self._ask(url)
            found += self._items(value, key, path)
            total = value.get("total_count") if key is not None else reply.headers.get("x-total")
            if _NUMBER.fullmatch(str(total)):
                announced = int(str(total))
            if len(found) > most or announced > most:
                raise ProbeError(f"{self.name} {safe(path, 200)}: more than the {most} that captain reads")
            url = self._next(reply)
        if len(found) < announced:
            raise ProbeError(
                f"{self.name} {safe(path, 200)}: says there are {announced} and gives {len(found)}",
                fault="unclear",
                hint="ask again",
            )
        return found

    async def newest(self, path: str, count: int, key: str | None = None, **query: object) -> list[Any]:
        """The items of the first page, at most `count`."""
        value = await self.get(path, per_page=count, **query)
        return self._items(value, key, path)[:count]

    def _items(self, value: Any, key: str | None, path: str) -> list[Any]:
        items = value.get(key) if key is not None and isinstance(value, dict) else value if key is None else None
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ProbeError(f"{self.name} {safe(path, 200)}: the answer is no list", fault="unclear", hint=_NO_API)
        return items

    def _url(self, path: str, query: Mapping[str, object]) -> str:
        given = {name: value for name, value in query.items() if value is not None}
        return f"{self.base}/{path}" + (f"?{urlencode(given)}" if given else "")

    def _next(self, reply: Reply) -> str | None:
        match = _NEXT.search(reply.headers.get("link", ""))
        if match is None:
            return None
        url: str = urljoin(reply.url, match[1])
        if _origin(url) != _origin(self.base):
            raise ProbeError(
                f"{self.name}: the next page lies on another server, {safe(urlsplit(url).hostname or '', 80)}",
                hint="captain sends its token nowhere but to `api`",
            )
        return url

    async def _ask(self, url: str) -> tuple[Any, Reply]:
        shown = safe(url.removeprefix(self.base), 200)
        async with self._slots:
            self._count += 1
            if self._count > MAX_REQUESTS:
                raise ProbeError(f"{self.name}: more than {MAX_REQUESTS} requests for one answer", hint="lower `last`")
            left = self.deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise ProbeError(f"{self.name} GET {shown}: no time left", fault="unclear", hint="raise `timeout`")
            try:
                reply = await fetch(url, timeout=timedelta(seconds=left), headers=self.headers, limit=LIMIT)
            except ProbeError as error:
                # Whether it is down or captain cannot reach it: it is the instrument, not the product.
                fault = "unclear" if error.fault == "subject" else error.fault
                raise ProbeError(f"{self.name}: {error.message}", fault=fault, hint=error.hint) from error
        self._note(reply)
        if reply.status != 200:
            self._refuse(reply, shown)
        if reply.truncated:
            raise ProbeError(f"{self.name} GET {shown}: the answer is larger than {LIMIT // 1024 // 1024} MiB")
        try:
            return parse_json(reply.body, max_size=LIMIT), reply
        except ValueError as error:
            raise ProbeError(f"{self.name} GET {shown}: {error}", fault="unclear", hint=_NO_API) from error

    def _note(self, reply: Reply) -> None:
        left = reply.headers.get("x-ratelimit-remaining") or reply.headers.get("ratelimit-remaining") or ""
        if _NUMBER.fullmatch(left):
            self.remaining = int(left) if self.remaining is None else min(self.remaining, int(left))
        moment = _date(reply.headers.get("date", ""))
        if moment is not None:
            self.now = moment if self.now is None else max(self.now, moment)

    def _refuse(self, reply: Reply, shown: str) -> NoReturn:
        status, said = reply.status, self._said(reply)
        message = f"{self.name} GET {shown}: {status}{said}"
        hint = self._hint(status)
        if status in (403, 429) and (until := self._limited(reply)) is not None:
            message = f"{self.name}: the rate limit is used up{until} ({status})"
            hint = "wait, and ask less often" if self.token else "wait, or name a token with `token_env`"
        raise Refused(status, message, hint)

    def _hint(self, status: int) -> str | None:
        if status == 401:
            return "the token is wrong or expired" if self.token else "name a token with `token_env`"
        if status == 403:
            return self.needs if self.token else "name a token with `token_env`"
        if status == 404:
            seen = "or the token may not see it" if self.token else "or it is private: name a token with `token_env`"
            return f"it is not there, {seen}"
        if 300 <= status < 400:
            return "it was renamed or moved: write its new name in `repo`"
        return f"{self.name} has trouble: ask again later" if status >= 500 else None

    def _said(self, reply: Reply) -> str:
        """The message of an error's body."""
        try:
            value = parse_json(reply.body[: 64 * 1024])
        except ValueError:
            return ""
        said = value.get("message") or value.get("error") if isinstance(value, dict) else None
        if not isinstance(said, str):
            return ""
        return f" {safe(said.replace(self.token, '***') if self.token else said, 200)}"

    def _limited(self, reply: Reply) -> str | None:
        """Until when the rate limit holds, in words; None where it is not the rate limit that refuses."""
        headers = reply.headers
        spent = (headers.get("x-ratelimit-remaining") or headers.get("ratelimit-remaining")) == "0"
        waits = headers.get("retry-after", "")
        if not (spent or waits or reply.status == 429 or "rate limit" in self._said(reply).lower()):
            return None
        now = self.now or datetime.now(UTC)
        reset = headers.get("x-ratelimit-reset") or headers.get("ratelimit-reset") or ""
        if _NUMBER.fullmatch(waits):
            return _until(now + timedelta(seconds=int(waits)), now)
        if spent and _NUMBER.fullmatch(reset):
            return _until(datetime.fromtimestamp(int(reset), UTC), now)
        return ""


_NO_API = "is `api` the address of its REST API?"


def _until(moment: datetime, now: datetime) -> str:
    minutes = max(0, round((moment - now).total_seconds() / 60))
    return f" until {moment:%Y-%m-%d %H:%M} UTC, {minutes} min from now"


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        return parts.scheme, parts.hostname, None if "@" in parts.netloc else port
    except ValueError:
        return "", None, None


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def moment(value: object) -> datetime | None:
    """A time as these APIs write it, None where there is none."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None


def text(value: object) -> str:
    """A text of an answer, empty where it is none."""
    return value if isinstance(value, str) else ""


def child(value: object, *names: str) -> Any:
    """What stands below those keys, None where something is missing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


async def together(asked: Iterable[Awaitable[T]]) -> list[T]:
    """Every answer, in order; the first that fails ends the others."""
    tasks = [asyncio.ensure_future(one) for one in asked]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
