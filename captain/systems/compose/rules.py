"""What a release should know about compose files, rule by rule, as counts with their places. Never gives a value.

A rule that found nothing counts 0 only where everything the files refer to was read.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from captain.documents import Node
from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.compose.files import Compose
from captain.systems.compose.service import Service
from captain.systems.compose.text import secret_in, truth
from captain.systems.tree_files import Tree

_DATA = re.compile(
    r"(postgres|postgis|mysql|mariadb|percona|redis|valkey|keydb|mongo|memcached|rabbitmq|elasticsearch|opensearch|"
    r"cassandra|clickhouse|etcd|nats|kafka|zookeeper|timescaledb|couchdb|mssql)"
)
_NOT_DATA = re.compile(r"(exporter|admin|express|commander|ui|operator|backup)")
_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
_FOLDERS_OF_HOST = frozenset(("/", "/etc", "/root", "/var/run", "/run", "/var", "/home", "/proc", "/sys", "/dev"))
_LOOPBACK = ("127.", "::1", "localhost")
_UNBOUND = ("json-file", "")
RULES = (
    *("literal_secrets", "default_secrets", "no_limits", "no_healthcheck", "no_restart", "root_user", "privileged"),
    *("fixed_container_names", "fixed_host_ports", "published_data_ports", "host_network", "sock_mounts"),
    *("host_mounts", "anonymous_volumes", "latest_tags", "log_unbounded", "env_files_missing", "env_files_open_mode"),
)


@dataclass
class Findings:
    """Places by rule."""

    found: list[dict[str, Any]] = field(default_factory=list)
    places: dict[str, list[str]] = field(default_factory=dict)
    """The same in words, by what counts them."""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RULES, 0))
    notes: list[str] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    """Rules of which something could not be looked at."""

    def add(self, count: str, rule: str, file: str, line: int, service: str) -> None:
        """One more place."""
        self.counts[count] += 1
        self.found.append({"file": file, "line": line, "service": service, "rule": rule})
        words = (f"{safe(file, 100)}:{line}", safe(service, 60), rule.partition(" ")[2])
        self.places.setdefault(count, []).append(" ".join(filter(None, words)))


def look(
    compose: Compose,
    tree: Tree,
    *,
    roles: Mapping[str, str],
    scalable: Collection[str],
    profiles: Collection[str],
) -> tuple[dict[str, Any], Findings]:
    """What the kind observes, and with it notes and places. Asks the disk about env files only, and never reads one."""
    observed: dict[str, Any] = {"files": len(compose.files), "has_version_key": len(compose.version_keys)}
    for name, node in compose.services.items():
        if not isinstance(node.value, dict):
            raise ProbeError(f"{safe(node.document.path, 200)}:{node.line}: the service {safe(name, 60)} is no mapping")
    services = [Service(name, node) for name, node in compose.services.items() if _active(node, profiles)]
    findings = Findings()
    if compose.unread:
        shown = ", ".join(safe(one, 100) for one in compose.unread[:3])
        findings.notes.append(f"not read: {shown}; so what was not found may stand there")
    observed["services"] = len(services)
    for node in compose.version_keys:
        place = {"file": node.document.path, "line": node.line, "service": "", "rule": "version-key"}
        findings.found.append(place)
    if not services:
        findings.notes.append("the files describe no service, so nothing was looked at")
        return {**observed, "findings": findings.found}, findings
    _secrets(findings, services, compose)
    once = _once(services)
    for service in services:
        _runs(findings, service, service.name in once)
        _reaches(findings, service, compose)
        _scales(findings, service, scalable)
        _env_files(findings, service, compose, tree)
    _data(findings, services, roles)
    observed["internal_networks"] = sum(truth(_text(node, "internal")) for node in compose.networks.values())
    observed["service_names"] = [service.name for service in services]
    for rule, count in findings.counts.items():
        if count or not (compose.unread or rule in findings.unknown):
            observed[rule] = count
    return {**observed, "findings": findings.found}, findings


def _text(node: Node, *names: str) -> str | None:
    found = node.get(*names)
    return None if found is None else found.text


def _active(node: Node, profiles: Collection[str]) -> bool:
    at = node.get("profiles")
    own = {item.text for item in at.items} if at is not None else set()
    return not own or "*" in profiles or bool(own & set(profiles))


def _once(services: list[Service]) -> set[str]:
    """Services that others wait for until they have ended: they need no restart and no health check."""
    found = set()
    for service in services:
        waits = service.node.get("depends_on")
        for name, node in (waits.mapping if waits is not None else {}).items():
            if _text(node, "condition") == "service_completed_successfully":
                found.add(name)
    return found


def _secrets(findings: Findings, services: list[Service], compose: Compose) -> None:
    seen = set()
    for service in services:
        for place, name, node in service.written():
            kind = secret_in(name if place in ("environment", "args") else "", node.text or "")
            at = (node.document.path, node.line, name)
            if kind is None or at in seen:
                continue
            # What an anchor brings into several services is one place to mend.
            seen.add(at)
            rule = f"{kind}-secret {safe(name, 80) or place}"
            findings.add(f"{kind}_secrets", rule, node.document.path, node.line, service.name)
    for name, config in compose.configs.items():
        kind = secret_in("", _text(config, "content") or "")
        if kind is not None:
            findings.add(f"{kind}_secrets", f"{kind}-secret config", config.document.path, config.line, safe(name, 80))


def _runs(findings: Findings, service: Service, once: bool) -> None:
    """How it is kept running and within bounds."""
    name, file, line = service.name, service.file(), service.line()
    limits = {resource: service.limited(resource) for resource in ("memory", "cpus")}
    lacks = [resource for resource, limited in limits.items() if limited is False]
    _open(findings, service)
    if lacks:
        findings.add("no_limits", f"no-limit {' '.join(lacks)}", file, line, name)
    check = service.node.get("healthcheck")
    test = None if check is None else check.get("test")
    first = None if test is None else (test.items[0].text if test.items else test.text)
    if not once and (not first or first.upper() == "NONE" or truth(service.text("healthcheck", "disable"))):
        findings.add("no_healthcheck", "no-healthcheck", file, line, name)
    if None in limits.values():
        findings.unknown.add("no_limits")
    policy = (service.text("restart") or "").partition(":")[0]
    swarm = service.text("deploy", "restart_policy", "condition")
    restarts = policy in ("always", "unless-stopped", "on-failure") or swarm in ("any", "on-failure")
    if not once and not restarts and "restart" not in _variables(service):
        findings.add("no_restart", "no-restart", service.file("restart"), service.line("restart"), name)
    user = (service.text("user") or "").partition(":")[0]
    if user == "root" or (user.isdecimal() and not int(user)):
        findings.add("root_user", "root-user", service.file("user"), service.line("user"), name)
    if truth(service.text("privileged")):
        findings.add("privileged", "privileged", service.file("privileged"), service.line("privileged"), name)
    driver, size = service.text("logging", "driver") or "", service.text("logging", "options", "max-size")
    if driver in _UNBOUND and size in (None, "", "-1"):
        findings.add("log_unbounded", "log-unbounded", service.file("logging"), service.line("logging"), name)
    image = service.text("image")
    if image and service.node.get("build") is None:
        _tag(findings, service, image)


_HANGS_ON = {
    "restart": "no_restart",
    "user": "root_user",
    "privileged": "privileged",
    "logging.driver": "log_unbounded",
    "healthcheck.disable": "no_healthcheck",
    "network_mode": "host_network",
}


def _variables(service: Service) -> set[str]:
    """Keys whose value is a variable without a default, so that nothing is known of it."""
    return {key for key in _HANGS_ON if (service.text(*key.split(".")) or "").startswith("${")}


def _open(findings: Findings, service: Service) -> None:
    findings.unknown |= {_HANGS_ON[key] for key in _variables(service)}


def _tag(findings: Findings, service: Service, image: str) -> None:
    tag = posixpath.basename(image).partition(":")[2]
    if "@" not in image and ((not tag and "${" not in image) or tag == "latest"):
        findings.add("latest_tags", "latest-tag", service.file("image"), service.line("image"), service.name)
    elif "@" not in image and "${" in (tag or image):
        findings.unknown.add("latest_tags")


def _reaches(findings: Findings, service: Service, compose: Compose) -> None:
    """What of the host it can reach."""
    name, mode = service.name, service.text("network_mode") or ""
    networks = service.node.get("networks")
    joined = [_outer(compose.networks.get(one), one) for one in (networks.mapping if networks is not None else {})]
    if mode == "host" or "host" in joined:
        findings.add("host_network", "host-network", service.file(), service.line("network_mode"), name)
    for mount in service.mounts():
        source = posixpath.normpath(mount.source) if mount.source.startswith("/") else mount.source
        if source in _SOCKETS:
            findings.add("sock_mounts", "sock-mount", service.file("volumes"), mount.line, name)
        elif source in _FOLDERS_OF_HOST:
            findings.add("host_mounts", f"host-mount {source}", service.file("volumes"), mount.line, name)
        elif not source and mount.kind == "volume":
            findings.add("anonymous_volumes", "anonymous-volume", service.file("volumes"), mount.line, name)
        elif "${" in source:
            findings.unknown |= {"sock_mounts", "host_mounts"}


def _outer(network: Node | None, name: str) -> str:
    """The name a network has outside of the project, "" of one of its own."""
    if network is None or not truth(_text(network, "external")):
        return ""
    return _text(network, "name") or name


def _scales(findings: Findings, service: Service, scalable: Collection[str]) -> None:
    """What keeps a second container of it from starting."""
    if scalable and service.name not in scalable:
        return
    if service.text("container_name"):
        where = (service.file("container_name"), service.line("container_name"))
        findings.add("fixed_container_names", "container-name", *where, service.name)
    for port in service.ports():
        if port.host and "-" not in port.host and not port.ingress:
            findings.add("fixed_host_ports", "fixed-host-port", service.file("ports"), port.line, service.name)


def _data(findings: Findings, services: list[Service], roles: Mapping[str, str]) -> None:
    stores = [service for service in services if roles.get(service.name, _guess(service)) == "data"]
    if not stores:
        findings.unknown.add("published_data_ports")
        findings.notes.append("no service is known to keep data; name them in `roles`, as in { db: data }")
    for service in stores:
        for port in service.ports():
            if port.address.startswith("${"):
                findings.unknown.add("published_data_ports")
            elif not port.address.startswith(_LOOPBACK):
                where = (service.file("ports"), port.line)
                findings.add("published_data_ports", "published-data-port", *where, service.name)
        if service.text("network_mode") == "host":
            where = (service.file("network_mode"), service.line("network_mode"))
            findings.add("published_data_ports", "published-data-port", *where, service.name)


def _guess(service: Service) -> str:
    image = service.image_name()
    return "data" if _DATA.search(image) and not _NOT_DATA.search(image) else ""


def _env_files(findings: Findings, service: Service, compose: Compose, tree: Tree) -> None:
    for node, path, required in service.env_files():
        file = node.document.path
        if not path or "${" in path:
            findings.unknown |= {"env_files_missing", "env_files_open_mode"}
            findings.notes.append(f"{safe(file, 100)}:{node.line}: which env file is meant depends on a variable")
            continue
        try:
            mode = tree.mode(str(Path(compose.folders.get(file, "")) / path))
        except (FileNotFoundError, NotADirectoryError):
            if required:
                findings.add("env_files_missing", f"env-file-missing {safe(path, 80)}", file, node.line, service.name)
            continue
        except (OSError, ValueError):
            findings.unknown |= {"env_files_missing", "env_files_open_mode"}
            continue
        if mode & 0o077:
            findings.add("env_files_open_mode", f"env-file-mode {safe(path, 80)}", file, node.line, service.name)
