"""A review of a shop as its entries alone: two categories, gaps and recommendations beside them."""

from __future__ import annotations

from collections.abc import Mapping

from captain.checklist import Checklist, Section, Service, SignOffRule, Step, Target
from captain.score import Score, score
from captain.score.advice import Advice, next_best
from captain.score.doubts import Contradiction, contradictions
from tests.run.diary import Diary, manual, probe

__all__ = ["SignOffRule", "advice", "doubts", "manual", "probe", "review", "scored"]


def review(
    *categories: tuple[Step, ...],
    beside: Mapping[str, tuple[Step, ...]] | None = None,
    people: Mapping[str, tuple[str, ...]] | None = None,
) -> Diary:
    """A standing run over these categories; `beside` are sections that count in no score, by id."""
    sections = [
        Section(id=f"c{at}", title=f"Category {at}", steps=tuple(steps)) for at, steps in enumerate(categories, 1)
    ]
    sections += [
        Section(id=name, title=name.title(), scored=False, steps=tuple(steps)) for name, steps in (beside or {}).items()
    ]
    checklist = Checklist(checklist="readiness", title="Review", per="service", sections=tuple(sections))
    target = Target(Service(service="shop", people=people or {}), "production", True, None, checklist, "/")
    return Diary(target, kind="standing")


def scored(diary: Diary) -> Score:
    return score(diary.view())


def advice(diary: Diary, step: str) -> Advice:
    """What to do about one item."""
    return next(one for one in next_best(diary.view(), scored(diary)) if one.item.step == step)


def doubts(diary: Diary) -> list[Contradiction]:
    return list(contradictions(diary.view(), scored(diary)))
