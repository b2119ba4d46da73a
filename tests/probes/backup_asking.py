"""How tests ask the backup probe, and judge its answer as a step without conditions of its own would be."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from captain.clock import SystemClock
from captain.condition import Scope, activation, compile_condition, judge, observes
from captain.measurement import Measurement, Verdict
from captain.probes import Context
from captain.probes.backup import BackupProbe

T = TypeVar("T")


class At(SystemClock):
    """A clock that stands still."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        return self._moment


async def in_a_thread(call: Callable[[], T], /) -> T:
    return await asyncio.to_thread(call)


async def ask(
    root: Path,
    *,
    seconds: float = 60,
    secrets: Mapping[str, str] | None = None,
    at: datetime | None = None,
    environ: Mapping[str, str] | None = None,
    **keys: Any,
) -> Measurement:
    context = Context(
        root=root,
        repo=None,
        timeout=timedelta(seconds=seconds),
        environ=dict(os.environ if environ is None else environ),
        secrets=secrets or {},
        blocking=in_a_thread,
        clock=SystemClock() if at is None else At(at),
    )
    measurement = await BackupProbe(**keys).measure(context)
    assert measurement.observed.keys() <= observes(BackupProbe.Observes).keys()
    return measurement


def verdict(measurement: Measurement, *expect: str, engine: str = "file") -> Verdict:
    """What a step with these conditions, or with none of its own for a dump of `engine`, comes to."""
    types = {name: one.type for name, one in observes(BackupProbe.Observes).items()}
    scope = Scope.of({"": types}, {}, ())
    conditions = [compile_condition(one, scope) for one in expect or BackupProbe.expects({"engine": engine})]
    return judge(conditions, (), activation({"": measurement.observed})).verdict
