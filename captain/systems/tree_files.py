"""Files of one folder tree by pattern, bounded in number and size, and never one outside of it. Knows no format."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from captain.errors import ProbeError, UsageError
from captain.safe import safe
from captain.systems.rests import Matched, listing

MAX_FILES = 200
MAX_ENTRIES = 50_000
"""Names that a `**` may walk over."""
LIMIT = 1024 * 1024
TOGETHER = 16 * 1024 * 1024
MAX_WORK = 20_000
"""Jobs, steps, and pieces of scripts, of all files together; what is called twice counts twice."""
_UNIT = 200


def check_pattern(pattern: str) -> str:
    """`pattern`, if it names files below a folder. Raises UsageError for absolute ones, `..` and empty ones."""
    parts = pattern.split("/")
    if not pattern or pattern.startswith("/") or "\0" in pattern or {"..", ""} & set(parts):
        raise UsageError(f"{safe(pattern, 80)} is no pattern of files below the repository")
    if len(parts) > 30 or parts.count("**") > 2 or any(part.count("*") > 4 for part in parts):
        raise UsageError(f"{safe(pattern, 80)} is too wide a pattern")
    return pattern


@dataclass(slots=True)
class Tree:
    """One folder. Blocks; every method raises ProbeError where it cannot read what is there."""

    root: Path
    made: dict[str, Any] = field(default_factory=dict)
    """By path, what a reader made of a file, so that it does so once."""
    _read: dict[str, bytes | None] = field(default_factory=dict)
    _looked: dict[str, None] = field(default_factory=dict)
    """What was looked at besides, as items of `captain.systems.rests`."""
    _size: int = 0
    _seen: int = 0
    _work: int = 0

    def matching(self, patterns: Sequence[str]) -> list[str]:
        """Paths of the regular files that a pattern matches, relative, each once, in order."""
        found: dict[str, None] = {}
        for pattern in patterns:
            paths = sorted(self._walk("", pattern.split("/")))
            self._looked[Matched(".", pattern, listing(paths)).item] = None
            for path in paths:
                found[path] = None
                if len(found) > MAX_FILES:
                    raise ProbeError(f"more than {MAX_FILES} files match {safe(pattern, 80)}", hint="narrow `paths`")
        return list(found)

    def read(self, path: str) -> bytes | None:
        """The content of one file, None where there is none."""
        if path not in self._read:
            if len(self._read) >= 2 * MAX_FILES:
                raise ProbeError(f"more than {2 * MAX_FILES} files to read")
            data = self._content(path)
            self._size += len(data or b"")
            if self._size > TOGETHER:
                raise ProbeError(f"the files together are larger than {TOGETHER // 1024 // 1024} MiB")
            self._read[path] = data
        return self._read[path]

    def there(self, path: str) -> bool:
        """Whether something of that name is there, wherever links lead. Raises OSError and ValueError."""
        self._looked[f"there {path}"] = None
        return (self.root / path).exists()

    def folder(self, path: str) -> bool:
        """Whether that is a folder."""
        self._looked[f"there {path}"] = None
        return (self.root / path).is_dir()

    def mode(self, path: str) -> int:
        """The permissions of a file. Raises OSError and ValueError."""
        self._looked[f"mode {path}"] = None
        return (self.root / path).stat().st_mode

    @property
    def rests(self) -> tuple[str, ...]:
        """Everything that was looked at: what an answer from this tree rests on."""
        return (*(f"file {path}" for path in self._read), *self._looked)

    def spend(self, file: str, text: str = "") -> None:
        """Count one job, step or script. Files call one another, so a few of them can stand for very many."""
        self._work += 1 + len(text) // _UNIT
        if self._work > MAX_WORK:
            raise ProbeError(f"{safe(file, 200)}: with what it calls, it is more than captain reads")

    def _content(self, path: str) -> bytes | None:
        full = self.root / path
        try:
            self._inside(full, path)
            handle = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise ProbeError(f"{safe(path, 200)} is no regular file")
                data = file.read(LIMIT + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except (OSError, ValueError) as error:
            said = (getattr(error, "strerror", None) or str(error)).lower()
            raise ProbeError(f"{safe(path, 200)} cannot be read: {safe(said, 80)}") from error
        if len(data) > LIMIT:
            raise ProbeError(f"{safe(path, 200)} is larger than {LIMIT // 1024} KiB, which captain does not read")
        return data

    def _inside(self, full: Path, path: str) -> None:
        if not full.resolve().is_relative_to(self.root.resolve()):
            raise ProbeError(f"{safe(path, 200)} points outside the repository, where captain reads nothing")

    def _walk(self, folder: str, parts: Sequence[str]) -> Iterator[str]:
        part, rest = parts[0], parts[1:]
        for name, is_folder, is_link in self._names(folder):
            path = f"{folder}/{name}" if folder else name
            if part == "**":
                if is_folder and not is_link and name != ".git":
                    yield from self._walk(path, parts)
                if rest and fnmatchcase(name, rest[0]):
                    yield from self._below(path, is_folder, rest[1:])
                elif not rest and not is_folder:
                    yield path
            elif fnmatchcase(name, part):
                yield from self._below(path, is_folder, rest)

    def _below(self, path: str, is_folder: bool, rest: Sequence[str]) -> Iterator[str]:
        if rest and is_folder:
            yield from self._walk(path, rest)
        elif not rest and not is_folder:
            yield path

    def _names(self, folder: str) -> list[tuple[str, bool, bool]]:
        full = self.root / folder
        try:
            self._inside(full, folder)
            with os.scandir(full) as entries:
                found = []
                for entry in entries:
                    self._seen += 1
                    if self._seen > MAX_ENTRIES:
                        raise ProbeError(f"more than {MAX_ENTRIES} names to look at", hint="narrow `paths`")
                    found.append((entry.name, entry.is_dir(), entry.is_symlink()))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            raise ProbeError(f"{safe(folder or '.', 200)} cannot be listed: {safe(said, 80)}") from error
        return found
