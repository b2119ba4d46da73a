"""Take back what one has signed or waived oneself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

from captain.run import SignOff, Waiver
from captain.run.allowed import withdraw
from captain.tui.dialogs.base import Dialog, Heading
from captain.tui.dialogs.fields import Choice, Field
from captain.tui.present import age

if TYPE_CHECKING:
    from captain.run.view import View


@dataclass(frozen=True, slots=True)
class Withdrawing:
    """Which entry is taken back."""

    seq: int
    note: str


def mine(view: View, target: str) -> list[SignOff | Waiver]:
    """What the person at this face signed on a step or gate and may take back, the newest first."""
    signed: list[SignOff | Waiver] = [one for one in view.run.sign_offs if one.target == target]
    signed += [one for one in view.run.countersigns if one.target == target]
    signed += [one for one in view.run.waivers if one.step == target]
    signed.sort(key=lambda one: -one.seq)
    return [one for one in signed if withdraw(view, one.seq) is None]


class WithdrawDialog(Dialog[Withdrawing]):
    """Asks before a sign-off or waiver is taken back. `mine(view, target)` must not be empty."""

    key = "enter"
    leaves = "esc takes nothing back"

    def __init__(self, view: View, target: str) -> None:
        super().__init__(Heading.of(view))
        self.view = view
        self.found = mine(view, target)[:4]
        step = view.step(target)
        section = view.target.checklist.section(target)
        self.title_of = step[1].title if step else f"the gate of {section.title}" if section else target

    def headline(self) -> str:
        return f"Take back · {self.title_of}"

    def facts(self) -> Sequence[Content]:
        rows = []
        for one in self.found:
            when = self.say(f"{age(one.event.at, self.view.now)} ago", "muted")
            rows.append(self.fact(f"entry {one.seq}"[:8], self.say(_told(one)), right=when))
        return [*rows, *self.paragraph("The entry stays in the log; it no longer counts.")]

    def fields(self) -> Iterator[Widget]:
        if len(self.found) > 1:
            yield Choice("which", [(str(one.seq), f"entry {one.seq}") for one in self.found], self.look)
            yield self.gap()
        yield self.label("note", "optional")
        yield Field("note")
        yield self.gap()

    @property
    def seq(self) -> int:
        chosen = next((one.value for one in self.query(Choice).results(Choice)), None)
        return self.found[0].seq if chosen is None else int(chosen)

    def verb(self) -> str:
        return f"take back entry {self.seq}"

    def answer(self) -> Withdrawing:
        return Withdrawing(self.seq, self.text("note"))


def _told(one: SignOff | Waiver) -> str:
    if isinstance(one, Waiver):
        return f"waived: {one.event.data['reason']}"
    verb = {
        "approve": "approved",
        "reject": "rejected",
        "not_applicable": "not applicable",
        "countersign": "countersigned",
    }.get(one.meaning, one.meaning)
    return f"{verb}: {one.note}" if one.note else verb
