"""Whether the files that answers rest on are as they were: one digest of all that was looked at. No verdict.

What cannot be told surely has no digest: whoever needs one looks at the files again. The items are those of
`captain.systems.rests`.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from captain import __version__
from captain.blocking import Blocking
from captain.errors import CaptainError
from captain.systems.rests import Chosen, Matched, Reports, digest_of, listing

if TYPE_CHECKING:
    from captain.systems.search.files import Files

TOGETHER = 256 * 1024 * 1024
"""Bytes that are read to tell whether files are the same; more is not read."""
_COARSE = 5 if sys.platform == "linux" else None
"""The clock that Linux dates files by (CLOCK_REALTIME_COARSE): it stands still for some milliseconds at a time."""
_SLACK = 20_000_000
"""Nanoseconds by which the dates of files may lag behind where there is no such clock."""
_SECOND = 1_000_000_000


def clock() -> int:
    """Now, in nanoseconds, such that no file that is changed later is dated before it."""
    return time.time_ns() - _SLACK if _COARSE is None else time.clock_gettime_ns(_COARSE)


class _Unsure(Exception):
    """Nobody can say what this rests on."""


@dataclass(slots=True)
class Known:
    """What was looked at already, shared by answers that rest on the same files."""

    files: dict[str, tuple[tuple[int, ...], str]] = field(default_factory=dict)
    """By path, how the disk described a file when it was read, and what it said."""
    lists: dict[bool, Files] = field(default_factory=dict)
    """All files, tracked ones only or not: whether a list is still the right one, its digest tells."""


@dataclass(slots=True)
class Ground:
    """The files as they are now. Each is looked at once, however many answers rest on it."""

    root: Path
    environ: Mapping[str, str]
    timeout: timedelta
    blocking: Blocking
    known: Known = field(default_factory=lambda: Known())
    _said: dict[str, str | None] = field(default_factory=dict)
    _listed: set[bool] = field(default_factory=set)
    """Which lists it made itself: they are not made again."""
    _newest: dict[str, int] = field(default_factory=dict)
    """When each was changed last, in nanoseconds."""
    _size: int = 0

    async def digest(self, items: Sequence[str], *, unchanged_since: int | None = None) -> str | None:
        """One digest of these items; None where it cannot be told.

        With `unchanged_since` (of `clock`) nothing of it may have been changed since: it is what was read in between.
        """
        wanted: list[str] = []
        for item in items:
            kind, _, rest = item.partition(" ")
            more = await self._chosen(rest) if kind == "chosen" else [item]
            if more is None:
                return None
            wanted += more
        if len(wanted) > 0 and not await self.blocking(lambda: self._look(wanted)):
            return None
        if unchanged_since is not None and any(self._young(one, unchanged_since) for one in wanted):
            return None
        return digest_of([__version__, *(f"{one}\t{self._said.get(one)}" for one in wanted)])

    async def _chosen(self, asked: str) -> list[str] | None:
        """The files that patterns mean now; None where they are not listed as they were."""
        from captain.systems.search.files import chosen, files_of

        try:
            was = Chosen(*json.loads(asked))
            meant = chosen(was.globs, was.exclude)
        except (ValueError, TypeError, CaptainError):
            return None
        for fresh in (False, True):
            if fresh and was.tracked_only in self._listed:
                return None
            if fresh or was.tracked_only not in self.known.lists:
                self._listed.add(was.tracked_only)
                try:
                    self.known.lists[was.tracked_only] = await files_of(
                        self.root, self.environ, self.timeout, tracked_only=was.tracked_only, meant=lambda path: True
                    )
                except CaptainError:
                    return None
            files = self.known.lists[was.tracked_only]
            paths = [path for path in files.paths if meant(path)]
            if listing(paths, files.executable) == was.listed:
                return [f"file {path}" for path in paths]
        return None

    def _look(self, items: Sequence[str]) -> bool:
        """Look at what was not looked at yet. Blocks. False where something cannot be told."""
        for item in items:
            if item not in self._said:
                kind, _, path = item.partition(" ")
                try:
                    self._said[item] = _LOOKS[kind](self, item, path)
                except (_Unsure, OSError, ValueError, TypeError, KeyError):
                    self._said[item] = None
        return all(self._said[item] is not None for item in items)

    def _young(self, item: str, since: int) -> bool:
        at = self._newest.get(item, 0)
        # Some file systems count whole seconds only.
        return at >= (since - _SECOND if at % _SECOND == 0 else since)

    def _file(self, item: str, path: str) -> str:
        full = self.root / path
        try:
            status = full.stat()
            self._newest[item] = max(status.st_ctime_ns, status.st_mtime_ns)
            described = (
                status.st_mode,
                status.st_ino,
                status.st_dev,
                status.st_size,
                status.st_mtime_ns,
                status.st_ctime_ns,
            )
            if self.known.files.get(path, ((), ""))[0] == described:
                return self.known.files[path][1]
            handle = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return self._none(item, full)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            self._newest[item] = max(status.st_ctime_ns, status.st_mtime_ns)
            way = os.path.relpath(os.path.realpath(full), os.path.realpath(self.root))
            if not stat.S_ISREG(status.st_mode):
                return f"{status.st_mode:o} {way}"
            content = hashlib.sha256()
            while data := file.read(1024 * 1024):
                self._size += len(data)
                if self._size > TOGETHER:
                    raise _Unsure
                content.update(data)
        said = f"{status.st_mode:o} {way} {content.hexdigest()}"
        if not self._young(item, clock()):
            self.known.files[path] = (described, said)
        return said

    def _mode(self, item: str, path: str) -> str:
        full = self.root / path
        try:
            status = full.stat()
        except (FileNotFoundError, NotADirectoryError):
            return self._none(item, full)
        self._newest[item] = status.st_ctime_ns
        return f"{status.st_mode:o}"

    def _match(self, item: str, asked: str) -> str:
        from captain.systems.tree_files import Tree

        was = Matched(*json.loads(asked))
        try:
            listed = listing(Tree(self.root / was.folder).matching([was.pattern]))
        except CaptainError as error:
            raise _Unsure from error
        if listed != was.listed:
            # Nobody read what came since, so nothing rests on it.
            raise _Unsure
        return "as it was"

    def _reports(self, item: str, asked: str) -> str:
        from captain.systems.report_files import matching

        was = Reports(*json.loads(asked))
        try:
            listed = listing(str(path) for path in matching(self.root, was.pattern))
        except CaptainError as error:
            raise _Unsure from error
        if listed != was.listed:
            raise _Unsure
        return "as it was"

    def _there(self, item: str, path: str) -> str:
        full = self.root / path
        try:
            status = full.stat()
        except (FileNotFoundError, NotADirectoryError):
            return self._none(item, full)
        self._newest[item] = _folder(full)
        return f"{stat.S_IFMT(status.st_mode):o}"

    def _none(self, item: str, full: Path) -> str:
        self._newest[item] = _folder(full)
        return "none"


_LOOKS: Mapping[str, Callable[[Ground, str, str], str]] = {
    "file": Ground._file,
    "mode": Ground._mode,
    "match": Ground._match,
    "reports": Ground._reports,
    "there": Ground._there,
}


def _folder(full: Path) -> int:
    """When names came or went last where this one lies, or would lie."""
    for folder in full.parents:
        try:
            return folder.stat().st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            continue
    raise _Unsure
