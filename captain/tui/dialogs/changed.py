"""The files differ from the pinned ones: keep what was pinned, or take what is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast

from textual.content import Content
from textual.widget import Widget

from captain.tui.dialogs.base import Dialog, Heading
from captain.tui.dialogs.fields import Choice


class Difference(Protocol):
    """Ids of steps that differ."""

    @property
    def changed(self) -> Sequence[str]: ...
    @property
    def added(self) -> Sequence[str]: ...
    @property
    def removed(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class FilesChoice:
    """Which files the run goes on with."""

    decision: Literal["keep", "adopt"]


class ChangedDialog(Dialog[FilesChoice]):
    """Asks which checklist counts from now on."""

    key = "enter"
    leaves = "esc keeps the pinned files for now"

    def __init__(self, heading: Heading, difference: Difference) -> None:
        super().__init__(heading)
        self.difference = difference

    @property
    def kind(self) -> Literal["plain", "warning", "danger"]:
        return "warning"

    def headline(self) -> str:
        return "The files have changed since this run began"

    def facts(self) -> Sequence[Content]:
        rows: list[Content] = []
        for label, steps in (
            ("changed", self.difference.changed),
            ("added", self.difference.added),
            ("removed", self.difference.removed),
        ):
            if steps:
                rows += self.wrapped(label, ", ".join(steps), rows=4)
        return rows or [self.say("No step differs: only titles, words or order.", "muted")]

    def fields(self) -> Iterator[Widget]:
        yield Choice("which", (("keep", "keep the pinned files"), ("adopt", "take the changed files")), self.look)
        yield self.gap()

    @property
    def decision(self) -> Literal["keep", "adopt"]:
        chosen = next((one.value for one in self.query(Choice).results(Choice)), "keep")
        return cast("Literal['keep', 'adopt']", chosen)

    def outcome(self) -> Sequence[Content]:
        then = {
            "keep": "nothing changes; what is pinned counts",
            "adopt": "changed steps lose their results and sign-offs",
        }[self.decision]
        return [self.fact("then", self.say(then))]

    def verb(self) -> str:
        return self.decision

    def answer(self) -> FilesChoice:
        return FilesChoice(self.decision)
