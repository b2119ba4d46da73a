"""The only actor: measures, decides, starts, goes back. Appends to the log, then publishes what was committed.

Every face (screen, command, test) is a `publish` callable and calls these methods; none computes a verdict.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from captain.clock import Clock
from captain.engine import act as acting
from captain.engine import attempts, locks, opening, people, roll_back, trials, trusting, way_back
from captain.engine import gate as gates
from captain.engine.again import check_again
from captain.engine.desk import Desk
from captain.engine.following import follow
from captain.engine.measure import measure, measure_all, prepared
from captain.engine.names import uses
from captain.engine.pinned import FileChange
from captain.engine.roll_back import RollbackPlan
from captain.engine.way_back import Way
from captain.errors import Refusal
from captain.events import Actor, Event
from captain.run import Run, allowed
from captain.run.status import status
from captain.run.view import View
from captain.trust import TrustRequest

if TYPE_CHECKING:
    from captain.checklist import Step, Target
    from captain.log.store import Log
    from captain.settings import Settings

__all__ = ["Engine", "FileChange", "RollbackPlan", "Way"]


class Engine:
    """One run at a time, over one log. All methods belong to one event loop."""

    def __init__(
        self,
        target: Target,
        log: Log,
        *,
        settings: Settings,
        actor: Actor,
        publish: Callable[[Event], None],
        clock: Clock | None = None,
        environ: Mapping[str, str] | None = None,
        concurrency: int = 16,
        read_only: bool = False,
        trust: str | None = None,
    ) -> None:
        self._desk = Desk(
            target,
            log,
            settings=settings,
            actor=actor,
            publish=publish,
            clock=clock,
            environ=environ,
            concurrency=concurrency,
            read_only=read_only,
            trust=trust,
        )

    @property
    def target(self) -> Target:
        """The files in use: the pinned ones once a run is open."""
        return self._desk.target

    @property
    def run(self) -> Run | None:
        return self._desk.run

    @property
    def actor(self) -> Actor:
        return self._desk.actor

    @property
    def busy(self) -> bool:
        """Whether it still follows something that a key or a resume began."""
        return bool(self._desk.tasks)

    def told_secrets(self) -> list[str]:
        """Paths of the files in use that hold the value of a secret. The log keeps them byte for byte."""
        masker = self._desk.masker
        return [source.path for source in self.target.files if masker.mask_bytes(source.data) is not source.data]

    def view(self) -> View:
        """This moment, for whoever draws or decides."""
        return self._desk.view()

    async def open(
        self,
        version: str | None,
        *,
        commit: str | None = None,
        images: Mapping[str, str] | None = None,
        kind: str = "release",
        inputs: Mapping[str, str] | None = None,
        asks: bool = True,
    ) -> str:
        """Start a run, or resume the open one of this version. Returns its id.

        Without a version a checklist with `per: service` has the one run that stands. `inputs` answer the questions
        of captain.yaml; NeedsInputs says which are left, unless `asks` is off.
        """
        run_id = await opening.open_run(self._desk, version, commit, images or {}, kind, inputs or {}, asks=asks)
        await self._take_up()
        return run_id

    async def resume(self, run_id: str, *, quiet: bool = False) -> None:
        """Take a run up again; `quiet` for one headless command, which leaves the lock alone."""
        await opening.resume(self._desk, run_id, quiet=quiet)
        if not quiet:
            await self._take_up()

    async def _take_up(self) -> None:
        """Hold the lock where the deploy section is open, and follow what still runs."""
        desk = self._desk
        locks.look(desk)
        if desk.read_only or desk.open_run().ended:
            return
        if desk.open_run().bars_others:
            # Somebody else holds it: measuring, reading and signing go on; the keys say why not.
            with contextlib.suppress(Refusal):
                await attempts.hold(desk, "resume")
        if desk.lock_seen.holder is None or desk.lock.held:
            await acting.settle(desk)

    def changed_files(self) -> FileChange | None:
        """How the files differ from the pinned ones, or None."""
        return self._desk.change

    async def adopt(self, decision: str) -> None:
        """`keep` the pinned files or `adopt` the present ones."""
        await opening.adopt(self._desk, decision)

    async def follow(self) -> None:
        """Until cancelled: other processes' entries, the lock, the log's health."""
        await follow(self._desk)

    async def catch_up(self) -> None:
        """Fold what other processes wrote since."""
        await self._desk.catch_up()

    async def measure(self, step_id: str, purpose: str = "measure") -> None:
        """Measure a step, or look again what its action did."""
        step = self._desk.step(step_id)
        if step.action is not None:
            await acting.look_again(self._desk, step)
            return
        if refusal := allowed.measure(self.view(), step):
            raise refusal
        await measure(self._desk, step, purpose)

    async def prepare(self, steps: Sequence[Step]) -> None:
        """Load what measuring these steps needs, so that none of them waits for the imports of another."""
        await prepared(self._desk, [step.asks for step in steps])

    async def measure_section(self, section_id: str, *, only_due: bool = False, purpose: str = "measure") -> None:
        """Measure what a section can measure, side by side; `only_due` leaves out what still counts."""
        section = self.target.checklist.section(section_id)
        if section is None:
            raise Refusal(f"there is no section {section_id}", exit_code=2)
        view = self.view()
        if refusal := allowed.changing(view):
            raise refusal
        steps = [
            step
            for step in section.steps
            if allowed.measure(view, step) is None
            and step.action is None
            and not (only_due and status(view, step).state == "measured")
        ]
        await measure_all(self._desk, steps, purpose)

    async def check_again(self) -> None:
        """Measure what is not good and fresh in all sections; of a review it counts as a check."""
        await check_again(self._desk)

    async def gate(
        self,
        section_id: str,
        decision: str,
        *,
        note: str = "",
        confirmed: str | None = None,
        no_way_back: str | None = None,
    ) -> None:
        """`go` or `no_go`. A go measures again what is due first. Raises Refusal with the run's exit code."""
        await gates.decide(self._desk, section_id, decision, note, confirmed, no_way_back)

    async def way_back(self) -> list[Way]:
        """What R would go back to, proved now, nothing kept."""
        return await way_back.look(self._desk)

    async def act(self, step_id: str, *, confirmed: str | None = None, again: bool = False) -> None:
        """Start a step's action, or run a step that does more than read, and wait for its verdict.

        Cancelling leaves it running; closing the engine breaks off what is not an action, cleaned up and recorded.
        One that was started already is started once more only with `again`; else a Refusal (exit 4) says when it was.
        """
        await acting.act(self._desk, step_id, confirmed, again)

    async def resolve(self, step_id: str, outcome: str, note: str, evidence: Sequence[str] = ()) -> None:
        """Say what an unknown action did: applied, not_applied or partial."""
        await acting.resolve(self._desk, step_id, outcome, note, evidence)

    async def sign(self, target: str, meaning: str, note: str = "", evidence: Sequence[str] = ()) -> None:
        """approve, reject or not_applicable, on a step or a section's gate."""
        await people.sign(self._desk, target, meaning, note, evidence)
        found = self.target.checklist.find(target)
        if found and found[1].asks and found[1].action is None and uses(self._desk, found[1], "signed"):
            # The sign-off stands whether or not the step can be measured again just now.
            with contextlib.suppress(Refusal):
                await self.measure(target)

    async def waive(self, step_id: str, reason: str, owner: str, until: datetime) -> None:
        """Let a step stay unmet until a moment, at most 30 days away."""
        await people.waive(self._desk, step_id, reason, owner, until)

    async def countersign(self, step_id: str, note: str = "", evidence: Sequence[str] = ()) -> None:
        """Stand behind another person's waiver of a blocker, or their saying that it does not apply."""
        await people.countersign(self._desk, step_id, note, evidence)

    async def withdraw(self, seq: int, note: str = "") -> None:
        """Take back one's own sign-off or waiver, by the number of its entry."""
        await people.withdraw(self._desk, seq, note)

    async def note(self, text: str, step: str | None = None, evidence: Sequence[str] = ()) -> None:
        """Add a note to the run or to a step."""
        await people.note(self._desk, text, step, evidence)

    async def reopen(self, section_id: str, reason: str) -> None:
        """Open a closed section again, while nothing was started."""
        await gates.reopen(self._desk, section_id, reason)

    async def abort(self, reason: str, *, left_running: str | None = None, confirmed: str | None = None) -> None:
        """Give the run up."""
        await gates.abort(self._desk, reason, left_running, confirmed)

    async def checked(self, verdict: str, measured: int, kept: int) -> None:
        """Say in a standing run that a check of it ended."""
        await gates.checked(self._desk, verdict, measured, kept)

    async def end_check(self, verdict: str) -> None:
        """Close a run of kind check."""
        await gates.end_check(self._desk, verdict)

    def shown(self, step_id: str) -> tuple[str, ...]:
        """The arguments that the step's action would run now, secrets by name; empty where captain starts nothing."""
        return acting.shown(self._desk, self._desk.step(step_id))

    def does(self, step_id: str) -> tuple[str, ...]:
        """What a step that does more than read would do now, one line each, secrets by name."""
        return trials.does(self._desk, self._desk.step(step_id))

    async def plan_rollback(self) -> RollbackPlan:
        """What R would do now. Changes nothing."""
        return await roll_back.plan(self._desk)

    async def roll_back(self, plan: RollbackPlan, *, confirmed: str | None = None, cause: str = "") -> None:
        """Do exactly what the plan said, then prove it."""
        await roll_back.execute(self._desk, plan, confirmed, cause)

    def trust(self) -> TrustRequest | None:
        """Commands that were not accepted yet, or None."""
        return self._desk.trust_request if self._desk.untrusted else None

    async def accept(self, digest: str, via: str = "screen") -> None:
        """Accept the commands of that digest."""
        await trusting.accept(self._desk, digest, via)

    async def suspend(self, signal_name: str) -> None:
        """Best effort, on HUP and TERM: leave a line in the log."""
        await gates.suspend(self._desk, signal_name)

    async def close(self) -> None:
        """Give the lock back and let go of the log. Running actions go on. Closing twice is fine."""
        desk = self._desk
        if desk.closed:
            return
        desk.closed = True
        for task in list(desk.tasks):
            task.cancel()
        await asyncio.gather(*desk.tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            await locks.give_back(desk)
        desk.lock.release()
        with contextlib.suppress(Exception):
            await desk.on_log(desk.log.close)
        desk.stop_threads()
