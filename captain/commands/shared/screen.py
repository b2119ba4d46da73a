"""Runs the screen so that the system can end it: the terminal is itself again, and the exit code says why."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from captain.tui.app import CaptainApp

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def show(app: CaptainApp) -> int:
    """Draw until somebody leaves. Returns 0, or 128 and the signal's number where TERM or HUP ended it."""
    ended = 0

    async def drawn() -> None:
        loop = asyncio.get_running_loop()

        def end(number: signal.Signals) -> None:
            nonlocal ended
            ended = 128 + number
            app.exit()

        for number in _SIGNALS:
            # What nohup ignores stays ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, end, number)
        await app.run_async()

    try:
        asyncio.run(drawn())
    except OSError:
        # A terminal that hung up cannot be restored.
        if not ended:
            raise
    return ended
