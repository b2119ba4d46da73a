"""A service as an orchestrator describes it, whichever that is, and several of them counted. Pure; no verdict.

What an orchestrator does not tell is None and is left out: of several services nothing is told that one of them lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from captain.measurement import Value

T = TypeVar("T")

_WORST_STATE = ("rollback_paused", "paused", "rollback_started", "rollback_completed", "updating", "none", "completed")
_WORST_ROLLOUT = ("FAILED", "IN_PROGRESS", "COMPLETED")
_WORST_ACTION = ("continue", "pause", "rollback")
_WORST_ORDER = ("stop-first", "start-first")
_WORST_CONDITION = ("none", "on-failure", "any")


@dataclass(frozen=True)
class Service:
    """One service."""

    name: str
    desired: int
    running: int
    converged: bool | None
    """Whether all of it runs as it is meant to now, and nothing else."""
    update_failed: bool
    """Whether its last update was stopped or undone."""
    image: str | None = None
    """What its tasks run; while they differ, one that is not the image meant."""
    digest: str | None = None
    key: str | None = None
    """The name of the release's image that it is."""
    previous_image: str | None = None
    has_previous: bool | None = None
    update_state: str | None = None
    rollout_state: str | None = None
    update_began: datetime | None = None
    rollback: timedelta | None = None
    """How long its last update took until it was undone."""
    failure_action: str | None = None
    order: str | None = None
    parallelism: int | None = None
    monitor: timedelta | None = None
    rollback_configured: bool | None = None
    restart_condition: str | None = None
    memory: int | None = None
    """Bytes one task may use, 0 where nothing limits it, None where nobody says."""
    cpus: float | None = None
    failed: int | None = None


def observed(services: Sequence[Service], now: datetime) -> dict[str, Value]:
    """What is observed of services of which there is at least one. Of each fact the one furthest from good."""
    ages = [None if (began := each.update_began) is None else max(now - began, timedelta(0)) for each in services]
    found: dict[str, Value | None] = {
        "matched": len(services),
        "replicas_desired": sum(each.desired for each in services),
        "replicas_running": sum(each.running for each in services),
        "updates_failed": sum(each.update_failed for each in services),
        "converged": _each(services, lambda each: each.converged, all),
        "update_state": _each(services, lambda each: each.update_state, _worst(_WORST_STATE)),
        "rollout_state": _each(services, lambda each: each.rollout_state, _worst(_WORST_ROLLOUT)),
        "update_age": min((age for age in ages if age is not None), default=None),
        "rollback": max((each.rollback for each in services if each.rollback is not None), default=None),
        "failure_action": _each(services, lambda each: each.failure_action, _worst(_WORST_ACTION)),
        "update_order": _each(services, lambda each: each.order, _worst(_WORST_ORDER)),
        "update_parallelism": _each(services, lambda each: each.parallelism, _most),
        "update_monitor": _each(services, lambda each: each.monitor, min),
        "rollback_configured": _each(services, lambda each: each.rollback_configured, all),
        "has_previous_spec": _each(services, lambda each: each.has_previous, all),
        "restart_condition": _each(services, lambda each: each.restart_condition, _worst(_WORST_CONDITION)),
        "no_memory_limit": _each(services, lambda each: each.memory, _none_of),
        "no_cpu_limit": _each(services, lambda each: each.cpus, _none_of),
        "mem_limit": _each(services, lambda each: each.memory or None, min),
        "cpu_limit": _each(services, lambda each: each.cpus or None, min),
        "failed_tasks": _each(services, lambda each: each.failed, _total),
        "image": _each(services, lambda each: each.image, _same),
        "image_tag": _each(services, lambda each: tag(each.image or ""), _same),
        "previous_image": _each(services, lambda each: each.previous_image, _same),
        "services": [_item(each) for each in services],
    }
    return {name: value for name, value in found.items() if value is not None}


def tag(image: str) -> str | None:
    """`1.4.0` of `registry:5000/shop:1.4.0@sha256:…`, None where it has none."""
    last = image.partition("@")[0].rpartition("/")[2]
    return last.partition(":")[2] or None


def digest(image: str) -> str | None:
    """`sha256:…` of a reference that has one."""
    return image.partition("@")[2] or None


def _each(
    services: Sequence[Service], fact: Callable[[Service], T | None], together: Callable[[list[T]], Value]
) -> Value:
    """The fact of all of them as one value; None where one of them lacks it."""
    found = [fact(each) for each in services]
    known = [each for each in found if each is not None]
    return together(known) if known and len(known) == len(found) else None


def _worst(order: Sequence[str]) -> Callable[[list[str]], str]:
    # A word that nobody here knows is worse than every known one: it is shown.
    return lambda found: min(found, key=lambda each: order.index(each) if each in order else -1)


def _same(found: list[str]) -> str | None:
    return found[0] if len(set(found)) == 1 else None


def _total(found: list[int]) -> int:
    return sum(found)


def _most(found: list[int]) -> int:
    """Of numbers of which 0 means all at once."""
    return 0 if 0 in found else max(found)


def _none_of(found: Sequence[float]) -> int:
    return sum(1 for each in found if not each)


def _item(service: Service) -> Value:
    facts: dict[str, Value | None] = {
        "name": service.name,
        "desired": service.desired,
        "running": service.running,
        "converged": service.converged,
        "update_failed": service.update_failed,
        "update_state": service.update_state,
        "rollout_state": service.rollout_state,
        "failure_action": service.failure_action,
        "image": service.image,
        "image_tag": tag(service.image or ""),
        "image_digest": service.digest,
        "image_key": service.key,
        "memory": service.memory,
        "cpus": service.cpus,
    }
    return {name: value for name, value in facts.items() if value is not None}
