"""What log tests are made of: a clock that is moved by hand, an actor, a note, and a way round captain's guards."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from captain.events import Actor, Draft

KAREN = Actor("karen@example.com", "git", "karen", 1000, "deploy-1")


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds

    def pass_time(self, seconds: float) -> None:
        """Both clocks go on."""
        self.wall += timedelta(seconds=seconds)
        self.seconds += seconds

    def jump(self, seconds: float) -> None:
        """Only the wall clock is set."""
        self.wall += timedelta(seconds=seconds)


def note(text: str = "all quiet", run: str = "shop-production-1.4.0") -> Draft:
    """An entry that says something."""
    return Draft("step.note", run, {"step": None, "text": text, "evidence": []})


@contextmanager
def intruder(path: Path) -> Iterator[sqlite3.Connection]:
    """Any other program with write access to the file."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()
