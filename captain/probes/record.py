"""The kind `record`: what captain's own log holds of an earlier result."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, Self, TypedDict

from pydantic import Field, model_validator

from captain.errors import ProbeError
from captain.fields import StepName, Text, wrong
from captain.measurement import Measurement, Value
from captain.probes import Context, Kept, Probe, probe
from captain.safe import safe

_SLACK = timedelta(seconds=2)
"""An entry may be dated so far ahead of the clock; further ahead its age is unknown."""

_MAKES: Mapping[Kept, str] = {
    "result": "captain check or captain act measures it there",
    "drill": "captain act runs it there",
    "rehearsal": "captain rollback is one",
    "gate": "captain gate decides it",
}
"""What would bring an entry of that kind."""


@probe("record")
class RecordProbe(Probe):
    """What came of a step, a drill, a gate or a rollback when it was last done?

    The newest entry of this service in captain's log counts, of this environment where no other is named. A step's own
    results of this run are left out: it would stand for itself. Where there is none only `found` is observed.

    A rehearsal is a rollback that was carried out and verified, whatever checklist it belonged to, or a drill of the
    step named.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("ok",)
    errors: ClassVar[str] = "unknown: the log cannot be read"
    later: ClassVar[frozenset[str]] = frozenset({"watch"})
    example: ClassVar[str] = """\
id: rollback-rehearsed
title: Rollback rehearsed
record: { step: rollback-rehearsed, kind: rehearsal, environment: staging }
expect: [ok, age <= days(90)]"""

    step: StepName | None = None
    """The step that it is about, `id` or `checklist/id`."""
    gate: Text | None = None
    """The section whose go or no-go is looked for, `id` or `checklist/id`, in place of step."""
    sort: Literal["result", "drill", "rehearsal"] = Field(default="result", alias="kind")
    """Any result of the step, only one of a drill, or a rollback that was tried out."""
    environment: Text | None = None
    """Where it was done, default here."""

    class Observes(TypedDict, total=False):
        """What the log says of it."""

        found: Annotated[bool, "there is such an entry"]
        ok: Annotated[bool, "it passed or warned, was a go, or was rolled back and verified"]
        verdict: Annotated[str, "pass, warn, unknown or fail"]
        at: Annotated[datetime, "when it was recorded"]
        age: Annotated[timedelta, "how long ago that is"]
        duration: Annotated[timedelta, "how long it took"]
        commit: Annotated[str, "of the release that it was about"]
        by: Annotated[str, "who recorded it"]
        run: Annotated[str, "the run that it belongs to"]
        observed: Annotated[dict[str, Any], "what was observed then: scalars, by name"]

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.step is None) == (self.gate is None):
            raise wrong("takes either step or gate")
        if self.gate is not None and self.sort != "result":
            raise wrong("takes kind with step only")
        return self

    def asks(self) -> str:
        where = f" in {self.environment}" if self.environment is not None else ""
        if self.gate is not None:
            return f"the log: newest decision on {self.gate}{where}"
        return f"the log: newest {self.sort} of {self.step}{where}"

    async def measure(self, ctx: Context) -> Measurement:
        if ctx.records is None:
            raise ProbeError("captain's log is not at hand")
        kind: Kept = "gate" if self.gate is not None else self.sort
        name, where = self.gate or self.step or "", self.environment or ctx.environment
        entry = await ctx.records.newest(kind, name, where)
        if entry is None:
            what = "decision on" if self.gate is not None else f"{self.sort} of"
            note = f"the log holds no {what} {safe(name, 130)} in {safe(where, 64)} yet; {_MAKES[kind]}"
            return Measurement({"found": False}, self.asks(), notes=(note,))
        now = ctx.clock.now()
        notes: tuple[str, ...] = ()
        observed: dict[str, Value] = {
            "found": True,
            "ok": entry.verdict.good,
            "verdict": entry.verdict.value,
            "at": entry.at,
            "by": entry.by,
            "run": entry.run,
            "observed": dict(entry.observed),
        }
        if entry.at <= now + _SLACK:
            observed["age"] = max(now - entry.at, timedelta(0))
        else:
            notes = ("it is dated at a time that the clock has not reached",)
        if entry.duration is not None:
            observed["duration"] = entry.duration
        if entry.commit is not None:
            observed["commit"] = entry.commit
        return Measurement(
            observed, self.asks(), body=f"{entry.verdict.value} in {entry.run}, by {entry.by}", notes=notes
        )
