"""captain.yaml and checklists as typed, frozen values. Knows what a file may say, not how it was read.

Keys of later issues are here so that files do not break; `Step.unmeasured` says which of them a step uses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from captain.effects import Program
from captain.fields import Bool, Duration, EnvName, Float, Id, Name, PositiveInt, Text
from captain.probes import Probe
from captain.rollbacks import Strategy

Severity = Literal["blocker", "warning", "info"]
Phase = Literal["pre", "deploy", "post"]
PHASES: tuple[Phase, ...] = ("pre", "deploy", "post")

TIMEOUT = timedelta(seconds=10)
COMMAND_TIMEOUT = timedelta(seconds=60)
ACTION_TIMEOUT = timedelta(minutes=30)
EVERY = timedelta(seconds=5)
OBSERVE_WITHIN = timedelta(minutes=5)


class Model(BaseModel):
    """Base of everything a file holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, populate_by_name=True)


@dataclass(frozen=True, slots=True)
class Ask:
    """One probe of a step: its kind and its parameters as written."""

    kind: str
    params: Mapping[str, Any]
    """Plain tree of texts, lists and mappings, templates unresolved: validated again once they are resolved."""
    probe: Probe | None
    """The kind's model with templates as text, or None for a kind this captain cannot measure yet."""


@dataclass(frozen=True, slots=True)
class Alias:
    """Stands for another step: observes `passed` and that step's observations."""

    step: str
    """`id` in the same checklist, else `checklist/id`."""


Conditions = tuple[str, ...]


class Retry(Model):
    attempts: PositiveInt = 1
    every: Duration = timedelta(seconds=2)


class SignOffRule(Model):
    """Who must sign a step or gate."""

    role: Text | None = None
    count: PositiveInt = 1
    evidence: Literal["none", "optional", "required"] = "optional"
    valid_for: Duration | None = None
    when: Conditions = ()
    not_starter: Bool = False
    not_author: Bool = False


class Gate(Model):
    """What closes a section."""

    sign_off: tuple[SignOffRule, ...] = ()
    confirm: Literal["environment"] | None = None


class Input(Model):
    id: Name
    ask: Text
    match: Text | None = None


class Observe(Model):
    """How captain sees what an action did."""

    asks: Mapping[str, Ask | Alias] = Field(default_factory=dict)
    """By name; a single probe stands under ""."""
    expect: Conditions = ()
    warn: Conditions = ()
    within: Duration = OBSERVE_WITHIN
    every: Duration = EVERY
    timeout: Duration | None = None
    on_error: Literal["fail", "unknown"] | None = None


class Action(Model):
    """What a step does. Never retried; `defaults.timeout` and `retry` never apply."""

    run: tuple[Text, ...] | Text | None = None
    """Arguments, or one text for `sh -c` in which interpolation is refused."""
    trigger: Mapping[str, Any] | None = None
    """Of a later issue."""
    external: Text | None = None
    """Somebody else deploys; captain records that it is expected."""
    env: Mapping[EnvName, Text] = Field(default_factory=dict)
    cwd: Text = "."
    timeout: Duration = ACTION_TIMEOUT
    idempotent: Bool = False
    no_return: Bool = False
    confirm: Bool = False

    def programs(self) -> tuple[Program, ...]:
        """What must be trusted before it runs."""
        if self.run is None:
            return ()
        return (Program(self.run, self.cwd, tuple(sorted(self.env))),)


class Soak(Model):
    """Of a later issue."""

    duration: Duration = Field(alias="for")
    coverage: Float = 0.95


