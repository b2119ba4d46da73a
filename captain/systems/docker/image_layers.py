"""What the layers of an image hold, read from the stream of `docker save`. Keeps names only; no file, no verdict.

A file that a later layer deletes is still in the earlier one, for everybody who has the image. Layers come in any
order, packed or not, under the names of both layouts: `ID/layer.tar` and `blobs/sha256/…`.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field

from captain.systems.docker.passwd import MOST, PATH
from captain.systems.docker.tar_stream import GZIP, Entry, Read, Source, entries, gunzipped
from captain.systems.globs import Glob
from captain.systems.secret_names import CONTENT, file_rule

TOOLCHAIN = (
    *("gcc", "cc", "g++", "cc1", "clang", "make", "cargo", "rustc", "go"),
    *("/root/.cache", "/root/.npm/_cacache", "**/.git"),
)
"""Programs by name, folders by path, that belong to building and not to running."""
_MANIFEST = 4 * 1024 * 1024
_KEPT = 20_000
_DEEPEST = 40
_LAYERS = 200
_ZSTD = b"\x28\xb5\x2f\xfd"
_TAR = slice(257, 262)
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


class TooLarge(ValueError):
    """A layer has more bytes than are looked at."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A file of a layer that may hold a secret."""

    path: str
    rule: str
    layer: int
    """From 1, the lowest layer."""
    deleted: bool
    """Whether the image's last layer has it no more."""


@dataclass(frozen=True, slots=True)
class Layers:
    """What was found in all layers of one image."""

    count: int
    hits: tuple[Hit, ...]
    toolchain: tuple[str, ...]
    """Paths of programs and folders for building that are left at the end, sorted."""
    passwd: str | None
    """/etc/passwd as it is at the end; None where there is none that can be read."""


@dataclass
class _Layer:
    secrets: dict[str, str] = field(default_factory=dict)
    """Path to rule."""
    tools: dict[str, str] = field(default_factory=dict)
    """Path of a file to the program or the folder that it shows."""
    passwd: str | None = None
    paths: set[str] = field(default_factory=set)
    """Paths that matter, of this layer."""
    gone: set[str] = field(default_factory=set)
    """Paths of lower layers that this one deletes."""
    emptied: set[str] = field(default_factory=set)
    """Folders of which it hides what lower layers have."""


