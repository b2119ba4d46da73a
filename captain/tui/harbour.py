"""What the bridge shows and opens: runs in the log, the service at hand, and engines over them.

`look` blocks and belongs in a thread; nothing heavy is imported before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
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
    from captain.run.view import View
    from captain.score.past import Then

REVIEW_EVERY = timedelta(minutes=5)
"""How long a review that nobody wrote in is not read again: HEAD may have moved meanwhile."""
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
    """The newest first; reviews, which always stand, behind all releases."""
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

    @property
    def review(self) -> Run | None:
        """The review that is shown: of a protected environment before others, the newest before older ones."""
        found = [run for run in self.open if run.standing]
        return next((run for run in found if run.protected), found[0] if found else None)


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A review as it was read last."""

    run: Run
    view: View | None
    past: tuple[Then, ...] = ()
    trouble: str | None = None
    """Why it cannot be scored."""


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
        self._reviewed: Reviewed | None = None

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
            "open": tuple(sorted((run for run in folded if not run.ended), key=lambda run: run.standing)),
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

    async def reviewed(self, run: Run) -> Reviewed:
        """How a review stands now, by the files it is pinned to. Read again only where something was written since."""
        kept, now = self._reviewed, self.clock.now()
        same = kept is not None and kept.view is not None and (kept.run.id, kept.run.entries) == (run.id, run.entries)
        if kept is None or not same or kept.view is None or now - kept.view.now > REVIEW_EVERY:
            try:
                self._reviewed = kept = await self._read_review(run)
            except CaptainError as error:
                self._reviewed = kept = Reviewed(run, None, trouble=error.message)
        return kept if kept.view is None else replace(kept, view=replace(kept.view, now=now))

    async def _read_review(self, run: Run) -> Reviewed:
        from captain.tui.reading import past_of

        engine = await asyncio.to_thread(self._engine, lambda event: None, run.checklist, run.environment, True)
        try:
            await engine.resume(run.id, quiet=True)
            view = engine.view()
        finally:
            await engine.close()
        return Reviewed(run, view, await asyncio.to_thread(past_of, self.settings.log, view))

    def _engine(
        self, publish: Callable[[Event], None], checklist: str, environment: str, read_only: bool = False
    ) -> Engine:
        from captain.engine import Engine
        from captain.loader import load
        from captain.log.store import Log

        target = load(checklist, environment, cwd=self.cwd)
        actor = self.actor
        read_only = read_only or self.read_only
        log = Log.open(self.settings.log, clock=self.clock, actor=actor, read_only=read_only)
        try:
            return Engine(
                target,
                log,
                settings=self.settings,
                actor=actor,
                publish=publish,
                clock=self.clock,
                environ=self.environ,
                read_only=read_only,
                trust=self.trust,
            )
        except BaseException:
            log.close()
            raise
