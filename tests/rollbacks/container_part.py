"""Starts a rollback part as captain does, but dies at the n-th request that changes something: before it, or during it.

`python container_part.py DIR N before|during`; N = -1 never dies. A program of its own, so that KILL is real.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

from captain.rollbacks import container
from captain.rollbacks.__main__ import main
from captain.systems.docker.wire import Transport


def dies_at(number: int, when: str) -> None:
    passed = Transport.send
    changes = 0

    def send(self: Transport, request: Any, **options: Any) -> Any:
        nonlocal changes
        if request.method == "GET":
            return passed(self, request, **options)
        changes += 1
        if changes == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if changes == number:
            # The engine hears it and nobody waits for its answer.
            threading.Thread(target=passed, args=(self, request), kwargs=options).start()
            time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        return passed(self, request, **options)

    Transport.send = send  # type: ignore[method-assign]  # the one place every request passes


if __name__ == "__main__":
    container._STEADY = 0.2
    dies_at(int(sys.argv[2]), sys.argv[3])
    sys.exit(main(sys.argv[:2]))
