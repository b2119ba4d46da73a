"""One service of a compose file: its ports, mounts, environment and limits as plain values. Knows no rule.

Variables stand for their defaults; one without a default stays `${NAME}`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from captain.documents import Node
from captain.systems.compose.text import expand, parted, truth


class Port(NamedTuple):
    """One published port."""

    line: int
    address: str
    """Of the host; "" is every address."""
    host: str
    """Empty where any free one is taken; a range has a dash."""
    ingress: bool


class Mount(NamedTuple):
    """One volume."""

    line: int
    kind: str
    """volume, bind, tmpfs …"""
    source: str
    target: str


class EnvFile(NamedTuple):
    """A file with variables."""

    node: Node
    path: str
    required: bool


@dataclass(frozen=True, slots=True)
class Service:
    """A service as the files together describe it."""

    name: str
    node: Node

    def text(self, *names: str) -> str | None:
        """One value with defaults filled in; None where nothing is written."""
        found = self.node.get(*names)
        return None if found is None or found.text is None else expand(found.text).filled.strip()

    def line(self, *names: str) -> int:
        """Where a value stands; the service itself where it does not."""
        found = self.node.get(*names)
        return (found or self.node).line

    def file(self, *names: str) -> str:
        """The file a value stands in."""
        found = self.node.get(*names)
        return (found or self.node).document.path

    def written(self) -> Iterator[tuple[str, str, Node]]:
        """Every text that may hold a secret: its kind of place, its name and the node."""
        for place in (("environment",), ("build", "args"), ("labels",), ("deploy", "labels"), ("annotations",)):
            at = self.node.get(*place)
            for name, node in (at.mapping if at is not None else {}).items():
                if node.text is not None:
                    yield place[-1], name, node
        for place in (("command",), ("entrypoint",), ("healthcheck", "test")):
            at = self.node.get(*place)
            if at is not None and at.items:
                said = " ".join(item.text or "" for item in at.items)
                yield place[-1], "", Node(said, "plain", at.line, at.column, at.document)
            elif at is not None and at.text is not None:
                yield place[-1], "", at

    def ports(self) -> list[Port]:
        """What it publishes on the host."""
        found = []
        for node in self._items("ports"):
            if isinstance(node.value, dict):
                host, address, mode = (_told(node, key) for key in ("published", "host_ip", "mode"))
                found.append(Port(node.line, address, host, mode == "ingress"))
                continue
            parts = parted(_filled(node).partition("/")[0])
            host = parts[-2] if len(parts) > 1 else ""
            found.append(Port(node.line, ":".join(parts[:-2]).strip("[]"), host, False))
        return found

    def mounts(self) -> list[Mount]:
        """What is mounted into it."""
        found = []
        for node in self._items("volumes"):
            if isinstance(node.value, dict):
                kind, source, target = (_told(node, key) for key in ("type", "source", "target"))
                found.append(Mount(node.line, kind or "volume", source, target))
                continue
            parts = [expand(part).filled for part in parted(node.text or "")]
            source, target = ("", parts[0]) if len(parts) == 1 else (parts[0], parts[1])
            kind = "bind" if source.startswith(("/", ".", "~")) else "volume"
            found.append(Mount(node.line, kind, source, target))
        return found

    def env_files(self) -> list[EnvFile]:
        """Files with variables, one as text, several as texts or mappings."""
        at = self.node.get("env_file")
        found = []
        for node in [] if at is None or at.value is None else at.items or [at]:
            if isinstance(node.value, dict):
                required = node.get("required")
                needed = required is None or required.text is None or truth(required.text)
                found.append(EnvFile(node, _told(node, "path"), needed))
            else:
                found.append(EnvFile(node, _filled(node), True))
        return found

    def limited(self, resource: str) -> bool | None:
        """Whether memory or cpus have a limit that is one; None where that hangs on a variable."""
        short = {"memory": ("mem_limit",), "cpus": ("cpus", "cpu_quota")}[resource]
        said = [self.text("deploy", "resources", "limits", resource), *(self.text(name) for name in short)]
        limits = [value for value in said if value is not None]
        if any("${" not in value and value.strip("0. bBkKmMgG") not in ("", "-1") for value in limits):
            return True
        return None if any("${" in value for value in limits) else False

    def image_name(self) -> str:
        """The last part of its image without tag and digest, lower case: postgres."""
        name = posixpath.basename((self.text("image") or "").partition("@")[0])
        return name.partition(":")[0].lower()

    def _items(self, name: str) -> list[Node]:
        found = self.node.get(name)
        return [] if found is None else found.items


def _filled(node: Node) -> str:
    return expand(node.text or "").filled.strip()


def _told(node: Node, key: str) -> str:
    found = node.get(key)
    return "" if found is None else _filled(found)
