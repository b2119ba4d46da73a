"""The open log and how it grows. Knows how a commit can fail; knows no rule of a run."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from captain.clock import Clock, boot_id
from captain.errors import AppendUnknown, LogError
from captain.events import Actor, Draft, Recorded, decode
from captain.log import guard
from captain.log.ballast import lay_by, spend
from captain.log.connection import refuse_other_journals
from captain.log.envelope import Last, Moment, Sealed, clock_step, own_actor, own_tool, refuse_misshapen, seal
from captain.log.evidence import Evidence
from captain.log.opening import INSERT_ENTRY, Opened, open_file, refuse_moved
from captain.log.reader import Reader
from captain.log.schema import FORMAT
from captain.log.trouble import UNREADABLE, explain, is_full, is_locked
from captain.log.ulid import is_ulid, ulid

_RETRIES = 3
_KEEP = "INSERT INTO evidence(digest, salt, media, data) VALUES (?, ?, ?, ?) ON CONFLICT(digest) DO NOTHING"

Check = Callable[[Reader], None]
Build = Callable[[Reader], Sequence[Draft]]


class _InDoubt(Exception):
    """COMMIT raised: whether the entries are there must be read back."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Log(Reader):
    """One connection to one log file, made by `Log.open`. Any thread may call, one at a time."""

    def __init__(
        self, path: Path, *, clock: Clock, actor: Actor | None, tool: Mapping[str, Any] | None, read_only: bool
    ) -> None:
        self._clock = clock
        self._tool = tool or own_tool()
        self._opener = actor
        self._asked_read_only = read_only
        self._process = os.getpid()
        self._last: Last | None = None
        self._reopened = 0
        self._opened: Opened | None = None
        self.path = path
        self._connect()

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        clock: Clock,
        tool: Mapping[str, Any] | None = None,
        read_only: bool = False,
        allow_network_fs: bool = False,
        actor: Actor | None = None,
    ) -> Log:
        """Open the log at `path`, or make it there, with `log.open` (by `actor`) as its first entry.

        Raises NotALog when something else lies there, LogError when it cannot or must not be used.
        """
        path = guard.located(Path(path))
        if not allow_network_fs:
            guard.refuse_network(path)
        try:
            log = cls(path, clock=clock, actor=actor, tool=tool, read_only=read_only)
        except (*UNREADABLE, OSError) as error:
            raise explain(error, path, "open") from error
        if not log.read_only:
            lay_by(path)
        return log

    @property
    def read_only(self) -> bool:
        """Whether appending is refused, because it was asked for or because a newer captain wrote the log."""
        return self._asked_read_only or (self._opened is not None and self._opened.newer)

    def append(
        self,
        drafts: Sequence[Draft] = (),
        *,
        actor: Actor,
        evidence: Sequence[Evidence] = (),
        check: Check | None = None,
        build: Build | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[Recorded]:
        """Record all drafts in one transaction, and return their events, decoded from the bytes committed.

        `check` and `build` see the log as it is inside the transaction; when one raises, nothing is recorded.
        `build` returns drafts that come after `drafts`. `ids` are ULIDs, one per draft: appending the same ids
        again returns what is there. A `clock.step` or other processes' entries may lie before the first event:
        read `entries(after=...)` where seq has a gap. Raises LogError (nothing was recorded) or AppendUnknown.
        """
        self._refuse_writing()
        refuse_misshapen(drafts)
        names = _Names(self._clock, ids)
        for left in reversed(range(1 + _RETRIES)):
            try:
                return self._transaction(drafts, actor, evidence, check, build, names)
            except _InDoubt as doubt:
                if found := self._read_back(names.used, doubt.cause):
                    return found
                failure = doubt.cause
                again = not is_locked(failure)
            except UNREADABLE as error:
                self._undo()
                failure = error
                again = is_full(error)
            except BaseException:
                self._undo()
                raise
            if is_full(failure):
                again = spend(self.path)
            if not (left and again):
                raise explain(failure, self.path, "record in") from failure
        raise AssertionError("the last try returns or raises")

    def data_version(self) -> int:
        """A number that changes when another process has committed."""
        version: int = self.rows("PRAGMA data_version")[0][0]
        return version + (self._reopened << 40)

    def facts(self) -> dict[str, str]:
        """What a self-check prints: library version, journal mode, sync level, filesystem, path."""
        levels = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}
        return {
            "path": str(self.path),
            "sqlite": sqlite3.sqlite_version,
            "journal_mode": str(self.rows("PRAGMA journal_mode")[0][0]),
            "synchronous": levels.get(self.rows("PRAGMA synchronous")[0][0], "?"),
            "filesystem": guard.filesystem(self.path.parent),
        }

    def close(self) -> None:
        """Let go of the file. Closing twice is fine."""
        opened, self._opened, self._database = self._opened, None, None
        if opened is not None:
            with suppress(sqlite3.Error):
                opened.close()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self) -> None:
        self._opened = open_file(self.path, read_only=self._asked_read_only, first=self._first)
        super().__init__(self.path, self._opened.database)
        self._last = None

    def _first(self, log_id: str) -> Sealed:
        moment = self._moment()
        return seal(
            Draft("log.open", "", {"format": FORMAT}),
            last=None,
            name=ulid(moment.now),
            moment=moment,
            log_id=log_id,
            actor=self._opener or own_actor(),
            tool=self._tool,
        )

    def _moment(self) -> Moment:
        return Moment(self._clock.now(), int(self._clock.monotonic() * 1000), boot_id())

    def _refuse_writing(self) -> None:
        if self._opened is not None and self._opened.newer:
            raise LogError(
                f"the log {self.path} was written by a newer captain; this one can only read it", hint="update captain"
            )
        if self.read_only:
            raise LogError(f"the log {self.path} was opened for reading only")
        if os.getpid() != self._process:
            raise LogError(f"the log {self.path} was opened by another process; each process opens its own")

    def _transaction(
        self,
        drafts: Sequence[Draft],
        actor: Actor,
        evidence: Sequence[Evidence],
        check: Check | None,
        build: Build | None,
        names: _Names,
    ) -> list[Recorded]:
        opened = self._opened
        if opened is None:
            raise LogError(f"the log {self.path} is closed")
        opened.database.execute("BEGIN IMMEDIATE")
        refuse_moved(self.path, opened.file)
        refuse_other_journals(opened.database.conn, self.path)
        reader = Reader(self.path, opened.database)
        if there := self._all_of(reader, names.given):
            self._undo()
            return there
        if check is not None:
            check(reader)
        if build is not None:
            built = build(reader)
            refuse_misshapen(built)
            drafts = [*drafts, *built]
        for piece in evidence:
            opened.database.execute(_KEEP, (bytes.fromhex(piece.digest), piece.salt, piece.media, piece.data))
        written = self._write(opened, drafts, actor, names)
        refuse_moved(self.path, opened.file)
        try:
            opened.database.execute("COMMIT")
        except Exception as error:
            raise _InDoubt(error) from error
        if written:
            self._last = written[-1].last
        return [entry.event for entry in written if entry.event.id in names.used]

    def _write(self, opened: Opened, drafts: Sequence[Draft], actor: Actor, names: _Names) -> list[Sealed]:
        last, moment = self._newest(), self._moment()
        queue = list(zip(drafts, names.for_drafts(len(drafts)), strict=True))
        if drafts and (step := clock_step(last, moment, drafts[0].run)):
            queue.insert(0, (step, ulid(moment.now)))
        written: list[Sealed] = []
        for draft, name in queue:
            entry = seal(draft, last=last, name=name, moment=moment, log_id=opened.log_id, actor=actor, tool=self._tool)
            opened.database.execute(INSERT_ENTRY, entry.row)
            written.append(entry)
            last = entry.last
        return written

    def _newest(self) -> Last | None:
        for seq, head in self.rows("SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1"):
            if self._last is not None and (self._last.seq, self._last.hash) == (seq, head):
                return self._last
            try:
                event = decode(self.rows("SELECT body FROM entry WHERE seq = ?", (seq,))[0][0])
            except (ValueError, KeyError, TypeError, RecursionError):
                # Changed outside captain. The chain goes on from the stored hash, so verification still finds it.
                return Last(seq, head, "", 0, "")
            return Last(seq, head, event.ts, event.mono, event.boot)
        return None

    def _undo(self) -> None:
        if self._opened is not None and self._opened.database.conn.in_transaction:
            with suppress(sqlite3.Error):
                self._opened.database.conn.rollback()

    def _read_back(self, names: Sequence[str], failure: Exception) -> list[Recorded]:
        """The events of entries whose COMMIT raised, from the file opened anew; empty when they are not there."""
        file = self._opened.file if self._opened is not None else None
        self._undo()
        self.close()
        self._reopened += 1
        try:
            self._connect()
            if self._opened is not None and file is not None:
                refuse_moved(self.path, file)
            return self._all_of(self, names)
        except (*UNREADABLE, OSError, LogError) as error:
            self.close()
            raise AppendUnknown(
                f"writing to the log {self.path} failed ({failure}), and it cannot be read back ({error}): "
                "whether the last entry was recorded is unknown",
                hint="captain stops here; mend the disk or the file, run captain verify, then start again",
            ) from error

    def _all_of(self, reader: Reader, names: Sequence[str]) -> list[Recorded]:
        found = [entry for name in names if (entry := reader.by_id(name))]
        if found and len(found) != len(names):
            raise LogError(f"the log {self.path} holds only some of the entries that were appended together")
        return found


class _Names:
    """The ids of one append, the same ones at every retry."""

    def __init__(self, clock: Clock, given: Sequence[str] | None) -> None:
        self.given = list(given or ())
        self.used = list(self.given)
        self._clock = clock
        for name in self.given:
            if not is_ulid(name):
                raise LogError(f"{name[:40]!r} is not an id for an entry")
        if len(set(self.given)) != len(self.given):
            raise LogError("an id was given twice for entries appended together")

    def for_drafts(self, count: int) -> list[str]:
        """One id per draft. Raises LogError when ids were given, but not as many."""
        if self.given and len(self.given) != count:
            raise LogError(f"{len(self.given)} ids were given for {count} entries")
        while len(self.used) < count:
            self.used.append(ulid(self._clock.now()))
        self.used = self.used[:count]
        return self.used
