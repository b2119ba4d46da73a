"""The readiness score: what the steps of a checklist came to, as numbers that nobody types. Pure.

An item earns credit by its own state; what nobody verified earns between nothing and everything, so a score is an
interval and its low end is what counts. A category is rounded to steps of five and never up to 100; the score is the
mean of the rounded categories. The gate is another matter than the number: one open blocker closes it at any score.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, Literal

from captain.measurement import Verdict
from captain.run.status import Status, status

if TYPE_CHECKING:
    from captain.checklist import Section, Step
    from captain.run.view import View

Credit = Literal["full", "partial", "waived", "failed", "unverified", "lapsed", "excused"]
"""What an item earns: pass; warn, or capped by a gap; waived; fail; not known; was signed, the date has passed; not
applicable."""
Label = Literal["Excellent", "Very Good", "Good", "Fair", "Weak", "Critical"]

READY = 95
"""The least overall score of a service that is ready."""
FLOOR = 90
"""The least score of each category of it."""
EXCUSED = Fraction(1, 4)
"""A category of which more than this is called not applicable says little."""

_EARNS: Mapping[Credit, tuple[Fraction, Fraction]] = {
    "full": (Fraction(1), Fraction(1)),
    "partial": (Fraction(1, 2), Fraction(1, 2)),
    "waived": (Fraction(1, 2), Fraction(1, 2)),
    "failed": (Fraction(0), Fraction(0)),
    "unverified": (Fraction(0), Fraction(1)),
    "lapsed": (Fraction(0), Fraction(1)),
}
_HALF = Fraction(1, 2)
_LABELS: tuple[tuple[int, Label], ...] = (
    (100, "Excellent"),
    (95, "Very Good"),
    (90, "Good"),
    (80, "Fair"),
    (60, "Weak"),
    (0, "Critical"),
)


@dataclass(frozen=True, slots=True)
class Item:
    """One step and what it earns."""

    step: str
    title: str
    credit: Credit
    weight: Fraction = Fraction(1)
    blocker: bool = False
    counts: bool = True
    """Whether a gate may count it as good."""
    gaps: tuple[str, ...] = ()
    """Open gaps that touch it, by their steps: more than half is not to be had."""
    accepted: bool = False
    """Whether it is good only by a risk that somebody accepted: waived, or called not applicable where it matters."""
    message: str = ""

    @property
    def earns(self) -> tuple[Fraction, Fraction] | None:
        """Low and high between 0 and 1; None where it is left out."""
        if self.credit == "excused":
            return None
        low, high = _EARNS[self.credit]
        return (min(low, _HALF), min(high, _HALF)) if self.gaps else (low, high)

    @property
    def verified(self) -> bool:
        """Whether anybody knows what it earns."""
        return self.credit not in ("unverified", "lapsed")

    @property
    def whole(self) -> bool:
        """Whether there is nothing left to do about it."""
        return self.credit in ("full", "excused") and not self.gaps


@dataclass(frozen=True, slots=True)
class Category:
    """The items of one section."""

    id: str
    title: str
    items: tuple[Item, ...]

    @property
    def weight(self) -> Fraction:
        """Of what is not left out."""
        return sum((item.weight for item in self.items if item.earns is not None), Fraction(0))

    @property
    def raw(self) -> tuple[Fraction, Fraction]:
        """Low and high in percent, not rounded."""
        earned = [(item.weight, item.earns) for item in self.items if item.earns is not None]
        low = sum((weight * earns[0] for weight, earns in earned), Fraction(0))
        high = sum((weight * earns[1] for weight, earns in earned), Fraction(0))
        return 100 * low / self.weight, 100 * high / self.weight

    @property
    def low(self) -> int:
        return rounded(self.raw[0])

    @property
    def high(self) -> int:
        return rounded(self.raw[1])

    @property
    def range(self) -> tuple[int, int]:
        """Low and high, worked out once."""
        low, high = self.raw
        return rounded(low), rounded(high)

    @property
    def label(self) -> Label:
        return label(self.low)

    @property
    def much_excused(self) -> bool:
        """Whether so much is called not applicable that the number says little."""
        excused = sum((item.weight for item in self.items if item.earns is None), Fraction(0))
        return excused > EXCUSED * (excused + self.weight)

    @property
    def open(self) -> tuple[Item, ...]:
        """What is not whole."""
        return tuple(item for item in self.items if not item.whole)


@dataclass(frozen=True, slots=True)
class Score:
    """All categories, and what they come to."""

    categories: tuple[Category, ...]
    """Those that hold anything, in the order of the checklist."""
    beside: tuple[Category, ...] = ()
    """Sections that are shown with a number of their own and not counted."""
    gaps: tuple[Item, ...] = ()
    """What is known to be missing, open ones and closed ones."""
    weightless: tuple[Category, ...] = ()
    """Sections without any number: all of it is left out, or weighs nothing."""
    over: str = ""
    """Why it is no go any more, whatever it came to: the review was given up."""

    @property
    def raw(self) -> Fraction:
        """The mean of the categories, not rounded: what the rounding hides."""
        return _mean([category.raw[0] for category in self.categories])

    @property
    def low(self) -> int:
        return whole(category.low for category in self.categories)

    @property
    def high(self) -> int:
        return whole(category.high for category in self.categories)

    @property
    def label(self) -> Label:
        return label(self.low)

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(item for category in self.categories for item in category.items)

    @property
    def coverage(self) -> Fraction:
        """The share of the weight that somebody or something verified."""
        counted = [item for item in self.items if item.earns is not None]
        weight = sum((item.weight for item in counted), Fraction(0))
        verified = sum((item.weight for item in counted if item.verified), Fraction(0))
        return verified / weight if weight else Fraction(0)

    @property
    def blockers(self) -> tuple[Item, ...]:
        """Blockers that no gate may count, wherever they stand."""
        return tuple(item for item in (*self.items, *self.uncounted) if item.blocker and not item.counts)

    @property
    def uncounted(self) -> tuple[Item, ...]:
        """Items that move no number, gaps aside."""
        return tuple(item for category in (*self.beside, *self.weightless) for item in category.items)

    @property
    def risks(self) -> tuple[Item, ...]:
        """What is good only by somebody's word: what counts, gaps, and blockers wherever they stand."""
        aside = (item for item in self.uncounted if item.blocker)
        return tuple(item for item in (*self.items, *aside, *self.gaps) if item.accepted)


