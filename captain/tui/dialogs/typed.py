"""The typed name of a protected environment: what a dialog that can do harm asks before it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, TypeVar

from textual.content import Content
from textual.widget import Widget

from captain.safe import safe
from captain.tui.dialogs.base import Dialog, Heading
from captain.tui.dialogs.fields import Field, Row

R = TypeVar("R")


class TypedDialog(Dialog[R]):
    """A dialog whose key works only when `confirms`, if any, was typed letter by letter."""

    key = "enter"
    purpose: ClassVar[str] = "to start"

    def __init__(self, heading: Heading, confirms: str | None) -> None:
        super().__init__(heading)
        self.confirms = confirms

    @property
    def kind(self) -> Literal["plain", "warning", "danger"]:
        return "danger" if self.confirms is not None else "warning"

    def name_field(self) -> Iterator[Widget]:
        """The field for the name; nothing where no name is asked."""
        if self.confirms is None:
            return
        row = Content.assemble("Type ", self.say(self.confirms, "bold"), f" {self.purpose}")
        yield Row(self.look.paint(row), classes="row", id="type-this")
        yield Field("confirmed", cap=200)
        yield self.gap()

    def unconfirmed(self) -> str | None:
        """What is missing of the name."""
        return None if self.confirms is None else missing_letters(self.text("confirmed"), self.confirms)

    @property
    def confirmed(self) -> str | None:
        """The name, once it was typed."""
        return self.confirms


def missing_letters(typed: str, wanted: str) -> str | None:
    """What is still missing of words that must be typed: `4 letters to go`; None when they are complete."""
    if typed == wanted:
        return None
    if wanted.startswith(typed):
        left = len(wanted) - len(typed)
        return f"{left} letter{'' if left == 1 else 's'} to go"
    return f"that is not {safe(wanted, 40)}"
