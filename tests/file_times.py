"""Waits until files are older than now, by the clock that files are dated by."""

from __future__ import annotations

import time
from pathlib import Path

from captain.systems.resting import clock


def until_dated_before_now(*paths: Path) -> None:
    """What changes in the same tick of that clock cannot be told from what changed while it was looked at."""
    newest = max(time_ns for path in paths for time_ns in (path.stat().st_ctime_ns, path.parent.stat().st_mtime_ns))
    while clock() <= newest:
        time.sleep(0.001)