class Scan:
    """How layers are looked at."""

    def __init__(self, toolchain: Sequence[str], allow: Sequence[str], max_layer: int) -> None:
        """`allow` are patterns of paths that hold no secret, whatever they are called."""
        self._programs = {tool for tool in toolchain if "/" not in tool}
        self._folders = [Glob(tool) for tool in toolchain if "/" in tool]
        self._allow = [Glob(pattern) for pattern in allow]
        self._max_layer = max_layer
        self._kept = 0

    def read(self, read: Read) -> Layers:
        """Everything in the stream of `docker save`. Raises ValueError where it is not whole or not understood."""
        layers: dict[str, _Layer] = {}
        links: dict[str, str] = {}
        manifest = b""
        for entry in entries(Source(read)):
            if entry.name == "manifest.json":
                manifest = entry.head(_MANIFEST)
            elif entry.kind in ("symlink", "hardlink"):
                inside = posixpath.dirname(entry.name) if entry.kind == "symlink" else ""
                links[entry.name] = posixpath.normpath(posixpath.join(inside, entry.link))
            elif entry.kind == "file" and _may_be_layer(entry.name) and (layer := self._layer(entry)) is not None:
                layers[entry.name] = layer
        found: list[_Layer] = []
        for name in _order(manifest):
            layer = layers.get(name) or layers.get(links.get(name, ""))
            if layer is None:
                raise ValueError("a layer is missing")
            found.append(layer)
        return _together(found)

    def _layer(self, blob: Entry) -> _Layer | None:
        """None where the blob is no layer."""
        if blob.size > self._max_layer:
            raise TooLarge(f"a layer has {blob.size} bytes")
        source = Source(blob.read)
        head = source.peek(512)
        if head.startswith(_ZSTD):
            raise ValueError("a layer is packed with zstd, which is not unpacked here")
        if head.startswith(GZIP):
            source = Source(_no_more_than(self._max_layer, gunzipped(source.some)))
            head = source.peek(512)
        if head[_TAR] != b"ustar" and any(head):
            return None
        layer = _Layer()
        for entry in entries(source):
            self._look(entry, layer)
            if self._kept > _KEPT:
                raise ValueError("its layers hold more such files than captain looks at")
        return layer

    def _look(self, entry: Entry, layer: _Layer) -> None:
        folder, _, name = entry.name.rpartition("/")
        if name.startswith(_WHITEOUT):
            self._kept += 1
            if name == _OPAQUE:
                layer.emptied.add(folder)
            elif not name.startswith(_WHITEOUT * 2):
                layer.gone.add(posixpath.join(folder, name.removeprefix(_WHITEOUT)))
            return
        if entry.name == PATH:
            layer.paths.add(PATH)
            layer.passwd = entry.head(MOST).decode("utf-8", "replace") if entry.kind == "file" else None
        if entry.kind not in ("file", "hardlink", "symlink"):
            return
        if (tool := self._tool(entry, name)) is not None:
            self._keep(layer, entry.name)
            layer.tools[entry.name] = tool
        rule = file_rule(entry.name) if entry.kind != "symlink" else None
        if rule is None or any(pattern.matches(entry.name) for pattern in self._allow):
            return
        # The content of a hard link is somewhere else in its layer, so its name has to do where it can.
        if rule.alone if entry.kind == "hardlink" else rule.confirmed(entry.head(CONTENT)):
            self._keep(layer, entry.name)
            layer.secrets[entry.name] = rule.id

    def _keep(self, layer: _Layer, path: str) -> None:
        if path.count("/") > _DEEPEST:
            raise ValueError("a layer holds a file too many folders deep")
        layer.paths.add(path)
        self._kept += 1

    def _tool(self, entry: Entry, name: str) -> str | None:
        if name in self._programs and (entry.mode & 0o111 or entry.kind != "file"):
            return entry.name
        return next((found for folder in self._folders if (found := folder.above(entry.name)) is not None), None)


def _together(layers: Sequence[_Layer]) -> Layers:
    """The layers one above the other."""
    top: dict[str, int] = {}
    for index, layer in enumerate(layers):
        if layer.gone or layer.emptied:
            top = {path: at for path, at in top.items() if not _hidden(path, layer)}
        top |= dict.fromkeys(layer.paths, index)
    hits = tuple(
        Hit(path, rule, index + 1, top.get(path) != index)
        for index, layer in enumerate(layers)
        for path, rule in sorted(layer.secrets.items())
    )
    tools = {layers[index].tools[path] for path, index in top.items() if path in layers[index].tools}
    passwd = layers[top[PATH]].passwd if PATH in top else None
    return Layers(len(layers), hits, tuple(sorted(tools)), passwd)


def _hidden(path: str, layer: _Layer) -> bool:
    if path in layer.gone:
        return True
    while path:
        path = path.rpartition("/")[0]
        if path in layer.gone or path in layer.emptied:
            return True
    return False


def _may_be_layer(name: str) -> bool:
    return name.endswith("/layer.tar") or name.startswith("blobs/")


def _order(manifest: bytes) -> list[str]:
    """The names of the layers, the lowest first."""
    try:
        listed = json.loads(manifest)
        if len(listed) != 1:
            raise ValueError("the stream holds several images")
        names = [posixpath.normpath(str(name)) for name in listed[0]["Layers"] or []]
    except (json.JSONDecodeError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("the stream is not one of docker save") from error
    if not 0 < len(names) <= _LAYERS:
        raise ValueError(f"the stream has {len(names)} layers")
    return names


def _no_more_than(most: int, read: Read) -> Read:
    left = most

    def some(count: int) -> bytes:
        nonlocal left
        found = read(count)
        left -= len(found)
        if left < 0:
            raise TooLarge(f"a layer has more than {most} bytes")
        return found

    return some
