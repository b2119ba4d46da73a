"""Plays the demo's story unattended through the same engine, and tells it on stdout."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
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

GLYPHS = {Verdict.PASS: "✓ pass   ", Verdict.WARN: "! warn   ", Verdict.UNKNOWN: "? unknown", Verdict.FAIL: "✗ FAIL   "}


class Story:
    """One telling. `say` gets each line; `missed` is what did not come out as the story has it."""

    def __init__(self, world: World, say: Callable[[str], None]) -> None:
        self.world = world
        self.say = say
        self.missed: list[str] = []
        self._began = time.monotonic()

    async def tell(self) -> bool:
        """True when every expected verdict came out."""
        engine = open_engine(self.world, self._heard)
        try:
            await self._forward(engine)
            await self._back(engine)
        finally:
            await engine.close()
        self._verify()
        took = timedelta(seconds=round(time.monotonic() - self._began))
        self.say("")
        if self.missed:
            for one in self.missed:
                self.say(f"  unexpected: {one}")
            return False
        self.say(f"That was the whole release, there and back, in {took.seconds} s. Now drive it: captain demo")
        return True

    async def _forward(self, engine: Engine) -> None:
        self.say(f"shop {GOOD} runs in {ENVIRONMENT}. {NEW} is to be released.\n")
        await begin(engine)
        self.say("Pre-deployment: captain measures what a machine can know, a person signs the rest.")
        await engine.measure_section("pre")
        self._expect(engine, Verdict.PASS, "no-uncommitted-changes", "release-notes", "healthy-before")
        await engine.sign("on-call-told", "approve", "told by phone")
        self._expect(engine, Verdict.PASS, "on-call-told")
        await self._refused("the go without the environment's name", lambda: engine.gate("pre", "go"))
        await engine.gate("pre", "go", note="ready", confirmed=ENVIRONMENT)
        self.say(f"  go, with the name {ENVIRONMENT} typed. The way back to {GOOD} is recorded.\n")
        self.say(f"Deployment: the action runs, and captain looks for {NEW} by itself.")
        await engine.act("roll-out", confirmed=ENVIRONMENT)
        self._expect(engine, Verdict.PASS, "roll-out")
        await engine.gate("deploy", "go")
        self.say("  go\n")
        self.say("Post-deployment: the version is there and /healthz is fine. Is the shop?")
        await engine.measure_section("post")
        self._expect(engine, Verdict.PASS, "version-answers")
        self._expect(engine, Verdict.FAIL, "checkout-works", "errors-low")
        await self._refused("the go", lambda: engine.gate("post", "go", confirmed=ENVIRONMENT))

    async def _back(self, engine: Engine) -> None:
        self.say("")
        plan = await engine.plan_rollback()
        self.say(f"R: back to {plan.to.label}.")
        for part in plan.parts:
            for line in part.lines:
                self.say(f"  {line.verb:7} {safe(line.text)}")
        await engine.roll_back(plan, confirmed=ENVIRONMENT, cause="checkout answers 500")
        run = engine.run
        assert run is not None
        for result in run.verified.values():
            self.say(f"  {GLYPHS[result.verdict]} {safe(result.step)}  {safe(result.message, 80)}")
        if run.state != "rolled_back":
            self.missed.append(f"the run ended {run.state}")
        self.say(f"  {run.state.replace('_', ' ')}: {GOOD} answers again, and the log can prove it.")

    def _verify(self) -> None:
        from captain.log.verify import verify

        report = verify(self.world.settings.log)
        self.say(f"\ncaptain verify: {'intact' if report.exit_code == 0 else 'NOT INTACT'}, {report.entries} entries")
        if report.exit_code != 0:
            self.missed.append(f"verify: {[str(one) for one in report.findings]}")

    def _expect(self, engine: Engine, verdict: Verdict, *steps: str) -> None:
        view = engine.view()
        for step_id in steps:
            found = view.step(step_id)
            assert found is not None
            seen = status(view, found[1])
            self.say(f"  {GLYPHS[seen.verdict]} {found[1].title}  {safe(seen.message, 80)}")
            if seen.verdict is not verdict:
                self.missed.append(f"{step_id} is {seen.verdict.value}, not {verdict.value}: {safe(seen.message)}")

    async def _refused(self, what: str, call: Callable[[], object]) -> None:
        try:
            await call()  # type: ignore[misc]
        except Refusal as refusal:
            self.say(f"  refused: {what} ({safe(refusal.message, 100)})")
        else:
            self.missed.append(f"{what} was not refused")

    def _heard(self, event: Event) -> None:
        if isinstance(event, Output):
            self.say(f"    | {safe(event.text, 100)}")


def open_engine(world: World, publish: Callable[[Event], None], *, read_only: bool = False) -> Engine:
    """An engine over the demo's world."""
    from captain.clock import SystemClock
    from captain.engine import Engine
    from captain.loader import load
    from captain.log.store import Log

    target = load(CHECKLIST, ENVIRONMENT, cwd=world.root)
    log = Log.open(world.settings.log, clock=SystemClock(), actor=world.actor, read_only=read_only)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return Engine(target, log, settings=world.settings, actor=world.actor, publish=publish, environ=environ)


async def begin(engine: Engine) -> str:
    """Open the run. The demo brought its commands along, so it accepts them itself."""
    run_id = await engine.open(NEW)
    request = engine.trust()
    if request is not None:
        await engine.accept(request.digest)
    return run_id
