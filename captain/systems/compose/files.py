"""Compose files read and merged the way docker compose does, with the place of each value. Knows no rule, no verdict.

Several files, `extends`, `include`, `!reset` and `!override`; variables stay text. What lies outside of the tree or
elsewhere is not read, and said.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field

from captain.documents import Node, read_foreign_yaml
from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.compose.text import parted
from captain.systems.tree_files import Tree

DEFAULTS = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = ("compose.override.yml", "compose.override.yaml")
_OLD_OVERRIDES = ("docker-compose.override.yml", "docker-compose.override.yaml")
_BY_KEY = frozenset(("environment", "labels", "annotations", "args", "sysctls", "depends_on", "networks"))
_NAMES_ONLY = frozenset(("depends_on", "networks"))
_REPLACED = frozenset(("command", "entrypoint", "test"))
_DEPTH = 10
_MAX_NODES = 200_000


@dataclass(frozen=True, slots=True)
class Compose:
    """What the files say together."""

    files: tuple[str, ...]
    """Every file that was read, included and extended ones too."""
    version_keys: tuple[Node, ...]
    services: dict[str, Node]
    networks: dict[str, Node]
    configs: dict[str, Node]
    folders: dict[str, str]
    """By the path of a file: the folder its relative paths are meant from."""
    unread: tuple[str, ...]
    """What they refer to and captain does not read."""


def default_files(tree: Tree, folder: str = "") -> list[str]:
    """The files docker compose takes where none is named: the first of its names, with the override beside it."""
    for name in DEFAULTS:
        path = posixpath.join(folder, name)
        if tree.read(path) is None:
            continue
        others = _OLD_OVERRIDES if name.startswith("docker-") else _OVERRIDES
        beside = (posixpath.join(folder, other) for other in others)
        return [path, *[other for other in beside if tree.read(other) is not None][:1]]
    return []


def read_compose(tree: Tree, files: Sequence[str], project: str | None = None) -> Compose:
    """The files merged in this order. Raises ProbeError where one is not there or is no compose file."""
    reader = _Reader(tree)
    folder = posixpath.dirname(files[0]) if project is None else project
    root = reader.project(files, folder, 0)
    return Compose(
        tuple(reader.folders),
        tuple(reader.versions),
        reader.part(root, "services"),
        reader.part(root, "networks"),
        reader.part(root, "configs"),
        reader.folders,
        tuple(dict.fromkeys(reader.unread)),
    )


@dataclass
class _Reader:
    tree: Tree
    folders: dict[str, str] = field(default_factory=dict)
    versions: list[Node] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    _roots: dict[str, Node] = field(default_factory=dict)
    _extended: dict[tuple[str, str], Node | None] = field(default_factory=dict)
    _made: int = 0

    def project(self, files: Sequence[str], folder: str, depth: int) -> Node | None:
        """The root of several files that stand for one project."""
        merged: Node | None = None
        for file in files:
            root = self._root(file, folder)
            for include in _listed(root.get("include")):
                merged = self._included(include, folder, merged, depth)
            merged = self._merge(merged, self._with_extends(root, file, merged), "")
        return merged

    def part(self, root: Node | None, name: str) -> dict[str, Node]:
        found = None if root is None else root.get(name)
        if found is not None and found.value is not None and not isinstance(found.value, dict):
            raise self._wrong(found, f"{name} is no mapping")
        return {} if found is None else dict(found.mapping)

    def _root(self, file: str, folder: str) -> Node:
        if file in self._roots:
            return self._roots[file]
        data = self.tree.read(file)
        if data is None:
            raise ProbeError(f"{safe(file, 200)}: there is no such file", hint="check `files`")
        try:
            documents = read_foreign_yaml(data, file)
        except ValueError as error:
            raise ProbeError(f"{safe(file, 200)}:{error}", hint="docker compose config says it too") from error
        if len(documents) != 1 or not isinstance(documents[0].value, dict):
            raise ProbeError(f"{safe(file, 200)}: is no compose file: it is empty, or not one mapping")
        root = self._roots[file] = documents[0]
        self.folders.setdefault(file, folder)
        if "version" in root.mapping:
            line, column = root.keys.get("version", (root.line, root.column))
            self.versions.append(Node(None, "plain", line, column, root.document))
        return root

    def _included(self, include: Node, folder: str, merged: Node | None, depth: int) -> Node | None:
        given = include.get("path") if isinstance(include.value, dict) else include
        paths = [each.text or "" for each in _listed(given)]
        local = [self._local(path, folder) for path in paths]
        found = [path for path in local if path is not None]
        if not paths or len(found) < len(paths) or depth >= _DEPTH:
            self.unread += paths or ["an include without a path"]
            return merged
        own = include.get("project_directory")
        where = posixpath.dirname(found[0])
        if own is not None:
            where = self._local(own.text or "", folder) or where
        return self._merge(merged, self.project(found, where, depth + 1), "")

    def _local(self, path: str, folder: str) -> str | None:
        """A path of the tree, None where it lies outside of it, is an address or holds a variable."""
        if not path or "$" in path or "://" in path or path.startswith(("/", "~", "git@")):
            return None
        joined = posixpath.normpath(posixpath.join(folder, path))
        return None if joined.startswith("..") else joined

    def _with_extends(self, root: Node, file: str, known: Node | None) -> Node:
        services = root.get("services")
        if services is None or not isinstance(services.value, dict):
            return root
        resolved = {name: self._service(root, file, name, known, 0) or node for name, node in services.value.items()}
        whole = {**root.mapping, "services": self._new(resolved, services)}
        return self._new(whole, root)

    def _service(self, root: Node, file: str, name: str, known: Node | None, depth: int) -> Node | None:
        if (file, name) in self._extended:
            return self._extended[file, name]
        node = root.get("services", name)
        extends = None if node is None else node.get("extends")
        if node is None or extends is None:
            return node
        if depth >= _DEPTH:
            raise self._wrong(extends, "extends goes round in a circle, or deeper than captain reads")
        base = self._base(extends, root, file, known, depth)
        own = self._new({key: value for key, value in node.mapping.items() if key != "extends"}, node)
        self._extended[file, name] = found = self._merge(self._merge(None, base, ""), own, "")
        return found

    def _base(self, extends: Node, root: Node, file: str, known: Node | None, depth: int) -> Node | None:
        name = extends.text or _text(extends.get("service"))
        other = _text(extends.get("file")) if isinstance(extends.value, dict) else None
        if name is None:
            raise self._wrong(extends, "extends names no service")
        if other is None:
            found = self._service(root, file, name, known, depth + 1)
            found = found or (known.get("services", name) if known is not None else None)
        else:
            path = self._local(other, self.folders[file])
            if path is None:
                self.unread.append(other)
                return None
            found = self._service(self._root(path, posixpath.dirname(path)), path, name, None, depth + 1)
        if found is None:
            raise self._wrong(extends, f"extends {safe(name, 60)}, which is no service there")
        return found

    def _merge(self, base: Node | None, over: Node | None, key: str) -> Node | None:
        """`over` laid on `base`. None where it takes the value away."""
        if over is None:
            return base
        tag = next(iter(over.mapping), "")
        if len(over.mapping) == 1 and tag.startswith("!"):
            inner = over.mapping[tag]
            if tag == "!reset":
                return None
            return self._merge(None if tag == "!override" else base, inner, key)
        if over.value is None and base is not None:
            return base
        if key in _BY_KEY and isinstance(over.value, list):
            over = self._by_key(over, key)
        if isinstance(over.value, dict):
            below = base.mapping if base is not None else {}
            merged = {name: node for name, node in below.items() if name not in over.value}
            for name, node in over.value.items():
                if (found := self._merge(below.get(name), node, name)) is not None:
                    merged[name] = found
            return self._new(merged, over)
        if isinstance(over.value, list) and base is not None and key not in _REPLACED:
            return self._new(self._together(_listed(base), over.value, key), over)
        return over

    def _together(self, base: list[Node], over: list[Node], key: str) -> list[Node]:
        if key == "volumes":
            targets = {target for node in over if (target := _target(node))}
            return [node for node in base if _target(node) not in targets] + over
        known = {node.text for node in base if node.text is not None}
        return base + [node for node in over if node.text is None or node.text not in known]

    def _by_key(self, node: Node, key: str) -> Node:
        """`- NAME=value` as `NAME: value`."""
        found: dict[str, Node] = {}
        for item in node.items:
            found |= item.mapping
            name, sign, value = (item.text or "").partition("=")
            if key in _NAMES_ONLY:
                name, sign = item.text or "", ""
            if name:
                found[name] = Node(value if sign else None, "plain", item.line, item.column, item.document)
        made = self._new(found, node)
        made.style = "mapping"
        return made

    def _new(self, value: list[Node] | dict[str, Node], at: Node) -> Node:
        self._made += 1 + len(value)
        if self._made > _MAX_NODES:
            raise ProbeError("the compose files together, with all they extend, are more than captain reads")
        return Node(value, at.style, at.line, at.column, at.document, keys=at.keys)

    def _wrong(self, node: Node, sentence: str) -> ProbeError:
        return ProbeError(f"{safe(node.document.path, 200)}:{node.line}:{node.column}: {sentence}")


def _text(node: Node | None) -> str | None:
    return None if node is None else node.text


def _listed(node: Node | None) -> list[Node]:
    """A list, or one value as a list of one; nothing where nothing is written."""
    if node is None or node.value is None:
        return []
    return node.items if isinstance(node.value, list) else [node]


def _target(volume: Node) -> str:
    """Where a volume is mounted."""
    if isinstance(volume.value, dict):
        return _text(volume.get("target")) or ""
    parts = parted(volume.text or "")
    return parts[0] if len(parts) == 1 else parts[1]
