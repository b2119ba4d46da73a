"""The last question before a rollback: the plan in full, and the name of the environment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget
from textual.worker import WorkType

from captain.errors import CaptainError
from captain.tui.dialogs.base import Heading
from captain.tui.dialogs.typed import TypedDialog
from captain.tui.keys import DRY_RUN
from captain.tui.present import Role, digest
from captain.tui.wayback import goal

if TYPE_CHECKING:
    from captain.release import Release


class PlanLine(Protocol):
    """One line of a part."""

    @property
    def verb(self) -> str: ...
    @property
    def text(self) -> str: ...


class PlanPart(Protocol):
    """One entry of `rollback.plan`."""

    @property
    def id(self) -> str: ...
    @property
    def to(self) -> str: ...
    @property
    def lines(self) -> Sequence[PlanLine]: ...


class Plan(Protocol):
    """What the engine planned, and will execute exactly so."""

    @property
    def to(self) -> Release: ...
    @property
    def leaving(self) -> Release: ...
    @property
    def parts(self) -> Sequence[PlanPart]: ...
    @property
    def stops(self) -> Sequence[str]: ...
    @property
    def verify(self) -> Sequence[str]: ...
    @property
    def ready(self) -> bool: ...
    @property
    def why(self) -> str | None: ...
    @property
    def confirm(self) -> str | None: ...
    @property
    def going_on(self) -> bool: ...
    @property
    def sha256(self) -> str: ...


@dataclass(frozen=True, slots=True)
class RollingBack:
    """Execute this plan."""

    plan: Plan
    """The one that was on the screen when it was confirmed."""
    confirmed: str | None


class RollbackDialog(TypedDialog[RollingBack]):
    """Asks before a plan is executed.

    `because` is why the person came here: what fails now. `look_again` makes a new plan, read only: the dry run.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        # The field has ctrl+d for itself; this dialog's own key comes first, and only while it is the top screen.
        replace(DRY_RUN.binding(), priority=True)
    ]

    def __init__(
        self,
        heading: Heading,
        plan: Plan,
        *,
        because: str | None = None,
        look_again: Callable[[], Awaitable[Plan]] | None = None,
    ) -> None:
        # Going on with a rollback that was confirmed already asks for no name again.
        super().__init__(heading, None if plan.going_on else plan.confirm)
        self.plan = plan
        self.because = because
        self.look_again = look_again
        self.news: str | None = None

    @property
    def kind(self) -> Literal["plain", "warning", "danger"]:
        return "danger"

    def headline(self) -> str:
        return f"{'Go on rolling back' if self.plan.going_on else 'Roll back'} {self.heading.environment}"

    def about(self) -> Content:
        leaving, to = self.say(self.plan.leaving.label, "muted"), self.plan.to.label
        # Of one image the digest is told too; how several parts or a command go back stands in the plan.
        images = [part.to for part in self.plan.parts if "sha256:" in part.to]
        how = images[0] if len(self.plan.parts) == 1 and images else ""
        return Content.assemble(self.say("R ", "hand"), leaving, self.say(" → ", "hand"), goal(self.look, to, how, 40))

    def facts(self) -> Sequence[Content]:
        rows: list[Content] = []
        if self.because:
            rows += self.wrapped("because", self.because, "error", 2)
        if not self.plan.ready:
            rows += self.wrapped("NOT READY", self.plan.why or "the way back cannot be proved", "error", 2)
        lines = [(line.verb, line.text) for part in self.plan.parts for line in part.lines]
        doing = [("change", f"stop {one}, which still runs") for one in self.plan.stops]
        doing += [one for one in lines if one[0] in ("verify", "change")]
        doing += [("verify", title) for title in self.plan.verify]
        for number, (verb, text) in enumerate(doing, 1):
            rows += self._row(number, verb, text)
        for verb, text in lines:
            if verb not in ("verify", "change"):
                rows += self.wrapped(verb, text, "plain", 2)
        rows.append(self.fact("plan", self.say(digest(f"sha256:{self.plan.sha256}"), "muted"), self._news()))
        return rows

    def _news(self) -> Content:
        return Content("") if self.news is None else self.say(f"   {self.news}", "warning")

    def _row(self, number: int, verb: str, text: str) -> list[Content]:
        role: Role = "bold" if verb == "change" else "muted"
        head = Content.assemble(self.say(f"{number:<3}", "muted"), self.say(f"{verb:<8}", role))
        pieces = self.say(text).wrap(self.width - 11) or [Content("")]
        return [Content.assemble(head if at == 0 else " " * 11, piece) for at, piece in enumerate(pieces)]

    def fields(self) -> Iterator[Widget]:
        yield from self.name_field()

    def blocked(self) -> str | None:
        return self.unconfirmed()

    def extra_keys(self) -> list[tuple[str, str, str]]:
        key = self.key_of(DRY_RUN.id, DRY_RUN.key)
        return [(key, "dry run", "screen.dry_run")] if self.look_again is not None else []

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.look_again is not None if action == "dry_run" else True

    def action_dry_run(self) -> None:
        if self.settled():
            look: WorkType[None] = self._dry_run
            self.run_worker(look, group="dry-run", exclusive=True, exit_on_error=False)

    async def _dry_run(self) -> None:
        assert self.look_again is not None
        self.news = "looking again …"
        self.redraw()
        try:
            plan = await self.look_again()
        except CaptainError as error:
            self.news = f"could not look again: {error.message}"
        else:
            same = plan.sha256 == self.plan.sha256
            self.news = "looked again: the same plan; nothing was touched" if same else "the plan has changed: read it"
            self.plan = plan
        self.redraw()

    def verb(self) -> str:
        return f"roll back to {self.plan.to.label}"

    def answer(self) -> RollingBack:
        return RollingBack(self.plan, self.confirmed)
