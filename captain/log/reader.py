"""Reading entries out of an open log. Decides nothing, writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain.errors import LogError
from captain.events import Recorded, decode
from captain.log.evidence import Evidence
from captain.log.trouble import UNREADABLE, explain

if TYPE_CHECKING:
    from sqlite_utils import Database

_BATCH = 500
"""Entries per read: no read is open longer than that, so none keeps a writer waiting."""


@dataclass(frozen=True, slots=True)
class RunSpan:
    """Where a run lies in the log."""

    run: str
    first: int
    """seq of its first entry."""
    last: int
    entries: int


class Reader:
    """The entries of a log, in the order of `seq`. Every method raises LogError when the file cannot be read."""

    def __init__(self, path: Path, database: Database) -> None:
        self.path = path
        self._database: Database | None = database

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        if self._database is None:
            raise LogError(f"the log {self.path} is closed")
        try:
            return self._database.execute(sql, parameters).fetchall()
        except UNREADABLE as error:
            raise explain(error, self.path, "read") from error

    def entries(self, run: str | None = None, after: int = 0) -> Iterator[Recorded]:
        """The entries behind seq `after`, of one run or of all. Reads on while others append."""
        for seq, body in self._bodies(run, after):
            yield self._decoded(seq, body)

    def bodies(self, run: str | None = None, after: int = 0) -> Iterator[str]:
        """The stored texts of the same entries, byte for byte."""
        for _, body in self._bodies(run, after):
            yield body

    def entry(self, seq: int) -> Recorded | None:
        """One entry, or None where there is none."""
        for (body,) in self.rows("SELECT body FROM entry WHERE seq = ?", (seq,)):
            return self._decoded(seq, body)
        return None

    def by_type(
        self,
        *types: str,
        run: str | None = None,
        after: int = 0,
        newest_first: bool = False,
        holding: str | None = None,
    ) -> Iterator[Recorded]:
        """The entries of some types. Without `run` this walks over the table's rows, though not over their bodies.

        `holding` is a piece of the stored text that they must hold, such as `"step":"restore"`.
        """
        marks = ", ".join("?" * len(types))
        where = f"type IN ({marks})" + (" AND run = ?" if run is not None else "")
        values: list[object] = [*types, *([run] if run is not None else [])]
        order, low, high = ("DESC", after, 2**53) if newest_first else ("ASC", after, 2**53)
        while True:
            batch = self.rows(
                f"SELECT seq, body FROM entry WHERE seq > ? AND seq < ? AND {where} "
                f"ORDER BY seq {order} LIMIT {_BATCH}",
                [low, high, *values],
            )
            for seq, body in batch:
                # Looking for a piece of text is much cheaper than decoding what is not wanted.
                if holding is None or holding in str(body):
                    yield self._decoded(seq, body)
            if len(batch) < _BATCH:
                return
            if newest_first:
                high = batch[-1][0]
            else:
                low = batch[-1][0]

    def last(self, *types: str, run: str | None = None) -> Recorded | None:
        """The newest entry of some types."""
        return next(self.by_type(*types, run=run, newest_first=True), None)

    def by_id(self, name: str) -> Recorded | None:
        """The entry with the ULID its writer gave it."""
        for seq, body in self.rows("SELECT seq, body FROM entry WHERE id = ?", (name,)):
            return self._decoded(seq, body)
        return None

    def runs(self) -> list[RunSpan]:
        """Every run in the order of its first entry. Reads the index only."""
        found = self.rows("SELECT run, min(seq), max(seq), count(*) FROM entry WHERE run <> '' GROUP BY run")
        return sorted((RunSpan(*row) for row in found), key=lambda span: span.first)

    def size(self) -> int:
        """How many entries there are; the seq of the last one."""
        count: int = self.rows("SELECT coalesce(max(seq), 0) FROM entry")[0][0]
        return count

    def log_id(self) -> str:
        """The identity of the log, in every entry's body: 32 hex digits."""
        found = self.rows("SELECT log_id FROM log")
        if not found:
            raise LogError(f"the log {self.path} has no identity", hint="run captain verify")
        return str(found[0][0])

    def evidence(self, digest: str) -> Evidence | None:
        """The blob with this digest, or None when it was deleted. Raises LogError for one that was changed."""
        try:
            key = bytes.fromhex(digest)
        except ValueError:
            return None
        for salt, media, data in self.rows("SELECT salt, media, data FROM evidence WHERE digest = ?", (key,)):
            found = Evidence(media, data, salt)
            if found.digest != digest:
                raise LogError(
                    f"the evidence {digest[:12]} was changed after it was recorded", hint="run captain verify"
                )
            return found
        return None

    def _bodies(self, run: str | None, after: int) -> Iterator[tuple[int, str]]:
        where, values = ("run = ? AND ", [run]) if run is not None else ("", [])
        while True:
            batch = self.rows(
                f"SELECT seq, body FROM entry WHERE {where}seq > ? ORDER BY seq LIMIT {_BATCH}", [*values, after]
            )
            yield from batch
            if len(batch) < _BATCH:
                return
            after = batch[-1][0]

    def _decoded(self, seq: int, body: Any) -> Recorded:
        try:
            return decode(body)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise LogError(
                f"entry {seq} of the log {self.path} cannot be read; it was not written by captain like this",
                hint="run captain verify",
            ) from error