Word = Literal["GO", "GO WITH RISK", "NO-GO", "NO-GO: unverified"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What the score and everything that no number shows come to."""

    word: Word
    reasons: tuple[str, ...] = field(default=())
    """Why it is no go, or which risks a go takes; each a sentence."""

    @property
    def go(self) -> bool:
        return self.word in ("GO", "GO WITH RISK")


def decide(found: Score) -> Decision:
    """Ready or not, and why. A number alone never opens anything."""
    if found.over or not found.categories:
        return Decision("NO-GO: unverified", (found.over or "nothing was reviewed",))
    against = [f"{item.title}: {item.message}" for item in found.blockers]
    unknown = [item for item in found.blockers if not item.verified]
    definite = len(against) > len(unknown)
    for category in found.categories:
        if category.low < FLOOR:
            against.append(f"{category.title} {_short(category.low, category.high, FLOOR)}")
            definite = definite or category.high < FLOOR
    if found.low < READY:
        against.append(f"the score {_short(found.low, found.high, READY)}")
        definite = definite or found.high < READY
    open_gaps = [gap for gap in found.gaps if not gap.whole and not gap.accepted]
    against += [f"{gap.title} is open and nobody accepted the risk" for gap in open_gaps]
    if against:
        return Decision("NO-GO" if definite or open_gaps else "NO-GO: unverified", tuple(against))
    if found.risks:
        return Decision("GO WITH RISK", tuple(f"{item.title}: {item.message}" for item in found.risks))
    return Decision("GO")


def _short(low: int, high: int, least: int) -> str:
    """What is too low: `is at 15–65 %, needs 90 %`, or `is at 85–100 %: 90 % is not proven yet`."""
    lacks = f", needs {least} %" if high < least else f": {least} % is not proven yet"
    return f"is at {interval(low, high)}{lacks}"


def interval(low: int, high: int) -> str:
    """`95 %`, or `80–95 %` where something is not known."""
    return f"{low} %" if low == high else f"{low}–{high} %"


def rounded(raw: Fraction) -> int:
    """To a step of five, half up; what is imperfect never becomes 100."""
    return 100 if raw == 100 else min(95, 5 * floor(raw / 5 + _HALF))


def whole(categories: Iterable[int]) -> int:
    """What the rounded percentages of all categories come to: their mean, half up; 0 without any."""
    return floor(_mean([Fraction(one) for one in categories]) + _HALF)


def label(percent: int) -> Label:
    """A percentage in words."""
    return next(word for least, word in _LABELS if percent >= least)


def _mean(values: Sequence[Fraction]) -> Fraction:
    return sum(values, Fraction(0)) / len(values) if values else Fraction(0)


def statuses(view: View) -> dict[str, Status]:
    """What each step means now, by its id: derived once for everything that follows from it."""
    return {step.id: status(view, step) for _, step in view.target.checklist.steps()}


def score(view: View, without: Collection[str] = (), *, known: Mapping[str, Status] | None = None) -> Score:
    """The score of a run as it stands now, as if the steps `without` were not there: they ask for it themselves.

    `known` are the view's `statuses`, where they are at hand.
    """
    steps = [step for _, step in view.target.checklist.steps() if step.id not in without]
    found = {step.id: status(view, step) for step in steps} if known is None else known
    gaps = {step.id: step for step in steps if step.affects}
    open_gaps = {name for name in gaps if _credit(found[name]) not in ("full", "excused")}
    touched: dict[str, list[str]] = {}
    for name in sorted(open_gaps):
        for affected in gaps[name].affects:
            touched.setdefault(affected, []).append(name)

    def items(section: Section) -> tuple[Item, ...]:
        return tuple(
            _item(step, found[step.id], touched.get(step.id, ()))
            for step in section.steps
            if step.id in found and step.id not in gaps
        )

    categories = [Category(one.id, one.title, items(one)) for one in view.target.checklist.sections]
    counted = {one.id for one in view.target.checklist.sections if one.scored}
    filled = [category for category in categories if category.weight]
    return Score(
        tuple(one for one in filled if one.id in counted),
        tuple(one for one in filled if one.id not in counted),
        tuple(_item(step, found[name], ()) for name, step in gaps.items()),
        tuple(one for one in categories if one.items and not one.weight),
        _over(view),
    )


def _over(view: View) -> str:
    run = view.run
    if not run.standing or run.end is None:
        return ""
    return f"the review was given up on {run.end.at:%d %b %Y}, and nothing is looked at since"


def _item(step: Step, found: Status, gaps: Iterable[str]) -> Item:
    credit = _credit(found)
    return Item(
        step=step.id,
        title=step.title,
        credit=credit,
        weight=Fraction(str(step.weight)),
        blocker=step.severity == "blocker",
        counts=found.counts,
        gaps=tuple(gaps),
        accepted=found.counts and (credit == "waived" or found.risk is not None),
        message=found.stale_why or found.message,
    )


def _credit(found: Status) -> Credit:
    """What a step's state earns. Good only where a gate may count it as good: a pass that waits is not known."""
    if found.state in ("not-applicable", "disabled"):
        return "excused"
    if found.state == "waived":
        return "waived" if found.counts else "unverified"
    if found.state == "lapsed":
        return "lapsed"
    if found.state == "measured" and found.verdict is Verdict.FAIL:
        return "failed"
    if found.counts and found.state == "measured":
        return "full" if found.verdict is Verdict.PASS else "partial"
    return "unverified"
