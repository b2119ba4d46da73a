"""One step through the real engine: from YAML to the entry in the log, as `captain check` measures it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from captain.clock import SystemClock
from captain.engine import Engine
from captain.events import Actor, Event, Recorded
from captain.loader import load
from captain.log.store import Log
from captain.settings import Settings

ME = Actor("karen@example.com", "flag", "karen", 1000, "testhost")


@dataclass
class OneStep:
    """A service with one checklist of one section; its first step is `it`."""

    root: Path
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Declared secrets, all of them set."""
    allow: str = ""
    """What the environment allows besides reading: `active, drill`."""
    seen: list[Event] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return Settings(self.root / "state" / "log.sqlite")

    def write(self, step: str, *more: str) -> None:
        """Steps as YAML without id and title, the first key at the left edge; `more` are `it-2`, `it-3` …"""
        declared = ", ".join(self.secrets)
        (self.root / "captain.yaml").write_text(
            f"service: shop\nsecrets: [{declared}]\nchecklists: [checks.yaml]\n"
            f"environments: {{ staging: {{ allow: [{self.allow}] }} }}\n"
        )
        listed = ""
        for number, one in enumerate((step, *more), 1):
            name = "it" if number == 1 else f"it-{number}"
            lines = "".join(f"        {line}\n" for line in one.splitlines())
            listed += f"      - id: {name}\n        title: It {number}\n{lines}"
        (self.root / "checks.yaml").write_text(
            "checklist: checks\ntitle: Checks\nsections:\n  - id: all\n    title: All\n    phase: pre\n    steps:\n"
            + listed
        )

    def environ(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.root), **self.secrets}

    def log(self, **keys: Any) -> Log:
        return Log.open(self.settings.log, clock=SystemClock(), actor=ME, **keys)

    def make(self, publish: Callable[[Event], None], *, checklist: str = "checks", **keys: Any) -> Engine:
        """An engine over the step, no run opened."""
        return Engine(
            load(checklist, "staging", cwd=self.root),
            self.log(),
            settings=self.settings,
            actor=ME,
            publish=publish,
            environ=self.environ(),
            **keys,
        )

    @contextlib.asynccontextmanager
    async def engine(self, **keys: Any) -> AsyncIterator[Engine]:
        """An engine with a check open over the step, its programs accepted."""
        engine = self.make(self.seen.append, **keys)
        try:
            await engine.open(None, kind="check")
            if (request := engine.trust()) is not None:
                await engine.accept(request.digest)
            yield engine
        finally:
            await engine.close()

    async def ask(self, step: str) -> Recorded:
        """Measure the step once and return what the log keeps of it."""
        self.write(step)
        async with self.engine() as engine:
            await engine.measure("it", "check")
        return self.result()

    def result(self) -> Recorded:
        with self.log(read_only=True) as log:
            return list(log.by_type("step.result"))[-1]

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """Every byte captain keeps or shows of it, by where it is: files, evidence, exports, what was published."""
        for path in sorted((self.root / "state").rglob("*")):
            if path.is_file():
                yield path.name, path.read_bytes()
        with self.log(read_only=True) as log:
            yield "bodies", "\n".join(log.bodies()).encode()
            for event in log.by_type("step.result"):
                for probe in event.data["probes"]:
                    blob = log.evidence(probe["evidence"])
                    if blob is not None:
                        yield f"evidence of {probe['kind']}", blob.data
        yield "published", repr(self.seen).encode()
