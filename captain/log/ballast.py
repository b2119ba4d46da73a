"""A reserve of disk space beside the log, spent when the disk is full: that is when a rollback must be recorded."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_SIZE = 1024 * 1024
_ROOM = 16 * _SIZE


def ballast_path(log: Path) -> Path:
    """Where the reserve of a log lies."""
    return log.with_name(log.name + ".d") / "ballast"


def lay_by(log: Path) -> None:
    """Take 1 MiB, unless it is taken or the disk has little left. Without a reserve captain works as well."""
    path = ballast_path(log)
    with suppress(OSError):
        team = log.parent.stat().st_mode & stat.S_ISGID
        path.parent.mkdir(mode=0o770 if team else 0o700, exist_ok=True)
        if path.is_symlink() or path.exists():
            return
        room = os.statvfs(path.parent)
        if room.f_bavail * room.f_frsize < _ROOM:
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, bytes(_SIZE))
        finally:
            os.close(descriptor)


def spend(log: Path) -> bool:
    """Give the reserve back to the disk. False when there was none."""
    try:
        ballast_path(log).unlink()
    except OSError:
        return False
    return True
