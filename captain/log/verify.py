"""Is the log as captain wrote it? Reads any file whatever, never writes, never raises.

It shows edits, gaps, foreign rows and changed tables. It cannot show that the whole file was rewritten from some
entry on, or that entries were cut off its end: for that a head (size and root) must have been kept elsewhere.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from captain.errors import LogError, NotALog
from captain.log import guard
from captain.log.connection import pragma, schema_rows
from captain.log.entries import COLUMNS, Chain, evidence_named
from captain.log.report import Finding, Outcome, Report, Upto
from captain.log.schema import FORMAT, Row, differences, has_entries_table
from captain.log.source import Source, source
from captain.log.trouble import UNREADABLE
from captain.safe import safe

_BATCH = 500
_EVIDENCE_BATCH = 16
_MOST_FINDINGS = 200

Progress = Callable[[int, int], None]
"""Called with entries done and entries there are."""


def verify(path: Path, *, progress: Progress | None = None) -> Report:
    """Check everything in the log at `path`."""
    return _Verification(path, None, progress).run()


def verify_from(path: Path, upto: Upto, *, progress: Progress | None = None) -> Report:
    """Check the entries behind `upto`, that the ones before are still in front of them, and the tables.

    Leaves out what needs the whole file: the database's own integrity check and evidence recorded earlier.
    """
    return _Verification(path, upto, progress).run()


class _Verification:
    """One pass over one file."""

    def __init__(self, path: Path, upto: Upto | None, progress: Progress | None) -> None:
        self.path = path
        self.since = upto
        self.progress = progress
        self.findings: list[Finding] = []
        self.chain: Chain | None = None
        self.gone: list[int] = []
        """Entries whose evidence is no longer there."""

    def run(self) -> Report:
        outcome: Outcome = "read"
        try:
            self.path = guard.located(Path(self.path))
            with source(self.path) as found:
                self._all(found)
        except NotALog as error:
            outcome = "not a log"
            self._add(Finding(None, safe(error.message)))
        except (LogError, OSError) as error:
            outcome = "cannot read"
            self._add(Finding(None, f"cannot be read: {safe(error)}"))
        except UNREADABLE as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            outcome = "not a log" if code == sqlite3.SQLITE_NOTADB else self._broken_off()
            self._add(Finding(None, f"the database cannot be read{self._where()}: {safe(error)}"))
        except Exception as error:
            # A hostile file may hit a fault of captain's own. That is never a success, and never a traceback.
            outcome = self._broken_off()
            self._add(Finding(None, f"checking failed{self._where()}: {type(error).__name__}: {safe(error)}"))
        return self._report(outcome)

    def _broken_off(self) -> Outcome:
        return "read" if self.chain is not None and self.chain.seq else "cannot read"

    def _where(self) -> str:
        return f" after entry {self.chain.seq}" if self.chain is not None and self.chain.seq else ""

    def _add(self, finding: Finding) -> None:
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(finding)

    def _bad(self, what: str, seq: int | None = None) -> None:
        self._add(Finding(seq, what))

    def _note(self, what: str) -> None:
        self._add(Finding(None, what, "note"))

    def _all(self, found: Source) -> None:
        connection = found.connection
        if found.exposure:
            self._note(f"the file {safe(found.exposure)}")
        if found.wal or pragma(connection, "journal_mode") == b"wal":
            self._bad("the log was switched to write-ahead logging; captain never does that")
        if found.recovered:
            self._note("a crash left a write halfway; checked as it will be once that is undone")
        if not self._schema(connection):
            return
        if self.since is None:
            for (line,) in connection.execute("PRAGMA integrity_check(20)").fetchall():
                if line != b"ok":
                    self._bad(f"the database is damaged: {safe(_text(line), 300)}")
        log_id = self._identity(connection)
        self.chain = Chain(log_id, self.since, self._add)
        self._entries(connection, self.chain)
        if self.since is None:
            self._evidence(connection)
        self._missing_evidence()

    def _schema(self, connection: sqlite3.Connection) -> bool:
        """Whether the entries can be read."""
        rows: list[Row] = [(_text(a), _text(b), _text(c), _text(d)) for a, b, c, d in schema_rows(connection)]
        unlike = differences(rows)
        version = int(pragma(connection, "user_version"))
        if version > FORMAT and unlike:
            raise LogError(f"it has the format {version} of a newer captain; this one knows {FORMAT}")
        if version != FORMAT:
            self._bad(f"its format was changed to {version}; its tables are those of format {FORMAT}")
        for difference in unlike:
            self._bad(difference)
        if has_entries_table(rows):
            return True
        if not any(row[1] == "entry" for row in rows):
            raise NotALog("it is not a captain log: it has no entries")
        self._bad("the table of entries was redefined, so its rows are not looked at")
        return False

    def _identity(self, connection: sqlite3.Connection) -> str:
        rows = connection.execute("SELECT one, log_id, format FROM log").fetchall()
        if len(rows) != 1 or rows[0][0] != 1 or rows[0][2] != FORMAT:
            self._bad("the log's identity was changed")
        log_id = _text(rows[0][1]) if rows else ""
        if self.since is not None and self.since.log_id != log_id:
            self._bad("another log lies in its place")
        return str(log_id)

    def _entries(self, connection: sqlite3.Connection, chain: Chain) -> None:
        total = connection.execute("SELECT max(seq) FROM entry NOT INDEXED").fetchone()[0] or 0
        if self.since is not None and self.since.seq:
            kept = connection.execute("SELECT hash FROM entry WHERE seq = ?", (self.since.seq,)).fetchone()
            if kept != (self.since.hash,):
                self._bad("it was there a moment ago, and is now gone or replaced", self.since.seq)
                return
        checkpoints = self._checkpoints(connection)
        while True:
            # One short read after the other: a long one would keep writers waiting.
            batch = connection.execute(
                f"SELECT {COLUMNS} FROM entry NOT INDEXED WHERE seq > ? ORDER BY seq LIMIT {_BATCH}", (chain.seq,)
            ).fetchall()
            before = chain.seq
            for row in batch:
                value = chain.check(row)
                if value is not None and b'"evidence":' in row[6]:
                    self._named(connection, chain.seq, value)
                if (root := checkpoints.pop(chain.seq, None)) is not None and root != chain.tree.root():
                    self._bad(f"the checkpoint of {chain.seq} entries does not match them", chain.seq)
            if self.progress is not None:
                self.progress(chain.seq, max(total, chain.seq))
            if len(batch) < _BATCH or chain.seq == before:
                break
        if not chain.seq:
            self._bad("the log has no entries, not even its first")
        for size in sorted(checkpoints):
            self._bad(f"the log was cut: it has {chain.seq} entries, a checkpoint says {size}")

    def _checkpoints(self, connection: sqlite3.Connection) -> dict[int, bytes]:
        rows = connection.execute("SELECT size, root FROM checkpoint").fetchall()
        since = self.since.seq if self.since else 0
        return {size: root for size, root in rows if isinstance(size, int) and size > since}

    def _named(self, connection: sqlite3.Connection, seq: int, value: dict[str, object]) -> None:
        for digest in evidence_named(value):
            try:
                key = bytes.fromhex(digest)
            except ValueError:
                continue
            # Behind `since` nobody else looks at the blob itself.
            columns = "salt, data" if self.since is not None else "1"
            row = connection.execute(f"SELECT {columns} FROM evidence WHERE digest = ?", (key,)).fetchone()
            if row is None:
                self.gone.append(seq)
            elif self.since is not None and sha256(row[0] + row[1]).digest() != key:
                self._bad("its evidence was changed", seq)

    def _evidence(self, connection: sqlite3.Connection) -> None:
        key = b""
        while True:
            batch = connection.execute(
                f"SELECT digest, salt, data FROM evidence WHERE digest > ? ORDER BY digest LIMIT {_EVIDENCE_BATCH}",
                (key,),
            ).fetchall()
            for digest, salt, data in batch:
                if not all(isinstance(value, bytes) for value in (digest, salt, data)):
                    self._bad("a piece of evidence is damaged")
                elif sha256(salt + data).digest() != digest:
                    self._bad(f"the evidence {digest.hex()[:12]} was changed")
            if len(batch) < _EVIDENCE_BATCH or not isinstance(batch[-1][0], bytes) or batch[-1][0] <= key:
                return
            key = batch[-1][0]

    def _missing_evidence(self) -> None:
        if self.gone:
            pieces = "1 piece" if len(self.gone) == 1 else f"{len(self.gone)} pieces"
            self._add(Finding(self.gone[0], f"{pieces} of evidence deleted, from this entry on", "note"))

    def _report(self, outcome: Outcome) -> Report:
        chain = self.chain
        intact = outcome == "read" and not any(finding.severity == "finding" for finding in self.findings)
        return Report(
            path=self.path,
            outcome=outcome,
            findings=tuple(self.findings),
            entries=chain.seq if chain is not None else 0,
            root=chain.tree.root().hex() if chain is not None and intact else None,
            upto=chain.upto if chain is not None and intact else None,
        )


def _text(value: object) -> str | None:
    """Text of a hostile file."""
    if value is None:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
