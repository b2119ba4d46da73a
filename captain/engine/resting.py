"""Keeps what results rest on, and looks whether it is still the same: then there is nothing to measure again.

Truth first: a result rests on files only where its kinds say so for all that they looked at, nothing that moves with
time is in its conditions, and nothing of it was changed while it was measured. Else it counts by its age, as ever.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from captain.checklist import Ask
from captain.events import Draft
from captain.run.resting import Looked, resting
from captain.systems.resting import Ground

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from captain.checklist import Step
    from captain.engine.desk import Desk
    from captain.engine.plans import Sample

_TIME = timedelta(seconds=10)
"""How long git may take to list files."""
_OFTEN = timedelta(minutes=1)
"""A look that says the same is not recorded again within this time."""
_MOST = 48 * 1024
"""Bytes of items that an entry holds; what rests on more is measured again."""
_LONGEST = 4000
_MOVING = frozenset(("now", "last", "before", "deploy", "previous", "signed"))
"""Names in conditions that stand for something else tomorrow although no file changed."""
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _ground(desk: Desk) -> Ground:
    return Ground(desk.root, desk.environ, _TIME, desk.own)


def _same_ground(desk: Desk) -> Ground:
    """One that knows what other steps have just read; what it were wrong about, the next look would see."""
    return Ground(desk.root, desk.environ, _TIME, desk.own, desk.read_files)


async def drafts(desk: Desk, step: Step, sample: Sample, began: int) -> Sequence[Draft]:
    """The entry that says what a fresh result rests on; none where it has to be asked again after its time.

    `began` is when measuring began, by the clock that files are dated by.
    """
    run = desk.open_run()
    if not run.standing or not sample.verdict.good:
        return ()
    items, ends = _items(step, sample), False
    if items is None:
        items, ends = _watched(sample), True
    if (not items and ends) or any(desk.mask(item) != item for item in items):
        return ()
    digest = await _same_ground(desk).digest(items, unchanged_since=began)
    if digest is None:
        return ()
    return (Draft("step.rests", run.id, {"step": step.id, "on": items, "digest": digest, "ends": ends}),)


def _items(step: Step, sample: Sample) -> list[str] | None:
    if step.max_age is not None or step.soak is not None or not sample.answers:
        return None
    asks = [ask for ask in step.asks.values() if isinstance(ask, Ask)]
    probes = [ask.probe for ask in asks]
    moving = _MOVING.union(*(probe.aging() for probe in probes if probe is not None))
    conditions = {word for text in (*step.expect, *step.warn) for word in _WORD.findall(text)}
    if len(probes) < len(step.asks) or moving & conditions or any("secrets." in str(ask.params) for ask in asks):
        return None
    found: dict[str, None] = {}
    for answer in sample.answers:
        if answer.measurement is None or answer.measurement.rests is None:
            return None
        found.update(dict.fromkeys(answer.measurement.rests))
    return _fitting(found)


def _watched(sample: Sample) -> list[str]:
    """All files that any of its probes read: where one changes, the result is of before, whatever its age."""
    found: dict[str, None] = {}
    for answer in sample.answers:
        if answer.measurement is not None:
            found.update(dict.fromkeys((*answer.measurement.watches, *(answer.measurement.rests or ()))))
    return _fitting(found) or []


def _fitting(found: Iterable[str]) -> list[str] | None:
    items = sorted(found)
    sizes = [len(item.encode("utf-8", "replace")) + 8 for item in items]
    fits = sum(sizes) <= _MOST and max(sizes, default=0) <= _LONGEST
    return items if fits and all(item.isprintable() for item in items) else None


async def look(desk: Desk) -> None:
    """See which results still rest on the same files, and record it where that can be."""
    run = desk.open_run()
    found = resting(run.rests, run.results)
    if not found:
        return
    ground = _ground(desk)
    kept: list[int] = []
    changed: list[int] = []
    for result, one in found:
        if await ground.digest(one.on) != one.digest:
            changed.append(result.seq)
        elif not one.ends:
            kept.append(result.seq)
    if desk.read_only or run.ended:
        desk.looked = Looked(desk.clock.now(), None, frozenset(kept), frozenset(changed))
        return
    desk.looked = None
    before, bound = run.looked, run.bound
    if (
        before is not None
        and (before.kept, before.changed) == (frozenset(kept), frozenset(changed))
        and timedelta(0) <= desk.clock.now() - before.at < _OFTEN
        and (bound is None or bound.seq < (before.seq or 0))
    ):
        return
    await desk.record(Draft("run.looked", run.id, {"kept": kept, "changed": changed}))
