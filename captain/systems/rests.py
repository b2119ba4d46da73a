"""What an answer that was read from files rests on, as items that say what was looked at. Pure; looks at nothing.

Items are texts, relative to one folder: `file PATH` (content, permissions, where links lead), `mode PATH` (permissions
alone), `there PATH` (whether it is there), `match JSON` (files by a pattern), `reports JSON` (reports by a pattern) and
`chosen JSON` (files by patterns, as git and the disk list them).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


def digest_of(lines: Iterable[str]) -> str:
    """SHA-256 of these texts, in this order."""
    found = hashlib.sha256()
    for line in lines:
        found.update(line.encode("utf-8", "surrogateescape") + b"\0")
    return found.hexdigest()


def listing(paths: Iterable[str], executable: Collection[str] = ()) -> str:
    """The digest of a list of files."""
    return digest_of(f"{path in executable} {path}" for path in sorted(paths))


@dataclass(frozen=True, slots=True)
class Matched:
    """Files by one pattern below a folder, and how they were listed."""

    folder: str
    pattern: str
    listed: str

    @property
    def item(self) -> str:
        return "match " + json.dumps([self.folder, self.pattern, self.listed])


@dataclass(frozen=True, slots=True)
class Reports:
    """Reports by one pattern, and how they were listed."""

    pattern: str
    listed: str

    @property
    def item(self) -> str:
        return "reports " + json.dumps([self.pattern, self.listed])


@dataclass(frozen=True, slots=True)
class Chosen:
    """Files by patterns, and how they were listed when they were looked through."""

    globs: tuple[str, ...]
    exclude: tuple[str, ...]
    tracked_only: bool
    listed: str

    @property
    def item(self) -> str:
        return "chosen " + json.dumps([self.globs, self.exclude, self.tracked_only, self.listed])


def below(folder: Path, root: Path, items: Sequence[str]) -> tuple[str, ...]:
    """Items of a tree, as items about `root`."""
    way = os.path.relpath(folder, root)
    return tuple(items) if way == "." else tuple(_moved(way, item) for item in items)


def _moved(way: str, item: str) -> str:
    kind, _, rest = item.partition(" ")
    if kind == "match":
        _, pattern, listed = json.loads(rest)
        return Matched(way, pattern, listed).item
    return f"{kind} {way}/{rest}"
