"""Measures again what is not good and fresh in a review, as a check without a screen would, and says that it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from captain.engine import resting, standing
from captain.engine.gate import checked
from captain.engine.measure import asked_by_others, measure_all
from captain.errors import Refusal
from captain.measurement import worst
from captain.run import allowed, summing
from captain.run.gates import readiness
from captain.run.status import fresh, status

if TYPE_CHECKING:
    from captain.engine.desk import Desk


async def check_again(desk: Desk) -> None:
    """What was good and is fresh stays; no action is started.

    Raises Refusal where nothing may be recorded, and while it is being done already: a check that found all of its
    steps asked by another one would end before they were answered.
    """
    if refusal := allowed.changing(desk.view()):
        raise refusal
    if desk.checking.locked():
        raise Refusal("everything is being measured already")
    async with desk.checking:
        await _check(desk)


async def _check(desk: Desk) -> None:
    if desk.open_run().standing:
        # Of the commit and the files that are there now.
        await standing.follow(desk)
        await resting.look(desk)
    view = desk.view()
    steps = [step for _, step in view.target.checklist.steps() if step.action is None and step.asks]
    steps = [step for step in steps if allowed.measure(view, step) is None]
    wanted = {step.id for step in steps if not fresh(status(view, step))}
    if wanted:
        # What sums up is of before as soon as anything it counts is measured.
        wanted |= summing.resting(view.target.checklist)
    due = [step for step in steps if step.id in wanted]
    await measure_all(desk, due)
    await asked_by_others(desk, wanted)
    if desk.open_run().standing:
        view = desk.view()
        verdict = worst(readiness(view, section).verdict for section in view.target.checklist.sections)
        await checked(desk, verdict.value, len(due), len(steps) - len(due))