class Step(Model):
    """One line of a checklist."""

    id: Id
    title: Text
    why: Text | None = None
    help: Text | None = None
    link: Text | None = None
    severity: Severity = "blocker"
    tier: tuple[Text, ...] = ()
    """Tiers of environments in which the step exists; empty means all."""
    when: Conditions = ()
    needs: tuple[Text, ...] = ()
    weight: Float = 1.0

    asks: Mapping[str, Ask | Alias] = Field(default_factory=dict)
    """Probes by name; a single probe or alias stands under ""."""
    manual: Text | None = None
    action: Action | None = None
    compare: Mapping[str, Any] | None = None
    """Of a later issue."""

    expect: Conditions = ()
    """As written, or the kind's default where the file gives none."""
    warn: Conditions = ()
    observe: Observe | None = None
    soak: Soak | None = None
    max_age: Duration | None = None
    on_error: Literal["fail", "unknown"] | None = None
    timeout: Duration | None = None
    retry: Retry | None = None
    every: Duration | None = None
    within: Duration | None = None
    hold: Duration | None = Field(default=None, alias="for")
    fail_after: PositiveInt = 1
    in_order: Bool = False
    params: Mapping[Name, Text] = Field(default_factory=dict)
    """CEL constants as written, the checklist's and environment's already merged in."""
    sign_off: tuple[SignOffRule, ...] = ()
    planned: Duration | None = None
    disabled: Text | None = None
    """The reason why it is switched off."""

    @property
    def kind(self) -> Literal["probe", "manual", "action", "compare"]:
        """What the step is, whatever stands beside it."""
        if self.action is not None:
            return "action"
        if self.manual is not None:
            return "manual"
        if self.compare is not None:
            return "compare"
        return "probe"

    @property
    def unmeasured(self) -> str | None:
        """Why this captain cannot measure the step, or None: `probe ci: not measured by this captain yet`."""
        if self.compare is not None:
            return "compare: not measured by this captain yet"
        if self.soak is not None:
            return "soak: not measured by this captain yet"
        if self.action is not None and self.action.trigger is not None:
            return "action trigger: not started by this captain yet"
        for ask in self.asks.values():
            if isinstance(ask, Ask) and ask.probe is None:
                return f"probe {ask.kind}: not measured by this captain yet"
        return None

    @property
    def safety(self) -> Literal["read", "active", "drill"]:
        """The most dangerous of its probes."""
        levels = [ask.probe.safety for ask in self.asks.values() if isinstance(ask, Ask) and ask.probe]
        return "drill" if "drill" in levels else "active" if "active" in levels else "read"

    def programs(self) -> tuple[Program, ...]:
        """What must be trusted before it is measured or run."""
        asks = [*self.asks.values(), *(self.observe.asks.values() if self.observe else ())]
        found = [p for ask in asks if isinstance(ask, Ask) and ask.probe for p in ask.probe.programs()]
        return (*found, *(self.action.programs() if self.action else ()))

    def definition(self) -> str:
        """SHA-256 of what the step demands, without title, why, help and link: what sign-offs are bound to."""
        plain = self.model_dump(mode="json", by_alias=True, exclude={"title", "why", "help", "link", "asks", "observe"})
        plain["asks"] = _plain_asks(self.asks)
        if self.observe is not None:
            plain["observe"] = self.observe.model_dump(mode="json", exclude={"asks"})
            plain["observe"]["asks"] = _plain_asks(self.observe.asks)
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _plain_asks(asks: Mapping[str, Ask | Alias]) -> dict[str, Any]:
    return {
        name: {"alias": ask.step} if isinstance(ask, Alias) else {ask.kind: ask.params} for name, ask in asks.items()
    }


class Section(Model):
    """Steps that a gate closes together."""

    id: Id
    title: Text
    phase: Phase | None = None
    gate: Gate = Field(default_factory=Gate)
    watch: tuple[Mapping[str, Any], ...] = ()
    """Of a later issue."""
    steps: tuple[Step, ...] = ()


class Defaults(Model):
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
    """Of a later issue."""

    watch: Text
    when: Text
    hold: Duration | None = Field(default=None, alias="for")
    auto: Bool = False


class RollbackRules(Model):
    """How to go back, written in deploy order; it runs reversed."""

    plan: tuple[Strategy | ReservedStrategy, ...] = ()
    verify: tuple[Text, ...] = ()
    rto: Duration | None = None
    triggers: tuple[Trigger, ...] = ()


class ReservedStrategy(Model):
    """An entry of the plan whose strategy this captain does not have yet; never ready."""

    id: Id
    strategy: str
    params: Mapping[str, Any] = Field(default_factory=dict)


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


class Service(Model):
    """captain.yaml."""

    service: Id
    repo: Text | None = None
    vars: Mapping[Name, Text] = Field(default_factory=dict)
    secrets: tuple[EnvName, ...] = ()
    params: Mapping[Name, Text] = Field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    environments: Mapping[Id, Environment] = Field(default_factory=dict)
    people: Mapping[Text, tuple[Text, ...]] = Field(default_factory=dict)
    """Roles by name; matched case-insensitively. Empty: every role rule is met by anyone."""
    checklists: tuple[Text, ...] = ()
    release: ReleaseRules = Field(default_factory=ReleaseRules)
    rollback: RollbackRules = Field(default_factory=RollbackRules)
    notify: Any = None
    """Of a later issue."""
    freeze: Any = None
    """Of a later issue."""
    defaults: Defaults = Field(default_factory=Defaults)

    def roles_of(self, name: str) -> tuple[str, ...]:
        """The roles of a person, empty for somebody the file does not name."""
        return next((roles for person, roles in self.people.items() if person.casefold() == name.casefold()), ())


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes of one file, as they were read once."""

    path: str
    """Relative to the root, with forward slashes."""
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Target:
    """A service in one environment with one checklist: everything a run needs from files, merged and checked."""

    service: Service
    """With the environment merged in."""
    environment: str
    protected: bool
    tier: str | None
    checklist: Checklist
    """Params, defaults and the environment's tier applied."""
    root: str
    """Absolute path of the folder of captain.yaml (or of the checklist where there is none)."""
    files: tuple[Source, ...] = field(default=())
    """captain.yaml (if any), the checklist, and everything it extends."""

    @property
    def confirms(self) -> str | None:
        """The name that must be typed before dangerous actions, or None."""
        return self.environment if self.protected else None


RollbackRules.model_rebuild()
