"""Fetches a report from where CI left it. Knows no format and no verdict."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from captain.errors import ProbeError
from captain.http import Reply
from captain.http.follow import fetch_following
from captain.systems.report_files import Document
from captain.systems.reports import LIMIT

_HINTS = {
    401: "check the secret in `headers`",
    403: "the token lacks the right to read it, or asked too often",
    404: "has the job that writes it run, and may the token see it?",
    429: "asked too often: measure less often",
}


async def download(url: str, headers: Mapping[str, str], timeout: timedelta, now: datetime) -> Document:
    """The report. Raises ProbeError: a server of reports is not the product."""
    try:
        reply, _ = await fetch_following(
            url, timeout=timeout, method="GET", headers=headers, body=None, ca_file=None, verify=True, limit=LIMIT
        )
    except ProbeError as error:
        fault = "unclear" if error.fault == "subject" else error.fault
        raise ProbeError(error.message, fault=fault, hint=error.hint) from error
    asked = f"GET {reply.url}"
    if reply.status != 200:
        where = f" to {reply.redirect_to}" if reply.redirect_to else ""
        raise ProbeError(
            f"{asked}: status {reply.status}{where}", fault="unclear", hint=_HINTS.get(reply.status, "ask by hand")
        )
    if reply.truncated:
        raise ProbeError(f"{asked}: is larger than {LIMIT // 1024 // 1024} MiB", hint="narrow the report")
    if reply.undecoded:
        raise ProbeError(f"{asked}: came as {reply.undecoded}, which captain does not read", fault="unclear")
    sent = _moment(reply, "date")
    modified = _moment(reply, "last-modified")
    if modified is not None and sent is not None:
        # By the server's own clock, put on captain's.
        modified += now - sent
    return Document(url, reply.body, modified, shown=True)


def _moment(reply: Reply, name: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(reply.headers.get(name, ""))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
