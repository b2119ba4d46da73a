"""captain.yaml: the service, its environments, people, release and way back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from captain.checklist.base import Ask, Model
from captain.checklist.lists import Defaults
from captain.fields import Bool, Duration, EnvName, Id, Name, Text
from captain.rollbacks import Strategy

MAX_ANSWER = 200


class Input(Model):
    """A question to whoever starts a run: `ask` is put to them, `match` a regular expression for the answer."""

    id: Name
    ask: Text
    match: Text | None = None

    def refuses(self, answer: str) -> str | None:
        """What is wrong with an answer; None where it will do. The whole of it has to match."""
        if not answer:
            return "is empty"
        if len(answer) > MAX_ANSWER or not answer.isprintable():
            return f"is not one line of at most {MAX_ANSWER} characters"
        if self.match is not None and re.fullmatch(self.match, answer) is None:
            return f"does not match {self.match}"
        return None


class RunningProbe(Model):
    """How to read which release runs now."""

    ask: Ask
    version: Text
    """The observation that holds the version, as a CEL expression: `json.version`."""


class ReleaseRules(Model):
    """How a version becomes a commit and images."""

    tag: Text | None = None
    images: Mapping[Name, Text] = Field(default_factory=dict)
    running: RunningProbe | None = None


class Trigger(Model):
    """When a watch would propose the way back. Not watched by this captain yet."""

    watch: Text
    when: Text
    hold: Duration | None = Field(default=None, alias="for")
    auto: Bool = False


class ReservedStrategy(Model):
    """An entry of the plan whose strategy this captain does not have yet; never ready."""

    id: Id
    strategy: str
    params: Mapping[str, Any] = Field(default_factory=dict)


class RollbackRules(Model):
    """How to go back, written in deploy order; it runs reversed."""

    plan: tuple[Strategy | ReservedStrategy, ...] = ()
    verify: tuple[Text, ...] = ()
    rto: Duration | None = None
    """How long the way back may take. Not used by this captain yet."""
    triggers: tuple[Trigger, ...] = ()


class Environment(Model):
    """Merged over the top level key by key; lists are replaced."""

    vars: Mapping[Name, Text] = Field(default_factory=dict)
    secrets: tuple[EnvName, ...] | None = None
    params: Mapping[Name, Text] = Field(default_factory=dict)
    release: ReleaseRules | None = None
    rollback: RollbackRules | None = None
    checklists: tuple[Text, ...] | None = None
    tier: Text | None = None
    protected: Bool = False
    allow: tuple[Literal["active", "drill"], ...] = ()
    """What steps may do here besides reading, each only when it is started by itself and confirmed."""


class Service(Model):
    """captain.yaml."""

    service: Id
    repo: Text | None = None
    vars: Mapping[Name, Text] = Field(default_factory=dict)
    secrets: tuple[EnvName, ...] = ()
    params: Mapping[Name, Text] = Field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    """Asked when a run is opened, and fixed for it."""
    environments: Mapping[Id, Environment] = Field(default_factory=dict)
    people: Mapping[Text, tuple[Text, ...]] = Field(default_factory=dict)
    """Roles by name; matched case-insensitively. Empty: every role rule is met by anyone."""
    checklists: tuple[Text, ...] = ()
    release: ReleaseRules = Field(default_factory=ReleaseRules)
    rollback: RollbackRules = Field(default_factory=RollbackRules)
    notify: Any = None
    """Not used by this captain yet."""
    freeze: Any = None
    """Not used by this captain yet."""
    defaults: Defaults = Field(default_factory=Defaults)

    def roles_of(self, name: str) -> tuple[str, ...]:
        """The roles of a person, empty for somebody the file does not name."""
        return next((roles for person, roles in self.people.items() if person.casefold() == name.casefold()), ())
