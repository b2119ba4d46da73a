"""Which run a name means, and what the log says of runs in one line. Reads the log, opens no files of the service."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from captain.errors import LogError, NotALog, UsageError
from captain.events import Recorded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from captain.commands.shared.options import Common
    from captain.log.store import Log

BEING_MADE = 1.0
"""Seconds for which an empty log may become one: whoever makes it writes its first entry next."""


@dataclass(frozen=True, slots=True)
class Row:
    """One run, from its first and last entries."""

    start: Recorded
    end: Recorded | None
    rollback: Recorded | None
    """The newest beginning or end of a rollback."""

    @property
    def run(self) -> str:
        return self.start.run

    @property
    def open(self) -> bool:
        return self.end is None

    @property
    def state(self) -> str:
        """As `captain.run.Run.state` would say."""
        if self.end is not None:
            return str(self.end.data["state"])
        if self.rollback is None:
            return "open"
        return "rolling_back" if self.rollback.type == "rollback.intent" else str(self.rollback.data["state"])

    def plain(self) -> dict[str, Any]:
        """The row that `history --format json` writes."""
        data = self.start.data
        return {
            "run": self.run,
            "kind": data["kind"],
            "service": data["service"],
            "environment": data["environment"],
            "version": data["version"],
            "commit": data["commit"],
            "state": self.state,
            "verdict": self.end.data["verdict"] if self.end is not None else None,
            "started_at": self.start.ts,
            "ended_at": self.end.ts if self.end is not None else None,
            "by": self.start.actor.name,
        }


def rows(log: Log) -> list[Row]:
    """Every run, newest first."""
    starts: list[Recorded] = []
    ends: dict[str, Recorded] = {}
    rollbacks: dict[str, Recorded] = {}
    for event in log.by_type("run.start", "run.end", "rollback.intent", "rollback.end"):
        if event.type == "run.start":
            starts.append(event)
        elif event.type == "run.end":
            ends[event.run] = event
        else:
            rollbacks[event.run] = event
    return [Row(one, ends.get(one.run), rollbacks.get(one.run)) for one in reversed(starts)]


def find(known: Sequence[Row], name: str | None, service: str | None, *, checks: bool = False) -> Row:
    """The run of an exact id or a unique prefix; without a name the only open one of the service.

    A prefix means a check only with `checks`, and where no release begins like that. Raises UsageError with the list.
    """
    exact = next((one for one in known if one.run == name), None)
    if exact is not None:
        return exact
    meant = [one for one in known if one.start.data["kind"] != "check"]
    if name is not None:
        found = [one for one in meant if one.run.startswith(name)]
        if checks and not found:
            found = [one for one in known if one.run.startswith(name)]
    else:
        found = unnamed([one for one in meant if one.open and service in (None, one.start.data["service"])])
    if len(found) == 1:
        return found[0]
    if not found:
        what = f"there is no run {name[:100]!r} in this log" if name is not None else "there is no open run"
        raise UsageError(what, hint="captain history lists them")
    listed = ", ".join(one.run for one in found[:8]) + (", …" if len(found) > 8 else "")
    raise UsageError(f"which run? {listed}", hint="name one, or enough of its beginning")


def unnamed(found: Sequence[Row]) -> list[Row]:
    """Of open runs those that are meant without a name: a review always stands beside them, and is named."""
    releases = [one for one in found if one.start.data["kind"] != "standing"]
    return releases or list(found)


@contextmanager
def reading(common: Common, *, made_later: bool = False) -> Iterator[Log | None]:
    """The log for reading; None where this user has none yet. One that was named must be there, unless `made_later`."""
    path = common.settings().log
    if not path.exists() and not path.is_symlink():
        if not made_later and (common.log is not None or common.environ.get("CAPTAIN_LOG")):
            raise LogError(f"there is no log at {path}", hint="the first run makes it")
        yield None
        return
    with open_reading(path, common) as log:
        yield log


def open_reading(path: Path, common: Common) -> Log:
    """The log for reading. One that another captain is just making is waited for.

    Raises LogError.
    """
    from time import monotonic, sleep

    from captain.clock import SystemClock
    from captain.log.store import Log

    end = monotonic() + BEING_MADE
    while True:
        empty = _empty(path)
        try:
            return Log.open(path, clock=SystemClock(), read_only=True, actor=common.actor())
        except NotALog as problem:
            if not empty:
                raise
            if monotonic() >= end:
                raise NotALog(
                    f"the log {path} is empty: it is being made, or it is none",
                    hint="try again; if it stays empty, name a captain log with --log",
                ) from problem
        sleep(0.02)


def _empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:
        return False


def service_here(common: Common, *, assumed: bool = False) -> str | None:
    """The service whose captain.yaml is at hand; None where there is none, or none that can be read.

    With `assumed` the one that a check takes where there is none: it is called as the folder is.
    """
    from captain.errors import CaptainError
    from captain.loader import load_service

    try:
        home = load_service(common.cwd)
    except CaptainError:
        return None
    return home.service.service if home.declared or assumed else None


def words(given: Iterable[str], *names: str) -> tuple[str, ...]:
    """Take `[RUN] NAME…` apart: the run may be left out. "" stands for a run that was."""
    found = tuple(given)
    if len(found) == len(names):
        return ("", *found)
    if len(found) == len(names) + 1:
        return found
    expected = " ".join(("[RUN]", *names))
    raise UsageError(f"expected {expected}, got {len(found)} word{'' if len(found) == 1 else 's'}")
