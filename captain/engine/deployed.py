"""What runs in an environment as the log knows it: the newest change that a run of the service made. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from captain.run import fold
from captain.run.deployed import Deployment, deployment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from captain.checklist import Target
    from captain.events import Recorded
    from captain.log.reader import Reader

CHANGES = ("action.intent", "action.finished", "action.resolved", "rollback.intent", "rollback.end", "run.end")
_SEEN = ("step.result",)
"""What a deployment by others is seen with."""


def newest(reader: Reader, service: str, environment: str) -> Deployment | None:
    """The newest deployment into an environment, by the order of the log; on the log's thread."""
    best: Deployment | None = None
    looked: set[str] = set()
    for event in reader.by_type(*CHANGES, newest_first=True):
        if best is not None and event.seq < best.seq:
            break
        if event.run in looked:
            continue
        looked.add(event.run)
        start = next(reader.by_type("run.start", run=event.run), None)
        # A check never changes anything, and a log may hold thousands of them.
        if start is None or start.data["kind"] == "check":
            continue
        if (start.data["service"], start.data["environment"]) != (service, environment):
            continue
        run = fold(reader.entries(run=event.run))
        found = None if run is None else deployment(run)
        if found is not None and (best is None or found.seq > best.seq):
            best = found
    return best


def places(target: Target) -> frozenset[str]:
    """The environments whose deployments the timer steps of this checklist wait for."""
    steps = (step for _, step in target.checklist.steps() if step.soak is not None and step.review)
    return frozenset(step.soak.environment or target.environment for step in steps if step.soak is not None)


def deployments(reader: Reader, target: Target) -> dict[str, Deployment]:
    """Of the environments that matter to this checklist, as far as there are any; on the log's thread."""
    found = {where: newest(reader, target.service.service, where) for where in places(target)}
    return {where: one for where, one in found.items() if one is not None}


def may_change(news: Iterable[Recorded], run: str | None) -> bool:
    """Whether entries of other runs may say something new of what is deployed."""
    return any(event.run != run and event.type in (*CHANGES, *_SEEN) for event in news)
