"""One moment of a run for a face to draw: the run, its files, the time, and what is alive. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from captain.run import Run, SignOff
from captain.run.deployed import Deployment
from captain.run.resting import Looked

if TYPE_CHECKING:
    from captain.checklist import Section, Step, Target


@dataclass(frozen=True, slots=True)
class View:
    """What `status`, `gate` and `allowed` are derived from."""

    run: Run
    target: Target
    now: datetime
    definitions: Mapping[str, str]
    """Digest of each step's definition, by step id."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Steps that do not apply in this run by their own `when`, with the reason."""
    alive: frozenset[str] = frozenset()
    """Attempts that are known to live, or are being started by whoever holds the lock."""
    asking: frozenset[str] = frozenset()
    """Steps being measured now."""
    me: str = ""
    """Name of the actor at this face."""
    lock_holder: str | None = None
    """Who else holds the lock: name and since; None when free or ours."""
    lock_mine: bool = False
    read_only: bool = False
    stopped: str | None = None
    """Why nothing can be recorded any more."""
    untrusted: bool = False
    """Whether the files' commands were not accepted yet."""
    deployed: int = 0
    """Number of the newest entry by which another run changed this environment; 0 for none."""
    deployments: Mapping[str, Deployment] = field(default_factory=dict)
    """By environment: what is there since when, of those that timer steps of this checklist wait for."""
    looked: Looked | None = None
    """This captain's own look at the files that results rest on, where it could not be recorded."""
    loose: bool = False
    """Whether the work tree is no longer the commit's, although the standing run is bound to one that was."""
    head: str | None = None
    """The commit that HEAD names now, where somebody looked; a standing run is held against it."""
    carried: tuple[SignOff, ...] = ()
    """Approvals of earlier runs whose time is not over: they were given for longer than one release."""

    @property
    def latest(self) -> datetime:
        """Now, and never before the newest entry: a clock that goes back brings nothing back that has expired."""
        return self.now if self.run.last is None else max(self.now, self.run.last.at)

    @property
    def section(self) -> Section | None:
        """The open section; None when the run has ended or every section is closed."""
        return open_section(self.run, self.target)

    def step(self, step_id: str) -> tuple[Section, Step] | None:
        return self.target.checklist.find(step_id)


def open_section(run: Run, target: Target) -> Section | None:
    """The section whose gate is next."""
    if run.ended:
        return None
    sections = target.checklist.sections
    if run.opened is None:
        return sections[0] if sections else None
    current = target.checklist.section(run.opened)
    decision = run.decisions.get(run.opened)
    return None if current is None or (decision is not None and decision.go) else current


def section_after(target: Target, section_id: str) -> Section | None:
    """The section that a go for `section_id` opens."""
    sections = target.checklist.sections
    at = next((index for index, one in enumerate(sections) if one.id == section_id), len(sections))
    return sections[at + 1] if at + 1 < len(sections) else None


def section_state(run: Run, target: Target, section_id: str) -> str:
    """closed, open or ahead. The sections of a standing run are categories: all of them are open."""
    if run.standing:
        return "ahead" if run.ended else "open"
    decision = run.decisions.get(section_id)
    if decision is not None and decision.go:
        return "closed"
    current = open_section(run, target)
    return "open" if current is not None and current.id == section_id else "ahead"
