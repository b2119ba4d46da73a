"""Let a gate open although a step is not met, until a day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Literal

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget

from captain.run.status import status
from captain.tui.dialogs import dates
from captain.tui.dialogs.base import Dialog, Heading
from captain.tui.dialogs.fields import Field
from captain.tui.dialogs.forecast import forecast, second, waiver
from captain.tui.present import mark

if TYPE_CHECKING:
    from captain.events import Actor
    from captain.run.view import View


@dataclass(frozen=True, slots=True)
class Waiving:
    """What is waived, why, by whom to be kept in mind, and until when."""

    step: str
    reason: str
    owner: str
    until: datetime
    """UTC: the end of the day that was typed."""


class WaiveDialog(Dialog[Waiving]):
    """Asks for a waiver of a step. `zone` is where the person sits; None is the machine's."""

    leaves = "esc leaves it as it is"

    def __init__(self, view: View, step: str, actor: Actor, *, zone: tzinfo | None = None) -> None:
        super().__init__(Heading.of(view))
        found = view.step(step)
        assert found is not None, "the caller asked captain.run.allowed first"
        self.section, self.step = found
        self.view = view
        self.actor = actor
        self.zone = zone
        self.status = status(view, self.step)
        result = self.status.result
        self.covers = sorted(result.unmet) if result is not None else []

    @property
    def kind(self) -> Literal["plain", "warning", "danger"]:
        return "warning"

    def headline(self) -> str:
        return f"Waive · {self.step.title}"

    def about(self) -> Content:
        return self.look.mark(mark(self.status)).rstrip()

    def facts(self) -> Sequence[Content]:
        verdict = self.status.verdict.value
        word = "FAIL" if verdict == "fail" else verdict
        rows = self.wrapped("seen", self.status.message, "plain", 2)
        rows += [
            self.say("A waiver lets the gate open. It never becomes a pass:", "muted"),
            self.say(f"exports and history keep showing {word}, waived by you.", "muted"),
        ]
        for at, condition in enumerate(self.covers):
            rows.append(self.fact("covers" if at == 0 else "", self.say(condition)))
        if not self.covers:
            rows.append(self.fact("covers", self.say("the missing result itself", "muted")))
        if self.step.severity == "blocker":
            rows += self.wrapped("blocker", second(self.view, self.step), "muted")
        return rows

    def fields(self) -> Iterator[Widget]:
        yield self.label("reason")
        yield Field("reason", hint="Why is it right to go on?")
        yield self.gap()
        day = dates.written(self.view.now + dates.USUAL, self.zone)
        yield Horizontal(
            Vertical(self.label("owner"), Field("owner", value=self.actor.name, cap=200)),
            Vertical(self.label("until", f"at most {dates.LONGEST.days} d"), Field("until", value=day, cap=40)),
            classes="pair",
        )
        yield self.gap()

    @property
    def until(self) -> datetime | None:
        found = dates.day(self.text("until"), self.view.now, self.zone)
        return None if dates.trouble(found, self.view.now) or found is None else dates.capped(found, self.view.now)

    def outcome(self) -> Sequence[Content]:
        until = self.until or self.view.now + dates.USUAL
        supposed = waiver(self.view, self.step.id, until, self.covers)
        then = forecast(self.view, self.section, "waiver", supposed).sentence
        return [self.fact("then", self.say(then))]

    def blocked(self) -> str | None:
        if not self.text("reason"):
            return "reason missing"
        if not self.text("owner"):
            return "owner missing"
        return dates.trouble(dates.day(self.text("until"), self.view.now, self.zone), self.view.now)

    def verb(self) -> str:
        until = self.until
        if until is None:
            return "waive"
        here = until.astimezone(self.zone)
        return f"waive until {here:%a} {here.day} {here:%b}"

    def answer(self) -> Waiving:
        until = self.until
        assert until is not None, "blocked until the day is right"
        return Waiving(self.step.id, self.text("reason"), self.text("owner"), until)
