"""What a forge said, counted and named as conditions see it. Asks nothing, judges nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from captain.measurement import Value
from captain.systems.ci.forge import Tally


class Found:
    """What one mode came to."""

    def __init__(self, about: str = "", lines: Iterable[str] = ()) -> None:
        self.observed: dict[str, Value] = {}
        self.about = about
        self.lines = list(lines)
        self.notes: list[str] = []

    def count(self, counted: Tally, *, missing: bool = True, over: bool = False) -> None:
        """The counts, as far as anything is there to be counted.

        None has failed, or succeeded, is not known while some are not over, but where only what is `over` counts.
        """
        observed: dict[str, Value] = {"total": counted.total}
        if missing and (counted.total or counted.missing):
            observed |= {"missing_count": len(counted.missing), "missing": list(counted.missing)}
        if counted.total:
            observed |= {
                "success": counted.count("success"),
                "failed_count": counted.count("failed"),
                "pending_count": counted.count("pending"),
                "neutral": counted.count("neutral"),
                "skipped": counted.count("skipped"),
                "failed_allowed_count": counted.count("allowed"),
                "failed": list(counted.names["failed"]),
                "pending": list(counted.names["pending"]),
                "failed_allowed": list(counted.names["allowed"]),
            }
            if counted.count("pending") and not counted.count("failed") and not over:
                del observed["failed_count"]
                if not observed["success"]:
                    del observed["success"]
                self.notes.append("not all is over yet: ask again, or let the step wait with `within`")
        self.observed |= observed

    def show(self, things: Iterable[tuple[str, str, str]]) -> None:
        """One line each for the evidence, and the pages to look at."""
        kept = list(things)
        self.lines += [" ".join(part for part in (name, said, url) if part) for name, said, url in kept]
        if urls := [url for *_, url in kept if url.startswith(("https://", "http://"))]:
            self.observed["urls"] = list(urls)


def since(moment: datetime, now: datetime) -> timedelta:
    """The age of something; clocks that differ make nothing younger than now."""
    return max(now - moment, timedelta(0))
