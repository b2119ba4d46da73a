"""The kind `drill`: an experiment on the running system, with probes around it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypedDict

from pydantic import Field, model_validator

from captain.effects import Program
from captain.errors import CaptainError, ProbeError
from captain.fields import Holds, Text, wrong
from captain.measurement import Measurement, Safety, Value
from captain.probes import TEXT, Context, Probe, Probes, Seen, Sights, probe
from captain.systems.moves import EVERY, STEADY, WITHIN, Move, Sight, brief, perform, to_the_end

if TYPE_CHECKING:
    from captain.systems.docker.comeback import Running
    from captain.systems.docker.reader import Endpoint

_CLEANUP = timedelta(seconds=60)
"""At most so much of the step's time is kept for cleaning up."""
_MOVE = timedelta(seconds=60)
"""What one thing that is done may take."""
_MARGIN = 0.95
"""Share of the step's time that everything may take, so that its own sentence comes first."""


@probe("drill")
class DrillProbe(Probe):
    """Does the system come through what we do to it?

    Asks its probes first: `steady` must hold, else nothing is done and the step is unknown. Then does one step after
    the other and waits for each `until`. The cleanup runs whatever happened, also when captain is closed in the
    middle; where captain is killed nobody cleans up, and the step says so until it is run again.

    `do: signal` never goes through the engine's own kill, which suppresses the restart policy. A process that ignores
    the signal did not crash. After a crash without `until` captain waits 30 s for a restart or for another container,
    which must then run for 3 s without another crash and, where it has a check, become healthy. An `until` after a
    crash must stay true as long, while nothing crashes again or is unhealthy; `for` says how long, and `for: 0s` takes
    the first look for it. recovery ends where that time begins.

    A service of Compose is only touched where it is written with its project, `shop_web`: other projects may have a
    `web` too.

    `do: exec` runs a program in a container, `do: run` any program of the repository: fault injection on and off,
    scaling, an update, a message published. An `until` that held before anything was done says little: compare with
    `before.`.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("ok", "cleaned_up")
    more_than_reading: ClassVar[str] = "drill, always: it changes what runs"
    errors: ClassVar[str] = (
        "not ok, and so fail: an `until` that did not come true in time; unknown: not steady before, something could "
        "not be done or seen, broken off"
    )
    max_age: ClassVar[timedelta] = timedelta(0)
    timeout: ClassVar[timedelta] = timedelta(minutes=10)
    example: ClassVar[str] = """\
id: auto-restart
title: A killed worker comes back
drill:
  probes: { worker: { docker: { names: [shop_worker] } } }
  steady: worker.running == 1
  steps:
    - { do: signal, target: shop_worker, args: { signal: KILL } }
    - { until: 'worker.restart_count_max > before.worker.restart_count_max && worker.running == 1', within: 30s }
