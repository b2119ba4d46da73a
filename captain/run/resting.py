"""Results that count while the files they rest on are the same, and when somebody saw last that they are. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from captain.events import Recorded
from captain.run.facts import Result

if TYPE_CHECKING:
    from captain.run.view import View


@dataclass(frozen=True, slots=True)
class Rests:
    """What one result rests on."""

    of: int
    """Number of the result's entry."""
    on: tuple[str, ...]
    """Items of `captain.systems.rests`."""
    digest: str
    """Of what they were."""
    ends: bool = False
    """Whether it counts by its age all the same, however long they stay as they are."""


@dataclass(frozen=True, slots=True)
class Looked:
    """One look at the files that results rest on."""

    at: datetime
    seq: int | None
    """Of its entry; None for a look that was not recorded."""
    kept: frozenset[int]
    """Results whose files are as they were, by the number of their entry."""
    changed: frozenset[int]
    """Results whose files are not, or where nobody can tell."""


def with_rests(rests: Mapping[str, Rests], results: Mapping[str, Result], event: Recorded) -> Mapping[str, Rests]:
    """With what an entry says of the result before it."""
    step = str(event.data["step"])
    if step not in results:
        return rests
    one = Rests(results[step].seq, tuple(event.data["on"]), str(event.data["digest"]), event.data["ends"])
    return MappingProxyType({**rests, step: one})


def looked_of(event: Recorded) -> Looked:
    """The look that an entry tells of."""
    return Looked(event.at, event.seq, frozenset(event.data["kept"]), frozenset(event.data["changed"]))


def last_look(view: View) -> Looked | None:
    """The newest look, this captain's own before a recorded one."""
    return view.looked or view.run.looked


def kept(view: View, result: Result) -> bool:
    """Whether the files of a result were as they had been when somebody looked last."""
    look = last_look(view)
    return look is not None and result.seq in look.kept


def changed(view: View, result: Result) -> bool:
    """Whether they were not."""
    look = last_look(view)
    return look is not None and result.seq in look.changed


def seen_at(view: View, result: Result) -> datetime:
    """When it was last known to be so: measured, or its files found unchanged. Its age is counted from then."""
    look = last_look(view)
    return max(result.at, look.at) if look is not None and result.seq in look.kept else result.at


def since(view: View, result: Result, event: Recorded) -> bool:
    """Whether its files were found unchanged after an entry."""
    look = last_look(view)
    return look is not None and result.seq in look.kept and (look.seq is None or look.seq > event.seq)


def resting(run_rests: Mapping[str, Rests], results: Mapping[str, Result]) -> Sequence[tuple[Result, Rests]]:
    """The newest results that rest on files, with what they rest on."""
    found = ((results.get(step), one) for step, one in run_rests.items())
    return [(result, one) for result, one in found if result is not None and result.seq == one.of]
