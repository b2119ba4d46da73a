"""What an inspect document of a Docker container says, fact by fact. Pure: knows no engine, no clock, no verdict.

Absent keys are read as unset: newer engines leave out what older ones sent empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

Document = Mapping[str, Any]
Health = Literal["none", "starting", "healthy", "unhealthy"]

IMPLICIT_RETRIES = 3
"""What the engine takes where a health check names no number of retries."""
MIN_RETRIES = 3
"""A policy `on-failure` that gives up earlier restarts nothing for long."""

_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
_KEPT = re.compile(r".-captain-[A-Za-z0-9._-]+$")
_SENSITIVE = frozenset(("/", "/etc", "/root", "/proc", "/sys", "/boot"))
_LOOPBACK = frozenset(("127.0.0.1", "::1"))


def part(document: Document, *keys: str) -> Mapping[str, Any]:
    """A mapping inside a document, empty where it is missing or null."""
    found: Any = document
    for key in keys:
        found = found.get(key) or {}
    return found if isinstance(found, Mapping) else {}


def name_of(document: Document) -> str:
    """Its name without the slash the engine puts in front, "" where it has none."""
    return str(document.get("Name") or "").removeprefix("/")


def labels_of(document: Document) -> Mapping[str, Any]:
    """Its labels, {} where it has none."""
    return part(document, "Config", "Labels")


def service_names(labels: Document) -> frozenset[str]:
    """What the service may be called that a container belongs to: Compose's name, with project, or Swarm's."""
    compose, project = labels.get("com.docker.compose.service"), labels.get("com.docker.compose.project")
    swarm = labels.get("com.docker.swarm.service.name")
    names = (compose, project and compose and f"{project}_{compose}", project and compose and f"{project}-{compose}")
    return frozenset(str(name) for name in (*names, swarm) if name)


class Owner(NamedTuple):
    """Whose service a container is of."""

    project: str
    """The Compose project; "" of Swarm's, whose names hold the stack already."""
    service: str

    @property
    def full(self) -> str:
        """The service's name with its project."""
        return f"{self.project}_{self.service}" if self.project else self.service


def owners(name: str, labels: Iterable[Document]) -> list[Owner]:
    """All services that `name` may mean, from the labels of containers. More than one: nobody knows which is meant."""
    found = set()
    for each in labels:
        if name in service_names(each):
            of_swarm = each.get("com.docker.swarm.service.name") == name
            project = "" if of_swarm else str(each.get("com.docker.compose.project") or "")
            found.add(Owner(project, name if of_swarm else str(each.get("com.docker.compose.service"))))
    return sorted(found)


def service_of(document: Document) -> str:
    """The service's name, the container's where it belongs to none."""
    labels = labels_of(document)
    return str(
        labels.get("com.docker.swarm.service.name") or labels.get("com.docker.compose.service") or ""
    ) or name_of(document)


def called(document: Document, name: str) -> bool:
    """Whether a person who writes `name` means this container: by its own name, or by its service's."""
    return name in (name_of(document), service_of(document), *service_names(labels_of(document)))


def left_over(name: str, labels: Document, state: str) -> bool:
    """Whether a container that does not run is no part of its service any more.

    A task that Swarm replaced, a one-off of Compose, or what a rollback of captain's keeps until it is verified.
    """
    if labels.get("com.docker.compose.oneoff") == "True":
        return True
    ended = state in ("exited", "dead", "created", "removing")
    return ended and ("com.docker.swarm.task.id" in labels or _KEPT.search(name) is not None)


def runs(document: Document) -> bool:
    """Whether its processes run now: neither paused nor waiting for its next start."""
    state = part(document, "State")
    return bool(state.get("Running")) and not state.get("Paused") and not state.get("Restarting")


def has_check(document: Document) -> bool:
    """Whether it has a health check. One that was switched off leaves `{"Test": ["NONE"]}` behind."""
    test = part(document, "Config", "Healthcheck").get("Test") or []
    return bool(test) and test[0] != "NONE"


def health(document: Document) -> Health:
    """Its health; "none" unless it runs and has a check: ended and paused containers keep a meaningless status."""
    if not runs(document) or not has_check(document):
        return "none"
    status = part(document, "State", "Health").get("Status")
    if status == "healthy":
        return "healthy"
    return "unhealthy" if status == "unhealthy" else "starting"


def failing_streak(document: Document) -> int:
    """How often in a row its health check failed, 0 where it does not run or has none."""
    return int(part(document, "State", "Health").get("FailingStreak") or 0) if health(document) != "none" else 0


def retries(document: Document) -> int | None:
    """How often its health check fails before it counts, None where it has none."""
    if not has_check(document):
        return None
    return int(part(document, "Config", "Healthcheck").get("Retries") or IMPLICIT_RETRIES)


