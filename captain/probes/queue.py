"""The kind `queue`: what waits, is stuck or died in the task queues of a Redis."""

from __future__ import annotations

import asyncio
import secrets
import shlex
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, Self, TypedDict

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from captain.effects import Program
from captain.errors import ProbeError, ProgramError
from captain.fields import Duration, EnvName, Run, Text, wrong
from captain.measurement import Measurement, Value
from captain.probes import Context, Probe, Safety, probe
from captain.systems.keys import celery as queue_celery
from captain.systems.keys import dramatiq as queue_dramatiq
from captain.systems.keys import rq as queue_rq
from captain.systems.keys.backlog import Ask, Backlog
from captain.systems.keys.client import Client, Session, address, redis_session, text

_MARGIN = 0.9
"""Share of the attempt's time it may take, so that its own error comes before the attempt's end."""
_ENOUGH = 12 * 1024 * 1024
"""Bytes: the oldest and newest message of 200 queues, some delayed ones, and some more."""
_EVERY = 0.05
"""Seconds between two looks for the result of a canary."""
_LIBRARIES: Mapping[str, tuple[Callable[[Client, Ask], Backlog], str]] = {
    "dramatiq": (queue_dramatiq.look, queue_dramatiq.NAMESPACE),
    "celery": (queue_celery.look, queue_celery.NAMESPACE),
    "rq": (queue_rq.look, queue_rq.NAMESPACE),
}


def _some(value: Any) -> Any:
    if value == ():
        raise wrong("names no queue; write auto, or the queues that matter")
    return value


class Canary(BaseModel):
    """A task of the product's own that writes a result where captain can see it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    publish: Run
    """A program that sends the task; $CAPTAIN_CANARY is the text the task must store under result_key."""
    result_key: Text
    """The key, in the same database, that the task sets to that text (let it expire after some minutes)."""
    timeout: Duration = timedelta(seconds=30)
    """How long the result may take; the step's own timeout must be longer."""
    cwd: Text = "."
    """The folder the program is started in, relative to the one of captain.yaml."""
    env: Mapping[EnvName, Text] = Field(default_factory=dict)
    """Variables it is given; may hold `${{ secrets.NAME }}`."""


@probe("queue")
class QueueProbe(Probe):
    """Are tasks done, or do they pile up, get stuck and die?

    Reads the keys of Dramatiq, Celery or RQ in Redis. A database or namespace in which the library left no trace is
    unknown: an empty queue looks different. `workers_seen` proves no worker (see the note it comes with): what does
    is `canary`, a task through the product's own code, or the worker's containers. Celery keeps neither dead letters
    nor the time of sending in Redis; say how many may wait: `expect: ready <= 100`.
    """

    default_expect: ClassVar[tuple[str, ...]] = (
        'ready == 0 || oldest_age <= duration("5m")',
        'broker == "celery" || dead_recent == 0',
        'broker == "celery" || overdue == 0 || overdue_age <= duration("5m")',
    )
    network: ClassVar[bool] = True
    errors: ClassVar[str] = (
        "on_error decides (unknown): Redis not reached, nothing of the library's found in it, canary not published; "
        "unknown: user, password or permission refused, redis-py not installed"
    )
    more_than_reading: ClassVar[str] = "`canary` is active: starts the program `publish`, which sends a task"
    example: ClassVar[str] = """\
id: workers-keep-up
title: Workers keep up with the tasks
queue: { broker: dramatiq, url_env: REDIS_URL, queues: [default, emails] }
expect:
  - ready == 0 || oldest_age <= duration("5m")
  - overdue == 0 || overdue_age <= duration("5m")
  - dead_recent == 0"""

    broker: Literal["dramatiq", "celery", "rq"]
    """The library whose queues they are."""
    url_env: EnvName
    """The secret that holds redis://USER:<PASSWORD>@HOST:6379/0; rediss:// for TLS, unix:///PATH."""
    ca_file: Text | None = None
    """Certificate authorities to trust instead of the machine's, a PEM file."""
    namespace: Text | None = None
    """What its keys begin with: dramatiq, rq; for Celery global_keyprefix, nothing by default."""
    queues: Annotated[Literal["auto"] | tuple[Text, ...], AfterValidator(_some)] = "auto"
    """Their names; auto looks through the keys for them."""
    separator: Annotated[str, Field(min_length=1, max_length=20)] | None = None
    """Celery: `sep` of broker_transport_options, between a queue and a priority; "\\x06\\x16" by default."""
    dead_window: Duration = timedelta(days=1)
    """How far back dead_recent counts."""
    look_again: Duration | None = None
    """Look a second time after this long, which gives drained_per_s."""
    canary: Canary | None = None
    """Send a task and wait for its result."""

    class Observes(TypedDict, total=False):
        """What lies in the queues, summed."""

        broker: Annotated[str, "the library, as given"]
        ready: Annotated[int, "tasks that wait for a worker"]
        outstanding: Annotated[int, "ready and in_flight"]
        delayed: Annotated[int, "tasks that wait for their time; not with Celery"]
        overdue: Annotated[int, "of delayed: those whose time has come; with Dramatiq of a hundred that are looked at"]
        overdue_age: Annotated[timedelta, "since the time of the first of them came"]
        in_flight: Annotated[int, "tasks that a worker took and has not finished"]
        dead: Annotated[int, "tasks that were given up and are still kept; not with Celery"]
        dead_recent: Annotated[int, "of them: within dead_window"]
        oldest_age: Annotated[timedelta, "since the oldest that is ready was made or tried again; not with Celery"]
        workers_seen: Annotated[int, "signs of workers; no proof that one works, see the note"]
        drained_per_s: Annotated[float, "how fast outstanding fell, negative where it grew (needs look_again)"]
        tried: Annotated[bool, "the task was sent; false where that was not permitted (needs canary)"]
        canary_ok: Annotated[bool, "the task's result came in time (needs canary)"]
        canary: Annotated[timedelta, "from starting `publish` to the result"]
        queues: Annotated[list[dict[str, Any]], "one mapping per queue: name, ready, in_flight, delayed, dead, …"]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.separator is not None and self.broker != "celery":
            raise wrong("takes `separator` only with broker: celery")
        return self

    @property
    def safety(self) -> Safety:
        return "active" if self.canary is not None else "read"

    def programs(self) -> tuple[Program, ...]:
        if self.canary is None:
            return ()
        return (Program(self.canary.publish, self.canary.cwd, tuple(sorted(self.canary.env))),)

    def does(self) -> tuple[str, ...]:
        if self.canary is None:
            return (self.asks(),)
        return (f"starts {_shown(self.canary)}, which sends a task", f"waits for {self.canary.result_key} in Redis")

    @classmethod
    def prepare(cls) -> None:
        from captain.systems.keys.client import load

        load()

    def asks(self) -> str:
        named = "" if self.queues == "auto" else f" {', '.join(self.queues)}"
        return f"{self.broker} queues{named} in {self.url_env}{' and a canary' if self.canary else ''}"

    async def measure(self, ctx: Context) -> Measurement:
        where = address(self.url_env, ctx.secret(self.url_env))
        look, usual = _LIBRARIES[self.broker]
        if self.separator is not None:
            look = partial(queue_celery.look, separator=self.separator)
        within = ctx.timeout * _MARGIN
        began = time.monotonic()
        ask = Ask(
            usual if self.namespace is None else self.namespace.removesuffix(":" if self.broker != "celery" else ""),
            None if self.queues == "auto" else tuple(self.queues),
            self.dead_window,
            began + within.total_seconds() / 2,
        )
        ca_file = None if self.ca_file is None else ctx.root / self.ca_file
        async with redis_session(
            where, blocking=ctx.blocking, timeout=within, ca_file=ca_file, limit=_ENOUGH
        ) as session:
            backlog = await session.do(lambda client: look(client, ask))
            observed = backlog.observed()
            if self.look_again is not None:
                before, at = observed.get("outstanding"), time.monotonic()
                await asyncio.sleep(self.look_again.total_seconds())
                backlog = await session.do(lambda client: look(client, ask))
                observed = backlog.observed()
                observed |= drained(before, observed.get("outstanding"), time.monotonic() - at)
            if self.canary is not None:
                left = timedelta(seconds=within.total_seconds() - (time.monotonic() - began))
                observed |= {"tried": True} | await _canary(self.canary, self.programs()[0], session, ctx, left)
        asked = f"{where}: {self.asks().replace(f' in {self.url_env}', '')}"
        return Measurement(observed=observed | {"broker": self.broker}, asked=asked, notes=tuple(backlog.notes))


