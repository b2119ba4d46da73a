"""Starts attempts and follows them to their end: intent before the effect, finished after it, output in between.

The order is the invariant: intent committed → directory prepared → shim started → started committed → exit file
→ finished committed. After a crash at any arrow `reconcile` says what is known and calls the rest unknown.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain.effects import attempt as effect
from captain.effects.output import output, tail
from captain.engine import locks
from captain.engine.ask import clip
from captain.errors import ProgramError
from captain.events import Draft, Output, Running

if TYPE_CHECKING:
    from captain.engine.desk import Desk
    from captain.run import Attempt

POLL = 0.1
MAX_LINE = 4096
MAX_CHUNKS = 64
"""Of 64 KiB each per look: what runs on faster is caught up with at the next one."""
STREAMS: tuple[effect.Stream, ...] = ("stdout", "stderr")


@dataclass(frozen=True, slots=True)
class Start:
    """What is to be started, and what the log says of it."""

    attempt: str
    argv: tuple[str, ...]
    shown: tuple[str, ...]
    """As written, secrets as references."""
    cwd: Path
    env: Mapping[str, str]
    timeout: timedelta
    how: str
    """run, shell or api."""
    step: str | None = None
    rollback: str | None = None
    part: str | None = None
    idempotent: bool = False
    observe: bool = False
    trust: str | None = None
    retry_of: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    """Further files of the attempt's directory, 0600: a rollback part's target."""
    env_names: tuple[str, ...] = ()


def intent(desk: Desk, start: Start, *, program: str | None, cwd: str) -> Draft:
    """The entry that comes before any effect."""
    shown = [clip(desk.mask(one), 1024) for one in start.shown[:256]]
    data = {
        "attempt": start.attempt,
        "step": start.step,
        "rollback": start.rollback,
        "part": start.part,
        "how": start.how,
        "argv": shown,
        "argv_sha256": hashlib.sha256("\0".join(start.shown).encode("utf-8", "surrogatepass")).hexdigest(),
        "program": program,
        "cwd": clip(cwd),
        "env_names": list(start.env_names),
        "timeout_ms": round(start.timeout / timedelta(milliseconds=1)),
        "idempotent": start.idempotent,
        "observe": start.observe,
        "trust": start.trust,
        "fence": desk.fence,
        "retry_of": start.retry_of,
    }
    return Draft("action.intent", desk.open_run().id, data)


async def launch(desk: Desk, start: Start) -> None:
    """Record the intent, start the program so that it outlives captain, record that it runs.

    Raises Refusal or LogError where nothing was started. From the first await on it must not be cancelled.
    """
    from captain.effects.environ import find_program

    program = find_program(start.argv[0], cwd=start.cwd, env=start.env)
    if not start.cwd.is_dir():
        raise ProgramError(f"cannot start {start.argv[0]}: the folder {start.cwd} is not there", hint="check `cwd`")
    directory = desk.settings.attempt(start.attempt)
    await desk.record(intent(desk, start, program=clip(str(program)), cwd=str(start.cwd)), check=locks.fenced(desk))
    desk.alive.add(start.attempt)
    try:
        spec = effect.Spec((str(program), *start.argv[1:]), start.cwd, start.env, start.timeout)
        _prepare(directory, spec, start.files)
        started = await effect.start(directory)
    except ProgramError as error:
        desk.alive.discard(start.attempt)
        await _not_started(desk, start.attempt, error)
        raise
    data = {
        "attempt": start.attempt,
        "pid": started.pid,
        "starttime": started.starttime,
        "boot": started.boot,
    }
    await desk.record(Draft("action.started", desk.open_run().id, data))


def _prepare(directory: Path, spec: effect.Spec, files: Mapping[str, str]) -> None:
    effect.prepare(directory, spec)
    for name, content in files.items():
        handle = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


async def _not_started(desk: Desk, attempt: str, error: ProgramError) -> None:
    """The intent stands in the log; that nothing came of it must stand there too."""
    effect.bar(desk.settings.attempt(attempt))
    await desk.record(_finished(desk, attempt, "cancelled"), _settled(desk, attempt, f"not started: {error.message}"))


def _settled(desk: Desk, attempt: str, note: str) -> Draft:
    data: dict[str, Any] = {
        "attempt": attempt,
        "outcome": "not_applied",
        "by": "observation",
        "of": None,
        "note": clip(desk.mask(note)),
        "evidence": [],
    }
    return Draft("action.resolved", desk.open_run().id, data)


def _finished(desk: Desk, attempt: str, outcome: str, done: effect.Done | None = None, **extra: Any) -> Draft:
    data: dict[str, Any] = {
        "attempt": attempt,
        "outcome": outcome,
        "exit_code": done.exit_code if done else None,
        "signal": done.signal if done else None,
        "duration_ms": round(done.duration / timedelta(milliseconds=1)) if done else None,
        "stdout": extra.get("stdout"),
        "stderr": extra.get("stderr"),
        "truncated": done.truncated if done else False,
        "survivors": [clip(one, 200) for one in done.survivors] if done else [],
    }
    return Draft("action.finished", desk.open_run().id, data)


async def follow(desk: Desk, attempt: str) -> None:
    """Until the attempt ended and its end is recorded; however many wait, it is followed once."""
    task = desk.following.get(attempt)
    if task is None or task.done():
        task = desk.following[attempt] = desk.keep(_follow(desk, attempt))
    await asyncio.shield(task)


async def _follow(desk: Desk, attempt: str) -> None:
    directory = desk.settings.attempt(attempt)
    began = desk.clock.monotonic()
    desk.alive.add(attempt)
    lines = _Lines(desk, attempt, began)
    try:
        while True:
            seen = effect.state(directory)
            lines.pump(directory)
            if isinstance(seen, effect.Done | effect.Lost | effect.Absent):
                break
            if isinstance(seen, effect.Prepared) and effect.bar(directory):
                seen = effect.Absent()
                break
            desk.publish(Running(attempt, round((desk.clock.monotonic() - began) * 1000)))
            await asyncio.sleep(POLL)
        lines.pump(directory)
        lines.flush()
        await conclude(desk, attempt, seen)
    finally:
        desk.alive.discard(attempt)


async def conclude(desk: Desk, attempt: str, seen: effect.State) -> None:
    """Record how an attempt that does not run any more ended."""
    from captain.log.evidence import Evidence

    directory = desk.settings.attempt(attempt)
    if desk.open_run().attempts[attempt].finished is not None:
        return
    if isinstance(seen, effect.Absent):
        await desk.record(
            _finished(desk, attempt, "cancelled"), _settled(desk, attempt, "it was provably never started")
        )
        return
    streams: dict[str, str] = {}
    blobs: list[Evidence] = []
    for stream in STREAMS:
        data = desk.masker.mask_bytes(output(directory, stream).text)
        if data:
            blob = Evidence("text/plain", data[-1024 * 1024 :])
            blobs.append(blob)
            streams[stream] = blob.digest
    if isinstance(seen, effect.Done):
        draft = _finished(desk, attempt, seen.outcome, seen, **streams)
    else:
        draft = _finished(desk, attempt, "lost", None, **streams)
    await desk.record(draft, evidence=blobs)
    known = desk.open_run().attempts.get(attempt)
    if known is not None and known.finished is not None:
        effect.remove(directory)


async def reconcile(desk: Desk) -> list[str]:
    """After a start: record the ends that nobody was there to see. Returns the attempts that still run."""
    alive: list[str] = []
    for known in list(desk.open_run().attempts.values()):
        if known.finished is not None or known.external:
            continue
        seen = effect.state(desk.settings.attempt(known.id))
        if isinstance(seen, effect.Prepared):
            effect.bar(desk.settings.attempt(known.id))
            seen = effect.state(desk.settings.attempt(known.id))
        if isinstance(seen, effect.Alive):
            alive.append(known.id)
            desk.alive.add(known.id)
        elif isinstance(seen, effect.Absent) and known.started is not None:
            # It ran, and its directory is gone: nobody can say any more how it ended.
            await conclude(desk, known.id, effect.Lost("its directory is gone"))
        elif not isinstance(seen, effect.Prepared):
            await conclude(desk, known.id, seen)
    return alive


def look(desk: Desk) -> None:
    """For whoever may only read: see which attempts still run, record nothing."""
    for known in desk.open_run().attempts.values():
        open_end = known.finished is None and not known.external
        if open_end and isinstance(effect.state(desk.settings.attempt(known.id)), effect.Alive):
            desk.alive.add(known.id)


async def stop(desk: Desk, known: Attempt) -> tuple[str, ...]:
    """End an attempt's process tree and wait. Returns what survived it."""
    directory = desk.settings.attempt(known.id)
    seen = await effect.stop(directory)
    return seen.survivors if isinstance(seen, effect.Done) else ()


