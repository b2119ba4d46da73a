"""A log in a directory of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from captain.log.store import Log
from tests.log_parts import KAREN, HandClock, note


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "log.sqlite"


@pytest.fixture
def log(log_path: Path, clock: HandClock) -> Iterator[Log]:
    with Log.open(log_path, clock=clock, actor=KAREN) as opened:
        yield opened


@pytest.fixture
def ten(log: Log, log_path: Path) -> Path:
    """A closed log of ten entries."""
    for number in range(2, 11):
        log.append([note(f"note number {number}")], actor=KAREN)
    log.close()
    return log_path
