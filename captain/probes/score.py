"""The kind `score`: what the review of a checklist comes to, as captain's own log has it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, ClassVar, TypedDict

from captain.errors import ProbeError
from captain.fields import ReviewName, Text
from captain.measurement import Measurement, Value
from captain.probes import Context, Probe, Scored, probe

_SLACK = timedelta(seconds=2)
"""A result may be dated so far ahead of the clock; further ahead its age is unknown."""
_REASONS = 3


@probe("score")
class ScoreProbe(Probe):
    """How does the readiness review of a checklist stand: its score, its blockers, and whether it is a go?

    Asked is the one run that stands of that checklist (per: service), this service and the environment, as
    `captain score` computes it now; what is stale or was never measured is not verified. Nothing is measured anew.

    What cannot be told is left out, so that a condition on it is unknown: go while it is only unverified, percent
    and label while low and high differ, blockers while every open one is merely unverified. Conditions on low take
    whatever nobody verified for bad.

    A step of the very checklist that is scored may ask for it. It is left out of what it counts, and so are all others
    of the checklist that ask for this score or that need or stand for such a step, so that none ever counts its own
    verdict. It is measured behind all the rest, and is stale as soon as one of the counted steps was measured, signed
    or waived again.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("go",)
    errors: ClassVar[str] = "unknown: no such review stands, nothing of it was measured yet, or the log cannot be read"
    example: ClassVar[str] = """\
id: service-is-ready
title: The service is ready for production
score: { checklist: readiness }
expect: [go, percent >= 95, "age <= duration('24h')"]"""

    checklist: ReviewName
    """The review, a checklist that is per: service."""
    environment: Text | None = None
    """Whose review it is, default here."""

    class Observes(TypedDict, total=False):
        """What the review comes to."""

        percent: Annotated[int, "the score, 0 to 100, where it is one number: left out while low and high differ"]
        low: Annotated[int, "the score if all that nobody verified is bad"]
        high: Annotated[int, "the score if all that nobody verified is good"]
        label: Annotated[str, "the score in a word: Excellent, Very Good, Good, Fair, Weak or Critical"]
        coverage: Annotated[float, "the share of the weight that somebody or something verified"]
        unverified: Annotated[int, "items that nobody verified, of those that count in the score"]
        blockers: Annotated[int, "open blockers; left out where all of them are merely unverified"]
        go: Annotated[bool, "it is a go, with risk or without; left out while it is only unverified"]
        decision: Annotated[str, "GO, GO WITH RISK, NO-GO or NO-GO: unverified"]
        sections: Annotated[dict[str, int], "the score of each section that is one number, by id"]
        checked_at: Annotated[datetime, "when one of its steps was last measured or signed"]
        age: Annotated[timedelta, "how long ago that is"]
        commit: Annotated[str, "which it is a review of"]
        run: Annotated[str, "the run that stands"]

    @property
    def sums_up(self) -> str | None:
        return self.checklist

    def asks(self) -> str:
        where = f" in {self.environment}" if self.environment is not None else ""
        return f"the log: score of {self.checklist}{where}"

    async def measure(self, ctx: Context) -> Measurement:
        if ctx.records is None:
            raise ProbeError("captain's log is not at hand")
        where = self.environment or ctx.environment
        found = await ctx.records.score(self.checklist, where)
        check = f"captain check {self.checklist} -e {where}"
        if found is None:
            raise ProbeError(
                f"no review of {self.checklist} stands in {where}", hint=f"{check} begins one, if it is per: service"
            )
        if found.checked_at is None:
            raise ProbeError(f"nothing of {self.checklist} was measured in {where} yet", hint=check)
        notes = [*found.reasons[:_REASONS]]
        if len(found.reasons) > _REASONS:
            notes.append(f"and {len(found.reasons) - _REASONS} more: captain score {found.run}")
        observed, late = _observed(found, ctx.clock.now())
        body = f"{found.low} to {found.high} %, {found.decision}, in {found.run}"
        return Measurement(observed, self.asks(), body=body, notes=(*notes, *late))


def _observed(found: Scored, now: datetime) -> tuple[dict[str, Value], tuple[str, ...]]:
    """What is known, and what must be said about the clock."""
    observed: dict[str, Value] = {
        "coverage": found.coverage,
        "unverified": found.unverified,
        "decision": found.decision,
        "sections": {name: low for name, (low, high) in found.sections.items() if low == high},
        "run": found.run,
    }
    if found.sections:
        # Where nothing counts there is no number: nought would be one.
        observed |= {"low": found.low, "high": found.high}
        if found.low == found.high:
            observed["percent"] = found.low
        if found.label is not None:
            observed["label"] = found.label
    if found.go is not None:
        observed["go"] = found.go
    if found.blockers is not None:
        observed["blockers"] = found.blockers
    if found.commit is not None:
        observed["commit"] = found.commit
    assert found.checked_at is not None
    observed["checked_at"] = found.checked_at
    if found.checked_at > now + _SLACK:
        return observed, ("it was checked at a time that the clock has not reached",)
    observed["age"] = max(now - found.checked_at, timedelta(0))
    return observed, ()
