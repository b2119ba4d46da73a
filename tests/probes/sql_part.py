"""Asks the sql probe as the engine would, and judges by its own default."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from captain.clock import SystemClock
from captain.condition import Scope, activation, compile_condition, judge, observes
from captain.measurement import Measurement
from captain.probes import Context, Probe
from captain.probes.sql import SqlProbe

T = TypeVar("T")


async def in_a_thread(call: Callable[[], T], /) -> T:
    return await asyncio.to_thread(call)


def context(seconds: float = 10, root: Path | None = None, **secrets: str) -> Context:
    return Context(
        root=root or Path.cwd(),
        repo=None,
        timeout=timedelta(seconds=seconds),
        environ={},
        secrets=secrets,
        blocking=in_a_thread,
        clock=SystemClock(),
    )


async def ask(dsn: str, *, engine: str = "postgres", seconds: float = 10, **keys: Any) -> Measurement:
    probe = SqlProbe.model_validate({"engine": engine, "dsn_env": "DATABASE_URL", **keys})
    return await probe.measure(context(seconds, DATABASE_URL=dsn))


async def ask_file(path: Path, *, seconds: float = 10, **keys: Any) -> Measurement:
    probe = SqlProbe.model_validate({"engine": "sqlite", "path": path.name, **keys})
    return await probe.measure(context(seconds, path.parent))


def verdict(kind: type[Probe], seen: Measurement, *conditions: str) -> str:
    """The verdict of those conditions, or of the kind's own."""
    scope = Scope.of({"": {name: one.type for name, one in observes(kind.Observes).items()}}, {}, ())
    compiled = [compile_condition(text, scope) for text in conditions or kind.default_expect]
    return judge(compiled, (), activation({"": dict(seen.observed)})).verdict.value
