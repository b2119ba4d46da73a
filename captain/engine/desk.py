"""What the engine's rooms share: the run as folded so far, the log's only writer, and what is alive now.

Entries are appended and read back on one thread; every event reaches the run and the faces in the order of the
log, whether this process wrote it or another.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from captain.clock import Clock, SystemClock
from captain.effects import attempt as effect
from captain.engine.alive import alive_trials
from captain.engine.definitions import definitions
from captain.engine.deployed import deployments, may_change
from captain.engine.secrets import covered, declared_secrets
from captain.engine.threads import Threads
from captain.errors import AppendUnknown, CaptainError, LogError, Refusal
from captain.events import Actor, Draft, Event, LockSeen, Recorded, Stopped
from captain.lock import Lock
from captain.masking import Masker
from captain.run import Run, SignOff, apply, fold
from captain.run.deployed import Deployment
from captain.run.resting import Looked
from captain.run.view import View
from captain.systems.resting import Known

if TYPE_CHECKING:
    from captain.checklist import Step, Target
    from captain.engine.pinned import FileChange
    from captain.log.evidence import Evidence
    from captain.log.reader import Reader
    from captain.log.store import Log
    from captain.probes import Probe
    from captain.settings import Settings
    from captain.trust import TrustRequest

T = TypeVar("T")

BLOCKING_THREADS = 8
OWN_THREADS = 4
"""For what captain itself and the way back need: probes that hang do not keep it waiting."""
AFTER_THE_END = frozenset(("step.note", "export.made", "lock.release", "action.finished", "run.suspended"))
"""What may still be recorded in a run that has ended."""
DEPLOYING = ("action.intent", "action.finished", "action.resolved")
"""Entries that say that an environment was changed, or was about to be."""


class Desk:
    """State of one engine. Used on the event loop only."""

    def __init__(
        self,
        target: Target,
        log: Log,
        *,
        settings: Settings,
        actor: Actor,
        publish: Callable[[Event], None],
        clock: Clock | None,
        environ: Mapping[str, str] | None,
        concurrency: int,
        read_only: bool,
        trust: str | None,
    ) -> None:
        self.target = target
        self.log = log
        self.settings = settings
        self.actor = actor
        self.publish = publish
        self.clock: Clock = clock or SystemClock()
        self.read_only = read_only
        self.trust = trust
        self.run: Run | None = None
        self.alive: set[str] = set()
        self.trials_alive: frozenset[str] = frozenset()
        self.starting: set[str] = set()
        """Attempts between their intent and their first sign of life, by this process."""
        self.asking: dict[str, int] = {}
        self.answered = asyncio.Event()
        """Set whenever a step is no longer asked."""
        self.skipped: dict[str, str] = {}
        self.stopped: str | None = None
        self.closed = False
        self.untrusted = False
        self.lock = Lock(settings.lock(target.service.service, target.environment))
        self.lock_seen = LockSeen(None, None, False)
        self.fence = 0
        self.slots = asyncio.Semaphore(concurrency)
        self.turn = asyncio.Lock()
        self.prepared: dict[type[Probe], asyncio.Task[None]] = {}
        """Kinds whose libraries are loaded, or are being loaded."""
        """Held by the answer that is judged next: many that come at once must not hold up what is sent."""
        self.acting = asyncio.Lock()
        self.checking = asyncio.Lock()
        self.trying = asyncio.Lock()
        """Held while a step is run that does more than read."""
        self.trial: asyncio.Task[None] | None = None
        """The running of that step; a rollback of this run, here or elsewhere, breaks it off."""
        self.trying_ids: set[str] = set()
        self.rolling = asyncio.Lock()
        self.following: dict[str, asyncio.Task[None]] = {}
        self.tasks: set[asyncio.Task[Any]] = set()
        self.repo: Path | None = None
        self.trusted: str | None = None
        self.trust_request: TrustRequest | None = None
        self.change: FileChange | None = None
        self.inputs: dict[str, str] = {}
        self.last: dict[str, Mapping[str, Mapping[str, Any]]] = {}
        self.carried: tuple[SignOff, ...] = ()
        self.head: str | None = None
        """The commit that HEAD named when somebody looked; for standing runs."""
        self.looked: Looked | None = None
        self.loose = False
        """Whether the work tree was seen changed that a standing run is bound to as clean."""
        self.read_files = Known()
        self.neighbours: set[str] = set()
        """Other runs that ever held this environment's lock."""
        self.deployed = 0
        self.deployments: Mapping[str, Deployment] = {}
        """By environment: what the timer steps of this checklist count from."""
        self.blocking = Threads(BLOCKING_THREADS, "captain-blocking")
        self.own = Threads(OWN_THREADS, "captain-own")
        self._writer = Threads(1, "captain-log")
        self._read = 0
        self._full_environ = dict(os.environ if environ is None else environ)
        self.secrets: dict[str, str] = {}
        self.masker = Masker(self.secrets)
        self.environ: dict[str, str] = dict(self._full_environ)
        self.definitions: dict[str, str] = {}
        self.learn(target)

    def learn(self, target: Target) -> None:
        """Use these files from now on. What any of them ever called a secret stays one."""
        self.target = target
        # What was read once is not read again: a file that changes meanwhile would unmask what was seen before.
        self.secrets = {**declared_secrets(target, self._full_environ), **self.secrets}
        self.masker = Masker(self.secrets)
        hidden = {*target.service.secrets, *(f"{name}_FILE" for name in target.service.secrets)}
        self.environ = {key: value for key, value in self.environ.items() if key not in hidden}
        self.definitions = definitions(target)
        self.target = covered(target, self.mask)

    @property
    def root(self) -> Path:
        return Path(self.target.root)

    def open_run(self) -> Run:
        """The run, which must be open by now."""
        if self.run is None:
            raise Refusal("no run is open")
        return self.run

    def view(self) -> View:
        """This moment, for whoever draws or decides."""
        return View(
            run=self.open_run(),
            target=self.target,
            now=self.clock.now(),
            definitions=self.definitions,
            skipped=self.skipped,
            alive=self.trials_alive | self.alive,
            asking=frozenset(self.asking),
            me=self.actor.name,
            lock_holder=None if self.lock_seen.mine else self.lock_seen.holder,
            lock_mine=self.lock.held,
            read_only=self.read_only,
            stopped=self.stopped,
            untrusted=self.untrusted,
            deployed=self.deployed,
            deployments=self.deployments,
            carried=self.carried,
            looked=self.looked,
            loose=self.loose,
            head=self.head,
        )

    @property
    def confirms(self) -> str | None:
        """The name that must be typed before dangerous keys; files taken up later cannot do away with it."""
        protected = self.target.protected or (self.run is not None and self.run.protected)
        return self.target.environment if protected else None

    def step(self, step_id: str) -> Step:
        """The step of that id, or a Refusal with the nearest one."""
        found = self.target.checklist.find(step_id)
        if found is None:
            import difflib

            near = difflib.get_close_matches(step_id, [step.id for _, step in self.target.checklist.steps()], n=1)
            raise Refusal(f"there is no step {step_id}", hint=f"did you mean {near[0]}?" if near else None, exit_code=2)
        return found[1]

    async def record(
        self,
        *drafts: Draft,
        evidence: Sequence[Evidence] = (),
        check: Callable[[Reader], None] | None = None,
    ) -> list[Recorded]:
        """Append these entries together, then fold and publish them. Nothing is shown before it is committed."""
        return await self._append(lambda reader: drafts, evidence, check)

    async def _append(
        self,
        build: Callable[[Reader], Sequence[Draft]],
        evidence: Sequence[Evidence],
        check: Callable[[Reader], None] | None,
    ) -> list[Recorded]:
        self._refuse_writing()
        mine: list[Recorded] = []
        run_id = None if self.run is None else self.run.id

        def built(reader: Reader) -> Sequence[Draft]:
            drafts = build(reader)
            if any(draft.run == run_id and not _late(draft) for draft in drafts):
                _refuse_ended(reader, str(run_id))
            if check is not None:
                check(reader)
            return drafts

        def write() -> list[Recorded]:
            mine.extend(self.log.append(build=built, actor=self.actor, evidence=evidence))
            try:
                return self._news()
            except LogError as error:
                raise AppendUnknown(
                    f"what was done is recorded, but the log cannot be read any more: {error.message}",
                    hint="captain stops here; mend the file, run captain verify, then start again",
                ) from error

        await self._shielded(self._writer(write, self._fold))
        return mine

    def _refuse_writing(self) -> None:
        if self.stopped is not None:
            raise Refusal(f"nothing can be recorded: {self.stopped}")
        if self.read_only:
            raise Refusal("read-only: this captain only looks")

    async def _shielded(self, work: Coroutine[Any, Any, Any]) -> None:
        """A cancelled caller does not stop what is being committed, nor keep what came of it from being known."""
        await asyncio.shield(self.keep(self._watched(work)))

    async def _watched(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except AppendUnknown as error:
            self.stopped = error.message
            self.publish(Stopped(error.message))
            raise

    async def on_log(self, call: Callable[[], T]) -> T:
        """Something asked of the log, on the thread that owns it."""
        return await self._writer(call)

    async def start(self, build: Callable[[Reader], Sequence[Draft]], evidence: Sequence[Evidence]) -> None:
        """Append the entries that open a run, and make it the run of this engine."""
        self._refuse_writing()

        def write() -> tuple[list[Recorded], set[str], int]:
            recorded = self.log.append(build=build, actor=self.actor, evidence=evidence)
            self.deployments = deployments(self.log, self.target)
            return recorded, *self._neighbourhood(recorded[0].run, recorded[-1].seq)

        def take(written: tuple[list[Recorded], set[str], int]) -> None:
            events, self.neighbours, self.deployed = written
            self._read = events[-1].seq
            self.run = fold(events)
            for event in events:
                self.publish(event)

        await self._shielded(self._writer(write, take))

    def keep(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that goes on when whoever waits for it is cancelled; `close` ends it."""
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        # Whoever waits gets the error too; one that nobody waits for must not be lost either.
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, CaptainError):
            self.publish(Stopped(f"captain itself failed: {type(error).__name__}: {error}"))

    async def catch_up(self) -> None:
        """Fold and publish what other processes wrote."""
        await self._writer(self._news, self._fold)

    def _news(self) -> list[Recorded]:
        news = list(self.log.entries(after=self._read))
        if news:
            self._read = news[-1].seq
        if may_change(news, None if self.run is None else self.run.id):
            self.deployments = deployments(self.log, self.target)
        return news

    def _fold(self, news: list[Recorded]) -> None:
        mine: list[Recorded] = []
        for event in news:
            if self.run is not None and event.run not in (self.run.id, ""):
                self._neighbour(event)
                continue
            mine.append(event)
            self.run = apply(self.run, event) if self.run is not None else None
        if any(event.type in ("action.intent", "step.intent") or event.data.get("attempt") for event in mine):
            self.look_alive()
        if self.trial is not None and any(event.type == "rollback.intent" for event in mine):
            self.trial.cancel()
        # Only when all is folded: a face that looks at the run now sees what it is told of.
        for event in mine:
            self.publish(event)

    def _neighbour(self, event: Recorded) -> None:
        """What another run did to this environment."""
        here = (self.target.service.service, self.target.environment)
        if event.type == "lock.acquire" and (event.data["service"], event.data["environment"]) == here:
            self.neighbours.add(event.run)
        elif event.run in self.neighbours and event.type in DEPLOYING:
            self.deployed = event.seq

    def look_alive(self) -> None:
        """See which attempts live that this process does not follow itself. Records nothing."""
        if self.run is None:
            return
        self.trials_alive = alive_trials(self.run.trials.values(), self.trying_ids)
        elsewhere = self.lock_seen.holder is not None and not self.lock_seen.mine
        for known in self.run.attempts.values():
            task = self.following.get(known.id)
            if known.external or known.id in self.starting or (task is not None and not task.done()):
                continue
            seen = None if known.finished is not None else effect.state(self.settings.attempt(known.id))
            begun = isinstance(seen, effect.Absent | effect.Prepared) and known.started is None and elsewhere
            if isinstance(seen, effect.Alive) or begun:
                self.alive.add(known.id)
            else:
                self.alive.discard(known.id)

    async def load(self, run_id: str) -> Run:
        """Fold a run from its entries and follow the log from there."""

        def read() -> tuple[int, list[Recorded], set[str], int]:
            size = self.log.size()
            self.deployments = deployments(self.log, self.target)
            return size, list(self.log.entries(run=run_id)), *self._neighbourhood(run_id, size)

        size, events, neighbours, deployed = await self._writer(read)
        run = fold(events)
        if run is None:
            raise Refusal(f"there is no run {run_id} in this log", exit_code=2)
        self.run = run
        self.neighbours, self.deployed = neighbours, deployed
        self._read = max(size, run.last.seq if run.last else 0)
        for event in events:
            self.publish(event)
        return run

    def _neighbourhood(self, run_id: str, size: int) -> tuple[set[str], int]:
        here = (self.target.service.service, self.target.environment)
        found = {
            taken.run
            for taken in self.log.by_type("lock.acquire")
            if taken.run != run_id and (taken.data["service"], taken.data["environment"]) == here
        }
        if not found:
            return found, 0
        deploying = self.log.by_type(*DEPLOYING, newest_first=True)
        return found, next((event.seq for event in deploying if event.run in found and event.seq <= size), 0)

    def mask(self, text: str) -> str:
        """The text without the values of declared secrets."""
        return self.masker.mask(text)

    def stop_threads(self) -> None:
        self._writer.stop()
        self.own.stop()
        self.blocking.stop()


def _late(draft: Draft) -> bool:
    """Whether it may be recorded after the run's end: what was begun before it is told to the end."""
    if draft.type == "step.result":
        return draft.data["purpose"] in ("active", "drill")
    return draft.type in AFTER_THE_END


def _refuse_ended(reader: Reader, run_id: str) -> None:
    end = reader.last("run.end", run=run_id)
    if end is not None:
        state = str(end.data["state"]).replace("_", " ")
        raise Refusal(f"{end.actor.name} ended the run meanwhile ({state}): it takes notes only")
