"""What the bridge shows and opens: runs in the log, the service at hand, and engines over them.

`look` blocks and belongs in a thread; nothing heavy is imported before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain.clock import Clock, SystemClock
from captain.errors import CaptainError
from captain.events import Actor, Event
from captain.measurement import Verdict, worst
from captain.run import Run, fold
from captain.run.expiring import Expiring, expiring
from captain.settings import Settings

if TYPE_CHECKING:
    from captain.engine import Engine

MOST_RUNS = 40
"""Newest runs that are read whole; history has all of them."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Everything the bridge knows at one moment."""

    now: datetime
    service: str | None = None
    declared: bool = False
    """Whether there is a captain.yaml."""
    environments: tuple[tuple[str, bool], ...] = ()
    """Name, and whether it is protected."""
    checklists: tuple[str, ...] = ()
    standing: frozenset[str] = frozenset()
    """Those of them that take no version."""
    open: tuple[Run, ...] = ()
    """The newest first."""
    recent: tuple[Run, ...] = ()
    total: int = 0
    """Runs in the log that are no checks."""
    trouble: str | None = None
    """Why captain.yaml or the log cannot be read."""
    ends: tuple[Expiring, ...] = field(default=())
    """Waivers and sign-offs of the newest runs that end soon, the next first."""

    @property
    def running(self) -> tuple[Run, ...]:
        """The last completed run of each environment: what is out there, as far as the log knows."""
        newest: dict[tuple[str, str], Run] = {}
        for run in self.recent:
            if run.state in ("completed", "rolled_back"):
                newest.setdefault((run.service, run.environment), run)
        return tuple(run for run in newest.values() if run.state == "completed")


def open_verdicts(run: Run) -> list[Verdict]:
    """What was measured last of the steps that no closed gate has counted and nobody took out."""
    counted = {
        one["step"] for decision in run.decisions.values() if decision.go for one in decision.event.data["counted"]
    }
    waived = {one.step for one in run.waivers if one.seq not in run.withdrawn}
    out = {one.target for one in run.sign_offs if one.meaning == "not_applicable" and one.seq not in run.withdrawn}
    return [result.verdict for step, result in run.results.items() if step not in counted | waived | out]


def verdict_of(run: Run) -> Verdict:
    """The worst of what was measured last and is still open; for an ended run what its end says."""
    return worst(open_verdicts(run)) if run.end is None else Verdict(run.end.data["verdict"])


def _ended(run: Run) -> datetime:
    return run.start.at if run.end is None else run.end.at


class Harbour:
    """One log, and the folder captain was started in."""

    def __init__(
        self,
        settings: Settings,
        cwd: Path,
        actor: Callable[[], Actor],
        *,
        environ: Mapping[str, str],
        read_only: bool = False,
        trust: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`actor` is asked once, in a thread: it may start git."""
        self.settings = settings
        self.cwd = cwd
        self.environ = environ
        self.read_only = read_only
        self.trust = trust
        self.clock: Clock = clock or SystemClock()
        self._identify = actor
        self._actor: Actor | None = None

    @property
    def actor(self) -> Actor:
        if self._actor is None:
            self._actor = self._identify()
        return self._actor

    def look(self) -> Sight:
        """Read the log and captain.yaml. Blocking. What cannot be read is said in the sight, never raised."""
        found: dict[str, Any] = {"now": self.clock.now()}
        trouble = []
        try:
            found |= self._files()
        except CaptainError as error:
            trouble.append(error.message)
        try:
            found |= self._runs(found.get("service"), found.get("declared", False), found["now"])
        except CaptainError as error:
            trouble.append(error.message)
        return Sight(**found, trouble="; ".join(trouble) or None)

    def _files(self) -> dict[str, Any]:
        from captain.loader import load_service

        home = load_service(self.cwd)
        declared = home.service.environments
        return {
            "service": home.service.service,
            "declared": home.declared,
            "environments": tuple((name, one.protected) for name, one in declared.items()),
            "checklists": tuple(home.checklists),
            "standing": home.standing,
        }

    def _runs(self, service: str | None, declared: bool, now: datetime) -> dict[str, Any]:
        from captain.log.store import Log

        if not self.settings.log.exists():
            return {}
        with Log.open(self.settings.log, clock=self.clock, read_only=True) as log:
            starts = [
                event
                for event in log.by_type("run.start", newest_first=True)
                if event.data["kind"] != "check" and (not declared or event.data["service"] == service)
            ]
            folded = [run for event in starts[:MOST_RUNS] if (run := fold(log.entries(run=event.run))) is not None]
        return {
            "open": tuple(run for run in folded if not run.ended),
            "recent": tuple(sorted((run for run in folded if run.end), key=_ended, reverse=True)),
            "total": len(starts),
            "ends": tuple(expiring(folded, now)),
        }

    async def open(
        self,
        publish: Callable[[Event], None],
        *,
        checklist: str,
        environment: str,
        version: str | None = None,
        run: str | None = None,
        inputs: Mapping[str, str] | None = None,
    ) -> Engine:
        """An engine over one run: `run` is resumed, else the release of that version is started or resumed."""
        engine: Engine = await asyncio.to_thread(self._engine, publish, checklist, environment)
        try:
            if run is not None:
                await engine.resume(run)
            else:
                standing = engine.target.checklist.per == "service"
                await engine.open(None if standing else version, inputs=inputs)
        except BaseException:
            await engine.close()
            raise
        return engine

    def _engine(self, publish: Callable[[Event], None], checklist: str, environment: str) -> Engine:
        from captain.engine import Engine
        from captain.loader import load
        from captain.log.store import Log

        target = load(checklist, environment, cwd=self.cwd)
        actor = self.actor
        log = Log.open(self.settings.log, clock=self.clock, actor=actor, read_only=self.read_only)
        try:
            return Engine(
                target,
                log,
                settings=self.settings,
                actor=actor,
                publish=publish,
                clock=self.clock,
                environ=self.environ,
                read_only=self.read_only,
                trust=self.trust,
            )
        except BaseException:
            log.close()
            raise
