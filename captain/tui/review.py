"""What the readiness screen shows at one moment: the score, its categories, their items, and which keys make sense.

Asks captain.score and run.allowed; computes no verdict and no number itself. No widgets here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from captain.run import allowed
from captain.run.status import Status, fresh
from captain.score import Category, Decision, Item, Score, decide, score
from captain.score.advice import Advice, next_best
from captain.score.doubts import Contradiction, Recommendation, contradictions, recommendations
from captain.score.past import Change, Then, change
from captain.tui import chances
from captain.tui.keys import REVIEW
from captain.tui.moment import Moment
from captain.tui.present import Mark

if TYPE_CHECKING:
    from captain.checklist import Section, Step

_WORST = ("fail", "unknown", "lapsed", "stale", "waiting", "todo", "measuring", "running", "warn", "waived", "pass")
"""What stands first among open items."""
ALWAYS = ("back", "leave", "help", "history", "panel_1", "panel_2", "panel_3", "panel_4", "advice")


@dataclass(frozen=True, slots=True)
class Line:
    """One item of a category."""

    step: Step
    found: Status
    item: Item | None
    mark: Mark
    open: bool
    """Whether something is left to do about it."""
    blocker: bool

    @property
    def kind(self) -> str:
        """The state, or the verdict where it was measured."""
        if self.found.rejected is not None:
            return "fail"
        return self.found.verdict.value if self.found.state == "measured" else self.found.state


@dataclass(frozen=True)
class Group:
    """One section: a category of the score, or one that is shown beside it."""

    section: Section
    category: Category | None
    """None where nothing in it earns anything: gaps, or everything is called not applicable."""
    counted: bool
    lines: tuple[Line, ...]
    """Open ones first, the worst before the others."""

    @cached_property
    def range(self) -> tuple[int, int] | None:
        return None if self.category is None else self.category.range

    @cached_property
    def open(self) -> tuple[Line, ...]:
        return tuple(one for one in self.lines if one.open)


class Review:
    """Everything of one moment, each piece worked out once and only where it is shown."""

    def __init__(self, moment: Moment, past: Sequence[Then] = ()) -> None:
        self.moment = moment
        self.past = past

    @cached_property
    def score(self) -> Score:
        return score(self.moment.view, known=self.moment.statuses)

    @cached_property
    def decision(self) -> Decision:
        return decide(self.score)

    @cached_property
    def whole(self) -> tuple[int, int]:
        """Low and high."""
        return self.score.low, self.score.high

    @cached_property
    def change(self) -> Change | None:
        return change(self.past, self.score, self.moment.view.now)

    @cached_property
    def next(self) -> tuple[Advice, ...]:
        return next_best(self.moment.view, self.score, self.moment.statuses)

    @cached_property
    def recommendations(self) -> tuple[Recommendation, ...]:
        return recommendations(self.moment.view, self.moment.statuses)

    @cached_property
    def contradictions(self) -> tuple[Contradiction, ...]:
        return contradictions(self.moment.view, self.score, self.moment.statuses)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Categories first, then what counts in no score, each in the order of the file."""
        found = [self._group(one) for one in self.moment.view.target.checklist.sections if one.steps]
        return (*(one for one in found if one.counted), *(one for one in found if not one.counted))

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        return tuple(line for group in self.groups for line in group.lines)

    def group(self, section: str | None) -> Group | None:
        return next((one for one in self.groups if one.section.id == section), None)

    def group_of(self, step: str | None) -> Group | None:
        return next((one for one in self.groups if any(line.step.id == step for line in one.lines)), None)

    def best(self, group: Group) -> Advice | None:
        """What to do next in a category."""
        mine = {line.step.id for line in group.lines}
        return next((one for one in self.next if one.item.step in mine), None)

    def changed(self, section: str) -> int | None:
        """Points that a category moved by; None where nothing is known to compare with."""
        return None if self.change is None else self.change.categories.get(section)

    def trend(self, section: str, cells: int) -> list[int]:
        """The low end at up to so many checks, evenly chosen, the newest last: now."""
        group = self.group(section)
        points = [one.categories[section][0] for one in self.past if section in one.categories]
        if group is None or group.range is None or not points:
            return []
        points.append(group.range[0])
        if len(points) <= cells:
            return points
        return [points[round(at * (len(points) - 1) / (cells - 1))] for at in range(cells)]

    def due(self) -> int:
        """How many items one key would measure again."""
        view = self.moment.view
        return sum(
            step.action is None
            and bool(step.asks)
            and not fresh(self.moment.statuses[step.id])
            and allowed.measure(view, step) is None
            for _, step in view.target.checklist.steps()
        )

    def next_problem(self, step: str | None, way: int) -> str | None:
        """The next open item, going round all categories."""
        order = [line.step.id for line in self.lines]
        ring = [line.step.id for line in self.lines if line.open and line.kind != "measuring"]
        if not ring:
            return None
        at = order.index(step) if step in order else -1 if way > 0 else len(order)
        around = [order[(at + way * distance) % len(order)] for distance in range(1, len(order) + 1)]
        found = next(one for one in around if one in ring)
        return None if found == step else found

    def _group(self, section: Section) -> Group:
        counted = (*self.score.categories, *self.score.beside)
        category = next((one for one in counted if one.id == section.id), None)
        items = {one.step: one for one in (*(category.items if category is not None else ()), *self.score.gaps)}
        lines = [self._line(step, items.get(step.id)) for step in section.steps]
        order = sorted(enumerate(lines), key=lambda one: (not one[1].open, self._weight(one[1]), one[0]))
        return Group(section, category, section.scored, tuple(line for _, line in order))

    def _line(self, step: Step, item: Item | None) -> Line:
        found = self.moment.statuses[step.id]
        settled = found.state in ("disabled", "not-applicable") or (found.counts and found.state == "measured")
        is_open = not item.whole if item is not None else not settled
        blocker = step.severity == "blocker" and not found.counts
        return Line(step, found, item, self.moment.mark(step), is_open, blocker)

    def _weight(self, line: Line) -> int:
        return _WORST.index(line.kind) if line.kind in _WORST else len(_WORST)


