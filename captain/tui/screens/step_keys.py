"""What the keys about one step do, on every screen that shows steps: the refusal that is said, or the command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from captain.safe import safe
from captain.tui import chances, commands
from captain.tui.screens.aboard import Aboard

if TYPE_CHECKING:
    from captain.checklist import Step


class StepKeys(Aboard):
    """Half of a screen: it answers keys about the step under the cursor."""

    KEYS: ClassVar[str]
    """Where the ids of its keys begin: `run` of `run.sign`."""

    def reasons(self, step: str | None) -> dict[str, str]:
        """Why each key that may not be pressed may not, by id."""
        raise NotImplementedError

    def why_not(self, key: str) -> str | None:
        """Why a key is dim now, by its id; for the help screen."""
        return self.reasons(self.step_id).get(key)

    @property
    def step(self) -> Step | None:
        """The step under the cursor."""
        return self._step_of(self.step_id)

    def _step_of(self, name: str | None) -> Step | None:
        found = self.moment.view.step(name) if self.moment is not None and name is not None else None
        return None if found is None else found[1]

    def _may(self, key: str, step: str | None = None) -> bool:
        """Whether a key may be pressed on a step, the one under the cursor when none is given; else why not is said."""
        self.verdict.tell(None)
        reason = self.reasons(step or self.step_id).get(f"{self.KEYS}.{key}")
        if reason is not None:
            self.tell(reason)
            return False
        return self.engine is not None

    def measure_step(self, name: str | None) -> None:
        """Measure a step, or sign it where a person decides."""
        step, engine = self._step_of(name), self.engine
        if not self._may("measure", name) or step is None or engine is None:
            return
        if chances.by_hand(step):
            self.work(partial(commands.sign, engine, self._ask, step), "dialog")
        else:
            self.work(partial(engine.measure, step.id), f"measure-{step.id}")

    def _with_step(self, key: str, command: Callable[..., Awaitable[Any]]) -> None:
        step, engine = self.step, self.engine
        if self._may(key) and step is not None and engine is not None:
            self.work(partial(command, engine, self._ask, step), "dialog")

    def action_sign(self) -> None:
        self._with_step("sign", commands.sign)

    def action_waive(self) -> None:
        self._with_step("waive", commands.waive)

    def action_not_applicable(self) -> None:
        self._with_step("not_applicable", commands.not_applicable)

    def action_countersign(self) -> None:
        self._with_step("countersign", commands.countersign)

    def action_withdraw(self) -> None:
        self._with_step("withdraw", commands.withdraw)

    def action_act(self) -> None:
        self._with_step("act", commands.act)

    def action_note(self) -> None:
        if self._may("note") and self.engine is not None:
            self.work(partial(commands.note, self.engine, self._ask, self.step), "dialog")

    def action_trust(self) -> None:
        if self._may("trust") and self.engine is not None:
            self.work(partial(commands.trust, self.engine, self._ask), "dialog")

    def action_abort(self) -> None:
        if self._may("abort") and self.engine is not None:
            self.work(partial(commands.abort, self.engine, self._ask), "dialog")

    def action_history(self) -> None:
        self.captain.open_history()

    def action_help(self) -> None:
        self.captain.open_help(self)

    def action_leave(self) -> None:
        running = self.moment.running() if self.moment is not None else None
        if running is not None and self.moment is not None:
            what = self.moment.title(running.step) if running.step else f"the rollback of {running.part}"
            self.captain.farewell = f"{safe(what)} keeps running; `captain run` opens {safe(running.intent.run)} again"
        elif self.moment is not None and (drills := self._drills()):
            self.captain.farewell = f"{safe(drills)} was broken off; `captain show` says what is known of it"
        self.captain.leave(self)

    def _drills(self) -> str | None:
        """The title of a step that does more than read and is under way here: it does not outlive captain."""
        assert self.moment is not None
        view = self.moment.view
        running = (self.moment.title(name) for name in view.run.trials if name in view.asking)
        return next(running, None)
