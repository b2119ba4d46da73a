"""How often containers were started again since a moment. Pure: knows no engine and no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from captain.systems.docker import containers as told

Document = Mapping[str, Any]
_SLACK = timedelta(seconds=2)
"""The engine's times are read to the second, and so is the difference of two clocks."""
_TASK = "com.docker.swarm.task.id"


def restarts_since(documents: Sequence[Document], ended: Iterable[Document], since: datetime) -> int:
    """Restarts since `since`, by the engine's clock, never fewer than there were.

    A container keeps one count for its whole life: of one that is older and was started again since, all of it is
    taken. Swarm never restarts a container, it replaces the task: `ended` are the ended tasks' containers as the
    engine lists them, and those count that were made since of the image their service runs now.
    """
    since = (since - _SLACK).replace(microsecond=0)
    total = sum(_restarts(document, since) for document in documents)
    running = {(told.service_of(each), each.get("Image")) for each in documents if _TASK in told.labels_of(each)}
    return total + sum(
        (str((one.get("Labels") or {}).get("com.docker.swarm.service.name") or ""), one.get("ImageID")) in running
        and _made(one) >= since
        for one in ended
    )


def ended_task(listed: Document) -> bool:
    """Whether a container, as the engine lists it, is what is left of a task of Swarm's."""
    return _TASK in (listed.get("Labels") or {}) and listed.get("State") in ("exited", "dead")


def _restarts(document: Document, since: datetime) -> int:
    count = int(document.get("RestartCount") or 0)
    made, started = told.moment(document.get("Created")), told.started_at(document)
    # Between a crash and the next start there is no start since, and a restart all the same.
    waits = told.part(document, "State").get("Restarting")
    before = made is not None and made < since and started is not None and started < since and not waits
    return 0 if before else count


def _made(listed: Document) -> datetime:
    return datetime.fromtimestamp(int(listed.get("Created") or 0), UTC)