expect: [ok, 'recovery <= duration("30s")']"""

    probes: Probes = {}
    """What is asked around the experiment, by name."""
    steady: Holds = ()
    """What must hold before anything is done."""
    steps: Annotated[tuple[Move, ...], Field(min_length=1)]
    """What is done and waited for, in order."""
    cleanup: tuple[Move, ...] = ()
    """What is done in the end whatever happened, each even where the one before did not work."""
    host: Text | None = None
    """The engine of the containers, default $DOCKER_HOST, else the docker context's."""
    environments: tuple[Text, ...] = ()
    """The only environments it is meant for; they must allow it all the same."""

    class Observes(TypedDict, total=False):
        """What came of it."""

        ran: Annotated[bool, "something was done"]
        ok: Annotated[bool, "every `until` came true in time"]
        recovery: Annotated[timedelta, "from the last thing done to the `until` after it coming true for good"]
        longest_wait: Annotated[timedelta, "the longest that an `until` took"]
        failed_at: Annotated[str, "the `until` that did not come true in time"]
        cleaned_up: Annotated[bool, "every step of the cleanup worked; true where there is none"]
        timeline: Annotated[list[dict[str, Any]], "what happened: at (since the start) and what"]
        seen: Annotated[dict[str, Any], "what each probe saw last, by its name"]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.probes and (self.steady or any(one.until for one in self.steps)):
            raise wrong("asks no probes, which steady and until are about")
        if not any(one.do for one in self.steps):
            raise wrong("does nothing: a probe waits as well with within")
        if self.steps[-1].do and not self.alone(len(self.steps)):
            raise wrong("ends without until: nothing would show what came of it")
        if any(one.until for one in self.cleanup):
            raise wrong("cleans up with until: only do stands in cleanup")
        return self

    def alone(self, number: int) -> bool:
        """Whether step `number` crashes something and no `until` says what is waited for then."""
        move, after = self.steps[number - 1], self.steps[number : number + 1]
        return move.crashes and not (after and after[0].until)

    def asks(self) -> str:
        return "; ".join(one.says() for one in self.steps)

    def does(self) -> tuple[str, ...]:
        asked = ((name, one.probe) for name, one in self.inner.items())
        beside = (
            f"meanwhile {name}: {line}"
            for name, probe in asked
            if probe and probe.safety != "read"
            for line in probe.does()
        )
        return (
            *(one.says() for one in self.steps),
            *beside,
            *(f"afterwards {one.says()}" for one in self.cleanup),
        )

    def programs(self) -> tuple[Program, ...]:
        moves = [one.program(self.host) for one in (*self.steps, *self.cleanup)]
        return tuple(one for one in moves if one is not None)

    @property
    def safety(self) -> Safety:
        return "drill"

    async def measure(self, ctx: Context) -> Measurement:
        if self.environments and ctx.environment not in self.environments:
            where = ", ".join(self.environments)
            raise ProbeError(f"this drill is meant for {where}, not for {ctx.environment}: nothing was done")
        if ctx.around is None:
            raise ProbeError("a drill needs the engine's own probes: nothing was done")
        total = ctx.timeout * _MARGIN
        kept = min(_CLEANUP, total / 3) if self.cleanup else timedelta(0)
        return await _Experiment(self, ctx, total - kept, kept).measurement()


