"""What a probe saw, and the four verdicts. Knows no probe, no condition and no screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

Value = str | int | float | bool | None | datetime | timedelta | list["Value"] | dict[str, "Value"]
"""A value a probe may observe. Times are timedelta, moments aware datetime, sizes int bytes."""


class Verdict(StrEnum):
    """The judgement of a measurement. `unknown` never opens a gate."""

    PASS = "pass"
    WARN = "warn"
    UNKNOWN = "unknown"
    FAIL = "fail"

    @property
    def good(self) -> bool:
        """Whether a gate may count it: pass or warn."""
        return self in (Verdict.PASS, Verdict.WARN)


Safety = Literal["read", "active", "drill"]
"""What measuring does to a system: only asks; sends marked traffic or starts programs in it; changes its state."""
SAFETIES: tuple[Safety, ...] = ("read", "active", "drill")
"""From harmless to dangerous."""

_ORDER = (Verdict.PASS, Verdict.WARN, Verdict.UNKNOWN, Verdict.FAIL)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them, pass < warn < unknown < fail. Nothing measured is unknown, never a pass."""
    return max(verdicts, key=_ORDER.index, default=Verdict.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one probe saw in one attempt. It carries no judgement."""

    observed: Mapping[str, Value]
    """Only names the kind declares in `Observes`; what could not be read is left out."""
    asked: str
    """The question in one line with everything resolved, secrets as written: `GET https://…/healthz`."""
    body: str | None = None
    """What came back, as text, at most 64 KiB; evidence, never judged."""
    truncated: bool = False
    """Whether body was cut."""
    notes: tuple[str, ...] = field(default=())
    """Sentences a person should see beside the values."""
    places: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What an observation counts, in words, as `compose.yaml:12 web`: told where there should be less of it."""
    lacks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What it would count, as `no word of redis`: told where there should be more of it."""
    watches: tuple[str, ...] = ()
    """Files that it read, as items of `captain.systems.rests`: where one changes, the answer is of before. It still
    ends with its age, as `rests` does not."""
    rests: tuple[str, ...] | None = None
    """All that the values rest on, as items of `captain.systems.rests`: while it is the same, so are they. None where
    that is not known, or more than files."""
