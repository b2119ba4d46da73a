"""Asks one probe once: resolves its parameters, keeps its deadline, turns what it saw into evidence. Judges nothing."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from captain.clock import stamp
from captain.engine.around import Inner
from captain.engine.past import Past
from captain.errors import CaptainError, ProbeError, SecretUnset
from captain.measurement import Measurement, Value
from captain.scopes import declared

if TYPE_CHECKING:
    from captain.checklist import Ask, Step
    from captain.condition import Scope
    from captain.engine.desk import Desk
    from captain.log.evidence import Evidence
    from captain.probes import Probe, Safety, Window
    from captain.release import Release

GRACE = timedelta(milliseconds=250)
"""How long a probe may overrun its timeout to say more than "no answer"."""
MAX_SCALAR = 1024
MAX_SCALARS = 64
MAX_BODY = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What one probe of a step came back with in one attempt."""

    name: str
    kind: str
    duration: timedelta
    asked: str
    measurement: Measurement | None
    error: ProbeError | None
    barred: bool = False
    """Whether it was not asked because it does more than read."""
    hopeless: bool = False
    """Whether asking again would come to the same: a parameter could not be worked out."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know besides: why something was not seen, what does not count."""
        return () if self.measurement is None else self.measurement.notes

    @property
    def observed(self) -> Mapping[str, Value]:
        if self.measurement is not None:
            return self.measurement.observed
        return {"tried": False} if self.barred and "tried" in declared(self.kind) else {}


async def ask(
    desk: Desk,
    name: str,
    ask: Ask,
    timeout: timedelta,
    scope: Scope,
    values: Mapping[str, Any],
    releases: Mapping[str, Release | None] | None = None,
    *,
    permitted: Safety = "read",
    step: Step | None = None,
    window: Window | None = None,
) -> Answer:
    """Ask once. What could not be asked comes back as an error, never as an exception.

    `releases` are `release` and `previous` where they are others than the run's: a rollback is being verified.
    A probe that does more than is `permitted` with the parameters it has now is not asked. `step` is whose it is, for
    probes that ask others.
    """
    started = desk.clock.monotonic()
    asked = ask.kind if ask.probe is None else desk.mask(ask.probe.asks())
    error: ProbeError
    try:
        if not timeout:
            raise ProbeError("the probes before it left it no time", fault="unclear")
        async with desk.slots:
            try:
                probe = resolved(ask, scope, values)
            except Exception as raised:
                error = _instrument(raised) if isinstance(raised, CaptainError) else _bug(ask.kind, raised)
                return Answer(name, ask.kind, timedelta(0), asked, None, error, hopeless=True)
            answer = await ask_resolved(
                desk, name, ask.kind, probe, timeout, releases, permitted=permitted, step=step, window=window
            )
        # One after another, so that what came back is judged while the next questions are on their way.
        async with desk.turn:
            await asyncio.sleep(0)
        return answer
    except ProbeError as raised:
        error = raised
    return Answer(name, ask.kind, timedelta(seconds=desk.clock.monotonic() - started), asked, None, error)


async def ask_resolved(
    desk: Desk,
    name: str,
    kind: str,
    probe: Probe,
    timeout: timedelta,
    releases: Mapping[str, Release | None] | None = None,
    *,
    permitted: Safety = "read",
    step: Step | None = None,
    window: Window | None = None,
) -> Answer:
    """Ask a probe in which everything is resolved."""
    from captain.measurement import SAFETIES
    from captain.probes import Context

    started = desk.clock.monotonic()
    asked = desk.mask(probe.asks())
    measurement: Measurement | None = None
    error: ProbeError | None = None
    if SAFETIES.index(probe.safety) > SAFETIES.index(permitted):
        why = ProbeError(f"{name or kind} was not run: it is {probe.safety}, so it runs only by itself where allowed")
        return Answer(name, kind, timedelta(0), asked, None, why, barred=True)
    try:
        around = releases or _releases(desk)
        context = Context(
            root=desk.root,
            repo=desk.repo,
            timeout=timeout,
            environ=desk.environ,
            secrets=desk.secrets,
            blocking=desk.blocking,
            clock=desk.clock,
            environment=desk.target.environment,
            run="" if desk.run is None else desk.run.id,
            release=around["release"],
            previous=around["previous"],
            deployed_at=None if desk.run is None else desk.run.deploy_started_at,
            around=None if step is None else Inner(desk, step, probe.inner, around, permitted),
            records=Past(desk, None if step is None else step.id),
            max_age=None if step is None else step.max_age,
            window=window,
        )
        async with asyncio.timeout((timeout + GRACE).total_seconds()):
            seen = await probe.measure(context)
        # Before anything is judged or cut: half a secret would no longer be recognised.
        measurement = replace(seen, observed={name: _masked(desk, one) for name, one in seen.observed.items()})
    except CaptainError as raised:
        error = _instrument(raised)
    except TimeoutError:
        error = ProbeError(f"{asked}: no answer within {timeout.total_seconds():g} s", fault="unclear")
    except Exception as raised:  # a kind's own bug must not look like a verdict about the product
        error = _bug(kind, raised)
    duration = timedelta(seconds=desk.clock.monotonic() - started)
    if measurement is not None:
        asked = desk.mask(measurement.asked)
    return Answer(name, kind, duration, asked, measurement, error, hopeless=isinstance(error, SecretUnset))


