"""How far a timer step (`soak`) has come: since when its time runs, until when, and what ended it. Pure.

The time is counted from what the log says of the deployment, never from when captain was started.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from captain.run import Result
from captain.run.deployed import Deployment
from captain.run.view import View

if TYPE_CHECKING:
    from captain.checklist import Soak, Step

CLOCK_SLACK = timedelta(seconds=2)
"""A deployment may be dated so far ahead of the clock; further ahead nobody knows when it was."""


@dataclass(frozen=True, slots=True)
class Timer:
    """The time that a step is monitored."""

    since: datetime
    whole: timedelta
    what: str = ""
    """The release that is monitored, for sentences."""

    @property
    def until(self) -> datetime:
        return self.since + self.whole

    def elapsed(self, now: datetime) -> timedelta:
        """From its start, never more than the whole."""
        return min(max(now - self.since, timedelta(0)), self.whole)

    def over(self, now: datetime) -> bool:
        return now >= self.until

    def said(self, now: datetime) -> str:
        """`monitored 3h 12m of 24h, until 14:02 UTC`; the day is said where it is another one."""
        day = "" if self.until.date() == now.date() else f"{self.until:%d %b} "
        return f"monitored {span(self.elapsed(now))} of {span(self.whole)}, until {day}{self.until:%H:%M} UTC"


def timer(soak: Soak, where: str, found: Deployment | None, now: datetime) -> Timer | str:
    """The time that runs since this deployment, or why none runs."""
    if found is None:
        return f"the log knows of no deployment into {where}, so nothing is monitored yet: captain run deploys"
    if found.at is None:
        return f"nothing is monitored: in {where}, {found.run} {found.why}"
    if found.at > now + CLOCK_SLACK:
        return f"{found.run} was deployed into {where} at a time that the clock has not reached"
    return Timer(found.at, soak.duration, found.release.version or (found.release.commit or found.run)[:12])


def place(view: View, step: Step) -> str:
    """The environment that is monitored."""
    return (step.soak.environment if step.soak else None) or view.target.environment


def running(view: View, step: Step) -> Timer | None:
    """The timer of a step, where one runs or has run to its end."""
    if step.soak is None:
        return None
    where = place(view, step)
    found = timer(step.soak, where, view.deployments.get(where), view.now)
    return found if isinstance(found, Timer) else None


def so_far(view: View, step: Step) -> tuple[int, int] | None:
    """Milliseconds that are over, of how many, while the time of a timer step runs."""
    clock = running(view, step)
    if clock is None or clock.over(view.now):
        return None
    one = timedelta(milliseconds=1)
    return clock.elapsed(view.now) // one, clock.whole // one


def ended(view: View, step: Step, result: Result) -> str | None:
    """Why a result of a timer step must be asked for again; None where it still stands."""
    found = view.deployments.get(place(view, step))
    if found is not None and result.seq < found.seq:
        return f"measured before {found.run} changed {place(view, step)}"
    clock = running(view, step)
    if clock is not None and result.started < clock.until <= view.now:
        return f"its {span(clock.whole)} are over since"
    return None


def counting(view: View, step: Step, result: Result) -> str:
    """What was recorded of a timer, with the time that has passed since."""
    clock = running(view, step)
    if clock is None or clock.over(view.now):
        return result.message
    then = clock.said(result.started)
    return (
        clock.said(view.now) + result.message.removeprefix(then) if result.message.startswith(then) else result.message
    )


def span(time: timedelta) -> str:
    """`45s`, `12m`, `3h 12m`, `24h`, `7d 3h`."""
    seconds = int(time.total_seconds())
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m"
    large, small, size = ("h", "m", 3600) if seconds < 2 * 86400 else ("d", "h", 86400)
    count, rest = divmod(seconds, size)
    rest //= 60 if small == "m" else 3600
    return f"{count}{large} {rest}{small}" if rest else f"{count}{large}"
