"""What a .dockerignore keeps out of a build, by Docker's own rules. Reads the one file; knows no secret and no verdict.

Not git's rules: `.env` is the one at the top only, and a later `!` brings back what an earlier line took away.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.docker_library import load
from captain.systems.tree_files import Tree

_MOST = 1000
_WILD = 4
_LONGEST = 300


@dataclass
class DockerIgnore:
    """The patterns of one context, the last one that matches counts."""

    path: str | None
    """The file they stand in, None where there is none."""
    patterns: Sequence[Any] = ()
    brings_back: bool = False
    """Whether a pattern begins with `!`."""
    until: float = float("inf")
    """When there is no time left, on the monotonic clock: every pattern is tried on every path."""
    _known: dict[str, tuple[bool, ...]] = field(default_factory=dict)

    def covers(self, path: str) -> bool:
        """Whether a file does not reach the build: the last pattern that meets it, or a folder it lies in, says so."""
        inside = path
        met = self._met(inside)
        while inside := posixpath.dirname(inside):
            met = tuple(one or other for one, other in zip(met, self._met(inside), strict=True))
        covered = False
        for pattern, hit in zip(self.patterns, met, strict=True):
            covered = not pattern.exclusion if hit else covered
        return covered

    def _met(self, path: str) -> tuple[bool, ...]:
        if path not in self._known:
            if time.monotonic() > self.until:
                raise ProbeError(f"{safe(self.path, 200)}: trying its patterns takes longer than there is time")
            self._known[path] = tuple(bool(pattern.match(path)) for pattern in self.patterns)
        return self._known[path]


def read_docker_ignore(tree: Tree, context: str, dockerfile: str | None, until: float) -> DockerIgnore:
    """`<Dockerfile>.dockerignore` where there is one, else the context's own. Raises ProbeError if it is too much."""
    load()
    from docker.utils.build import PatternMatcher

    named = [] if dockerfile is None else [f"{dockerfile}.dockerignore"]
    for path in (*named, posixpath.normpath(posixpath.join(context, ".dockerignore"))):
        data = tree.read(path)
        if data is None:
            continue
        lines = _lines(data.decode("utf-8-sig", "replace"), path)
        # The library brings back .dockerignore itself as its last pattern.
        patterns = PatternMatcher(lines).patterns[:-1]
        return DockerIgnore(path, patterns, any(one.exclusion for one in patterns), until)
    return DockerIgnore(None)


def _lines(text: str, path: str) -> list[str]:
    found = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if raw.startswith("#") or not line:
            continue
        if len(line) > _LONGEST or line.replace("**", "").count("*") > _WILD or line.count("**") > _WILD:
            raise ProbeError(f"{safe(path, 200)}:{number}: a pattern with more wildcards than captain tries")
        if "\\" in line or "[!" in line or "[^" in line:
            # Docker and its library read these differently.
            raise ProbeError(
                f"{safe(path, 200)}:{number}: a pattern with a backslash or [^…], which captain does not read"
            )
        if "[" in line:
            _class(line, path, number)
        found.append(line)
    if len(found) > _MOST:
        raise ProbeError(f"{safe(path, 200)}: has more than {_MOST} patterns")
    return found


def _class(line: str, path: str, number: int) -> None:
    import re

    from docker.utils.fnmatch import translate

    try:
        re.compile(translate(line.lstrip("!")))
    except re.error as error:
        raise ProbeError(f"{safe(path, 200)}:{number}: is no pattern: {safe(error, 80)}") from error
