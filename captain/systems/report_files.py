"""Finds and reads the files of reports within bounds. Blocks; knows no format and no verdict."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.reports import LIMIT

MOST_FILES = 200
_CHUNK = 1024 * 1024
_MOST_HASHED = 256 * 1024 * 1024
_SUM = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True, slots=True)
class Document:
    """One report as it came."""

    name: str
    """As it is shown."""
    data: bytes
    modified: datetime | None
    """When it was last changed, where that is known."""
    shown: bool
    """Whether it lies where captain may show what is in it."""

    @property
    def sha256(self) -> str:
        """The digest of its bytes."""
        return hashlib.sha256(self.data).hexdigest()


def matching(root: Path, pattern: str) -> list[Path]:
    """Files that are meant, the newest first. Raises ProbeError."""
    if "\0" in pattern or "**" in pattern:
        raise ProbeError("report: path holds a NUL character or **", hint="name the folder: path: 'reports/*.json'")
    try:
        base, relative = (Path("/"), pattern.lstrip("/")) if pattern.startswith("/") else (root, pattern)
        found = list(islice(base.glob(relative), MOST_FILES + 1))
        aged = [(one.stat().st_mtime_ns, one) for one in found if one.exists() and not one.is_dir()]
    except (ValueError, NotImplementedError, IndexError) as error:
        raise ProbeError(f"report {safe(pattern, 200)}: is no path", hint="check `path`") from error
    except OSError as error:
        raise _unreadable(pattern, error) from error
    if len(aged) > MOST_FILES:
        raise ProbeError(f"report {safe(pattern, 200)}: more than {MOST_FILES} files", hint="say which in `path`")
    return [one for _, one in sorted(aged, reverse=True)]


def document(root: Path, path: Path, limit: int = LIMIT) -> Document:
    """The file, whole. Raises ProbeError."""
    shown = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
    handle, status = _opened(path, shown)
    try:
        with os.fdopen(handle, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise _unreadable(shown, error) from error
    if len(data) > limit:
        raise ProbeError(f"report {safe(shown, 200)}: is larger than {limit // 1024 // 1024} MiB", hint="narrow it")
    inside = path.resolve().is_relative_to(root.resolve())
    return Document(shown, data, _moment(status), inside)


def digest(root: Path, path: str) -> str:
    """SHA-256 of a file that may be larger. Raises ProbeError."""
    handle, _ = _opened(root / path, path)
    found, size = hashlib.sha256(), 0
    try:
        with os.fdopen(handle, "rb") as file:
            while data := file.read(_CHUNK):
                size += len(data)
                if size > _MOST_HASHED:
                    raise ProbeError(f"report: {safe(path, 200)} is larger than 256 MiB", hint="check `lockfile`")
                found.update(data)
    except OSError as error:
        raise _unreadable(path, error) from error
    return found.hexdigest()


def in_sums(sums: bytes, path: str) -> str | None:
    """The digest that a file of sha256sum has for a path, None where it has none or two."""
    wanted = Path(path).parts
    found = set()
    for line in sums.decode("utf-8", "replace").splitlines():
        if match := _SUM.fullmatch(line.strip()):
            parts = Path(match[2]).parts
            shorter = min(len(parts), len(wanted))
            if shorter and parts[-shorter:] == wanted[-shorter:]:
                found.add(match[1])
    return found.pop() if len(found) == 1 else None


def _opened(path: Path, shown: str) -> tuple[int, os.stat_result]:
    try:
        # It may have become a pipe since it was looked at, which must not block.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise _unreadable(shown, error) from error
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise ProbeError(f"report {safe(shown, 200)}: is no regular file", hint="check `path`")
    return handle, status


def _moment(status: os.stat_result) -> datetime | None:
    try:
        return datetime.fromtimestamp(status.st_mtime, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _unreadable(shown: str, error: OSError | ValueError) -> ProbeError:
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    hint = "may captain's user read it, and is the path right?"
    return ProbeError(f"report {safe(shown, 200)}: cannot be read: {reason}", hint=hint)
