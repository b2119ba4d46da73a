"""What the run screen draws at one moment: the view with every status derived once, and what passes meanwhile.

Asks run.status and run.gates; judges nothing itself. No widgets here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from captain.events import Asked, Asking, Holding, LockSeen, LogHealth, Output, Passing, Running
from captain.run import Attempt, soaking
from captain.run.gates import Readiness, readiness
from captain.run.status import Status, may_sign, status
from captain.run.view import View, section_state
from captain.tui.present import Mark, mark

if TYPE_CHECKING:
    from captain.checklist import Section, Step

TAIL = 500
"""Lines of output kept per attempt; all of it is in the attempt's files."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the command line says, before anything is opened."""

    service: str
    environment: str
    protected: bool = False
    version: str | None = None
    standing: bool = False
    """Whether it is the review of a service, which takes no version."""


@dataclass(frozen=True, slots=True)
class Way:
    """What R would do, as it was last proved."""

    to: str
    """`1.3.9 sha256:9f3c…`; empty when nothing is known."""
    ready: bool
    why: str | None = None


@dataclass(slots=True)
class Live:
    """What is alive and never recorded: holds, elapsed times, output, the log's health."""

    holds: dict[str, tuple[int, int]] = field(default_factory=dict)
    asking: dict[str, Asking] = field(default_factory=dict)
    elapsed: dict[str, int] = field(default_factory=dict)
    output: dict[str, deque[Output]] = field(default_factory=dict)
    printed: dict[str, int] = field(default_factory=dict)
    health: LogHealth | None = None
    lock: LockSeen | None = None
    way: Way | None = None
    way_error: str | None = None
    """Why what R would do could not be looked at."""

    def take(self, event: Passing) -> None:
        """One passing event."""
        if isinstance(event, Asking):
            self.asking[event.step] = event
        elif isinstance(event, Asked):
            self.asking.pop(event.step, None)
            self.holds.pop(event.step, None)
        elif isinstance(event, Holding):
            self.holds[event.step] = (event.held_ms, event.of_ms)
        elif isinstance(event, Running):
            self.elapsed[event.attempt] = event.elapsed_ms
        elif isinstance(event, Output):
            self.output.setdefault(event.attempt, deque(maxlen=TAIL)).append(event)
            self.printed[event.attempt] = self.printed.get(event.attempt, 0) + 1
            self.elapsed[event.attempt] = max(event.at_ms, self.elapsed.get(event.attempt, 0))
        elif isinstance(event, LogHealth):
            self.health = event
        elif isinstance(event, LockSeen):
            self.lock = event


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment of the run, derived once for all panels."""

    view: View
    statuses: Mapping[str, Status]
    readiness: Readiness | None
    """Of the open section."""
    live: Live

    def steps(self) -> Iterator[tuple[Section, Step, Status]]:
        for section, step in self.view.target.checklist.steps():
            yield section, step, self.statuses[step.id]

    def mark(self, step: Step) -> Mark:
        """How the step stands, for this person."""
        found = self.statuses[step.id]
        held = self.live.holds.get(step.id) or soaking.so_far(self.view, step)
        return mark(found, yours=yours(self.view, step, found), held=held)

    def problem(self, step: Step) -> bool:
        """Whether the step needs a hand: it does not count and is neither waiting for its turn nor running."""
        found = self.statuses[step.id]
        at = self.view.step(step.id)
        if at is None or section_state(self.view.run, self.view.target, at[0].id) == "ahead":
            return False
        if found.counts or step.severity == "info" or found.state in ("measuring", "running", "not-run"):
            return False
        return found.state != "todo"

    def running(self) -> Attempt | None:
        """The action or rollback part that is alive."""
        return next((one for one in self.view.run.attempts.values() if one.id in self.view.alive), None)

    def elapsed_ms(self, attempt: Attempt) -> int:
        """Since the attempt began, by its own word or the clock."""
        by_clock = int((self.view.now - attempt.intent.at).total_seconds() * 1000)
        return max(self.live.elapsed.get(attempt.id, 0), by_clock)

    def title(self, step_id: str | None) -> str:
        found = self.view.step(step_id) if step_id is not None else None
        return found[1].title if found is not None else step_id or "?"

    @property
    def counted(self) -> tuple[int, int]:
        """Steps that count, of all that take part."""
        rows = [found for _, _, found in self.steps() if found.state != "disabled"]
        return sum(found.counts for found in rows), len(rows)


def moment(view: View, live: Live) -> Moment:
    """Everything derived from this view."""
    statuses = {step.id: status(view, step) for _, step in view.target.checklist.steps()}
    section = view.section
    return Moment(view, statuses, None if section is None else readiness(view, section), live)


def yours(view: View, step: Step, found: Status) -> bool:
    """Whether a sign-off that is missing may be given by the person here."""
    if not found.waits or view.read_only or view.run.ended:
        return False
    if any(one.by.casefold() == view.me.casefold() and one.meaning == "approve" for one in found.signed):
        return False
    if not step.sign_off:
        return True
    return any(may_sign(view, rule, view.me) for rule in step.sign_off if (rule.role or "") in found.waits)
