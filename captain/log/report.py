"""What a verification found. Plain values; prints nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Outcome = Literal["read", "not a log", "cannot read"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as captain left it, or worth knowing."""

    seq: int | None
    """The entry concerned."""
    what: str
    """A sentence, safe to show."""
    severity: Literal["finding", "note"] = "finding"

    def __str__(self) -> str:
        where = f"entry {self.seq}: " if self.seq is not None else ""
        return where + self.what


@dataclass(frozen=True, slots=True)
class Upto:
    """How far a verification came: what the next one goes on from, in memory only."""

    log_id: str
    seq: int
    hash: bytes
    """Of entry `seq`."""
    edge: tuple[bytes, ...]
    """Of the tree over entries 1 to `seq`."""
    ts: str


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one verification."""

    path: Path
    outcome: Outcome
    findings: tuple[Finding, ...]
    """In the order they were met; the list is cut after some hundred."""
    entries: int
    """Entries read, from the first one on."""
    root: str | None = None
    """RFC 6962 root over these entries, 64 hex digits: with `entries` the head to keep elsewhere."""
    upto: Upto | None = None
    """Where `verify_from` goes on; None unless everything so far is intact."""

    @property
    def exit_code(self) -> int:
        """0 intact, or with notes; 1 tampered or damaged; 2 not a log; 3 cannot be read."""
        if self.outcome == "not a log":
            return 2
        if self.tampered:
            return 1
        return 0 if self.outcome == "read" else 3

    @property
    def tampered(self) -> bool:
        """Whether something was changed, not merely unreadable."""
        return self.outcome == "read" and any(finding.severity == "finding" for finding in self.findings)

    @property
    def state(self) -> Literal["intact", "tampered", "unreadable"]:
        """The word for the screen's header."""
        if self.outcome != "read":
            return "unreadable"
        return "tampered" if self.tampered else "intact"

    @property
    def first_bad(self) -> int | None:
        """The lowest entry that a finding names."""
        return min((f.seq for f in self.findings if f.severity == "finding" and f.seq is not None), default=None)

    @property
    def why(self) -> str | None:
        """The sentence to show beside a state other than intact."""
        worst = [finding for finding in self.findings if finding.severity == "finding"]
        named = [finding for finding in worst if finding.seq is not None and finding.seq == self.first_bad]
        return str((named or worst)[0]) if worst else None
