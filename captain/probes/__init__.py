"""What a probe is: one question to one system. Knows no verdict, no retry, no log and no screen.

A kind is one file of this package, named as the kind, with one class under `@probe("tcp")`. From that class
come the YAML keys, the JSON Schema, the line-numbered errors, the types that conditions are checked against,
`captain explain` and the README's table. A probe never judges, retries, sleeps, logs or prints. Heavy imports
stand inside `measure`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, Literal, TypedDict, TypeVar

from pydantic import BaseModel, ConfigDict

from captain.blocking import Blocking
from captain.clock import Clock
from captain.effects import Program
from captain.errors import ProbeError
from captain.measurement import Measurement
from captain.registry import Registry
from captain.release import Release

P = TypeVar("P", bound="Probe")

TEXT = 64 * 1024
"""Characters of one text that conditions and evidence see."""
Safety = Literal["read", "active", "drill"]
"""What measuring does to a system: only asks; sends marked traffic or starts programs in it; changes its state."""
TIMEOUT = timedelta(seconds=10)
"""What one attempt of a probe may take where the step does not say."""
LIVE = timedelta(minutes=15)
"""How long the result of a live probe counts where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a probe may use besides its own parameters."""

    root: Path
    """The folder of captain.yaml: root of every relative path, cwd of every program."""
    repo: Path | None
    """The git work tree, or None where there is none."""
    timeout: timedelta
    """What is left for this attempt. The engine cancels at its end; a clean error before it is better."""
    environ: Mapping[str, str]
    """captain's own environment, without the declared secrets."""
    secrets: Mapping[str, str]
    """The declared secrets that are set. A kind need not mask what it measures: the engine does, before it is kept."""
    blocking: Blocking
    clock: Clock
    environment: str = ""
    """Where it is asked."""
    run: str = ""
    """The id of the run, with which active probes mark what they send."""
    release: Release | None = None
    """What is released; while a rollback is verified, what is gone back to."""
    previous: Release | None = None
    """What ran before it."""
    deployed_at: datetime | None = None
    """When this run began to deploy, None before that."""

    def secret(self, name: str) -> str:
        """The value of a declared secret. Raises ProbeError where it is not set."""
        if name not in self.secrets:
            raise ProbeError(
                f"the secret {name} is not set",
                hint=f"declare it under secrets in captain.yaml and export {name} or {name}_FILE",
            )
        return self.secrets[name]

    def clip(self, text: str) -> str:
        """The first `TEXT` characters, never ending within a secret. Nothing else may cut what was read."""
        if len(text) <= TEXT:
            return text
        from captain.masking import Masker

        return Masker(self.secrets).cut(text, TEXT)


class Probe(BaseModel):
    """Base of every kind. Fields are the kind's parameters, typed with `captain.fields`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    """The YAML key, set by the decorator."""
    default_expect: ClassVar[tuple[str, ...]] = ()
    """Conditions of a step that gives none."""
    on_error: ClassVar[Literal["fail", "unknown"]] = "unknown"
    """What an unclear ProbeError means where the step does not say."""
    errors: ClassVar[str] = ""
    """Which errors are a failure, which the step's `on_error` decides, which are unknown: for explain and README."""
    network: ClassVar[bool] = False
    """Whether it asks over a network, so that a step's `retry` applies."""
    max_age: ClassVar[timedelta] = LIVE
    """How long a result counts where the step does not say."""
    timeout: ClassVar[timedelta] = TIMEOUT
    """What one attempt may take where the step does not say."""
    more_than_reading: ClassVar[str] = ""
    """Which parameters make it `active` or `drill`, and what it does then: for explain and README."""
    later: ClassVar[frozenset[str]] = frozenset()
    """Parameters of later captains: accepted in files, noted by lint, a step that gives one unknown."""
    unseen: ClassVar[Mapping[str, str]] = {}
    """Observations of later captains, each with the condition to write until then: declared and noted by lint."""
    example: ClassVar[str] = ""
    """A step's YAML that lints, as `captain explain` prints it."""

    class Observes(TypedDict, total=False):
        """Names, types and sentences of what the kind observes; each kind overrides it."""

    def asks(self) -> str:
        """The question in one line, templates as written: shown before the first answer."""
        return self.kind

    def programs(self) -> tuple[Program, ...]:
        """Programs the probe starts that the file names: shown and accepted before the first run."""
        return ()

    @property
    def safety(self) -> Safety:
        """What measuring with these parameters does; anything but `read` runs only where an environment allows it."""
        return "read"

    async def measure(self, ctx: Context) -> Measurement:
        """Ask once. Raises ProbeError when it could not ask."""
        raise NotImplementedError


probes: Registry[type[Probe]] = Registry("captain.probes", "captain.probes")

RESERVED = frozenset(
    (
        *("tcp", "dns", "tls", "image", "service", "compose", "dockerfile", "ignore", "report"),
        *("sql", "migrations", "redis", "queue", "prometheus", "metrics", "logs", "backup", "docs", "source"),
        *("load", "watch", "drill", "record", "score", "rollback"),
    )
)
"""Kinds of later captains: accepted in files, noted by lint, their steps unknown."""


def probe(name: str) -> Callable[[type[P]], type[P]]:
    """Register a kind under its YAML key."""

    def keep(cls: type[P]) -> type[P]:
        cls.kind = name
        probes.register(name)(cls)
        return cls

    return keep
