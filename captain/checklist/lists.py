"""A checklist: sections of steps, each closed by a gate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from captain.checklist.base import Model, Phase, Severity
from captain.checklist.signing import Gate
from captain.checklist.steps import Retry, Step
from captain.fields import Bool, Duration, Id, Name, Text


class Section(Model):
    """Steps that a gate closes together."""

    id: Id
    title: Text
    phase: Phase | None = None
    gate: Gate = Field(default_factory=Gate)
    scored: Bool = True
    """Whether its steps count in the score; else they are shown with a number of their own."""
    watch: tuple[Mapping[str, Any], ...] = ()
    """Not measured by this captain yet."""
    steps: tuple[Step, ...] = ()


class Defaults(Model):
    """What steps take where they say nothing themselves; an action's own keys never."""

    timeout: Duration | None = None
    retry: Retry | None = None
    every: Duration | None = None
    within: Duration | None = None
    max_age: Duration | None = None
    severity: Severity | None = None
    on_error: Literal["fail", "unknown"] | None = None


class Checklist(Model):
    """One checklist, defaults applied to its steps."""

    checklist: Id
    title: Text
    per: Literal["release", "service"] = "release"
    extends: Text | None = None
    defaults: Defaults = Field(default_factory=Defaults)
    params: Mapping[Name, Text] = Field(default_factory=dict)
    sections: tuple[Section, ...] = ()

    def steps(self) -> Iterator[tuple[Section, Step]]:
        """Every step with its section, in order."""
        for section in self.sections:
            for step in section.steps:
                yield section, step

    def find(self, step_id: str) -> tuple[Section, Step] | None:
        """The step of that id."""
        return next(((section, step) for section, step in self.steps() if step.id == step_id), None)

    def section(self, section_id: str) -> Section | None:
        return next((section for section in self.sections if section.id == section_id), None)
