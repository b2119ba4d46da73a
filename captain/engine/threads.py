"""A few daemon threads for blocking calls. A hung call keeps its thread, never captain's exit nor the next call."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from captain.errors import CaptainError

T = TypeVar("T")

MOST_HUNG = 56
"""Threads given up on, because whoever waited for their call was cancelled; with more of them calls wait."""


@dataclass(slots=True, eq=False)
class _Job:
    call: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    then: Callable[[Any], None] | None
    running: bool = False
    given_up: bool = False


class Threads:
    """Runs blocking calls on at most `size` daemon threads at once, in the order in which they were asked for."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._started = 0
        self._waiting = 0
        self._idle = 0
        self._hung = 0
        self._stopped = False
        self._guard = threading.Lock()

    async def __call__(self, call: Callable[[], T], /, then: Callable[[T], None] | None = None) -> T:
        """The result of `call`. `then` gets it on the event loop first, even if the caller was cancelled.

        A call that did not begin when its caller was cancelled is left out, unless it has a `then`. After `stop`
        it raises CaptainError: nobody would ever answer.
        """
        if self._stopped:
            raise CaptainError("captain is closing: nothing more is done")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        job = _Job(call, loop, future, then)
        with self._guard:
            self._waiting += 1
            self._staff()
        self._jobs.put(job)
        try:
            return await future
        except asyncio.CancelledError:
            self._give_up(job)
            raise

    def _staff(self) -> None:
        """Start a thread where one is missing. The guard is held."""
        room = self._started - self._hung < self._size and self._hung <= MOST_HUNG
        if self._waiting > self._idle and room:
            self._started += 1
            self._idle += 1
            threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True).start()

    def _give_up(self, job: _Job) -> None:
        """Nobody waits any more: its thread, if it ever comes back, is one too many; another takes its place."""
        if job.then is not None:
            return
        with self._guard:
            job.given_up = True
            if job.running:
                self._hung += 1
                self._staff()

    def _begin(self, job: _Job) -> bool:
        with self._guard:
            self._waiting -= 1
            job.running = not job.given_up
            if job.running:
                self._idle -= 1
            return job.running

    def _end(self, job: _Job) -> bool:
        """Whether this thread goes on working."""
        with self._guard:
            job.running = False
            if job.given_up:
                self._hung -= 1
            if self._started - self._hung > self._size:
                self._started -= 1
                return False
            self._idle += 1
            return True

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not self._begin(job):
                continue
            result: Any = None
            error: BaseException | None = None
            try:
                result = job.call()
            except BaseException as raised:  # a thread must hand over whatever it met
                error = raised
            stays = self._end(job)
            # A loop that has closed no longer waits for anybody.
            with contextlib.suppress(RuntimeError):
                job.loop.call_soon_threadsafe(_deliver, job.future, job.then, result, error)
            del job, result, error
            if not stays:
                return

    def stop(self) -> None:
        """Let threads end when what was asked for is done. A hung one is left behind."""
        self._stopped = True
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
