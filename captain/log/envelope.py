"""From a draft to the exact bytes of an entry, and when the clock jumped in between. Touches no database."""

from __future__ import annotations

import getpass
import os
import platform
import socket
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from captain import __version__
from captain.clock import parse_stamp, stamp
from captain.errors import LogError
from captain.events import Actor, Draft, Recorded, decode
from captain.events.shapes import faults
from captain.log.canonical import MAX_BODY, encode, leaf_hash

VERSION = 1
"""The `v` of the entries this captain writes."""
MAX_DRIFT_MS = 2000
START = bytes(32)
"""The `prev` of the first entry."""


@dataclass(frozen=True, slots=True)
class Last:
    """The newest entry, as far as the next one needs it."""

    seq: int
    hash: bytes
    ts: str
    mono: int
    boot: str


@dataclass(frozen=True, slots=True)
class Moment:
    """When an append happens, read once from all clocks."""

    now: datetime
    mono: int
    """Milliseconds."""
    boot: str

    @property
    def ts(self) -> str:
        """The wall clock as the log writes it."""
        return stamp(self.now)


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry ready to be inserted."""

    event: Recorded
    prev: bytes
    hash: bytes
    body: str

    @property
    def last(self) -> Last:
        """What the entry after this one needs."""
        return Last(self.event.seq, self.hash, self.event.ts, self.event.mono, self.event.boot)

    @property
    def row(self) -> tuple[object, ...]:
        """The values of the table's columns, in order."""
        return (
            self.event.seq, self.event.id, self.prev, self.hash, self.event.run, self.event.type, self.body,
        )  # fmt: skip


def seal(
    draft: Draft, *, last: Last | None, name: str, moment: Moment, log_id: str, actor: Actor, tool: Mapping[str, Any]
) -> Sealed:
    """The entry that follows `last`. Raises LogError for a draft that must not get into the log."""
    prev = last.hash if last else START
    try:
        body = encode(
            {
                "v": VERSION,
                "log": log_id,
                "seq": last.seq + 1 if last else 1,
                "id": name,
                "prev": prev.hex(),
                "ts": moment.ts,
                "mono": moment.mono,
                "boot": moment.boot,
                "actor": asdict(actor),
                "tool": dict(tool),
                "type": draft.type,
                "run": draft.run,
                "data": draft.data,
            }
        )
    except ValueError as error:
        raise _bug(draft, str(error)) from error
    raw = body.encode("utf-8")
    if len(raw) > MAX_BODY:
        raise _bug(draft, f"it has {len(raw)} bytes, more than 64 KiB")
    return Sealed(decode(body), prev, leaf_hash(raw), body)


def refuse_misshapen(drafts: Sequence[Draft]) -> None:
    """Raise LogError for data that is not as its entry type says: entries stay for ever, so none may be wrong."""
    for draft in drafts:
        if found := faults(draft.type, draft.data):
            raise _bug(draft, "; ".join(found[:3]))


def _bug(draft: Draft, why: str) -> LogError:
    return LogError(
        f"cannot record a {draft.type[:64]}: {why[:512]}", hint="nothing was recorded; report this as a bug in captain"
    )


def clock_step(last: Last | None, moment: Moment, run: str) -> Draft | None:
    """The entry that must come first because the wall clock jumped since `last`, or None."""
    if last is None:
        return None
    try:
        before = parse_stamp(last.ts)
    except ValueError:  # changed outside captain; verification says so
        return None
    wall = (moment.now - before) // timedelta(milliseconds=1)
    same_boot = last.boot == moment.boot
    drift = wall - (moment.mono - last.mono) if same_boot else wall
    if moment.ts < last.ts:
        cause = "backwards"
    elif same_boot and abs(drift) > MAX_DRIFT_MS:
        cause = "drift"
    else:
        return None
    return Draft("clock.step", run, {"cause": cause, "before": last.ts, "drift_ms": drift})


def own_tool() -> dict[str, str]:
    """The programs that write the entry."""
    return {"captain": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}


def own_actor() -> Actor:
    """Who runs this process, as the system says."""
    try:
        login = getpass.getuser()
    except (OSError, KeyError):
        login = f"uid {os.getuid()}"
    return Actor(name=login, source="login", login=login, uid=os.getuid(), host=socket.gethostname())
