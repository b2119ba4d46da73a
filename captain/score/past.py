"""What a review scored at the end of each of its checks, and how far it came since. Pure; asks no clock.

A check is scored as it was judged then: by the age that each result had at that moment, and by the definitions that
were in force. Which steps there are, where they stand and what they weigh is today's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from captain.events import Recorded
from captain.run import Run
from captain.run.trend import checks
from captain.run.view import View
from captain.score import Score, score, whole

MONTH = timedelta(days=30)
NOT_THEN = "changed"
"""Stands for a definition that nothing recorded before it belongs to."""


@dataclass(frozen=True, slots=True)
class Then:
    """One check."""

    at: datetime
    low: int
    high: int
    categories: Mapping[str, tuple[int, int]]
    """Low and high of each category, by section id."""


@dataclass(frozen=True, slots=True)
class Change:
    """How far the low ends moved, in points."""

    since: datetime
    whole: int
    categories: Mapping[str, int]


def past(events: Iterable[Recorded], view: View) -> tuple[Then, ...]:
    """Every check among the entries of the run that `view` shows, the oldest first."""
    changed: dict[str, int] = {}

    def noted() -> Iterator[Recorded]:
        for event in events:
            if event.type == "checklist.changed" and event.data["decision"] == "adopt":
                changed.update(dict.fromkeys((*event.data["changed"], *event.data["added"]), event.seq))
            yield event

    return tuple(_then(event, run, view, changed) for event, run in checks(noted()))


def change(known: Sequence[Then], found: Score, now: datetime, over: timedelta = MONTH) -> Change | None:
    """Against the newest check that is at least so old, else against the oldest there is; None without any."""
    if not known:
        return None
    before = next((one for one in reversed(known) if now - one.at >= over), known[0])
    moved = {one.id: one.low - before.categories[one.id][0] for one in found.categories if one.id in before.categories}
    return Change(before.at, found.low - before.low, moved)


def _then(event: Recorded, run: Run, view: View, changed: Mapping[str, int]) -> Then:
    moment = replace(
        view,
        run=run,
        now=event.at,
        definitions=_definitions(run, view, changed),
        alive=frozenset(),
        asking=frozenset(),
        stopped=None,
        head=None,
        looked=None,
        loose=False,
        deployed=view.deployed if view.deployed < event.seq else 0,
        carried=tuple(one for one in view.carried if one.seq < event.seq),
    )
    ranges = {one.id: one.range for one in score(moment).categories}
    low, high = (whole(one[end] for one in ranges.values()) for end in (0, 1))
    return Then(event.at, low, high, ranges)


def _definitions(run: Run, view: View, changed: Mapping[str, int]) -> dict[str, str]:
    """What each step demanded then: the newest record of it says so, unless the step was changed after that."""
    newest: dict[str, tuple[int, str]] = {}
    for sign_off in run.sign_offs:
        if sign_off.on == "step" and sign_off.event.data["definition"]:
            newest[sign_off.target] = (sign_off.seq, str(sign_off.event.data["definition"]))
    for waiver in run.waivers:
        if waiver.seq > newest.get(waiver.step, (0, ""))[0]:
            newest[waiver.step] = (waiver.seq, str(waiver.event.data["definition"]))
    for step, result in run.results.items():
        if result.seq > newest.get(step, (0, ""))[0]:
            newest[step] = (result.seq, result.definition)
    said = {step: text if seq > changed.get(step, 0) else NOT_THEN for step, (seq, text) in newest.items()}
    return {**view.definitions, **said}