def drained(before: Value, after: Value, seconds: float) -> dict[str, Value]:
    """How fast it fell; nothing where one of the two looks could not tell."""
    if not isinstance(before, int) or not isinstance(after, int) or seconds <= 0:
        return {}
    return {"drained_per_s": (before - after) / seconds}


def _shown(canary: Canary) -> str:
    return canary.publish if isinstance(canary.publish, str) else shlex.join(canary.publish)


async def _canary(
    canary: Canary, program: Program, session: Session, ctx: Context, left: timedelta
) -> dict[str, Value]:
    """Whether the result came, and when. Raises ProbeError where the task could not be sent or waited for."""
    from captain.effects.program import probe_environ, run_program

    mark, began = secrets.token_hex(8), time.monotonic()
    shown = _shown(canary)
    given = {**canary.env, "CAPTAIN_CANARY": mark, "CAPTAIN_RUN": ctx.run}
    try:
        done = await run_program(
            program.argv, cwd=ctx.root / canary.cwd, env=probe_environ(ctx.environ, given), timeout=left
        )
    except ProgramError as error:
        raise ProbeError(error.message, hint=error.hint) from error
    if done.exit_code != 0:
        how = "took too long" if done.timed_out else done.signal or f"exit code {done.exit_code}"
        raise ProbeError(f"canary: {shown}: {how}: no task was sent", fault="unclear", hint="run it by hand")
    published = time.monotonic()
    ends = min(published + canary.timeout.total_seconds(), began + left.total_seconds())
    while True:
        result = text(await session.do(lambda client: client.ask("GETRANGE", canary.result_key, 0, 1023)))
        now = time.monotonic()
        if mark in result:
            return {"canary_ok": True, "canary": timedelta(seconds=now - began)}
        if now + _EVERY > ends:
            break
        await asyncio.sleep(_EVERY)
    if result:
        raise ProbeError(
            f"canary: {canary.result_key} holds something else than $CAPTAIN_CANARY",
            hint="the task must store that very text there, or a canary of before was late",
        )
    if now < published + canary.timeout.total_seconds() - _EVERY:
        raise ProbeError(
            f"canary: the step's timeout came before the canary's of {canary.timeout.total_seconds():g}s",
            hint="give the step a longer timeout",
        )
    return {"canary_ok": False}
