"""What an open run's entries say, read before anything else is loaded. Trusts nothing it cannot decode.

For the first look at a run alone: the engine reads the log again, with all its checks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from captain.errors import CaptainError
from captain.events import Recorded, decode
from captain.log.source import source


@dataclass(frozen=True, slots=True)
class Recalled:
    """An open run as the log has it."""

    events: tuple[Recorded, ...]
    files: Mapping[str, bytes]
    """The files it is pinned to, by path."""


def recall(path: Path, service: str, environment: str, version: str | None) -> Recalled | None:
    """The newest open run of this service, environment and version; None where there is none, or none can be read."""
    try:
        with source(path) as found:
            run = _open_run(found.connection, service, environment, version)
            if run is None:
                return None
            events = _events(found.connection, run)
            return Recalled(tuple(events), _files(found.connection, events))
    except (CaptainError, OSError, sqlite3.Error, ValueError, KeyError, TypeError, RecursionError):
        # Whatever is wrong, opening the run says it a moment later, in full.
        return None


def _open_run(connection: sqlite3.Connection, service: str, environment: str, version: str | None) -> str | None:
    ended = {bytes(run) for (run,) in connection.execute("SELECT run FROM entry WHERE type = 'run.end'")}
    for (body,) in connection.execute("SELECT body FROM entry WHERE type = 'run.start' ORDER BY seq DESC LIMIT 200"):
        start = decode(_text(body))
        data = start.data
        same = (data["kind"], data["service"], data["environment"]) == ("release", service, environment)
        if same and start.run.encode() not in ended and version in (None, data["version"]):
            return start.run
    return None


def _events(connection: sqlite3.Connection, run: str) -> list[Recorded]:
    rows = connection.execute("SELECT body FROM entry WHERE run = ? ORDER BY seq", (run,))
    return [decode(_text(body)) for (body,) in rows]


def _files(connection: sqlite3.Connection, events: list[Recorded]) -> dict[str, bytes]:
    pinned = [
        one for event in events if event.type in ("run.start", "checklist.changed") for one in event.data["files"]
    ]
    found: dict[str, bytes] = {}
    for one in pinned:
        row = connection.execute(
            "SELECT data FROM evidence WHERE digest = ?", (bytes.fromhex(one["evidence"]),)
        ).fetchone()
        if row is not None:
            found[str(one["path"])] = bytes(row[0])
    return found


def _text(body: bytes | str) -> str:
    return body if isinstance(body, str) else bytes(body).decode("utf-8")
