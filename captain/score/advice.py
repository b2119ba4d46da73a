"""What to do next about a score: what each open item would lift, and the one thing to do about it. Pure.

Nothing here is a promise: a gain is what the low end would rise by if the item became full and nothing else moved.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from captain.checklist.base import Alias
from captain.run.status import Status, by_itself
from captain.score import Category, Item, Score, statuses, whole

if TYPE_CHECKING:
    from captain.checklist import Step
    from captain.run.view import View

Verb = Literal["measure", "sign", "countersign", "run", "allow", "repair", "renew", "first", "trust", "wait"]
"""measure it; sign it; countersign what lets it go; run the drill; allow it in captain.yaml; put right what was seen;
put right what is waived or partial; do first what it needs; accept the commands; nothing that captain can do."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What the low ends would be if one item became full."""

    category: tuple[int, int] | None
    """Of its category, now and then; None where it stands in none, or touches several."""
    whole: tuple[int, int]
    exact: Fraction
    """Of the whole in percent before any rounding: what a small step is worth."""

    @property
    def points(self) -> int:
        return self.whole[1] - self.whole[0]


@dataclass(frozen=True, slots=True)
class Advice:
    """One open item, what it would lift, and what to do about it."""

    item: Item
    category: Category | None
    """None for a gap."""
    gain: Gain
    verb: Verb
    what: str
    """One sentence without its end: `measure Restore tested`."""
    command: str | None
    """What to type, where anything can be typed."""
    urgent: bool
    """A blocker that no gate may count, or an open gap: without it there is no go at any score."""


def gain(found: Score, step: str, lows: Sequence[int] | None = None) -> Gain:
    """What the score gains when the item becomes full; for a gap, when it is closed. Never less than nothing.

    `lows` are the low ends of the categories, where they are known already.
    """
    gap = any(one.step == step for one in found.gaps)
    before = [one.low for one in found.categories] if lows is None else list(lows)
    after, exact, own = list(before), Fraction(0), None
    for at, category in enumerate(found.categories):
        raised = _raised(category, step, gap)
        if raised is not category:
            after[at] = raised.low
            exact += (raised.raw[0] - category.raw[0]) / len(before)
            own = None if gap else (before[at], after[at])
    return Gain(own, (whole(before), whole(after)), exact)


def lifted(found: Score, step: str) -> Score:
    """The score if the item became full, or if the gap were closed."""
    gap = any(one.step == step for one in found.gaps)
    return replace(
        found,
        categories=tuple(_raised(one, step, gap) for one in found.categories),
        beside=tuple(_raised(one, step, gap) for one in found.beside),
        weightless=tuple(_raised(one, step, gap) for one in found.weightless),
        gaps=tuple(_full(one) if one.step == step else one for one in found.gaps),
    )


def next_best(view: View, found: Score, states: Mapping[str, Status] | None = None) -> tuple[Advice, ...]:
    """Every open item that counts, what lifts the score most first; blockers and open gaps before anything else."""
    lows = [one.low for one in found.categories]
    states = statuses(view) if states is None else states
    known = {step.id: (step, states[step.id]) for _, step in view.target.checklist.steps()}
    advice = [_advice(view, item, category, known, gain(found, item.step, lows)) for item, category in _open(found)]
    order = sorted(enumerate(advice), key=lambda one: (*_rank(one[1]), one[0]))
    return tuple(one for _, one in order)


def _open(found: Score) -> Iterator[tuple[Item, Category | None]]:
    for category in found.categories:
        for item in category.open:
            yield item, category
    for category in (*found.beside, *found.weightless):
        for item in category.open:
            if item.blocker and not item.counts:
                yield item, category
    for gap in found.gaps:
        if not gap.whole and not gap.accepted:
            yield gap, None


def _rank(one: Advice) -> tuple[bool, bool, int, int, Fraction]:
    own = one.gain.category
    return (
        not one.urgent,
        one.verb == "wait",
        -one.gain.points,
        -(own[1] - own[0]) if own is not None else 0,
        -one.gain.exact,
    )


