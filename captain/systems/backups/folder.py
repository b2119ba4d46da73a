"""Backups that lie on disk: finds them by a pattern and reads them. Follows links, changes nothing, knows no format."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

from captain.blocking import Blocking
from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.backups.listing import MOST, Item, Listing

CHUNK = 256 * 1024
_TOC = "toc.dat"
"""What makes a folder one backup: pg_dump --format=directory writes it last."""


class Folder:
    """The files and folders that `pattern`, an absolute path, means."""

    def __init__(self, pattern: Path, blocking: Blocking, timeout: timedelta) -> None:
        self.name = str(pattern)
        self.unmounted = _unmounted_here
        self._pattern = pattern
        self._blocking = blocking
        self._deadline = time.monotonic() + timeout.total_seconds()

    async def listing(self) -> Listing:
        """Everything the pattern means. Raises ProbeError where the folder is not there or cannot be read."""
        return Listing(await self._blocking(self._found))

    async def read(self, item: Item, take: Callable[[bytes], Awaitable[None]]) -> None:
        """Give the file to `take` from its first byte to its last. Raises ProbeError."""
        handle = await self._blocking(lambda: _opened(Path(item.key)))
        try:
            while data := await self._blocking(lambda: os.read(handle, CHUNK)):
                await take(data)
            after = os.fstat(handle)
        except OSError as error:
            raise _unreadable(item.key, error) from error
        finally:
            os.close(handle)
        if after.st_size != item.size or _moment(after) != item.modified:
            raise ProbeError(f"{safe(item.key, 200)} changed while it was read", hint="ask again when it is complete")

    async def small(self, key: str, limit: int) -> bytes | None:
        """A short file, None where there is none. Raises ProbeError."""

        def look() -> bytes | None:
            try:
                handle = _opened(Path(key))
            except ProbeError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    return None
                raise
            with os.fdopen(handle, "rb") as file:
                return file.read(limit)

        return await self._blocking(look)

    def _found(self) -> tuple[Item, ...]:
        folder, parts = split(self._pattern)
        if (point := self.unmounted(folder)) is not None:
            raise ProbeError(f"{safe(folder)}: the drive of {safe(point)} is not mounted", hint=f"mount {safe(point)}")
        if not parts and (folder / _TOC).is_file():
            folder, parts = folder.parent, [folder.name]
        try:
            status = folder.stat()
        except OSError as error:
            hint = "check `path`, and whether its drive is mounted"
            raise ProbeError(f"folder {safe(folder)}: {_words(error)}", hint=hint) from error
        if not stat.S_ISDIR(status.st_mode):
            raise ProbeError(f"{safe(folder)} is no folder", hint="check `path`")
        paths = [folder]
        for at, part in enumerate(parts or ["*"]):
            found: list[Path] = []
            for path in paths:
                self._match(path, part, found, top=at == 0)
            paths = found
        return self._items(paths)

    def _match(self, folder: Path, part: str, found: list[Path], *, top: bool) -> None:
        """Add what of one folder fits one part of the pattern."""
        try:
            with os.scandir(folder) as entries:
                for number, entry in enumerate(entries):
                    if number % 1000 == 0 and time.monotonic() > self._deadline:
                        raise ProbeError(f"{safe(self.name, 200)}: listing it took too long", hint="narrow `path`")
                    if fnmatchcase(entry.name, part):
                        found.append(folder / entry.name)
                    if len(found) > MOST:
                        raise ProbeError(f"{safe(self.name, 200)} means more than {MOST} files", hint="narrow `path`")
        except (NotADirectoryError, FileNotFoundError) as error:
            if top:
                raise _unreadable(str(folder), error) from error
        except OSError as error:
            raise _unreadable(str(folder), error) from error

    def _items(self, paths: list[Path]) -> tuple[Item, ...]:
        """Each file once, under its own name rather than that of a link such as latest.dump."""
        found: dict[tuple[int, int], Item] = {}
        for path in sorted(paths, key=lambda path: path.is_symlink()):
            try:
                status = path.stat()
                item = _item(path, status)
            except FileNotFoundError:
                continue  # rotated away meanwhile, or a link to what was
            except OSError as error:
                raise _unreadable(str(path), error) from error
            if item is not None:
                found.setdefault((status.st_dev, status.st_ino), item)
        return tuple(found.values())


def split(pattern: Path) -> tuple[Path, list[str]]:
    """The folder in front of the first part that holds `*`, `?` or `[`, and the parts from there on.

    Without such a part: the path itself where it is a folder, else its folder and its name.
    """
    parts = pattern.parts
    first = next((at for at, part in enumerate(parts) if any(mark in part for mark in "*?[")), None)
    if first is not None:
        return Path(*parts[:first]), list(parts[first:])
    if pattern.is_dir():
        return pattern, []
    return pattern.parent, [pattern.name.replace("[", "[[]")]


def unmounted(folder: Path, fstab: str, mounts: str) -> str | None:
    """The mount point of fstab at or above `folder` where nothing is mounted now; None where all is well."""
    listed = [_unescaped(words[1]) for line in fstab.splitlines() if len(words := line.split()) > 3]
    mounted = {_unescaped(words[1]) for line in mounts.splitlines() if len(words := line.split()) > 3}
    above = [point for point in listed if point.startswith("/") and point != "/" and folder.is_relative_to(point)]
    nearest = max(above, key=len, default=None)
    return nearest if nearest is not None and nearest.rstrip("/") not in mounted else None


def _unmounted_here(folder: Path) -> str | None:
    try:
        fstab = "\n".join(
            line
            for line in Path("/etc/fstab").read_text(encoding="utf-8", errors="replace").splitlines()
            if not line.lstrip().startswith("#")
        )
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return unmounted(Path(os.path.realpath(folder)), fstab, mounts)


def _unescaped(text: str) -> str:
    return text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def _item(path: Path, status: os.stat_result) -> Item | None:
    """None for what is neither a regular file nor a folder that is one backup."""
    if stat.S_ISREG(status.st_mode):
        return Item(str(path), _moment(status), status.st_size)
    if not stat.S_ISDIR(status.st_mode) or not (path / _TOC).is_file():
        return None
    with os.scandir(path) as entries:
        inside = [entry.stat() for entry in entries if entry.is_file()]
    newest = max(inside, key=lambda one: one.st_mtime_ns)
    return Item(str(path), _moment(newest), sum(one.st_size for one in inside), folder=True)


def _moment(status: os.stat_result) -> datetime:
    # Not from st_mtime: as a float it is not exact.
    try:
        return datetime.fromtimestamp(status.st_mtime_ns // 1000 / 1_000_000, UTC)
    except (ValueError, OverflowError):
        return datetime.max.replace(tzinfo=UTC)


def _opened(path: Path) -> int:
    try:
        # Between the look and the opening it may have become a pipe, which must not block.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(str(path), error) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ProbeError(f"{safe(path, 200)} is no regular file")
    return handle


def _unreadable(path: str, error: OSError) -> ProbeError:
    made = ProbeError(f"{safe(path, 200)}: cannot be read: {_words(error)}", hint="give captain's user the right to")
    made.__cause__ = error
    return made


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
