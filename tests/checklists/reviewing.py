"""Steps of the shipped readiness review through the real engine, over a repository and systems of a test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from captain.clock import SystemClock
from captain.engine import Engine
from captain.events import Actor
from captain.loader import load
from captain.log.store import Log
from captain.run import allowed
from captain.run.status import Status, status
from captain.settings import Settings

SHIPPED = Path(__file__).parents[2] / "checklists" / "readiness.yaml"
Said = tuple[str, str]
"""A verdict and its message."""
ME = Actor("karen@example.com", "flag", "karen", 1000, "testhost")


@dataclass
class Review:
    """The shipped review of one repository."""

    root: Path
    params: Mapping[str, str] = field(default_factory=dict)
    """CEL, as an environment overrides them."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    allow: str = ""
    """What the environment allows besides reading: `active`."""

    def _engine(self) -> Engine:
        lines = "".join(f"      {name}: {text!r}\n" for name, text in self.params.items())
        params = f"    params:\n{lines}" if lines else ""
        names = "DATABASE_URL, SCRATCH_DATABASE_URL, REDIS_URL, GITHUB_TOKEN, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
        (self.root / "captain.yaml").write_text(
            f"service: shop\nsecrets: [{names}]\nenvironments:\n  staging:\n    allow: [{self.allow}]\n{params}"
        )
        state = self.root.parent / "state"
        state.mkdir(mode=0o700, exist_ok=True)
        log = Log.open(state / "log.sqlite", clock=SystemClock(), actor=ME)
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.root), **self.environ, **self.secrets}
        return Engine(
            load(str(SHIPPED), "staging", cwd=self.root),
            log,
            settings=Settings(state / "log.sqlite"),
            actor=ME,
            publish=lambda _: None,
            environ=environ,
        )

    async def measure(self, *steps: str) -> dict[str, Said]:
        """Verdict and message of these steps, each asked once as a check asks; of all where none is named."""
        engine = self._engine()
        try:
            await engine.open(None)
            if (request := engine.trust()) is not None:
                await engine.accept(request.digest)
            asked = [one for _, one in engine.target.checklist.steps()]
            may = [one for one in asked if steps or allowed.measure(engine.view(), one) is None]
            wanted = [one for one in may if not steps or one.id in steps]
            await asyncio.gather(*(engine.measure(one.id) for one in wanted if not one.after))
            for one in wanted:
                if one.after:
                    await engine.measure(one.id)
            results = engine.view().run.results
            return {one.id: (results[one.id].verdict.value, results[one.id].message) for one in wanted}
        finally:
            await engine.close()

    async def verdict(self, step: str) -> Said:
        """Verdict and message of one step."""
        return (await self.measure(step))[step]

    async def act(self, step: str) -> Said:
        """Verdict and message of a step that does more than read, run by itself."""
        engine = self._engine()
        try:
            await engine.open(None)
            if (request := engine.trust()) is not None:
                await engine.accept(request.digest)
            await engine.act(step)
            found = self._status(engine, step)
            return found.verdict.value, found.message
        finally:
            await engine.close()

    async def status(self, step: str, *, sign: bool = False) -> Status:
        """How the step stands after it was asked, and with `sign` after somebody signed it with evidence."""
        engine = self._engine()
        try:
            await engine.open(None)
            await engine.measure(step)
            if sign:
                await engine.sign(step, "approve", "seen", ["https://example.com/evidence"])
            return self._status(engine, step)
        finally:
            await engine.close()

    async def standing(self, step: str) -> Status:
        """How the step stands without being asked."""
        engine = self._engine()
        try:
            await engine.open(None)
            return self._status(engine, step)
        finally:
            await engine.close()

    def _status(self, engine: Engine, step: str) -> Status:
        view = engine.view()
        at = view.step(step)
        assert at is not None
        return status(view, at[1])
