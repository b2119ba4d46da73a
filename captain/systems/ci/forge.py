"""What GitHub and GitLab have in common: checks, runs, deployments, merged changes. Asks nothing, judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

Outcome = Literal["success", "failed", "pending", "neutral", "skipped", "allowed"]
"""How one thing ended; `allowed` failed and was allowed to."""


@dataclass(frozen=True, slots=True)
class Check:
    """The latest attempt of one check of one commit."""

    name: str
    outcome: Outcome
    said: str
    """The forge's own word: timed_out."""
    url: str = ""
    app: str = ""
    """The id of the app that reports it, where it is known."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a workflow or pipeline."""

    outcome: Outcome
    said: str
    started: datetime | None
    url: str = ""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The newest deployment of an environment."""

    sha: str
    outcome: Outcome | None
    """None where nothing was reported about it yet."""
    said: str
    at: datetime | None
    url: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A pull request or merge request that was merged."""

    number: int
    sha: str
    """Its last commit before it was merged."""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment under a change."""

    bot: bool
    text: str


@dataclass(frozen=True, slots=True)
class Required:
    """A check that must have succeeded."""

    name: str
    means: Callable[[str], bool]
    """Whether a check's name is meant."""
    app: str = ""
    """The id of the only app that may report it, where only one may."""

    @classmethod
    def exact(cls, name: str, app: str = "") -> Required:
        """The check of exactly that name."""
        return cls(name, lambda other: other == name, app)

    def covers(self, check: Check) -> bool:
        """Whether this check is the one that is required."""
        return self.means(check.name) and self.app in ("", check.app)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which runs are meant."""

    workflow: str | None = None
    event: str | None = None
    branch: str | None = None
    sha: str | None = None
    last: int = 10


class Forge(Protocol):
    """How to ask a forge. Every method raises ProbeError where it cannot be asked."""

    async def full_sha(self, commit: str) -> str:
        """The full id of a commit that is there."""

    async def checks(self, sha: str) -> list[Check]:
        """The latest attempts of everything that reports on exactly this commit."""

    async def required(self, branch: str) -> list[Required] | None:
        """What must succeed before a change reaches the branch; None where that cannot be seen."""

    async def runs(self, which: Filter) -> tuple[str | None, list[Run]]:
        """The state of the workflow, where one is named, and its newest runs, newest first."""

    async def deployment(self, environment: str) -> Deployment | None:
        """The newest one."""

    async def protection(self, environment: str) -> list[str]:
        """The kinds of rules that stand before a deployment there."""

    async def merged(self, branch: str, last: int) -> list[Change]:
        """The changes that were merged last, newest first."""

    async def comments(self, change: Change) -> list[Comment]:
        """What was written under it."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Things by how they ended."""

    total: int
    names: dict[Outcome, list[str]]
    missing: list[str] = field(default_factory=list)
    """Required, and not there or never run."""

    def count(self, outcome: Outcome) -> int:
        """How many ended so."""
        return len(self.names[outcome])

    @property
    def state(self) -> str:
        """One word for all: a failure is known before the rest ends."""
        if not self.total:
            return "none"
        if self.names["failed"] or self.missing:
            return "failure"
        if self.names["pending"]:
            return "pending"
        return "success" if self.names["success"] else "none"


def tally(checks: Sequence[Check], required: Iterable[Required] = ()) -> Tally:
    """Count checks. A required one that was skipped did not run, so it is missing."""
    names: dict[Outcome, list[str]] = {
        one: [] for one in ("success", "failed", "pending", "neutral", "skipped", "allowed")
    }
    for check in checks:
        names[check.outcome].append(check.name)
    missing = []
    for one in required:
        meant = [check.outcome for check in checks if one.covers(check)]
        if not meant:
            missing.append(one.name)
        elif all(outcome in ("skipped", "allowed") for outcome in meant):
            missing.append(f"{one.name} ({'skipped' if 'skipped' in meant else 'failed, which it may'})")
    return Tally(len(checks), names, missing)