class _Lines:
    """Cuts live output into lines, masked across the borders of what was read."""

    def __init__(self, desk: Desk, attempt: str, began: float) -> None:
        self._desk = desk
        self._attempt = attempt
        self._began = began
        self._offsets = {"stdout": 0, "stderr": 0}
        self._rests = {"stdout": b"", "stderr": b""}

    def pump(self, directory: Path) -> None:
        for stream in STREAMS:
            for _ in range(MAX_CHUNKS):
                chunk = tail(directory, stream, self._offsets[stream])
                if not chunk.data:
                    break
                self._offsets[stream] = chunk.offset
                lines = (self._rests[stream] + chunk.data).split(b"\n")
                self._rests[stream] = lines.pop()[-MAX_LINE:]
                for line in lines[-500:]:
                    self._say(stream, line)

    def flush(self) -> None:
        for stream, rest in self._rests.items():
            if rest:
                self._say(stream, rest)
        self._rests = {"stdout": b"", "stderr": b""}

    def _say(self, stream: str, line: bytes) -> None:
        text = self._desk.mask(line[:MAX_LINE].decode("utf-8", "replace").rstrip("\r"))
        self._desk.publish(
            Output(self._attempt, stream, text, round((self._desk.clock.monotonic() - self._began) * 1000))
        )


def captain_values(desk: Desk, step: str, attempt: str) -> dict[str, str]:
    """What programs that captain starts are told: CAPTAIN_RUN and the like."""
    run = desk.open_run()
    return {
        "CAPTAIN_RUN": run.id,
        "CAPTAIN_STEP": step,
        "CAPTAIN_SERVICE": run.service,
        "CAPTAIN_ENVIRONMENT": run.environment,
        "CAPTAIN_VERSION": run.release.version or "",
        "CAPTAIN_COMMIT": run.release.commit or "",
        "CAPTAIN_ATTEMPT": attempt,
        "CAPTAIN_FENCE": str(desk.fence),
    }


def dump(document: Mapping[str, Any]) -> str:
    """A document for a part's directory."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True)


def new_attempt(moment: datetime) -> str:
    """A fresh attempt's id, safe in a path."""
    from captain.log.ulid import ulid

    return ulid(moment)
