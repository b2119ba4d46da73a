"""A kind of probe that does more than read: it writes down what it does, waits as long as it is told, and cleans up.

As a program (`python -m tests.stirring ROOT`) a captain to be killed in the middle of it; on stdout `begun`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypedDict

from captain.fields import Text
from captain.measurement import Measurement, Safety
from captain.probes import Context, Probe, probe


@probe("stir")
class StirProbe(Probe):
    """Does the pot move when it is stirred?"""

    default_expect: ClassVar[tuple[str, ...]] = ("moved",)
    more_than_reading: ClassVar[str] = "always"

    level: Literal["read", "active", "drill"] = "drill"
    """What it does."""
    say: Text = "moved"
    """What it observes: moved, stuck, or nothing; `wait` waits until the file `go` is there."""

    class Observes(TypedDict, total=False):
        """What was seen."""

        moved: Annotated[bool, "whether it moved"]

    def asks(self) -> str:
        return f"stir the pot ({self.say})"

    def does(self) -> tuple[str, ...]:
        return (f"stirs the pot: {self.say}", "afterwards: wipes the spoon")

    @property
    def safety(self) -> Safety:
        return self.level

    async def measure(self, ctx: Context) -> Measurement:
        with (ctx.root / "stirred").open("a") as file:
            file.write(f"{ctx.run} {ctx.environment} begun\n")
        try:
            while self.say == "wait" and not (ctx.root / "go").exists():
                await asyncio.sleep(0.01)
        finally:
            with (ctx.root / "stirred").open("a") as file:
                file.write("cleaned\n")
        observed = {} if self.say == "nothing" else {"moved": self.say != "stuck"}
        return Measurement(dict(observed), self.asks())


VERSION = "1.5.0"


def stirred(root: Path) -> list[str]:
    """What happened to the pot, in order: the last word of each line."""
    file = root / "stirred"
    return [line.split()[-1] for line in file.read_text().splitlines()] if file.exists() else []


async def main(root: Path) -> None:
    from captain.clock import SystemClock
    from captain.engine import Engine
    from captain.events import Actor
    from captain.loader import load
    from captain.log.store import Log
    from captain.settings import Settings

    settings = Settings(root / "state" / "log.sqlite")
    actor = Actor("karen@example.com", "flag", "karen", 1000, "testhost")
    log = Log.open(settings.log, clock=SystemClock(), actor=actor)
    engine = Engine(
        load("deploy", "staging", cwd=root),
        log,
        settings=settings,
        actor=actor,
        publish=lambda event: None,
        environ={"PATH": os.environ["PATH"], "HOME": str(root)},
    )
    await engine.open(VERSION)
    if (request := engine.trust()) is not None:
        await engine.accept(request.digest)
    running = asyncio.ensure_future(engine.act("stirred"))
    while stirred(root)[-1:] != ["begun"]:
        await asyncio.sleep(0.01)
    print("begun", flush=True)
    await running


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
