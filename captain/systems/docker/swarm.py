"""What Swarm's documents say of a service and its tasks. Pure: knows no engine, no clock, no verdict.

Limits are spelt differently here than for containers: `Resources.Limits.{NanoCPUs,MemoryBytes}`. After a rollback
Swarm has no previous specification any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from captain.systems.docker.containers import moment, part
from captain.systems.docker.services import Service, digest

Document = Mapping[str, Any]

_UNFINISHED = ("updating", "rollback_started", "paused", "rollback_paused")
_UNDONE = ("paused", "rollback_started", "rollback_paused", "rollback_completed")
_FAILED = ("failed", "rejected", "orphaned")
LATELY = timedelta(hours=1)
"""Tasks that failed longer ago are not counted."""


def service(
    raw: Document,
    filled: Document,
    tasks: Sequence[Document],
    now: datetime,
    *,
    digests: Mapping[str, str] | None = None,
    key: str | None = None,
    remembers: bool = True,
) -> Service:
    """One service. `raw` is as it was made, `filled` with the engine's own defaults.

    `digests` are those of images without one in their reference, by task. `remembers` says whether Swarm keeps tasks
    that ended.
    """
    meant = image_of(part(raw, "Spec", "TaskTemplate"))
    live = running(tasks)
    images = [image_of(part(task, "Spec")) for task in live]
    update = part(raw, "UpdateStatus")
    state = str(update.get("State") or "none")
    desired = _desired(raw, tasks)
    settings = part(filled, "Spec", "UpdateConfig")
    limits = part(raw, "Spec", "TaskTemplate", "Resources", "Limits")
    previous = part(raw, "PreviousSpec")
    return Service(
        name=name_of(raw),
        desired=desired,
        running=len(live),
        converged=state not in _UNFINISHED and len(live) == desired and all(image == meant for image in images),
        update_failed=state in _UNDONE,
        image=next((image for image in images if image != meant), images[0] if images else None),
        digest=_digest(meant, live, digests or {}),
        key=key,
        previous_image=image_of(part(previous, "TaskTemplate")) or None,
        has_previous=bool(previous),
        update_state=state,
        update_began=moment(update.get("StartedAt")),
        rollback=_took(update) if state == "rollback_completed" else None,
        failure_action=_text(settings, "FailureAction"),
        order=_text(settings, "Order"),
        parallelism=_number(settings, "Parallelism"),
        monitor=None if (nano := _number(settings, "Monitor")) is None else timedelta(microseconds=nano / 1000),
        rollback_configured=bool(part(raw, "Spec", "RollbackConfig")),
        restart_condition=_text(part(filled, "Spec", "TaskTemplate", "RestartPolicy"), "Condition"),
        memory=int(limits.get("MemoryBytes") or 0),
        cpus=int(limits.get("NanoCPUs") or 0) / 1e9,
        failed=sum(_failed_lately(task, now) for task in tasks) if remembers else None,
    )


def name_of(raw: Document) -> str:
    return str(part(raw, "Spec").get("Name") or "")


def image_of(template: Document) -> str:
    """The image of a task's specification, with its digest where Swarm found one."""
    return str(part(template, "ContainerSpec").get("Image") or "")


def running(tasks: Sequence[Document]) -> list[Document]:
    """Tasks that run and are meant to. Of a node that is gone the last word may be `running` too."""
    return [task for task in tasks if part(task, "Status").get("State") == "running" == task.get("DesiredState")]


def container_of(task: Document) -> str:
    return str(part(task, "Status", "ContainerStatus").get("ContainerID") or "")


def job(raw: Document) -> bool:
    """Whether it is a job, which is meant to end."""
    return any(kind in part(raw, "Spec", "Mode") for kind in ("ReplicatedJob", "GlobalJob"))


def _desired(raw: Document, tasks: Sequence[Document]) -> int:
    replicated = part(raw, "Spec", "Mode").get("Replicated")
    if isinstance(replicated, Mapping):
        count = replicated.get("Replicas")
        return 1 if count is None else int(count)
    status = part(raw, "ServiceStatus")
    if "DesiredTasks" in status:
        return int(status["DesiredTasks"])
    return len({task.get("NodeID") for task in tasks if task.get("DesiredState") == "running"})


def _digest(meant: str, live: Sequence[Document], digests: Mapping[str, str]) -> str | None:
    """The digest that runs; while there are several, one that is not meant."""
    found = []
    for task in live:
        one = digest(image_of(part(task, "Spec"))) or digests.get(str(task.get("ID")))
        if one is None:
            return None
        found.append(one)
    others = [one for one in found if one != digest(meant)]
    if digest(meant) is None and len(set(found)) > 1:
        return None
    return next(iter([*others, *found]), None)


def _failed_lately(task: Document, now: datetime) -> bool:
    status = part(task, "Status")
    at = moment(status.get("Timestamp"))
    return status.get("State") in _FAILED and (at is None or now - at <= LATELY)


def _took(update: Document) -> timedelta | None:
    began, ended = _exact(update.get("StartedAt")), _exact(update.get("CompletedAt"))
    return None if began is None or ended is None or ended < began else ended - began


def _exact(text: object) -> datetime | None:
    """A moment to the microsecond."""
    if (at := moment(text)) is None:
        return None
    fraction = str(text)[20:].rstrip("Z")[:6].ljust(6, "0")
    return at.replace(microsecond=int(fraction), tzinfo=UTC) if fraction.isdecimal() else at


def _text(settings: Document, name: str) -> str | None:
    return str(settings[name]) if settings.get(name) else None


def _number(settings: Document, name: str) -> int | None:
    value = settings.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
