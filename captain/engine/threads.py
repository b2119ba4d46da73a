"""A few daemon threads for blocking calls. A hung call keeps its thread, never captain's exit."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[Any], None] | None]


class Threads:
    """Runs blocking calls on at most `size` daemon threads, in the order in which they were asked for."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._started = 0
        self._busy = 0
        self._guard = threading.Lock()

    async def __call__(self, call: Callable[[], T], /, then: Callable[[T], None] | None = None) -> T:
        """The result of `call`. `then` gets it on the event loop first, even if the caller was cancelled."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._guard:
            self._busy += 1
            if self._busy > self._started and self._started < self._size:
                self._started += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True).start()
        self._jobs.put((call, loop, future, then))
        return await future

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, loop, future, then = job
            result: Any = None
            error: BaseException | None = None
            try:
                result = call()
            except BaseException as raised:  # a thread must hand over whatever it met
                error = raised
            with self._guard:
                self._busy -= 1
            # A loop that has closed no longer waits for anybody.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_deliver, future, then, result, error)
            del call, future, then, result, error, job

    def stop(self) -> None:
        """Let idle threads end. A hung one is left behind."""
        for _ in range(self._started):
            self._jobs.put(None)


def _deliver(
    future: asyncio.Future[Any], then: Callable[[Any], None] | None, result: Any, error: BaseException | None
) -> None:
    if error is None and then is not None:
        try:
            then(result)
        except BaseException as raised:  # the caller must hear of it, not the event loop
            error = raised
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
