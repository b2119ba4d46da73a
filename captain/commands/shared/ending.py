"""How headless work ends when the terminal or the system says so. Knows signals and exit codes, no engine."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator

from captain.diagnostics import ExitCode, warn

_CODES = {signal.SIGINT: ExitCode.INTERRUPT, signal.SIGTERM: ExitCode.TERM, signal.SIGHUP: ExitCode.HUP}


class Ending:
    """Why the work was told to end."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.farewell: str | None = None
        """What to say when it was."""
        self.patience: str | None = None
        """Said instead of ending at the first Ctrl-C."""

    @property
    def system(self) -> bool:
        """Whether it was TERM or HUP, not a person."""
        return self.signal in (signal.SIGTERM, signal.SIGHUP)


def headless(work: Callable[[Ending], Awaitable[int]]) -> int:
    """Run it; TERM, HUP and Ctrl-C cancel it, and it may clean up. Returns its exit code, or the signal's."""
    ending = Ending()

    async def run() -> int:
        task = asyncio.current_task()
        assert task is not None
        with _listening(ending, task):
            return await work(ending)

    try:
        return asyncio.run(run())
    except (asyncio.CancelledError, KeyboardInterrupt):
        warn(ending.farewell or "interrupted")
        return _CODES[ending.signal or signal.SIGINT]


@contextlib.contextmanager
def _listening(ending: Ending, task: asyncio.Task[int]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    taken: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if number is signal.SIGINT and ending.patience is not None:
            warn(ending.patience)
            ending.patience = None
            return
        ending.signal = number
        task.cancel()
        if number is signal.SIGINT:
            # A second Ctrl-C does not wait for the cleaning up.
            loop.remove_signal_handler(number)
            signal.signal(number, signal.default_int_handler)

    for number in _CODES:
        # Outside the main thread there are no signals; what nohup ignores stays ignored.
        with contextlib.suppress(RuntimeError, ValueError):
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, stop, number)
                taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
