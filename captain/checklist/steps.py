"""One line of a checklist: what it asks, does, expects and who signs it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from captain.checklist.base import (
    ACTION_TIMEOUT,
    EVERY,
    OBSERVE_WITHIN,
    Alias,
    Ask,
    Conditions,
    Model,
    Severity,
    Texts,
)
from captain.checklist.signing import SignOffRules
from captain.effects import Program
from captain.fields import Bool, Duration, EnvName, Float, Id, Name, PositiveInt, Text, Weight
from captain.measurement import SAFETIES, Safety

_UNBOUND = ("title", "why", "help", "link", "review")
"""What a sign-off is not bound to."""


class Retry(Model):
    """How often a probe over a network asks in all, and how long it waits in between."""

    attempts: PositiveInt = 1
    every: Duration = timedelta(seconds=2)


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
    """Not started by this captain yet."""
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
    """A timer: what ran since the newest deployment is asked about over that time. Measured in `per: service`."""

    duration: Duration = Field(alias="for")
    """How long what was deployed is monitored before it is judged; a new deployment starts it again."""
    coverage: Float = 0.95
    """Share of that time at which there must be values."""
    environment: Text | None = None
    """Whose newest deployment it counts from, default the one at hand."""


class Step(Model):
    """One line of a checklist."""

    id: Id
    title: Text
    why: Text | None = None
    help: Text | None = None
    link: Text | None = None
    severity: Severity = "blocker"
    tier: Texts = ()
    """Tiers of environments in which the step exists; empty means all."""
    when: Conditions = ()
    needs: Texts = ()
    """Steps of the same checklist that must have passed."""
    weight: Weight = 1.0
    """What it counts in a score."""
    affects: Texts = ()
    """Makes the step a known gap: while it is open, none of these steps earns more than half."""

    asks: Mapping[str, Ask | Alias] = Field(default_factory=dict)
    """Probes by name; a single probe or alias stands under ""."""
    manual: Text | None = None
    action: Action | None = None
    compare: Mapping[str, Any] | None = None
    """Not measured by this captain yet."""

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
    """Ask the probes one after the other as they are written, all within one timeout; else they are asked together."""
    params: Mapping[Name, Text] = Field(default_factory=dict)
    """CEL constants as written, the service's, checklist's and environment's already merged in."""
    sign_off: SignOffRules = ()
    planned: Duration | None = None
    """How long it should take. Not used by this captain yet."""
    disabled: Text | None = None
    """The reason why it is switched off."""
    review: Bool = False
    """Whether its checklist is `per: service`, where a soak is measured; set by the loader, no key of files."""

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
        if self.soak is not None and not self.review:
            return "soak: not measured by this captain yet"
        if self.action is not None and self.action.trigger is not None:
            return "action trigger: not started by this captain yet"
        for ask in self.asks.values():
            if isinstance(ask, Ask):
                found = [ask] if ask.probe is None else [one for one in ask.probe.inner.values() if one.probe is None]
                if found:
                    return f"probe {found[0].kind}: not measured by this captain yet"
        return None

    @property
    def safety(self) -> Safety:
        """The most dangerous of its probes."""
        return max(self.levels, key=SAFETIES.index, default="read")

    @property
    def levels(self) -> frozenset[Safety]:
        """What each of its probes does, and each probe that a probe asks itself."""
        own = [ask.probe for ask in self.asks.values() if isinstance(ask, Ask) and ask.probe]
        inner = [ask.probe for probe in own for ask in probe.inner.values() if ask.probe]
        return frozenset(probe.safety for probe in (*own, *inner))

    @property
    def reads(self) -> bool:
        """Whether any of its probes, or what it stands for, only reads."""
        return any(isinstance(ask, Alias) or (ask.probe and ask.probe.safety == "read") for ask in self.asks.values())

    @property
    def after(self) -> tuple[str, ...]:
        """Steps that are measured before this one where both are: what it needs, and what it stands for."""
        return (*self.needs, *(ask.step for ask in self.asks.values() if isinstance(ask, Alias)))

    def programs(self, *, reading: bool = False) -> tuple[Program, ...]:
        """What must be trusted before it is measured or run; with `reading` only of probes that do no more."""
        asks = [*self.asks.values(), *(self.observe.asks.values() if self.observe else ())]
        probes = [ask.probe for ask in asks if isinstance(ask, Ask) and ask.probe]
        found = [p for one in probes if not reading or one.safety == "read" for p in one.starts()]
        return (*found, *(self.action.programs() if self.action and not reading else ()))

    def definition(self) -> str:
        """SHA-256 of what the step demands, without title, why, help and link: what sign-offs are bound to."""
        plain = self.model_dump(mode="json", by_alias=True, exclude={*_UNBOUND, "asks", "observe"})
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
