"""`within` and `for`: how far waiting and holding have come. Pure: fed with samples and times, asks nobody."""

from __future__ import annotations

from datetime import timedelta

from captain.engine.plans import Plan, Sample
from captain.measurement import Verdict

UNKNOWN_SHARE = 0.1
"""More unknown samples than this in a hold make it unknown."""
SLACK = timedelta(seconds=2)
"""How much later than meant a sample may be asked at the least; further apart nobody watched in between."""


class Hold:
    """Takes one sample after the other and says when measuring is over."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.within = plan.within or timedelta(0)
        total = self.within + (plan.hold or timedelta(0)) + plan.timeout
        self.total = total if plan.deadline is None else min(total, plan.deadline)
        self.count = 0
        self.false_in_row = 0
        self.held_from: timedelta | None = None
        """When the first true sample of this hold was asked."""
        self.held = timedelta(0)
        """From the first to the last true sample, both as they were asked: one sample alone proves no time."""
        self.samples = 0
        """Samples of this hold."""
        self.unknown = 0
        """Of which unknown."""

    def take(self, sample: Sample, asked: timedelta, now: timedelta, idle: timedelta = timedelta(0)) -> bool:
        """Whether measuring is over; the sample's verdict and message then say how it ended.

        `idle` is how long nothing was asked before this sample: captain was stopped, or the machine asleep.
        """
        if self.held_from is not None and self.plan.hold is not None and self._unwatched(asked, now, idle):
            if self.plan.within is None:
                sample.message = f"nobody watched for {_said(max(idle, now - asked))}: that it held is not known"
                sample.verdict = Verdict.UNKNOWN
                return True
            self._again()
        if sample.verdict.good:
            self._true(asked)
        elif sample.verdict is not Verdict.UNKNOWN:
            self.false_in_row += 1
            if self.plan.within is not None:
                self._again()
            elif self.false_in_row >= self.plan.fail_after:
                return True
        if self.held_from is not None:
            self.samples += 1
            self.unknown += sample.verdict is Verdict.UNKNOWN
        if self.plan.hold is None:
            return self._without_hold(sample, now)
        if self.held_from is not None and self.held >= self.plan.hold and sample.verdict.good:
            self._over(sample)
            return True
        if self.held_from is None and self.plan.within is not None and now >= self.within:
            _late(sample, self.within)
            return True
        if now >= self.total:
            _late(sample, self.total)
            return True
        return False

    def _unwatched(self, asked: timedelta, now: timedelta, idle: timedelta) -> bool:
        every = self.plan.every or timedelta(0)
        return idle > every + max(every, SLACK) or now - asked > self.plan.timeout + SLACK

    def _true(self, asked: timedelta) -> None:
        self.false_in_row = 0
        if self.held_from is None:
            self.held_from = asked
        self.held = asked - self.held_from

    def _again(self) -> None:
        self.held_from, self.held = None, timedelta(0)
        self.samples = self.unknown = 0

    def _without_hold(self, sample: Sample, now: timedelta) -> bool:
        if sample.verdict.good or self.plan.within is None:
            return True
        limit = self.within if self.plan.deadline is None else min(self.within, self.plan.deadline)
        if now >= limit:
            _late(sample, limit)
            return True
        return False

    def _over(self, sample: Sample) -> None:
        if self.unknown > UNKNOWN_SHARE * self.samples:
            sample.verdict = Verdict.UNKNOWN
            sample.message = f"held, but {self.unknown} of {self.samples} samples were unknown"


def _said(duration: timedelta) -> str:
    seconds = round(duration.total_seconds(), 1)
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:.3g} min"


def _late(sample: Sample, limit: timedelta) -> None:
    sample.message = f"not true within {_said(limit)}: {sample.message}"
    if sample.verdict.good:
        # Only a hold that never completed ends here on a good sample: it was not proved to hold.
        sample.verdict = Verdict.UNKNOWN
