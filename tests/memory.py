"""How much memory a piece of work took, libraries in C included."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Grown:
    """What the process took at the most beyond what it had."""

    bytes: int = 0


def resident() -> int:
    """Bytes of this process that are in memory now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


@contextlib.contextmanager
def grown() -> Iterator[Grown]:
    """Watch the resident size while the block runs."""
    gc.collect()
    found, before, done = Grown(), resident(), threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            found.bytes = max(found.bytes, resident() - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        done.set()
        watcher.join()
