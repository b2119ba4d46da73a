"""Writes new files below a folder: never over anything, never through a link, never half. Knows no contents."""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path

from captain.errors import CaptainError


@dataclass(frozen=True, slots=True)
class Wrote:
    """What became of one file."""

    path: str
    kept: bool
    """True where something was there already and stays as it is."""
    same: bool
    """False where what was kept holds something else."""


def write_new(root: Path, path: str, text: str) -> Wrote:
    """Write `root/path`, whose folder is made where it is missing. Raises CaptainError where it cannot be."""
    data = text.encode("utf-8")
    try:
        folder = _folder(root, Path(path).parent)
        try:
            return Wrote(path, *_write(folder, Path(path).name, data))
        finally:
            os.close(folder)
    except OSError as error:
        why = "a part of its path is a link or no folder" if error.errno in _NO_FOLDER else error.strerror
        raise CaptainError(f"{path} cannot be written: {why}", hint="nothing was overwritten") from error


_NO_FOLDER = (errno.ELOOP, errno.ENOTDIR)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


def _folder(root: Path, below: Path) -> int:
    """An open handle of the folder. `root` may be a link, what lies below it may not."""
    handle = os.open(root, _DIRECTORY)
    for part in below.parts:
        outer = handle
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=outer)
            handle = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=outer)
        finally:
            os.close(outer)
    return handle


def _write(folder: int, name: str, data: bytes) -> tuple[bool, bool]:
    """Whether something was there and was kept, and whether the file holds the data."""
    try:
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=folder)
    except FileExistsError:
        return True, _holds(folder, name, data)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except OSError:
        # Half a file would be kept by the next call.
        os.unlink(name, dir_fd=folder)
        raise
    return False, True


def _holds(folder: int, name: str, data: bytes) -> bool:
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=folder)
        with os.fdopen(handle, "rb") as file:
            return file.read(len(data) + 1) == data
    except OSError:
        return False
