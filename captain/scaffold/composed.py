"""What Compose files say of their services, as far as `init` needs it. Pure: reads nodes, asks nothing."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from captain.documents import Node
from captain.scaffold.quoting import fit

_PORTS = re.compile(r"(?:[\d.]+:|\[[0-9a-f:]+\]:)?(?:\$\{\w+:?-)?(\d{1,5})\}?:(\d{1,5})(?:/tcp)?")
_STORES = "postgres postgis mysql mariadb redis valkey keydb mongo rabbitmq elasticsearch memcached"
_DATA = frozenset(_STORES.split(" "))
_PATHS = {
    "mysql": "/var/lib/mysql",
    "mariadb": "/var/lib/mysql",
    "mongo": "/data/db",
    "redis": "/data",
    "valkey": "/data",
}
_CHECK = re.compile(
    r"http://(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::(\d{1,5}))?(/[\w./~-]{0,200})?(?![\w$])", re.ASCII
)


@dataclass(slots=True)
class Composed:
    """One service of Compose, of all files together."""

    name: str
    file: str
    image: str = ""
    builds: bool = False
    context: str | None = None
    """The folder it is built in, relative to the file; None where that is not known."""
    ports: dict[int, int] = field(default_factory=dict)
    """The port of this machine by the container's."""
    variables: set[str] = field(default_factory=set)
    check: str = ""
    """Its health check as one text."""

    @property
    def store(self) -> str:
        """The last part of its image's name: postgres of `docker.io/library/postgres:16`."""
        return self.image.partition("@")[0].rpartition("/")[2].partition(":")[0]

    @property
    def holds_data(self) -> bool:
        """Whether it is one of the databases, caches and brokers that nobody outside should reach."""
        return self.store in _DATA

    @property
    def data_path(self) -> str | None:
        """Where its image keeps what must outlive a container, None where that is not known for sure."""
        if self.store != "postgres":
            return _PATHS.get(self.store)
        # From 18 on it lies one folder higher.
        version = re.match(r"\d+", self.image.partition("@")[0].rpartition("/")[2].partition(":")[2])
        return "/var/lib/postgresql/data" if version and int(version[0]) < 18 else None

    @property
    def health(self) -> str | None:
        """The URL of its health check as this machine reaches it, None where it cannot."""
        found = _CHECK.search(self.check)
        if found is None:
            return None
        port = self.ports.get(int(found[1] or 80))
        return f"http://127.0.0.1:{port}{found[2] or '/'}" if port else None


def composed(files: Iterable[tuple[str, Node]]) -> dict[str, Composed]:
    """The services by name; a later file adds to an earlier one."""
    found: dict[str, Composed] = {}
    for file, root in files:
        services = root.get("services")
        for name, node in (services.mapping if services is not None else {}).items():
            if not fit(name) or len(found) > 200:
                continue
            _add(found.setdefault(name, Composed(name, file)), node)
    return found


def project(roots: Iterable[Node], folder: str) -> str:
    """The name that Compose gives the project: the file's, else the folder's without what it does not take."""
    for root in roots:
        name = root.get("name")
        if name is not None and name.text and re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name.text):
            return name.text
    return re.sub(r"[^a-z0-9_-]", "", folder.lower()).lstrip("_-")


def _add(service: Composed, node: Node) -> None:
    image, build, check = node.get("image"), node.get("build"), node.get("healthcheck", "test")
    if image is not None and image.text:
        service.image = image.text
    if build is not None:
        service.builds = True
        service.context = _context(build)
    if check is not None:
        service.check = check.text or " ".join(item.text or "" for item in check.items)
    ports, variables = node.get("ports"), node.get("environment")
    for item in ports.items if ports is not None else ():
        service.ports |= {inside: here for inside, here in _port(item).items() if 0 < here < 65536}
    if variables is not None:
        listed = [(item.text or "").partition("=")[0] for item in variables.items]
        service.variables.update(name for name in [*variables.mapping, *listed] if name)


def _context(build: Node) -> str | None:
    given = build.get("context")
    text = build.text or (given.text if given is not None else ".") or ""
    path = posixpath.normpath(text)
    return path if fit(path) and re.fullmatch(r"[\w./-]+", path) and not path.startswith(("/", "..")) else None


def _port(item: Node) -> dict[int, int]:
    if item.text is not None:
        found = _PORTS.fullmatch(item.text)
        return {int(found[2]): int(found[1])} if found else {}
    published, target = item.get("published"), item.get("target")
    texts = [one.text if one is not None else None for one in (published, target)]
    if all(text and text.isascii() and text.isdigit() and len(text) < 6 for text in texts):
        return {int(texts[1] or 0): int(texts[0] or 0)}
    return {}
