"""Plays the demo's story unattended through the same engine, and tells it line by line."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from captain.demo import CHECKLIST, ENVIRONMENT, GOOD, NEW
from captain.demo.world import World
from captain.errors import Refusal
from captain.events import Event, Output
from captain.measurement import Verdict
from captain.run.status import status
from captain.safe import safe

if TYPE_CHECKING:
    from captain.engine import Engine

WIDTH = 100
"""No line of the story is longer."""
TITLES = 29
GLYPHS = {Verdict.PASS: "✓ pass   ", Verdict.WARN: "! warn   ", Verdict.UNKNOWN: "? unknown", Verdict.FAIL: "✗ FAIL   "}


class Story:
    """One telling. `say` gets each line; `missed` is what did not come out as the story has it."""

    def __init__(self, world: World, say: Callable[[str], None]) -> None:
        self.world = world
        self.missed: list[str] = []
        self._say = say
        self._began = time.monotonic()

    async def tell(self) -> bool:
        """True when every expected verdict came out."""
        engine = open_engine(self.world, self._heard)
        try:
            await self._forward(engine)
            if not self.missed:
                await self._back(engine)
        finally:
            await engine.close()
        self._verify()
        self._tell("")
        if self.missed:
            for one in self.missed:
                self._tell(f"  unexpected: {one}")
            return False
        took = round(time.monotonic() - self._began)
        self._tell(f"That was a whole release, there and back, in {took} s. Now drive it yourself: captain demo")
        self._tell("Is your own service ready for production? captain check readiness measures it.")
        return True

    async def _forward(self, engine: Engine) -> None:
        self._tell(f"shop {GOOD} runs in {ENVIRONMENT}. {NEW} is to be released.", "")
        await begin(engine)
        self._tell("Pre-deployment. captain measures what a machine can know; a person signs the rest.")
        await engine.measure_section("pre")
        self._expect(engine, Verdict.PASS, "no-uncommitted-changes", "release-notes", "healthy-before")
        await engine.sign("on-call-told", "approve", "told by phone")
        self._expect(engine, Verdict.PASS, "on-call-told")
        await self._refused("a go without the environment's name", lambda: engine.gate("pre", "go"))
        await engine.gate("pre", "go", note="ready", confirmed=ENVIRONMENT)
        self._tell(f"  go, with the name {ENVIRONMENT} typed. The way back to {GOOD} is recorded and proved.", "")
        self._tell(f"Deployment. The action runs; captain itself looks for {NEW}.")
        await engine.act("roll-out", confirmed=ENVIRONMENT)
        self._expect(engine, Verdict.PASS, "roll-out")
        await engine.gate("deploy", "go")
        self._tell("  go", "")
        self._tell("Post-deployment. The new version is there and /healthz is fine. Is the shop?")
        await engine.measure_section("post")
        self._expect(engine, Verdict.PASS, "version-answers")
        self._expect(engine, Verdict.FAIL, "checkout-works", "errors-low")
        await self._refused("the last go", lambda: engine.gate("post", "go", confirmed=ENVIRONMENT))
        self._tell("")

    async def _back(self, engine: Engine) -> None:
        plan = await engine.plan_rollback()
        self._tell(f"R. Back to {plan.to.label}, exactly by the plan that is shown:")
        for part in plan.parts:
            for line in part.lines:
                self._tell(f"  {line.verb:<8}{line.text}")
        await engine.roll_back(plan, confirmed=ENVIRONMENT, cause="checkout answers 500")
        run = engine.run
        assert run is not None
        for result in run.verified.values():
            self._step(result.verdict, engine, result.step, result.message)
        if run.state != "rolled_back":
            self.missed.append(f"the run ended {run.state}")
        self._tell(f"  {run.state.replace('_', ' ')}. {GOOD} answers again, measured after the way back.", "")

    def _verify(self) -> None:
        from captain.log.verify import verify

        report = verify(self.world.settings.log)
        intact = report.exit_code == 0
        self._tell(f"captain verify: the log is {'intact' if intact else 'NOT INTACT'}, {report.entries} entries.")
        if not intact:
            self.missed.append(f"verify: {[str(one) for one in report.findings]}")

    def _expect(self, engine: Engine, verdict: Verdict, *steps: str) -> None:
        view = engine.view()
        for step_id in steps:
            found = view.step(step_id)
            assert found is not None
            seen = status(view, found[1])
            self._step(seen.verdict, engine, step_id, seen.message)
            if seen.verdict is not verdict:
                self.missed.append(f"{step_id} is {seen.verdict.value}, not {verdict.value}: {seen.message}")

    def _step(self, verdict: Verdict, engine: Engine, step: str, message: str) -> None:
        found = engine.view().step(step.rpartition("/")[2])
        title = found[1].title if found is not None else step
        self._tell(f"  {GLYPHS[verdict]} {title:<{TITLES}}  {message}")

    async def _refused(self, what: str, call: Callable[[], Awaitable[object]]) -> None:
        try:
            await call()
        except Refusal as refusal:
            self._tell(f"  refused: {what}", f"           {refusal.message}")
        else:
            self.missed.append(f"{what} was not refused")

    def _heard(self, event: Event) -> None:
        if isinstance(event, Output):
            self._tell(f"    | {event.text}")

    def _tell(self, *lines: str) -> None:
        for line in lines:
            self._say(safe(line, WIDTH - 1))  # what is cut off leaves a …


def open_engine(world: World, publish: Callable[[Event], None], *, read_only: bool = False) -> Engine:
    """An engine over the demo's world."""
    from captain.clock import SystemClock
    from captain.engine import Engine
    from captain.loader import load
    from captain.log.store import Log

    target = load(CHECKLIST, ENVIRONMENT, cwd=world.root)
    log = Log.open(world.settings.log, clock=SystemClock(), actor=world.actor, read_only=read_only)
    return Engine(target, log, settings=world.settings, actor=world.actor, publish=publish, environ=world.environ())


async def begin(engine: Engine) -> str:
    """Open the run. The demo brought its commands along, so it accepts them itself."""
    run_id = await engine.open(NEW)
    request = engine.trust()
    if request is not None:
        await engine.accept(request.digest)
    return run_id
