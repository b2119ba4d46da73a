"""How long the result of a step counts before it has to be measured again. Asks nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from captain.run.since import anew
from captain.scopes import MAX_ALIASES

if TYPE_CHECKING:
    from captain.checklist import Step
    from captain.engine.desk import Desk


def max_age_ms(desk: Desk, step: Step, depth: int = 0, *, half: bool = False) -> int:
    """How long a result of this step counts; 0 is as long as its section is open.

    What an alias asks anew counts as long as where it is asked by its own step. Of `half` a step, where only what
    reads was asked, no longer than such probes do.
    """
    from captain.checklist import Alias

    if step.max_age is not None and not half:
        return in_ms(step.max_age)
    more = step.safety != "read" and not half
    if step.soak is not None or step.hold is not None or step.action is not None or more:
        return 0
    ages = [in_ms(step.max_age)] if step.max_age is not None else []
    for one in step.asks.values():
        if isinstance(one, Alias):
            other = desk.target.step(one.step)
            if other is not None and anew(other) and depth < MAX_ALIASES:
                ages.append(max_age_ms(desk, other, depth + 1))
        elif one.probe and (one.probe.safety == "read" or not half):
            ages.append(in_ms(one.probe.max_age))
    return min((age for age in ages if age), default=0)


def in_ms(duration: timedelta) -> int:
    """A duration in whole milliseconds."""
    return round(duration / timedelta(milliseconds=1))
