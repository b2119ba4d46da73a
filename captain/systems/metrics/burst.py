"""Sends a burst of requests, as a process of its own: a plan on stdin, its summary on stdout. Judges nothing.

A request is due at a moment set before the burst began, and its time counts from then: an answer that holds up the
next request makes that one slow too. In its own process it neither waits for the screen nor makes it wait.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from captain.errors import CaptainError
from captain.systems.metrics.load import LATE_SHARE, TIMEOUT, Burst, Shot, Stage, percentile, summed

_TICK = 0.01
_HOPELESS = 1.0
"""Seconds by which a request may go out late before the burst is given up."""


def main() -> None:
    """Read the plan, send, write the summary or the error."""
    plan = json.load(sys.stdin)
    try:
        answer: dict[str, Any] = {"summary": dataclasses.asdict(summed(asyncio.run(send(plan))))}
    except CaptainError as error:
        answer = {"error": error.message}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()


async def send(plan: Mapping[str, Any]) -> Burst:
    """The whole burst: warm-up, then every stage."""
    from captain.http.pool import Pool

    stages = [Stage(**stage) for stage in plan["stages"]]
    pool = Pool(
        plan["urls"],
        headers=plan["headers"],
        connections=plan["connections"],
        keep_alive=plan["keep_alive"],
        ca_file=Path(plan["ca_file"]) if plan["ca_file"] else None,
        verify=plan["verify"],
    )
    sender = _Sender(pool, plan, Burst(stages))
    watching = asyncio.create_task(sender.watch())
    try:
        await sender.run(stages, plan["warmup"])
    finally:
        watching.cancel()
        await pool.aclose()
    sender.close()
    return sender.burst


class _Sender:
    def __init__(self, pool: Any, plan: Mapping[str, Any], burst: Burst) -> None:
        self.burst = burst
        self._pool = pool
        self._urls: list[str] = plan["urls"]
        self._timeout: float = plan["timeout"]
        self._most: int = plan["max_requests"]
        self._slots = asyncio.Semaphore(plan["connections"])
        self._loop = asyncio.get_running_loop()
        self._began = 0.0
        self._sent = 0
        self._measured = 0
        self._cpu = self._wall = 0.0
        self._lags: list[float] = []
        self._flying: set[asyncio.Task[None]] = set()

    async def run(self, stages: list[Stage], warmup: float) -> None:
        if warmup:
            await self._stage(-1, dataclasses.replace(stages[0], seconds=warmup), self._loop.time())
            await self._landed()
        self._lags.clear()
        self._cpu, self._wall = time.process_time(), time.monotonic()
        self.burst.queued = 0
        self._began = start = self._loop.time()
        for at, stage in enumerate(stages):
            if self.burst.hopeless or self.burst.stopped:
                break
            await self._stage(at, stage, start)
            start += stage.seconds
        self._cpu, self._wall = time.process_time() - self._cpu, time.monotonic() - self._wall
        await self._landed()

    def close(self) -> None:
        """What the burst says of the generator itself."""
        self.burst.lag = percentile(sorted(self._lags), LATE_SHARE) if self._lags else 0.0
        self.burst.busy = self._cpu / self._wall if self._wall else 0.0

    async def watch(self) -> None:
        """How late the loop is; and an end when captain is gone."""
        parent = os.getppid()
        while True:
            due = self._loop.time() + _TICK
            await asyncio.sleep(_TICK)
            self._lags.append(self._loop.time() - due)
            if os.getppid() != parent:
                os._exit(1)

    async def _stage(self, at: int, stage: Stage, start: float) -> None:
        if stage.rps is not None:
            # One tick more than fits would belong to the next stage.
            for tick in range(max(int(stage.rps * stage.seconds + 1e-9), 1)):
                due = start + tick / stage.rps
                await asyncio.sleep(max(due - self._loop.time(), 0))
                if self._loop.time() - due > _HOPELESS:
                    self.burst.hopeless = True
                if self.burst.hopeless or not self._may(at):
                    return
                self._keep(self._one(at, due, open_model=True))
        else:
            for _ in range(stage.users or 0):
                self._keep(self._user(at, start + stage.seconds))
        await asyncio.sleep(max(start + stage.seconds - self._loop.time(), 0))

    async def _user(self, at: int, until: float) -> None:
        while self._loop.time() < until and self._may(at):
            await self._one(at, self._loop.time(), open_model=False)

    def _may(self, at: int) -> bool:
        if at >= 0:
            self._measured += 1
            if self._measured > self._most:
                self.burst.stopped = True
                return False
        return True

    async def _one(self, at: int, due: float, *, open_model: bool) -> None:
        from captain.http.pool import Failed

        began = self._loop.time()
        url = self._urls[self._sent % len(self._urls)]
        self._sent += 1
        outcome: int | str
        try:
            async with asyncio.timeout(self._timeout):
                self.burst.queued += open_model and self._slots.locked()
                async with self._slots:
                    outcome = await self._pool.get(url)
        except TimeoutError:
            outcome = TIMEOUT
        except Failed as failed:
            outcome = str(failed)
            # A user who is turned away at once does not come back within the same millisecond.
            await asyncio.sleep(0 if open_model else _TICK)
        ended = self._loop.time()
        self.burst.shots.append(Shot(at, due - self._began, began - due, ended - due, outcome))

    def _keep(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._flying.add(task)
        task.add_done_callback(self._flying.discard)

    async def _landed(self) -> None:
        """Until every request has its outcome: each has its own time."""
        while self._flying:
            await asyncio.gather(*self._flying)


if __name__ == "__main__":
    main()
