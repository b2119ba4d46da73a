"""What single entries of a run say, as small values over the entry itself. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from captain.clock import parse_stamp
from captain.events import Recorded
from captain.measurement import Verdict
from captain.release import Image, Release

MAX_NAME = 1024


def named(condition: str) -> str:
    """How entries name a condition: as written; a long one by its beginning and its digest, never two alike."""
    data = condition.encode("utf-8", "replace")
    if len(data) <= MAX_NAME:
        return data.decode("utf-8")
    return data[: MAX_NAME - 20].decode("utf-8", "ignore") + "… " + hashlib.sha256(data).hexdigest()[:14]


@dataclass(frozen=True, slots=True)
class Result:
    """One recorded measurement of a step."""

    event: Recorded

    @property
    def seq(self) -> int:
        return self.event.seq

    @property
    def step(self) -> str:
        return str(self.event.data["step"])

    @property
    def verdict(self) -> Verdict:
        return Verdict(self.event.data["verdict"])

    @property
    def message(self) -> str:
        return str(self.event.data["message"])

    @property
    def definition(self) -> str:
        return str(self.event.data["definition"])

    @property
    def attempts(self) -> int:
        return int(self.event.data["attempts"])

    @property
    def attempt(self) -> str | None:
        """The attempt of an action it observed, or of a step that does more than read."""
        value = self.event.data["attempt"]
        return None if value is None else str(value)

    @property
    def purpose(self) -> str:
        return str(self.event.data["purpose"])

    @property
    def at(self) -> datetime:
        """When the measuring ended: the entry's own time."""
        return self.event.at

    @property
    def started(self) -> datetime:
        """When the measuring began."""
        return parse_stamp(self.event.data["started"])

    @property
    def max_age_ms(self) -> int:
        """How long it counts; 0 means as long as its section is open."""
        return int(self.event.data["max_age_ms"])

    @property
    def observed(self) -> Mapping[str, Any]:
        """Scalars; durations as text in seconds, doubles as decimal text."""
        value: Mapping[str, Any] = self.event.data["observed"]
        return value

    @property
    def conditions(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(self.event.data["conditions"])

    @property
    def unmet(self) -> frozenset[str]:
        """Conditions that were false or unknown: what a waiver given now would cover."""
        return frozenset(
            str(one["expect"])
            for one in self.conditions
            if one["role"] == "expect" and one["verdict"] in (Verdict.FAIL, Verdict.UNKNOWN)
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """One start of a step that does more than read, as far as the log knows it."""

    intent: Recorded
    end: Result | None = None

    @property
    def id(self) -> str:
        return str(self.intent.data["attempt"])

    @property
    def step(self) -> str:
        return str(self.intent.data["step"])


@dataclass(frozen=True, slots=True)
class SignOff:
    """A person's decision on a step, a gate or the review."""

    event: Recorded

    @property
    def seq(self) -> int:
        return self.event.seq

    @property
    def on(self) -> str:
        return str(self.event.data["on"])

    @property
    def target(self) -> str:
        return str(self.event.data["target"])

    @property
    def meaning(self) -> str:
        return str(self.event.data["meaning"])

    @property
    def by(self) -> str:
        return self.event.actor.name

    @property
    def note(self) -> str:
        return str(self.event.data["note"])

    @property
    def expires(self) -> datetime | None:
        value = self.event.data["expires"]
        return None if value is None else parse_stamp(value)


@dataclass(frozen=True, slots=True)
class Waiver:
    """A blocker or warning that may stay unmet until a day."""

    event: Recorded

    @property
    def seq(self) -> int:
        return self.event.seq

    @property
    def step(self) -> str:
        return str(self.event.data["step"])

    @property
    def expires(self) -> datetime:
        return parse_stamp(self.event.data["expires"])

    @property
    def covers(self) -> frozenset[str]:
        return frozenset(self.event.data["conditions"])

    @property
    def by(self) -> str:
        return self.event.actor.name


@dataclass(frozen=True, slots=True)
class Attempt:
    """One start of an action or of a rollback part, as far as the log knows it."""

    intent: Recorded
    started: Recorded | None = None
    finished: Recorded | None = None
    resolved: Recorded | None = None

    @property
    def id(self) -> str:
        return str(self.intent.data["attempt"])

    @property
    def step(self) -> str | None:
        value = self.intent.data["step"]
        return None if value is None else str(value)

    @property
    def part(self) -> str | None:
        value = self.intent.data["part"]
        return None if value is None else str(value)

    @property
    def external(self) -> bool:
        return bool(self.intent.data["how"] == "external")

    @property
    def touched(self) -> Recorded:
        """The newest entry that says that it changed something, or was about to."""
        return max((one for one in (self.intent, self.finished, self.resolved) if one), key=lambda one: one.seq)

    @property
    def outcome(self) -> str | None:
        """exited, signalled, timed_out, cancelled or lost; None while nothing is known to have ended."""
        return None if self.finished is None else str(self.finished.data["outcome"])

    @property
    def exit_code(self) -> int | None:
        return None if self.finished is None else self.finished.data["exit_code"]

    @property
    def succeeded(self) -> bool:
        return self.outcome == "exited" and self.exit_code == 0


@dataclass(frozen=True, slots=True)
class Decision:
    """A gate's go, and what it opened."""

    event: Recorded

    @property
    def section(self) -> str:
        return str(self.event.data["section"])

    @property
    def go(self) -> bool:
        return bool(self.event.data["decision"] == "go")

    @property
    def risk(self) -> tuple[str, ...]:
        return tuple(self.event.data["risk"])


@dataclass(frozen=True, slots=True)
class Rollback:
    """A rollback under way or ended."""

    intent: Recorded
    attempts: tuple[str, ...] = ()
    """Attempts of its parts, in order."""
    end: Recorded | None = None

    @property
    def id(self) -> str:
        return str(self.intent.data["rollback"])

    @property
    def to(self) -> Release:
        return release_of(self.intent.data["to"])


def release_of(data: Mapping[str, Any]) -> Release:
    """The release that an entry names."""
    images = {
        name: Image(one["ref"], one["pinned"], one["digest"], one["basis"]) for name, one in data["images"].items()
    }
    return Release(data["version"], data["commit"], data.get("tag"), data.get("untagged", False), images)


_ORDER = (Verdict.PASS, Verdict.WARN, Verdict.UNKNOWN, Verdict.FAIL)


def worse(now: Verdict, seen: Verdict) -> bool:
    """Whether `now` is a worse verdict than `seen`."""
    return _ORDER.index(now) > _ORDER.index(seen)
