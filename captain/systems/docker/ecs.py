"""What `aws ecs describe-services` says. Pure: starts nothing, knows no clock and no verdict.

A deployment that the circuit breaker gave up is FAILED and drains; the one that goes back to the old tasks is PRIMARY
by then, and only its reason says that it is a way back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from captain.systems.docker.containers import part
from captain.systems.docker.services import Service

Document = Mapping[str, Any]

_GOES_BACK = re.compile("roll(ing|ed) back", re.IGNORECASE)


def services(document: Any, names: Sequence[str]) -> list[Service]:
    """The services of these names or ARNs that are there, in the order of the names.

    Raises ValueError where the document is another one, or not the whole answer.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("services"), list):
        raise ValueError("it has no list `services`: print the JSON of `aws ecs describe-services`")
    told = [each for each in document["services"] if isinstance(each, Mapping)]
    active = [each for each in told if each.get("status") == "ACTIVE"]
    found = [next((each for each in active if _called(each, name)), None) for name in names]
    return [_service(each) for each in found if each is not None]


def failures(document: Document) -> list[str]:
    """Why services are not among them: `MISSING arn:…`."""
    listed = document.get("failures") or []
    return [f"{each.get('reason')} {each.get('arn')}" for each in listed if isinstance(each, Mapping)]


def _called(each: Document, name: str) -> bool:
    return name in (each.get("serviceName"), each.get("serviceArn"))


def _service(each: Document) -> Service:
    deployments = [one for one in each.get("deployments") or [] if isinstance(one, Mapping)]
    primary = next((one for one in deployments if one.get("status") == "PRIMARY"), {})
    desired, running = _count(each, "desiredCount"), _count(each, "runningCount")
    state = str(primary["rolloutState"]) if primary.get("rolloutState") else None
    breaker = part(each, "deploymentConfiguration", "deploymentCircuitBreaker")
    given_up = any(one.get("rolloutState") == "FAILED" for one in deployments)
    goes_back = _GOES_BACK.search(str(primary.get("rolloutStateReason") or "")) is not None
    failed = primary.get("failedTasks")
    converged = None
    if state is not None:
        alone = len(deployments) == 1 and _count(primary, "runningCount") == desired
        converged = alone and state == "COMPLETED" and running == desired and not _count(each, "pendingCount")
    return Service(
        name=str(each.get("serviceName") or ""),
        desired=desired,
        running=running,
        converged=converged,
        update_failed=given_up or goes_back,
        rollout_state="FAILED" if given_up else state,
        update_began=_moment(primary.get("createdAt")),
        failure_action=_action(breaker) if breaker else None,
        rollback_configured=bool(breaker.get("enable") and breaker.get("rollback")) if breaker else None,
        failed=failed if isinstance(failed, int) else None,
    )


def _action(breaker: Document) -> str:
    """In Swarm's words. Without the circuit breaker ECS tries for ever."""
    if not breaker.get("enable"):
        return "continue"
    return "rollback" if breaker.get("rollback") else "pause"


def _count(each: Document, name: str) -> int:
    value = each.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"it has no number `{name}`: print the JSON of `aws ecs describe-services`, all of it")
    return value


def _moment(value: object) -> datetime | None:
    """A time as the CLI writes it: ISO 8601, or seconds since 1970 in its first version."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        at = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        return None
    return at.astimezone(UTC) if at.tzinfo else None