def configured_root(document: Document) -> bool:
    """Whether it is configured to start as root: no user at all, root, or the number 0 (`--user 0` is not empty)."""
    user = str(part(document, "Config").get("User") or "").partition(":")[0].strip()
    return user in ("", "root") or (user.isdecimal() and int(user) == 0)


def memory(document: Document) -> int:
    """Bytes it may use at most, 0 where nothing limits it. A reservation is no limit."""
    return max(int(part(document, "HostConfig").get("Memory") or 0), 0)


def cpus(document: Document) -> float:
    """Processors it may use at most, 0 where nothing limits it. Shares are no limit."""
    host = part(document, "HostConfig")
    nano, quota = int(host.get("NanoCpus") or 0), int(host.get("CpuQuota") or 0)
    if nano > 0:
        return nano / 1e9
    return quota / (int(host.get("CpuPeriod") or 0) or 100_000) if quota > 0 else 0.0


def memory_ratio(stats: Document) -> float | None:
    """Share of the memory it may use that it uses, as `docker stats` counts: without what the kernel can drop at once.

    None where the engine gives no numbers, as for a container that does not run.
    """
    memory = part(stats, "memory_stats")
    used, most = int(memory.get("usage") or 0), int(memory.get("limit") or 0)
    if used <= 0 or most <= 0:
        return None
    kept = part(memory, "stats")
    droppable = int(kept.get("total_inactive_file") or kept.get("inactive_file") or 0)
    return (used - droppable if 0 <= droppable < used else used) / most


def pids(document: Document) -> int:
    """Processes it may have at most, 0 where nothing limits it."""
    return max(int(part(document, "HostConfig").get("PidsLimit") or 0), 0)


def restarts_itself(document: Document) -> bool:
    """Whether something starts it again when it fails: its policy, or Swarm, which replaces tasks."""
    policy = part(document, "HostConfig", "RestartPolicy")
    name, most = policy.get("Name"), int(policy.get("MaximumRetryCount") or 0)
    return (
        name in ("always", "unless-stopped")
        or (name == "on-failure" and (most == 0 or most >= MIN_RETRIES))
        or "com.docker.swarm.task.id" in labels_of(document)
    )


def mounts(document: Document) -> list[Mapping[str, Any]]:
    """Its mounts as the engine lists them: Type, Name, Source, Destination."""
    return [each for each in document.get("Mounts") or [] if isinstance(each, Mapping)]


def anonymous(mount: Document) -> bool:
    """Whether a mount is a volume nobody gave a name."""
    return mount.get("Type") == "volume" and _ANONYMOUS.fullmatch(str(mount.get("Name") or "")) is not None


def engine_socket(mount: Document) -> bool:
    """Whether it hands the container the engine, and so the host."""
    return str(mount.get("Source") or "").rstrip("/").endswith("docker.sock")


def sensitive(mount: Document) -> bool:
    """Whether it hands the container a folder that the host is made of."""
    return mount.get("Type") == "bind" and (str(mount.get("Source") or "").rstrip("/") or "/") in _SENSITIVE


def networks(document: Document) -> list[str]:
    """The names of its networks, sorted."""
    return sorted(part(document, "NetworkSettings", "Networks"))


def leads_out(network: Document) -> bool:
    """Whether containers on it reach the world outside, or are reached from there."""
    return network.get("Internal") is not True and network.get("Driver") != "null"


def on_host_network(document: Document) -> bool:
    """Whether it shares the host's network, so that every port of it is published."""
    return part(document, "HostConfig").get("NetworkMode") == "host"


def published(document: Document) -> list[str]:
    """Ports reachable from other machines: `0.0.0.0:5432->5432/tcp`."""
    ports = part(document, "NetworkSettings", "Ports") or part(document, "HostConfig", "PortBindings")
    return [
        f"{binding.get('HostIp') or '0.0.0.0'}:{binding.get('HostPort') or '?'}->{port}"
        for port, bindings in sorted(ports.items())
        for binding in bindings or []
        if binding.get("HostIp") not in _LOOPBACK
    ]


def log_driver(document: Document) -> str:
    """Where its output goes: json-file, journald, …; "" where the engine does not say."""
    return str(part(document, "HostConfig", "LogConfig").get("Type") or "")


def log_unbounded(document: Document) -> bool:
    """Whether its log can fill the disk: json-file without a size."""
    given = part(document, "HostConfig", "LogConfig", "Config")
    return log_driver(document) == "json-file" and not given.get("max-size")


def started_at(document: Document) -> datetime | None:
    """When it was last started, to the second; None where it never was or the engine's time cannot be read."""
    return moment(part(document, "State").get("StartedAt"))


def moment(text: object) -> datetime | None:
    """A moment as the engine writes it, to the second."""
    head = str(text or "")[:19]
    try:
        found = datetime.strptime(head, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return found if found.year > 1 else None
