"""Whether links and paths of a document lead somewhere: within the repository, or on the web. No verdict."""

from __future__ import annotations

import asyncio
import posixpath
import re
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from captain.errors import ProbeError
from captain.systems.texts.commands import Commands
from captain.systems.texts.reading import Text, is_text, local, read_text
from captain.systems.tree_files import Tree

MAX_URLS = 100
_AT_ONCE = 8
_EACH = timedelta(seconds=5)
_GONE = (404, 410)
_FILE_ENDS = (".sh", ".py", ".sql", ".md", ".yml", ".yaml", ".toml", ".tf", ".ini", ".cfg", ".js", ".ts", ".go", ".rb")
_PATH = re.compile(r"(?:\./)?[\w.-]+(?:/[\w.-]+)+/?")
_PLACE = re.compile(r":\d+(?::\d+)?$")
_NOT_ASKED = re.compile(r"(?:^|\.)(?:localhost|example|example\.(?:com|org|net)|test|invalid|local|internal)$")


def dead_links(tree: Tree, text: Text) -> Iterator[tuple[str, int]]:
    """Links within the repository whose file, or heading in it, is not there."""
    folder = posixpath.dirname(text.path)
    for target, line in text.links:
        found = local(target)
        if found is None or (text.path.endswith(".rst") and not re.search(r"[./#]", target)):
            continue
        path, anchor = found
        joined = text.path
        if path:
            joined = posixpath.normpath(path.lstrip("/") if path.startswith("/") else posixpath.join(folder, path))
        # What leads out of the repository is for others to know: ../../issues.
        if not joined.startswith("..") and not _leads(tree, joined, anchor, text):
            yield target, line


def _leads(tree: Tree, path: str, anchor: str, text: Text) -> bool:
    names = (path, f"{path}.md", f"{path}.rst", f"{path}/index.md", f"{path}/README.md")
    try:
        there = next((name for name in names if tree.there(name)), None)
    except (OSError, ValueError):
        return False
    if there is None:
        return False
    if not anchor or not there.lower().endswith((".md", ".markdown")):
        return True
    if there == text.path:
        other: Text | None = text
    else:
        if there not in tree.made:
            data = tree.read(there)
            tree.made[there] = None if data is None else read_text(data.decode("utf-8", "replace"), there)
        other = tree.made[there]
    return other is None or anchor.lower() in {one.lower() for one in other.anchors} or not is_text(there)


def dead_paths(commands: Commands, text: Text) -> Iterator[tuple[str, int]]:
    """Code within sentences that names a file of the repository which is not there.

    A word with a slash is taken for a path where it ends as files do, or its first folder is there.
    """
    folder = posixpath.dirname(text.path)
    for span, line in text.spans:
        path = _PLACE.sub("", span)
        if not _PATH.fullmatch(path):
            continue
        first = path.removeprefix("./").partition("/")[0]
        likely = path.startswith("./") or path.lower().endswith(_FILE_ENDS) or commands.there(first, "")
        if likely and not commands.there(path, "", folder):
            yield span, line


def addresses(texts: Iterable[Text]) -> dict[str, tuple[str, int]]:
    """Addresses on the web, each with the first place it stands at. Those of nobody are left out."""
    found: dict[str, tuple[str, int]] = {}
    for text in texts:
        for target, line in text.links:
            try:
                parts = urlsplit(target.partition("#")[0])
                host = parts.hostname or ""
            except ValueError:
                continue
            if parts.scheme not in ("http", "https") or "@" in parts.netloc or re.search(r"[{}<>$*]", target):
                continue
            if host and not _NOT_ASKED.search(host) and not host.startswith("127."):
                found.setdefault(parts.geturl(), (text.path, line))
    return found


async def gone(urls: Iterable[str], timeout: timedelta) -> tuple[list[str], list[str]]:
    """Addresses that answer that there is nothing, and those of which it is not known."""
    from captain.http import fetch

    until = time.monotonic() + timeout.total_seconds()
    gate = asyncio.Semaphore(_AT_ONCE)
    asked = list(urls)
    dead: list[str] = []
    unknown: list[str] = asked[MAX_URLS:]

    async def one(url: str) -> None:
        async with gate:
            for method in ("HEAD", "GET"):
                left = min(_EACH, timedelta(seconds=until - time.monotonic()))
                if left <= timedelta(0):
                    unknown.append(url)
                    return
                try:
                    reply = await fetch(url, timeout=left, method=method, limit=64 * 1024, keep=False)
                except ProbeError:
                    unknown.append(url)
                    return
                if reply.status < 400:
                    return
                if method == "GET":
                    (dead if reply.status in _GONE else unknown).append(url)

    await asyncio.gather(*(one(url) for url in asked[:MAX_URLS]))
    return sorted(dead), sorted(unknown)
