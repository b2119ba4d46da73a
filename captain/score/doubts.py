"""What does not fit together in a review, and what its recommendations rest on. Pure; settles nothing itself.

Every contradiction names both of its sides in words of the record: which of them is right is for a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from captain.measurement import Verdict
from captain.run import SignOff
from captain.run.status import Status
from captain.score import FLOOR, READY, Score, interval, statuses

if TYPE_CHECKING:
    from captain.checklist import Section, Step
    from captain.run.view import View

BESIDE = ("recommendations", "gaps")
"""Ids of sections that say what to do before anybody goes on; they count in no score."""
WORDS: Mapping[str, str] = {"approve": "approved", "reject": "rejected", "not_applicable": "called not applicable"}


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two statements of which only one can be right."""

    step: str | None
    """The step to look at; None where it is the whole."""
    says: str
    but: str

    @property
    def sentence(self) -> str:
        return f"{self.says}, but {self.but}"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Something that is to be done first, and what its verdict rests on."""

    section: str
    step: Step
    found: Status

    @property
    def open(self) -> bool:
        return not self.found.counts

    @property
    def asked(self) -> tuple[str, ...]:
        """What its probes ask, or the question that a person answers."""
        probes = [getattr(ask, "probe", None) for ask in self.step.asks.values()]
        asked = tuple(probe.asks() for probe in probes if probe is not None)
        return (*asked, self.step.manual) if self.step.manual is not None else asked

    @property
    def observed(self) -> Mapping[str, Any]:
        """What the newest result saw, as entries write it; empty where nothing was measured."""
        return self.found.result.observed if self.found.result is not None else {}

    @property
    def signed(self) -> tuple[SignOff, ...]:
        """The sign-offs that stand."""
        return self.found.signed


def recommendations(view: View, states: Mapping[str, Status] | None = None) -> tuple[Recommendation, ...]:
    """Every step of the sections that recommend, and every known gap wherever it stands, in the order of the file."""
    states = statuses(view) if states is None else states
    return tuple(
        Recommendation(section.id, step, states[step.id])
        for section, step in view.target.checklist.steps()
        if _recommends(section) or step.affects
    )


def _recommends(section: Section) -> bool:
    return not section.scored and section.id in BESIDE


def contradictions(view: View, found: Score, states: Mapping[str, Status] | None = None) -> tuple[Contradiction, ...]:
    """Everything that does not fit together, the steps in their order, the whole first."""
    states = statuses(view) if states is None else states
    known = {step.id: (step, states[step.id]) for _, step in view.target.checklist.steps()}
    out = [*_by_number(found, recommendations(view, states))]
    for step, state in known.values():
        if state.state in ("disabled", "not-applicable"):
            continue
        out += [*_too_early(step, state, known), *_overtaken(view, step, state), *_divided(step, state)]
    return tuple(out)


def _by_number(found: Score, recommended: Iterable[Recommendation]) -> Iterator[Contradiction]:
    """The number says go, while something is open that was to be done first."""
    if found.low < READY or any(one.low < FLOOR for one in found.categories) or not found.categories:
        return
    says = f"the score of {interval(found.low, found.high)} says ready"
    for one in recommended:
        if one.open and one.found.state not in ("disabled", "not-applicable"):
            yield Contradiction(one.step.id, says, f"{one.step.title} is open: {_why(one.found)}")


def _too_early(step: Step, state: Status, known: Mapping[str, tuple[Step, Status]]) -> Iterator[Contradiction]:
    """Approved or passed, while a step that it needs is open."""
    approved = [one.by for one in state.signed if one.meaning == "approve"]
    passed = state.state in ("measured", "waiting") and state.result is not None and state.verdict is Verdict.PASS
    if not approved and not passed:
        return
    says = f"{step.title} " + (f"is approved by {', '.join(approved)}" if approved else "passes")
    for name in step.needs:
        if name in known and not known[name][1].counts:
            other, seen = known[name]
            yield Contradiction(step.id, says, f"{other.title}, which it needs, is open: {_why(seen)}")


def _overtaken(view: View, step: Step, state: Status) -> Iterator[Contradiction]:
    """A sign-off that says the opposite of what was measured after it."""
    result = state.result
    if result is None or state.state in ("stale", "measuring"):
        return
    for one in view.run.signed("step", step.id):
        if result.seq < one.seq:
            continue
        if one.meaning == "approve" and result.verdict is Verdict.FAIL:
            yield Contradiction(step.id, f"{one.by} approved {step.title}", f"measured since: {result.message}")
        if one.meaning == "reject" and result.verdict is Verdict.PASS:
            yield Contradiction(step.id, f"{one.by} rejected {step.title}: {one.note}", "it passes since")


def _divided(step: Step, state: Status) -> Iterator[Contradiction]:
    """People who say the opposite of each other."""
    against = [one for one in state.signed if one.meaning == "reject"]
    others = [one for one in state.signed if one.meaning != "reject"]
    if against and others:
        said = f"{others[0].by} {WORDS[others[0].meaning]} {step.title}"
        yield Contradiction(step.id, said, f"{against[0].by} rejected it: {against[0].note}")


def _why(found: Status) -> str:
    return found.stale_why or found.message
