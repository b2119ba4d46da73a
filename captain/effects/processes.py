"""Which processes run, and whether one is still the one it was. Standard library only: the shim uses it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from typing import NamedTuple


class Process(NamedTuple):
    """One process as the kernel shows it."""

    pid: int
    ppid: int
    group: int
    state: str
    starttime: int
    """Clock ticks since boot; without /proc seconds since 1970."""
    name: str


def look(pid: int) -> Process | None:
    """That process, or None where there is none. A zombie is there, with state Z."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  # pathlib would double the start-up time
            text = file.read().decode("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        if os.path.exists("/proc/self/stat"):  # noqa: PTH110
            return None
        return next((process for process in _ps("-p", str(pid)) if process.pid == pid), None)
    before, _, rest = text.rpartition(")")
    fields = rest.split()
    return Process(pid, int(fields[1]), int(fields[2]), fields[0], int(fields[19]), before.partition("(")[2])


def processes() -> list[Process]:
    """Every process that can be seen."""
    try:
        with os.scandir("/proc") as entries:
            pids = [int(entry.name) for entry in entries if entry.name.isdigit()]
    except OSError:
        pids = []
    if not pids:
        return _ps("-A")
    return [process for pid in pids if (process := look(pid)) is not None]


def _ps(*which: str) -> list[Process]:
    """The same where there is no /proc."""
    argv = ["/bin/ps", *which, "-o", "pid=,ppid=,pgid=,stat=,lstart=,comm="]
    done = subprocess.run(argv, capture_output=True, check=False, env={"LC_ALL": "C"}, timeout=10)
    found = []
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        fields = line.split(None, 9)
        with contextlib.suppress(ValueError, IndexError):
            moment = time.strptime(" ".join(fields[4:9]), "%a %b %d %H:%M:%S %Y")
            pid, ppid, group = (int(field) for field in fields[:3])
            found.append(Process(pid, ppid, group, fields[3][0], int(time.mktime(moment)), fields[9]))
    return found


def alive(pid: int, starttime: int) -> bool:
    """Whether just that process still runs: the same pid started at another time is another process."""
    process = look(pid)
    return process is not None and process.starttime == starttime and process.state != "Z"
