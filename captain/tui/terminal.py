"""Notices that the terminal is gone, also where no hang-up signal says so. Knows no screen.

Without this a captain whose terminal died blocks on writing to it, holding the environment's lock for ever.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import Callable

GRACE = 5.0
"""Seconds to leave in an orderly way; what runs goes on in any case."""
HUNG_UP = 129


def watch(gone: Callable[[], object]) -> None:
    """Call `gone` from a thread of its own when the terminal hangs up, and end the process if that does not."""
    stream = sys.__stdin__
    if stream is None or not stream.isatty() or not hasattr(select, "poll"):
        return
    threading.Thread(target=_watch, args=(stream.fileno(), gone), name="captain-terminal", daemon=True).start()


def _watch(terminal: int, gone: Callable[[], object]) -> None:
    poll = select.poll()
    poll.register(terminal, 0)
    while not poll.poll():
        continue
    # A closed loop is on its way out, and may still block on writing what nobody reads.
    with contextlib.suppress(RuntimeError):
        gone()
    time.sleep(GRACE)
    os._exit(HUNG_UP)
