"""Paths chosen by patterns: `*` and `?` within a part, `**` for any parts. Pure.

Matched part by part, so that no path, however hostile, takes longer than its length times the pattern's.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable


class Glob:
    """One pattern: `/tmp/**`, `**/__pycache__/**`, `/usr/bin/gcc*`. `/tmp/**` is `/tmp` as well."""

    def __init__(self, pattern: str) -> None:
        self._parts = [None if part == "**" else _matcher(part) for part in parts(pattern)]

    def matches(self, path: str) -> bool:
        """Whether the whole path is meant."""
        at = self._skip({0})
        for part in parts(path):
            at = self._step(at, part)
            if not at:
                return False
        return len(self._parts) in at

    def above(self, path: str) -> str | None:
        """The shortest of the path and the folders it lies in that is meant, None where none is."""
        at = self._skip({0})
        given = parts(path)
        for count, part in enumerate(given, 1):
            at = self._step(at, part)
            if len(self._parts) in at:
                return "/".join(given[:count])
            if not at:
                return None
        return None

    def _step(self, at: set[int], part: str) -> set[int]:
        found = set[int]()
        for index in at:
            if index == len(self._parts):
                continue
            matcher = self._parts[index]
            if matcher is None:
                found.add(index)
            elif matcher(part):
                found.add(index + 1)
        return self._skip(found)

    def _skip(self, at: set[int]) -> set[int]:
        """With the places that a `**` of no parts leads to."""
        for index in range(len(self._parts)):
            if index in at and self._parts[index] is None:
                at.add(index + 1)
        return at


def parts(path: str) -> list[str]:
    """The parts of a path: `["a", "b"]` of `/a/./b/`."""
    return [part for part in path.split("/") if part not in ("", ".")]


def _matcher(part: str) -> Callable[[str], object]:
    if not any(character in part for character in "*?["):
        return part.__eq__
    return re.compile(fnmatch.translate(part)).match