def dim(review: Review | None, step: str | None, group: Group | None, where: str) -> dict[str, str]:
    """Why each key that may not be pressed may not, by id. `where` is categories, items, item or advice."""
    if review is None:
        return {key.id: chances.OPENING for key in REVIEW if key.id.partition(".")[2] not in ALWAYS}
    same = chances.dim(review.moment, step)
    names = {key.id: f"run.{key.id.partition('.')[2]}" for key in REVIEW}
    found = {key: same[name] for key, name in names.items() if name in same}
    changing = allowed.changing(review.moment.view)
    found.pop("review.measure", None)
    found.pop("review.next_problem", None)
    found.pop("review.previous_problem", None)
    if where == "item" and "run.measure" in same:
        found["review.measure"] = same["run.measure"]
    if where == "categories" and (changing is not None or group is None):
        found["review.measure"] = str(changing or "there is no category here")
    if where == "items" and step is None:
        found["review.measure"] = "there is no item here"
    if changing is not None:
        found["review.measure_stale"] = str(changing)
    elif not review.due():
        found["review.measure_stale"] = "everything that can be measured is good and fresh"
    if review.next_problem(step, 1) is None:
        found |= dict.fromkeys(("review.next_problem", "review.previous_problem"), "nothing else is open")
    return found


def words(review: Review | None, step: str | None, group: Group | None, where: str) -> dict[str, str]:
    """Words that say more than the usual ones."""
    if review is None:
        return {}
    found = review.moment.view.step(step) if step is not None else None
    measure = "measure"
    if where == "categories" and group is not None:
        measure = f"measure {group.section.title}"
    elif where in ("items", "advice"):
        measure = "open"
    elif found is not None and chances.by_hand(found[1]):
        measure = "sign"
    return {"review.measure": measure}


def chosen(review: Review | None, step: str | None, dimmed: dict[str, str], where: str) -> str | None:
    """The next sensible key; None while something is measured, because waiting is right then."""
    if review is None:
        return None
    view = review.moment.view
    if view.run.ended or view.read_only or view.stopped is not None or view.asking:
        return None
    if view.untrusted and "review.trust" not in dimmed:
        return "review.trust"
    old = sum(one.stale for one in review.moment.statuses.values())
    if "review.measure_stale" not in dimmed and where == "categories" and 2 * old >= len(view.run.results):
        # Nothing was measured yet, or a new commit came: one key measures it all.
        return "review.measure_stale"
    found = review.moment.statuses.get(step) if step is not None else None
    if where == "item" and found is not None:
        at = view.step(step or "")
        assert at is not None
        if found.owed is not None and "review.countersign" not in dimmed:
            return "review.countersign"
        if chances.signs(view, at[1], found) and not chances.by_hand(at[1]) and "review.sign" not in dimmed:
            return "review.sign"
        if at[1].safety != "read" and not found.counts and "review.act" not in dimmed:
            return "review.act"
    if where == "advice":
        return "review.next_problem" if "review.next_problem" not in dimmed else None
    return "review.measure" if "review.measure" not in dimmed else None
