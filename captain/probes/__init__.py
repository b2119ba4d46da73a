"""What a probe is: one question to one system. Knows no verdict, no retry, no log and no screen.

A kind is one file of this package, named as the kind, with one class under `@probe("tcp")`. From that class
come the YAML keys, the JSON Schema, the line-numbered errors, the types that conditions are checked against,
`captain explain` and the README's table. A probe never judges, retries, sleeps, logs or prints. Heavy imports
stand inside `measure`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypedDict, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from captain.blocking import Blocking
from captain.clock import Clock
from captain.effects import Program
from captain.errors import ProbeError, SecretUnset
from captain.fields import Marker, Name, wrong
from captain.measurement import Measurement, Value, Verdict
from captain.measurement import Safety as Safety
from captain.registry import Registry
from captain.release import Release

P = TypeVar("P", bound="Probe")

TEXT = 64 * 1024
"""Characters of one text that conditions and evidence see."""
TIMEOUT = timedelta(seconds=10)
"""What one attempt of a probe may take where the step does not say."""
LIVE = timedelta(minutes=15)
"""How long the result of a live probe counts where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Window:
    """The time that a timer step asks about."""

    start: datetime
    end: datetime
    coverage: float
    """Share of it at which there must be values: less gives no value."""


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
    around: Around | None = None
    """For kinds with probes of their own."""
    records: Records | None = None
    """Captain's own log, read-only."""
    max_age: timedelta | None = None
    """What the step says of how old its result may be: as old may a document be that a probe reads."""
    window: Window | None = None
    """What a timer step (`soak`) asks about, in place of the kind's own window; only for kinds that can say so."""

    def secret(self, name: str) -> str:
        """The value of a declared secret. Raises ProbeError where it is not set."""
        if name not in self.secrets:
            raise SecretUnset(
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


@dataclass(frozen=True, slots=True)
class Ask:
    """One probe as a file holds it: its kind and its parameters as written."""

    kind: str
    params: Mapping[str, Any]
    """Plain tree of texts, lists and mappings, templates unresolved: validated again once they are resolved."""
    probe: Probe | None
    """The kind's model with templates as text, or None for a kind this captain cannot measure yet."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a probe of a kind's own saw."""

    observed: Mapping[str, Value]
    error: ProbeError | None
    """Why it could not ask."""
    failed: bool
    """Whether that is the product's failure, by the probe's own rules."""


@dataclass(frozen=True, slots=True)
class Held:
    """What conditions say of what was seen."""

    truth: bool | None
    """None where it is unknown."""
    said: str
    """What was seen, or what is missing."""


Sights = Mapping[str, Mapping[str, Value]]
"""By the name of a probe: what it observed."""


class Around(Protocol):
    """What a kind with `Probes` of its own may ask of the engine."""

    async def ask(self, name: str, timeout: timedelta) -> Seen:
        """Ask one of them once. Never raises."""
        ...

    def holds(self, conditions: Sequence[str], seen: Sights, before: Sights | None = None) -> Held:
        """Judge conditions of a `Holds` field; `before` is what they find under `before.`."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """What captain's own log holds of an earlier result, gate or rehearsal."""

    verdict: Verdict
    at: datetime
    duration: timedelta | None
    commit: str | None
    """Of the release that it was about."""
    by: str
    """Who recorded it."""
    run: str
    observed: Mapping[str, Value]
    """Scalars as they were stored, masked, in their types."""


Kept = Literal["result", "drill", "rehearsal", "gate"]
"""What is looked for: any result of a step, only of a drill, of a rollback tried out; the decision on a gate."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What the standing review of a checklist comes to. None is what nobody can tell yet."""

    low: int
    """Percent, whatever is not verified taken for bad; `high` takes it for good."""
    high: int
    label: str | None
    coverage: float
    """Verified share of the weight, 0 to 1."""
    unverified: int
    blockers: int | None
    decision: str
    go: bool | None
    reasons: tuple[str, ...]
    """Why it is no go, or what a go risks; a sentence each."""
    sections: Mapping[str, tuple[int, int]]
    """Low and high, by section id."""
    checked_at: datetime | None
    """When a step of it was last measured or signed; None where that was never done."""
    commit: str | None
    run: str


class Records(Protocol):
    """What a kind may read of captain's own log."""

    async def newest(self, kind: Kept, name: str, environment: str) -> Entry | None:
        """The newest entry about a step or section (`id` or `checklist/id`) of this service in an environment."""
        ...

    async def score(self, checklist: str, environment: str) -> Scored | None:
        """What the run that stands of a checklist comes to now; None where none stands.

        Without what may not be counted because it rests on the answer.
        """
        ...


def _asks(value: Any) -> Any:
    """Kinds and parameters as probes; what the loader has made already stays as it is."""
    if not isinstance(value, Mapping):
        raise wrong("takes a mapping of names to probes")
    return {name: one if isinstance(one, Ask) else _ask_of(name, one) for name, one in value.items()}


def _ask_of(name: str, written: Any) -> Ask:
    if not isinstance(written, Mapping) or len(written) != 1:
        raise wrong(f"{name} takes one kind with its parameters")
    ((kind, params),) = written.items()
    cls = probes.find(str(kind))
    return Ask(str(kind), params, None if cls is None else cls.model_validate(params))


PROBES = Marker()
"""Marks the field of a kind that holds probes of its own."""
Probes = Annotated[Mapping[Name, Ask], BeforeValidator(_asks), PROBES, WithJsonSchema({"$ref": "#/definitions/probes"})]
"""Probes that a kind asks itself, by name: one such field at the top of a kind; conditions over them are `Holds`."""


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
    rests: ClassVar[str] = ""
    """When its answers rest on files alone, so that in a review they count as long as those are the same: explain."""
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

    @classmethod
    def prepare(cls) -> None:
        """Load the libraries that measuring needs. Called on a thread, before anything is timed: an import that stands
        in the way of other probes would be taken for the product's time."""

    @classmethod
    def expects(cls, params: Mapping[str, Any]) -> tuple[str, ...]:
        """Conditions of a step that gives none, with these parameters as the file writes them."""
        return cls.default_expect

    def asks(self) -> str:
        """The question in one line, templates as written: shown before the first answer."""
        return self.kind

    def programs(self) -> tuple[Program, ...]:
        """Programs the probe starts that the file names: shown and accepted before the first run."""
        return ()

    def starts(self) -> tuple[Program, ...]:
        """Every program that measuring starts: its own and those of the probes that it asks itself."""
        inner = [ask.probe for ask in self.inner.values() if ask.probe is not None]
        return (*self.programs(), *(program for probe in inner for program in probe.starts()))

    def does(self) -> tuple[str, ...]:
        """What measuring does where it does more than read, one line each: asked about and recorded before it."""
        return (self.asks(),)

    def of_commit(self) -> bool:
        """Whether its answer is about the release at hand, or about files of the repository: it then says nothing of
        another commit, even where no parameter names the release."""
        return not self.network

    def aging(self) -> frozenset[str]:
        """Observations that change with time alone, of a kind whose answers rest on files."""
        return frozenset()

    def over_window(self, span: timedelta) -> str | None:
        """Why it cannot be asked over a `Context.window` of that length; None where it can, and observes `coverage`:
        the share of the window at which there were values."""
        return "it does not observe what share of a window was measured"

    @property
    def safety(self) -> Safety:
        """What measuring with these parameters does; anything but `read` runs only where an environment allows it."""
        return "read"

    @property
    def sums_up(self) -> str | None:
        """The checklist whose score it asks for: a step of that one is asked behind all others, and not counted."""
        return None

    @classmethod
    def inner_field(cls) -> str | None:
        """The field that holds probes of its own, None where it has none."""
        return next((name for name, info in cls.model_fields.items() if PROBES in info.metadata), None)

    @property
    def inner(self) -> Mapping[str, Ask]:
        """The probes that it asks itself, by name."""
        name = self.inner_field()
        return {} if name is None else getattr(self, name)

    async def measure(self, ctx: Context) -> Measurement:
        """Ask once. Raises ProbeError when it could not ask."""
        raise NotImplementedError


probes: Registry[type[Probe]] = Registry("captain.probes", "captain.probes")

RESERVED = frozenset(("watch", "rollback"))
"""Kinds of later captains: accepted in files, noted by lint, their steps unknown."""


def probe(name: str) -> Callable[[type[P]], type[P]]:
    """Register a kind under its YAML key."""

    def keep(cls: type[P]) -> type[P]:
        cls.kind = name
        probes.register(name)(cls)
        return cls

    return keep
