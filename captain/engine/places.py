"""Where it is that a condition is not met: the places behind a count, so that nobody has to look for them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from captain.condition.judge import ConditionResult
from captain.measurement import Verdict

if TYPE_CHECKING:
    from captain.engine.ask import Answer

_MOST = 3
_WORD = re.compile(r"[\w-]+")


def places(answers: Sequence[Answer], conditions: Sequence[ConditionResult]) -> tuple[str, ...]:
    """`compose.yaml:12 web, compose.yaml:20 db and 2 more`, one text for each count that is not as it should be."""
    failed = [one.expect for one in conditions if one.role == "expect" and one.verdict is Verdict.FAIL]
    return tuple(dict.fromkeys(text for condition in failed for text in _of(answers, condition)))


def _of(answers: Sequence[Answer], condition: str) -> Iterator[str]:
    words = {*_WORD.findall(condition)}
    for answer in answers:
        if answer.measurement is None or (answer.name and f"{answer.name}." not in condition):
            continue
        for more, told in ((False, answer.measurement.places), (True, answer.measurement.lacks)):
            for observation, found in told.items():
                path = observation.split(".")
                if found and {*path} <= words and more is _wants_more(condition, path[-1]):
                    rest = len(found) - _MOST
                    yield ", ".join(found[:_MOST]) + (f" and {rest} more" if rest > 0 else "")


def _wants_more(condition: str, name: str) -> bool:
    """Whether there should be more of it, as in `matches >= 1`."""
    return re.search(rf"\b{re.escape(name)}[\"'\]]*\s*>", condition) is not None
