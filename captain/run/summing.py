"""Which steps sum others up, what rests on them, and what must be over before they are asked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from captain.run.view import View

if TYPE_CHECKING:
    from captain.checklist import Checklist, Step
    from captain.run import Result


def sums_up(step: Step) -> frozenset[str]:
    """The checklists whose score the step asks for, itself or by a probe of a probe."""
    own = [probe for ask in step.asks.values() if (probe := getattr(ask, "probe", None)) is not None]
    inner = [ask.probe for probe in own for ask in probe.inner.values() if ask.probe is not None]
    return frozenset(name for probe in (*own, *inner) if (name := probe.sums_up) is not None)


def resting(checklist: Checklist) -> frozenset[str]:
    """The steps that no score of this checklist may count where one of them asks for it: they, and what rests on them.

    A step rests on another one that it needs or stands for.
    """
    steps = [step for _, step in checklist.steps()]
    begun = [step.id for step in steps if checklist.checklist in sums_up(step)]
    return _above(steps, begun, checklist.checklist)


def before(steps: Iterable[Step]) -> Mapping[str, frozenset[str]]:
    """By step id the others of these that must be over before it is asked: what it needs, stands for, and sums up."""
    steps = list(steps)
    names = frozenset(step.id for step in steps)
    summing = [step.id for step in steps if sums_up(step)]
    rest = names - _above(steps, summing, None)
    return {step.id: (names & set(step.after)) | (rest if step.id in summing else frozenset()) for step in steps}


def summed_before(view: View, step: Step, result: Result) -> str | None:
    """Why a result that sums up its own checklist is older than what it counted; None where it is not."""
    checklist = view.target.checklist
    if checklist.checklist not in sums_up(step):
        return None
    run, left_out = view.run, resting(checklist)
    said = [(one.seq, one.target) for one in (*run.sign_offs, *run.countersigns)]
    said += [(one.seq, one.step) for one in run.waivers]
    seen = [(max(seq, run.withdrawn.get(seq, 0)), name) for seq, name in said]
    seen += [(one.seq, name) for name, one in run.results.items()]
    newer = any(seq > result.seq and name not in left_out for seq, name in seen)
    return "what it sums up was measured, signed or waived since" if newer else None


def _above(steps: Iterable[Step], begun: Iterable[str], checklist: str | None) -> frozenset[str]:
    """These, and every step that needs or stands for one of them, by however many steps in between."""
    steps, found = list(steps), set(begun)
    while True:
        more = {step.id for step in steps if step.id not in found and _rests_on(step) & found}
        if not more:
            return frozenset(found)
        found |= more


def _rests_on(step: Step) -> set[str]:
    stands_for = (getattr(ask, "step", None) for ask in step.asks.values())
    return {*step.needs, *(str(one).rpartition("/")[2] for one in stands_for if one is not None)}
