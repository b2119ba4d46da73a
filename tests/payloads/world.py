"""Where a sample document is shown to its kind: a folder, servers on loopback, a clock that stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from captain.clock import SystemClock
from captain.condition import Scope, activation, compile_condition, judge, observes
from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.probes import probes
from captain.release import Release
from tests.forge_server import SHA
from tests.http_server import Servers
from tests.probe_context import probe_context

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
"""Soon after the documents were captured."""


@dataclass(frozen=True)
class Stopped(SystemClock):
    """A clock that stands."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@dataclass
class World:
    """What one question finds."""

    root: Path
    servers: Servers
    fixtures: pytest.FixtureRequest
    later: timedelta = timedelta(0)
    """How much later than the documents were captured it is asked."""
    max_age: timedelta | None = None
    more: Mapping[str, Any] | None = None
    """Parameters beside the document's own."""

    async def measure(
        self, kind: str, keys: Mapping[str, Any], secrets: Mapping[str, str] | None = None, at: datetime | None = None
    ) -> Measurement:
        """Ask the kind as a step would. `at` is when the document was captured, where that was not the usual time."""
        cls = probes.find(kind)
        assert cls is not None
        context = replace(
            probe_context(self.root, 20, secrets, release=Release("1.4.2", commit=SHA), environment="production"),
            clock=Stopped((at or NOW) + self.later),
            max_age=self.max_age,
            repo=self.root,
        )
        return await cls.model_validate({**keys, **(self.more or {})}).measure(context)


def verdict(kind: str, seen: Measurement | ProbeError, expect: tuple[str, ...], warn: tuple[str, ...] = ()) -> str:
    """As the engine judges what was measured, or could not be."""
    if isinstance(seen, ProbeError):
        return "fail" if seen.fault == "subject" else "unknown"
    cls = probes.find(kind)
    assert cls is not None
    assert set(seen.observed) <= set(cls.Observes.__annotations__), "only declared names are observed"
    scope = Scope.of({"": {name: one.type for name, one in observes(cls.Observes).items()}}, {}, ())
    hard, soft = ([compile_condition(text, scope) for text in some] for some in (expect or cls.default_expect, warn))
    return judge(hard, soft, activation({"": seen.observed})).verdict.value


def holds(kind: str, seen: Measurement, condition: str) -> bool:
    """Whether one condition is true of what was measured."""
    return verdict(kind, seen, (condition,)) == "pass"
