"""Starts attempts and follows them to their end: intent before the effect, finished after it, output in between.

The order is the invariant: intent committed → directory prepared → shim started → started committed → exit file
→ finished committed. After a crash at any arrow `reconcile` says what is known and calls the rest unknown.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain.effects import attempt as effect
from captain.effects.output import output, tail
from captain.engine import locks
from captain.engine.alive import no_drill
from captain.engine.ask import clip
from captain.errors import CaptainError, ProgramError, Refusal
from captain.events import Draft, Output, Running

if TYPE_CHECKING:
    from captain.engine.desk import Desk
    from captain.log.evidence import Evidence
    from captain.log.reader import Reader
    from captain.masking import Stream
    from captain.run import Attempt

POLL = 0.1
MAX_LINE = 4096
MAX_CHUNKS = 64
"""Of 64 KiB each per look: what runs on faster is caught up with at the next one."""
STREAMS: tuple[effect.Stream, ...] = ("stdout", "stderr")
STOP_WAIT = 30.0
"""Seconds for the end of a stopped process tree; what outlives them is named, and the rollback goes on."""


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
    desk.starting.add(start.attempt)
    desk.alive.add(start.attempt)
    try:
        await desk.record(
            intent(desk, start, program=clip(str(program)), cwd=str(start.cwd)), check=_clear(desk, start)
        )
        spec = effect.Spec((str(program), *start.argv[1:]), start.cwd, start.env, start.timeout)
        _prepare(directory, spec, start.files)
        started = await effect.start(directory)
    except ProgramError as error:
        _let_go(desk, start.attempt)
        await _not_started(desk, start.attempt, error)
        raise
    except BaseException:
        _let_go(desk, start.attempt)
        raise
    data = {
        "attempt": start.attempt,
        "pid": started.pid,
        "starttime": started.starttime,
        "boot": started.boot,
    }
    try:
        await desk.record(Draft("action.started", desk.open_run().id, data))
    except CaptainError:
        # It runs, whatever could be written about it: its end is followed all the same.
        desk.keep(_follow(desk, start.attempt))
        raise


def _clear(desk: Desk, start: Start) -> Callable[[Reader], None]:
    """A check for inside an append: the lock is held, and no experiment runs here that an action would disturb."""
    fenced, quiet = locks.fenced(desk), no_drill(desk)

    def check(reader: Reader) -> None:
        fenced(reader)
        if start.rollback is None:
            quiet(reader)

    return check


def _let_go(desk: Desk, attempt: str) -> None:
    desk.starting.discard(attempt)
    desk.alive.discard(attempt)


def _prepare(directory: Path, spec: effect.Spec, files: Mapping[str, str]) -> None:
    effect.prepare(directory, spec)
    try:
        for name, content in files.items():
            handle = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise ProgramError(f"cannot write {directory}: {error.strerror}", hint="nothing was started") from error


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
    desk.starting.discard(attempt)
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


class _Known(Refusal):
    """The end stands in the log already."""


async def conclude(desk: Desk, attempt: str, seen: effect.State) -> None:
    """Record how an attempt that does not run any more ended, unless somebody else has."""
    directory = desk.settings.attempt(attempt)
    if desk.open_run().attempts[attempt].finished is not None:
        return

    def nobody_did(reader: Reader) -> None:
        for event in reader.by_type("action.finished", run=desk.open_run().id):
            if event.data["attempt"] == attempt:
                raise _Known("its end was recorded meanwhile")

    drafts, blobs = _end(desk, attempt, seen)
    try:
        await desk.record(*drafts, evidence=blobs, check=nobody_did)
    except _Known:
        await desk.catch_up()
    known = desk.open_run().attempts.get(attempt)
    if known is not None and known.finished is not None and not isinstance(seen, effect.Absent):
        effect.remove(directory)


def _end(desk: Desk, attempt: str, seen: effect.State) -> tuple[list[Draft], list[Evidence]]:
    from captain.log.evidence import Evidence

    if isinstance(seen, effect.Absent):
        note = "it was provably never started"
        return [_finished(desk, attempt, "cancelled"), _settled(desk, attempt, note)], []
    streams: dict[str, str] = {}
    blobs: list[Evidence] = []
    for stream in STREAMS:
        data = desk.masker.mask_bytes(output(desk.settings.attempt(attempt), stream).text)
        if data:
            blob = Evidence("text/plain", data[-1024 * 1024 :])
            blobs.append(blob)
            streams[stream] = blob.digest
    if isinstance(seen, effect.Done):
        return [_finished(desk, attempt, seen.outcome, seen, **streams)], blobs
    return [_finished(desk, attempt, "lost", None, **streams)], blobs


async def hold(desk: Desk, reason: str) -> bool:
    """Take the environment's lock, then see what became of attempts whose captain has gone. True when taken now."""
    took = await locks.take(desk, reason)
    if took:
        await reconcile(desk)
    return took


