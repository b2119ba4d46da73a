"""How to ask the HTTP API of a Prometheus: one GET at a time, bounded. Knows no query, no mode and no verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from captain.blocking import Blocking
from captain.documents import parse_json
from captain.errors import Fault, ProbeError
from captain.http import Reply, fetch
from captain.safe import safe

LIMIT = 4 * 1024 * 1024
"""Bytes of one answer."""
_BRIEF = 300
_WORDS = 20
"""Warnings of one answer that are kept."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a Prometheus is and how it lets one in."""

    url: str
    headers: Mapping[str, str]
    ca_file: Path | None
    verify: bool

    @property
    def name(self) -> str:
        return f"prometheus {self.url.rstrip('/')}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one question came back with."""

    data: Any
    warnings: tuple[str, ...]
    """Why the answer may not be all there is."""
    infos: tuple[str, ...]
    """Hints about the question."""
    now: datetime | None
    """The server's clock, whole seconds; None where the answer does not say."""
    body: str


class Prometheus:
    """One Prometheus, asked under one deadline. Errors are never the product's fault: it is an instrument."""

    def __init__(self, endpoint: Endpoint, timeout: timedelta, blocking: Blocking) -> None:
        self._endpoint = endpoint
        self._blocking = blocking
        self._timeout = timeout
        self._deadline = asyncio.get_running_loop().time() + timeout.total_seconds()

    @property
    def left(self) -> timedelta:
        """What is left of the time."""
        return timedelta(seconds=max(self._deadline - asyncio.get_running_loop().time(), 0.001))

    async def get(self, path: str, **parameters: str) -> Answer:
        """Ask `/api/v1/PATH`. Raises ProbeError, fault `unclear` where Prometheus itself may be down."""
        asked = f"{self._endpoint.name}: {path}"
        given = f"?{urlencode(parameters)}" if parameters else ""
        try:
            reply = await fetch(
                f"{self._endpoint.url.rstrip('/')}/api/v1/{path}{given}",
                timeout=self.left,
                headers={"Accept": "application/json", **self._endpoint.headers},
                ca_file=self._endpoint.ca_file,
                verify=self._endpoint.verify,
                limit=LIMIT,
                asked=asked,
            )
        except ProbeError as error:
            # Whether the instrument is up says nothing about the product: never its fault.
            fault: Fault = "instrument" if error.fault == "instrument" else "unclear"
            hint = error.hint or f"is Prometheus up, and is {self._endpoint.url} its address?"
            raise ProbeError(error.message, fault=fault, hint=hint) from error
        return await self._read(reply, asked)

    async def _read(self, reply: Reply, asked: str) -> Answer:
        if reply.truncated:
            raise ProbeError(
                f"{asked}: more than {LIMIT // 1024**2} MiB came back, stopped there",
                hint="aggregate in the query, or choose one job",
            )
        if reply.undecoded is not None:
            raise ProbeError(f"{asked}: the answer came as {reply.undecoded}, which captain does not decode")
        document: Any = None
        why = ""
        try:
            text = reply.body.decode("utf-8")
            document = await self._blocking(lambda: parse_json(text, max_size=LIMIT))
        except ValueError as error:  # UnicodeDecodeError is one
            why, text = str(error), reply.body.decode("utf-8", "replace")
        if not isinstance(document, dict) or document.get("status") not in ("success", "error"):
            raise _not_prometheus(asked, reply, text, why)
        if document["status"] == "error" or reply.status != 200:
            raise _refused(asked, reply, document)
        warnings = _texts(document.get("warnings"))
        if document.get("isPartial") is True:
            warnings = (*warnings, "the answer is partial")
        return Answer(document.get("data"), warnings, _texts(document.get("infos")), _date(reply), text)


def _refused(asked: str, reply: Reply, document: Mapping[str, Any]) -> ProbeError:
    """Prometheus' own error, in its own words."""
    kind = safe(document.get("errorType") or f"status {reply.status}", 40)
    words = safe(" ".join(str(document.get("error", "")).split()), _BRIEF)
    said = f"{asked}: {kind}: {words}"
    if reply.status in (401, 403):
        return _shut(asked, reply.status)
    if kind in ("bad_data", "execution"):
        return ProbeError(said, hint="try the query in Prometheus' own expression browser")
    return ProbeError(said, fault="unclear", hint="Prometheus answered, but could not work it out; ask again")


def _shut(asked: str, status: int) -> ProbeError:
    return ProbeError(
        f"{asked}: answers {status}: captain is not let in", hint="give credentials in headers, as ${{ secrets.NAME }}"
    )


def _not_prometheus(asked: str, reply: Reply, text: str, why: str) -> ProbeError:
    if reply.status in (401, 403):
        return _shut(asked, reply.status)
    if reply.redirect_to is not None:
        where = safe(reply.redirect_to.partition("?")[0], 100)
        return ProbeError(f"{asked}: answers {reply.status} and points to {where}", hint="a login page, or another URL")
    words = safe(" ".join(text.split()), 80)
    if reply.status >= 500 or reply.status == 429:
        hint = "it may still be starting, or what stands before it is down" if reply.status >= 500 else "ask less often"
        return ProbeError(f"{asked}: answers {reply.status}: {words}", fault="unclear", hint=hint)
    said = f"answers {reply.status} with {words!r}" if text.strip() else f"answers {reply.status} and nothing else"
    said += f" ({safe(why, 100)})" if why and text.lstrip()[:1] in "{[" else ""
    return ProbeError(
        f"{asked}: {said}, which is no answer of a Prometheus",
        hint="url is the address below which /api/v1/query lies, such as http://prometheus:9090",
    )


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(safe(" ".join(str(one).split()), _BRIEF) for one in value[:_WORDS])


def _date(reply: Reply) -> datetime | None:
    try:
        found = parsedate_to_datetime(reply.headers.get("date", ""))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None