def _bug(kind: str, raised: Exception) -> ProbeError:
    return ProbeError(f"{kind} itself failed: {type(raised).__name__}: {raised}", fault="instrument")


def _instrument(raised: CaptainError) -> ProbeError:
    """The error of a probe as it is; any other is captain's own side."""
    return raised if isinstance(raised, ProbeError) else ProbeError(raised.message, hint=raised.hint)


def fault(answer: Answer, on_error: str | None = None) -> str:
    """`fail` where an answer's error is the product's failure, else `unknown`; `on_error` is the step's own rule."""
    from captain.probes import probes

    assert answer.error is not None
    if answer.error.fault == "subject":
        return "fail"
    if answer.error.fault == "instrument":
        return "unknown"
    kind = probes.find(answer.kind)
    return on_error or (kind.on_error if kind else "unknown")


def _releases(desk: Desk) -> Mapping[str, Release | None]:
    run = desk.run
    return {"release": None, "previous": None} if run is None else {"release": run.release, "previous": run.previous}


def _masked(desk: Desk, value: Value) -> Value:
    if not desk.secrets:
        return value
    if isinstance(value, str):
        return desk.mask(value)
    if isinstance(value, Mapping):
        return {desk.mask(str(name)): _masked(desk, one) for name, one in value.items()}
    if isinstance(value, list):
        return [_masked(desk, one) for one in value]
    return value


def resolved(ask: Ask, scope: Scope, values: Mapping[str, Any]) -> Any:
    """The kind's model with every template resolved. Raises CaptainError naming what is missing."""
    from pydantic import ValidationError

    from captain.interpolate import resolve_tree
    from captain.probes import probes

    cls = probes.find(ask.kind)
    if cls is None or ask.probe is None:
        raise ProbeError(f"probe {ask.kind}: not measured by this captain yet")
    try:
        return cls.model_validate(resolve_tree(dict(ask.params), scope, values))
    except ValidationError as raised:
        first = raised.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        written = ask.params.get(where)
        hint = f"it is written {written}" if isinstance(written, str) and "${{" in written else None
        raise ProbeError(f"{ask.kind}: {where} {first['msg']}", fault="instrument", hint=hint) from raised


def evidence(desk: Desk, answer: Answer) -> Evidence:
    """Everything the probe saw, masked, as one JSON document."""
    from captain.log.evidence import MAX_EVIDENCE, Evidence

    measurement = answer.measurement
    body = None if measurement is None or measurement.body is None else desk.mask(measurement.body)
    truncated = measurement is not None and measurement.truncated
    if body is not None and len(body.encode("utf-8", "replace")) > MAX_BODY:
        body = body.encode("utf-8", "replace")[:MAX_BODY].decode("utf-8", "ignore")
        truncated = True
    document: dict[str, Any] = {
        "kind": answer.kind,
        "asked": answer.asked,
        "observed": {name: plain(value) for name, value in answer.observed.items()},
        "error": None if answer.error is None else answer.error.advice,
        "notes": [desk.mask(note) for note in answer.notes],
        "body": body,
        "truncated": truncated,
    }
    data = desk.mask(_dump(document)).encode("utf-8", "replace")
    if len(data) > MAX_EVIDENCE:
        # The values of one kind can be a large document; its scalars stay, the rest is said to be cut.
        document["observed"] = scalars({"": answer.observed}, desk.mask)
        document["truncated"] = True
        data = desk.mask(_dump(document)).encode("utf-8", "replace")
    return Evidence("application/json", data[:MAX_EVIDENCE])


def _dump(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, sort_keys=True)


def plain(value: Value) -> Any:
    """A value as JSON keeps it: durations as text in seconds, moments as stamps, doubles as decimal text."""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def scalars(observed: Mapping[str, Mapping[str, Value]], mask: Callable[[str], str]) -> dict[str, str | int | bool]:
    """The observations that an entry keeps: scalars, texts to 1 KiB, at most 64 names, `probe.name` if named.

    Texts are masked before they are cut: half a secret would not be found any more.
    """
    found: dict[str, str | int | bool] = {}
    for probe, values in observed.items():
        for name, value in values.items():
            kept = plain(value)
            if not isinstance(kept, str | int | bool) or len(found) >= MAX_SCALARS:
                continue
            if isinstance(kept, int) and abs(kept) >= 2**53:
                kept = str(kept)
            if isinstance(kept, str):
                kept = clip(mask(kept), MAX_SCALAR)
            found[f"{probe}.{name}" if probe else name] = kept
    return found


def clip(text: str, limit: int = 4096) -> str:
    """The text as an entry may hold it: valid UTF-8, at most `limit` bytes."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode("utf-8")
    return data[: limit - 3].decode("utf-8", "ignore") + "…"