def _advice(
    view: View,
    item: Item,
    category: Category | None,
    known: Mapping[str, tuple[Step, Status]],
    lifts: Gain,
) -> Advice:
    step, state = known[item.step]
    verb, what, command = _do(view, step, state, known)
    touches = [gap for gap in item.gaps if gap in known]
    if touches and item.credit in ("full", "excused"):
        gap, gap_state = known[touches[0]]
        _, what, command = _do(view, gap, gap_state, known)
        verb, what = "first", f"close the gap {gap.title}: {what}"
    urgent = category is None or (item.blocker and not item.counts)
    return Advice(item, category, lifts, verb, what, command, urgent)


def _do(
    view: View, step: Step, found: Status, known: Mapping[str, tuple[Step, Status]], depth: int = 0
) -> tuple[Verb, str, str | None]:
    """The one next thing about a step, and its command."""
    run, name = view.run.id, step.title
    if found.owed is not None:
        return "countersign", f"another person countersigns {name}", _typed("sign", run, step.id, "--countersign")
    if found.rejected is not None:
        return "repair", f"put right what {found.rejected.by} rejected in {name}", None
    if found.state == "waived" and found.waiver is not None:
        until = f"{found.waiver.expires.day} {found.waiver.expires:%b}"
        return "renew", f"put right {name} before its waiver ends on {until}", _check(view, step)
    if step.unmeasured:
        return "wait", f"{name}: {step.unmeasured}", None
    needed = next((known[one] for one in step.needs if one in known and not known[one][1].counts), None)
    if needed is not None and depth < len(known):
        _, first, command = _do(view, *needed, known, depth + 1)
        return "first", f"{first}, which {name} needs", command
    original = next(
        (known[one.step] for one in step.asks.values() if isinstance(one, Alias) and one.step in known), None
    )
    if original is not None and not original[1].counts and depth < len(known):
        _, first, command = _do(view, *original, known, depth + 1)
        return "first", f"{first}, which {name} stands for", command
    if found.waits and (step.manual is not None or found.verdict.good):
        who = next((role for role in found.waits if role), None)
        what = f"the role {who} signs {name}" if who else f"sign {name}"
        evidence = ("--evidence", "FILE") if any(rule.evidence == "required" for rule in step.sign_off) else ()
        return "sign", what, _typed("sign", run, step.id, "--approve", *evidence)
    if step.safety != "read" and step.action is None and not found.stale and found.result is None:
        if step.levels <= {"read", *view.target.allow}:
            word = "drill " if step.safety == "drill" else ""
            return "run", f"run the {word}{name}", _typed("act", run, step.id)
        return "allow", f"{name} is {by_itself(view, step)}", None
    if view.untrusted and step.programs():
        return "trust", f"accept the commands of these files, then measure {name}", "captain trust"
    return _seen(view, step, found)


def _seen(view: View, step: Step, found: Status) -> tuple[Verb, str, str | None]:
    """What was measured, or was not."""
    again = _check(view, step) if step.safety == "read" else _typed("act", view.run.id, step.id)
    verb: Verb = "measure" if step.safety == "read" else "run"
    if found.state in ("todo", "stale", "measuring", "lapsed") or found.result is None:
        return verb, f"{'measure' if verb == 'measure' else 'run'} {step.title}", again
    if found.verdict.value == "unknown":
        return "repair", f"make known {step.title}: {found.message}", again
    return "repair", f"put right {step.title}: {found.message}", again


def _check(view: View, step: Step) -> str:
    return _typed("check", view.run.checklist, "-e", view.run.environment, "--step", step.id)


def _typed(*words: str) -> str:
    return shlex.join(("captain", *words))


def _holds(category: Category, step: str) -> bool:
    return any(item.step == step for item in category.items)


def _raised(category: Category, step: str, gap: bool) -> Category:
    if not gap and not _holds(category, step):
        return category
    if gap and not any(step in item.gaps for item in category.items):
        return category
    return replace(category, items=tuple(_better(item, step) for item in category.items))


def _better(item: Item, step: str) -> Item:
    if item.step == step:
        return _full(item)
    return replace(item, gaps=tuple(one for one in item.gaps if one != step)) if step in item.gaps else item


def _full(item: Item) -> Item:
    return replace(item, credit="full", gaps=(), counts=True)
