"""The files of an attempt's directory as its shim writes them. Standard library only.

    spec.json        argv, cwd, env, timeout_ms, grace_ms, boot; deleted once read: env may hold secrets
    started          {shim, shim_starttime, boot}; linked into place once, so that whoever comes second starts nothing
    pid              {pid, starttime}; there as soon as the program runs
    stdout, stderr   the first MiB; then stdout.1, stdout.2, … of one MiB each, of which the newest two stay
    stop             made by captain: end the program now
    rc.tmp           room for rc, so that a full disk does not lose it
    rc               {outcome, exit_code, signal, survivors, duration_ms, truncated, error}; renamed into place
    shim.log         what went wrong in the shim itself

All are 0600 in a directory of 0700, and every function takes that directory as an open descriptor.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import Any

SEGMENT = 1024 * 1024
STREAMS = ("stdout", "stderr")
_RC_RESERVE = 4096


def write(directory: int, name: str, text: str) -> None:
    """A file that is there whole or not at all, also after a power loss."""
    file = os.open(f"{name}.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600, dir_fd=directory)
    try:
        os.write(file, text.encode("ascii"))
        os.fsync(file)
    finally:
        os.close(file)
    os.rename(f"{name}.tmp", name, src_dir_fd=directory, dst_dir_fd=directory)
    os.fsync(directory)


def claim(directory: int, content: dict[str, Any]) -> bool:
    """Make `started`, complete from its first moment. False where somebody was first."""
    own = f"started.{os.getpid()}.{time.monotonic_ns()}"
    write(directory, own, json.dumps(content))
    try:
        os.link(own, "started", src_dir_fd=directory, dst_dir_fd=directory)
    except FileExistsError:
        return False
    finally:
        os.unlink(own, dir_fd=directory)
    os.fsync(directory)
    return True


def reserve(directory: int) -> None:
    """Room for the outcome, so that it can be written on a full disk."""
    file = os.open("rc.tmp", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=directory)
    try:
        os.write(file, b" " * _RC_RESERVE)
        os.fsync(file)
    finally:
        os.close(file)


class Output:
    """One stream on disk: its first MiB, and the newest one to two MiB in numbered segments."""

    def __init__(self, directory: int, name: str) -> None:
        self._directory = directory
        self._name = name
        self._total = 0
        self._file = -1
        self.truncated = False
        self._open(0)

    def _open(self, number: int) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        name = f"{self._name}.{number}" if number else self._name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        self._file = os.open(name, flags, 0o600, dir_fd=self._directory)
        if number > 2:
            os.unlink(f"{self._name}.{number - 2}", dir_fd=self._directory)

    def feed(self, data: bytes) -> None:
        """Keep it. What a full disk refuses is let go: the program must not suffer from it."""
        try:
            while data:
                number, at = divmod(self._total, SEGMENT)
                if at == 0 and number:
                    self._open(number)
                written = os.write(self._file, data[: SEGMENT - at])
                self._total += written
                data = data[written:]
        except OSError:
            self.truncated = True
        self.truncated = self.truncated or self._total > 2 * SEGMENT

    def close(self) -> None:
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.fsync(self._file)
            os.close(self._file)


def finish(directory: int, rc: dict[str, Any]) -> None:
    """Write the outcome into the room kept for it: there whole or not at all, also after a power loss."""
    file = os.open("rc.tmp", os.O_WRONLY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        os.write(file, json.dumps(rc).encode("ascii").ljust(_RC_RESERVE))
        os.fsync(file)
    finally:
        os.close(file)
    os.rename("rc.tmp", "rc", src_dir_fd=directory, dst_dir_fd=directory)
    os.fsync(directory)


def exists(directory: int, name: str) -> bool:
    """Whether that file is there."""
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def read_spec(directory: int) -> dict[str, Any]:
    """What to start."""
    file = os.open("spec.json", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
    with os.fdopen(file, "rb") as stream:
        spec: dict[str, Any] = json.loads(stream.read())
    return spec
