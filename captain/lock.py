"""One holder per service and environment: a flock that the kernel frees when its holder dies.

The file's text says who holds it; the log's lock entries say what it means. Knows neither runs nor the log.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from captain.errors import LogError
from captain.safe import safe


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock."""

    name: str
    host: str
    pid: int
    boot: str
    since: str
    run: str
    fence: int
    """Number of the lock.acquire entry, 0 until it is written."""

    def __str__(self) -> str:
        return f"{safe(self.name, 80)} (pid {self.pid} on {safe(self.host, 80)}) since {self.since[11:19]} UTC"


class Lock:
    """The lock of one service and environment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        """Whether this process holds it."""
        return self._fd is not None

    def acquire(self, holder: Holder) -> bool:
        """Take it if nobody has it. False when somebody does; `holder()` says who."""
        if self._fd is not None:
            self._write(holder)
            return True
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise LogError(f"the lock {self._path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A holder who was replaced keeps a lock on a file that is no longer at this path.
            if os.fstat(fd).st_ino != self._path.stat().st_ino:
                raise BlockingIOError
        except (BlockingIOError, FileNotFoundError):
            os.close(fd)
            return False
        self._fd = fd
        self._write(holder)
        return True

    def _write(self, holder: Holder) -> None:
        assert self._fd is not None
        data = json.dumps(asdict(holder)).encode()
        os.pwrite(self._fd, data, 0)
        os.ftruncate(self._fd, len(data))
        os.fsync(self._fd)

    def release(self) -> None:
        """Give it back; nothing happens where it is not held."""
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None

    def holder(self) -> Holder | None:
        """Who holds it now, as the file says; None when it is free. A holder that cannot be read is "?"."""
        if self._fd is None and not self._taken():
            return None
        try:
            raw = json.loads(self._path.read_bytes()[:65536])
            return Holder(
                str(raw["name"]),
                str(raw["host"]),
                int(raw["pid"]),
                str(raw["boot"]),
                str(raw["since"]),
                str(raw["run"]),
                int(raw["fence"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return Holder("?", "?", 0, "", "????-??-??T??:??:??", "", 0)

    def _taken(self) -> bool:
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(fd)
