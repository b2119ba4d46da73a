"""Runs a step that does more than read: recorded before and after, once at a time, whatever happens in between.

The order is the invariant: intent committed → probes asked → result committed. After a crash the intent stands
without a result, and the step is unknown until it is run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from captain.clock import stamp
from captain.engine import locks
from captain.engine.ages import max_age_ms
from captain.engine.alive import busy, identity, lives, under_way
from captain.engine.ask import clip, resolved
from captain.engine.attempts import new_attempt
from captain.engine.definitions import definition
from captain.engine.measure import measure
from captain.engine.names import template_names, template_values
from captain.engine.plans import plan_of
from captain.engine.trusting import trusted
from captain.errors import CaptainError, NeedsConfirmation, Refusal
from captain.events import Draft, Recorded
from captain.run import allowed

if TYPE_CHECKING:
    from captain.checklist import Step
    from captain.engine.desk import Desk
    from captain.log.reader import Reader

MAX_LINES = 40
"""Lines of what a step does that its intent keeps."""


async def run(desk: Desk, step: Step, confirmed: str | None, again: bool) -> None:
    """Run the step and record what came out. `again` says that it is meant although an earlier end was not seen.

    Cancelling whoever waits leaves it running; `Engine.close` and a rollback break it off, cleaned up and recorded.
    """
    locks.look(desk)
    if refusal := allowed.trial(desk.view(), step):
        raise refusal
    lost = desk.open_run().trials.get(step.id)
    if lost is not None and lost.end is None and not lives(lost.intent) and not again:
        raise Refusal(
            f"{step.title} was begun at {lost.intent.ts[11:19]} UTC and nobody saw its end: it may still go on",
            hint="look first; --again runs it once more",
            exit_code=4,
        )
    name = desk.target.environment
    if desk.confirms and confirmed != name:
        raise NeedsConfirmation(
            f"this {_what(step)} needs the environment's name typed: {name}", hint=f"--confirm {name}"
        )
    if desk.trial is not None and not desk.trial.done():
        raise Refusal("another step that does more than read is being run")
    desk.trial = desk.keep(_run(desk, step, confirmed))
    await asyncio.shield(desk.trial)


def _what(step: Step) -> str:
    return "drill" if step.safety == "drill" else "step"


def does(desk: Desk, step: Step) -> tuple[str, ...]:
    """What it would do now, one line each, templates resolved and secrets by name. Raises CaptainError."""
    from captain.checklist import Ask

    scope, values = template_names(desk, step.params), template_values(desk)
    found: list[str] = []
    for name, ask in step.asks.items():
        if isinstance(ask, Ask) and ask.probe is not None and ask.probe.safety != "read":
            lines = resolved(ask, scope, values).does()
            found += [f"{name}: {line}" if name else line for line in map(desk.mask, lines)]
    return tuple(found)


async def _run(desk: Desk, step: Step, confirmed: str | None) -> None:
    async with desk.trying:
        await trusted(desk)
        if refusal := allowed.trial(desk.view(), step):
            raise refusal
        # What cannot be worked out is refused before anything is recorded or done.
        lines = does(desk, step)
        attempt = new_attempt(desk.clock.now())
        desk.trying_ids.add(attempt)
        try:
            intent = await _begin(desk, step, attempt, lines, confirmed)
            try:
                await measure(
                    desk, step, step.safety, plan=plan_of(step, once=True, permitted=step.safety), attempt=attempt
                )
            except BaseException as raised:
                await _broken_off(desk, step, intent, raised)
                raise
        finally:
            desk.trying_ids.discard(attempt)
            desk.look_alive()


async def _begin(desk: Desk, step: Step, attempt: str, lines: tuple[str, ...], confirmed: str | None) -> Recorded:
    pid, starttime = identity()
    shown = [clip(one, 1024) for one in lines[:MAX_LINES]]
    data = {
        "attempt": attempt,
        "step": step.id,
        "definition": definition(desk.target, step),
        "safety": step.safety,
        "does": [*shown, f"and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else shown,
        "confirmed": confirmed,
        "trust": desk.trusted,
        "pid": pid,
        "starttime": starttime,
    }
    recorded = await desk.record(Draft("step.intent", desk.open_run().id, data), check=_alone(desk, step))
    return recorded[-1]


def _alone(desk: Desk, step: Step) -> Callable[[Reader], None]:
    """A check for inside an append: nobody runs the same step, or a drill in the same environment, at this moment."""
    here = (desk.target.service.service, desk.target.environment)

    def check(reader: Reader) -> None:
        for other in under_way(reader, here):
            same = other.run == desk.open_run().id and other.data["step"] == step.id
            if same or step.safety == other.data["safety"] == "drill":
                raise busy(other, here[1])

    return check


async def _broken_off(desk: Desk, step: Step, intent: Recorded, raised: BaseException) -> None:
    """Record that it ended without an answer, unless its result was committed before."""
    await desk.catch_up()
    known = desk.open_run().trials.get(step.id)
    if known is None or known.id != intent.data["attempt"] or known.end is not None:
        return
    cancelled = isinstance(raised, asyncio.CancelledError)
    why = "broken off" if cancelled else raised.message if isinstance(raised, CaptainError) else type(raised).__name__
    began = intent.at
    data: dict[str, Any] = {
        "step": step.id,
        "definition": intent.data["definition"],
        "purpose": step.safety,
        "verdict": "unknown",
        "severity": step.severity,
        "message": clip(desk.mask(f"{why}: what it left behind is unknown")),
        "attempts": 1,
        "started": stamp(began),
        "duration_ms": max(round((desk.clock.now() - began) / timedelta(milliseconds=1)), 0),
        "held_ms": None,
        "max_age_ms": max_age_ms(desk, step),
        "attempt": intent.data["attempt"],
        "probes": [],
        "observed": {},
        "conditions": [],
        "truncated": False,
    }
    await desk.record(Draft("step.result", desk.open_run().id, data))
