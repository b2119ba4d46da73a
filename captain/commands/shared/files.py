"""Writes a result where the user said, and nowhere else: new or whole, never through a link."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from captain.errors import UsageError


class Written:
    """What was written."""

    def __init__(self) -> None:
        self.bytes = 0
        self.digest = sha256()

    def take(self, chunk: bytes) -> bytes:
        self.bytes += len(chunk)
        self.digest.update(chunk)
        return chunk


def write_file(path: str, chunks: Iterable[bytes], *, replace: bool) -> Written:
    """Write a file (0600) completely or not at all; `-` is stdout. `replace` allows a regular file to be there.

    Raises UsageError for links, folders, devices and files that would be overwritten.
    """
    written = Written()
    if path == "-":
        sys.stdout.flush()
        for chunk in chunks:
            sys.stdout.buffer.write(written.take(chunk))
        sys.stdout.buffer.flush()
        return written
    target = Path(path).expanduser()
    name = target.name
    if not name or name in (".", ".."):
        raise UsageError(f"{path} names no file")
    try:
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"cannot write {path}: the folder {target.parent}: {error.strerror}") from error
    try:
        _refuse(folder, name, path, replace)
        _write(folder, name, chunks, written, replace)
    except OSError as error:
        if isinstance(error, FileExistsError):
            raise _exists(path) from error
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    finally:
        os.close(folder)
    return written


def _refuse(folder: int, name: str, path: str, replace: bool) -> None:
    try:
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(there.st_mode):
        raise UsageError(f"{path} is a symbolic link, which captain does not write through")
    if not stat.S_ISREG(there.st_mode):
        raise UsageError(f"{path} is no regular file", hint="use -o - for stdout")
    if not replace:
        raise _exists(path)


def _exists(path: str) -> UsageError:
    return UsageError(f"{path} exists already", hint="name another file, or overwrite it with --force")


def _write(folder: int, name: str, chunks: Iterable[bytes], written: Written, replace: bool) -> None:
    # Everything happens relative to the opened folder: swapping the path meanwhile changes nothing.
    draft = f".captain-{secrets.token_hex(8)}"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(written.take(chunk))
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        else:
            # Unlike a rename, a link refuses where something came meanwhile.
            os.link(draft, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
    os.fsync(folder)