async def look(desk: Desk) -> None:
    """See which attempts live; where nobody holds the lock, record the ends that nobody was there to see."""
    locks.look(desk)
    if desk.read_only or desk.stopped is not None or desk.open_run().ended or desk.view().lock_holder is not None:
        desk.look_alive()
    else:
        await reconcile(desk)


async def reconcile(desk: Desk) -> None:
    """Record the ends that nobody was there to see."""
    desk.look_alive()
    for known in list(desk.open_run().attempts.values()):
        if known.finished is not None or known.external or known.id in desk.starting or known.id in desk.following:
            continue
        directory = desk.settings.attempt(known.id)
        seen = effect.state(directory)
        if isinstance(seen, effect.Prepared):
            effect.bar(directory)
            seen = effect.state(directory)
        if isinstance(seen, effect.Absent) and known.started is not None:
            # It ran, and its directory is gone: nobody can say any more how it ended.
            seen = effect.Lost("its directory is gone")
        if not isinstance(seen, effect.Alive | effect.Prepared):
            await conclude(desk, known.id, seen)


async def stop(desk: Desk, known: Attempt) -> None:
    """End an attempt's process tree and record its end, or give up on it after a while."""
    try:
        async with asyncio.timeout(STOP_WAIT):
            await effect.stop(desk.settings.attempt(known.id))
            await follow(desk, known.id)
    except TimeoutError:
        note = f"{known.step or known.part} could not be stopped within {STOP_WAIT:g} s; the rollback goes on"
        await desk.record(Draft("step.note", desk.open_run().id, {"step": known.step, "text": note, "evidence": []}))


class _Lines:
    """Cuts live output into lines, masked before they are cut, across the borders of what was read."""

    def __init__(self, desk: Desk, attempt: str, began: float) -> None:
        self._desk = desk
        self._attempt = attempt
        self._began = began
        self._offsets = {"stdout": 0, "stderr": 0}
        self._masked: dict[str, Stream] = {name: desk.masker.stream() for name in STREAMS}
        self._rests = {"stdout": b"", "stderr": b""}

    def pump(self, directory: Path) -> None:
        for stream in STREAMS:
            for _ in range(MAX_CHUNKS):
                chunk = tail(directory, stream, self._offsets[stream])
                if not chunk.data:
                    break
                self._offsets[stream] = chunk.offset
                self._take(stream, self._masked[stream].feed(chunk.data))

    def flush(self) -> None:
        for stream in STREAMS:
            self._take(stream, self._masked[stream].flush())
            if self._rests[stream]:
                self._say(stream, self._rests[stream])
            self._rests[stream] = b""

    def _take(self, stream: str, data: bytes) -> None:
        lines = (self._rests[stream] + data).split(b"\n")
        # A line without an end is cut where a person stops reading it.
        self._rests[stream] = lines.pop()[:MAX_LINE]
        for line in lines[-500:]:
            self._say(stream, line)

    def _say(self, stream: str, line: bytes) -> None:
        text = line[:MAX_LINE].decode("utf-8", "replace").rstrip("\r")
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


def new_attempt(moment: datetime) -> str:
    """A fresh attempt's id, safe in a path."""
    from captain.log.ulid import ulid

    return ulid(moment)