@dataclass
class _Experiment:
    """One run of a drill."""

    drill: DrillProbe
    ctx: Context
    limit: timedelta
    """For everything but the cleanup."""
    kept: timedelta
    """For the cleanup."""
    timeline: list[dict[str, Value]] = field(default_factory=list)
    observed: dict[str, Value] = field(default_factory=dict)
    seen: dict[str, Mapping[str, Value]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    done: bool = False
    began: float = 0.0
    last: timedelta = timedelta(0)
    """When the last thing was begun."""
    crashed: list[str] = field(default_factory=list)
    """What was made to crash since the last `until`."""
    at: str = "before anything was done"

    async def measurement(self) -> Measurement:
        self.began = self.ctx.clock.monotonic()
        why: ProbeError | None = None
        try:
            async with asyncio.timeout(self.limit.total_seconds()):
                await self._steps()
        except ProbeError as error:
            why = ProbeError(f"{self.at}: {error.message}", fault=error.fault, hint=error.hint)
        except TimeoutError:
            why = ProbeError(f"{self.at}: the step's time of {brief(self.ctx.timeout)} is over", hint="give it timeout")
        except asyncio.CancelledError:
            why = ProbeError(f"{self.at}: broken off")
        problem = await to_the_end(self._clean())
        if why is not None:
            raise ProbeError(f"{why.message}; {self._left(problem)}", fault=why.fault, hint=why.hint) from why
        self.observed |= {"cleaned_up": problem is None, "timeline": list(self.timeline)}
        self.observed["seen"] = {name: dict(one) for name, one in self.seen.items()}
        body = "\n".join(f"{one['at']}  {one['what']}" for one in self.timeline)
        notes = (*self.notes, *(() if problem is None else (f"cleanup: {problem}",)))
        return Measurement(self.observed, self.drill.asks(), self.ctx.clip(body), len(body) > TEXT, notes)

    def _left(self, problem: str | None) -> str:
        if not self.done:
            return "nothing was done"
        if problem is not None:
            return f"NOT cleaned up: {problem}"
        return "cleaned up" if self.drill.cleanup else "there is nothing to clean up"

    @property
    def elapsed(self) -> timedelta:
        return timedelta(seconds=self.ctx.clock.monotonic() - self.began)

    def _note(self, what: str) -> None:
        self.timeline.append({"at": f"{self.elapsed.total_seconds():.3f}s", "what": what})

    async def _steps(self) -> None:
        drill = self.drill
        before = await self._look(drill.timeout)
        if drill.steady:
            self._steady(before)
        first = {name: one.observed for name, one in before.items()}
        for number, move in enumerate(drill.steps, 1):
            self.at = f"step {number}, {move.says()}"
            if move.until is not None:
                ok = await self._until(move, first)
            elif drill.alone(number):
                ok = await self._crash(move)
            else:
                await self._begin(move)
                continue
            self.observed["ok"] = ok
            if not ok:
                self.observed["failed_at"] = self.at
                self._note("did not come true in time")
                return

    async def _look(self, most: timedelta) -> dict[str, Seen]:
        """Ask every probe once, side by side."""
        around = self.ctx.around
        assert around is not None
        names = list(self.drill.inner)

        def patience(name: str) -> timedelta:
            probe = self.drill.inner[name].probe
            usual = type(probe).timeout if probe is not None else most
            return max(min(usual, most, self.limit - self.elapsed), timedelta(milliseconds=1))

        answers = await asyncio.gather(*(around.ask(name, patience(name)) for name in names))
        found = dict(zip(names, answers, strict=True))
        self.seen |= {name: one.observed for name, one in found.items() if one.observed}
        return found

    def _steady(self, found: Mapping[str, Seen]) -> None:
        around = self.ctx.around
        assert around is not None
        held = around.holds(self.drill.steady, {name: one.observed for name, one in found.items()})
        if held.truth is not True:
            errors = "; ".join(one.error.message for one in found.values() if one.error is not None)
            raise ProbeError(f"the steady state does not hold: {errors or held.said}")
        self._note(f"steady: {held.said}")

    async def _do(self, move: Move, left: timedelta) -> None:
        most = min(_MOVE, left)
        if most <= timedelta(0):
            raise ProbeError("no time is left")
        ctx, host = self.ctx, self.drill.host
        how = await perform(move, blocking=ctx.blocking, root=ctx.root, environ=ctx.environ, host=host, timeout=most)
        self._note(how)

    def _engine(self) -> Endpoint:
        from captain.systems.docker.reader import endpoint

        return endpoint(self.drill.host, self.ctx.environ)

    async def _crash(self, move: Move) -> bool:
        """Crash what no `until` follows, and see whether it comes back by itself."""
        from captain.systems.docker.comeback import come_back, running

        engine, blocking = self._engine(), self.ctx.blocking
        before = await running(blocking, engine, move.target or "", min(_MOVE, self.limit - self.elapsed))
        await self._begin(move)
        self.crashed.remove(before.name)
        began = self.elapsed
        after = await come_back(blocking, engine, before, WITHIN)
        if after is None:
            self.notes.append(f"did not come back within {brief(WITHIN)}: {self.at}")
            return False
        at = began + after
        self._recovered(at, at - self.last, f"came true: {move.target} was restarted and runs on")
        return True

    async def _begin(self, move: Move) -> None:
        self.done = True
        self.observed["ran"] = True
        self.last = self.elapsed
        if move.crashes:
            self.crashed.append(move.target or "")
        self._note(move.says())
        await self._do(move, self.limit - self.elapsed)

    def _recovered(self, at: timedelta, waited: timedelta, said: str) -> None:
        longest = self.observed.get("longest_wait")
        known = longest if isinstance(longest, timedelta) else timedelta(0)
        self.observed |= {"recovery": at - self.last, "longest_wait": max(known, waited)}
        if said:
            self._note(said)

    async def _until(self, move: Move, before: Sights) -> bool:
        """Whether it came true in time and stayed so. Raises ProbeError where nobody can say."""
        within, every = move.within or WITHIN, move.every or EVERY
        steady = move.hold if move.hold is not None else STEADY if self.crashed else timedelta(0)
        began = asked = self.elapsed
        since: timedelta | None = None
        stood: list[Mapping[str, int]] = []
        while True:
            one = await self._sight(move, before, max(within + steady - (asked - began), timedelta(seconds=1)), steady)
            if one.truth is False and since is not None:
                self._broke(f"did not stay true: {one.said}")
                since = None
            if one.truth is True and since is not None and one.stands != stood:
                self._broke("crashed again")
                since = None
            if one.truth is True and since is None and asked - began <= within:
                since, stood = self.elapsed, one.stands
                if asked == began and one.before:
                    self.notes.append(f"{self.at}: held at the first look, as it did before anything was done")
                    self._note("held at the first look, as it did before anything was done")
                self._note(f"came true: {one.said}")
            if one.truth is True and since is not None and (not steady or asked - since >= steady):
                self._recovered(since, since - began, f"stayed true for {brief(steady)}" if steady else "")
                self.crashed.clear()
                return True
            # What is not known neither counts nor begins the time again, and does not go on for ever.
            lasting = one.truth is True and since is not None
            if not lasting and self.elapsed + every > (began if since is None else since + steady) + within:
                break
            await asyncio.sleep(max((every - (self.elapsed - asked)).total_seconds(), 0))
            asked = self.elapsed
        if one.truth is None and not one.failed:
            raise ProbeError(f"nobody can say whether it came true: {one.said}")
        said = f"{self.at}: {one.said}" if one.failed else f"{self.at.partition(',')[0]}, {one.said}"
        self.notes.append(f"did not come true in time: {said}")
        return False

    def _broke(self, what: str) -> None:
        self.notes.append(f"{self.at}: came true and {what}")
        self._note(f"came true and {what}")

    async def _sight(self, move: Move, before: Sights, most: timedelta, steady: timedelta) -> Sight:
        """One look at an `until`, and at what was made to crash where it must stay true."""
        around = self.ctx.around
        assert around is not None and move.until is not None
        found = await self._look(most)
        held = around.holds(move.until, {name: one.observed for name, one in found.items()}, before)
        errors = [one for one in found.values() if one.error is not None]
        missing = "; ".join(one.error.message for one in errors if one.error is not None)
        failed = any(one.failed for one in errors)
        if held.truth is not True:
            return Sight(held.truth, held.said if held.truth is False else missing or held.said, failed)
        held_before = around.holds(move.until, before, before).truth is True
        try:
            stands = await self._stand() if steady else []
        except ProbeError as error:
            return Sight(None, error.message, False)
        if sick := [one.name for one in stands if one.unhealthy]:
            return Sight(False, f"{', '.join(sick)} is unhealthy", False)
        return Sight(True, held.said, False, held_before, [one.restarts for one in stands])

    async def _stand(self) -> list[Running]:
        """What now runs of all that was made to crash."""
        if not self.crashed:
            return []
        from captain.systems.docker.comeback import standing

        most = max(min(_MOVE, self.limit - self.elapsed), timedelta(seconds=1))
        engine, blocking = self._engine(), self.ctx.blocking
        return [await standing(blocking, engine, name, most) for name in self.crashed]

    async def _clean(self) -> str | None:
        """What did not work, None where all of it did. Nothing is cleaned up where nothing was done."""
        if not self.done:
            return None
        problems: list[str] = []
        end = self.elapsed + self.kept
        for number, move in enumerate(self.drill.cleanup, 1):
            self._note(f"cleanup: {move.says()}")
            left = (end - self.elapsed) / (len(self.drill.cleanup) - number + 1)
            try:
                async with asyncio.timeout(max(left.total_seconds(), 0.001)):
                    await self._do(move, left)
            except (CaptainError, TimeoutError) as error:
                said = error.message if isinstance(error, CaptainError) else f"did not end within {brief(left)}"
                problems.append(f"{move.says()}: {said}")
                self._note(f"did not work: {said}")
        return "; ".join(problems) or None
