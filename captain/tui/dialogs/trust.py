"""Show every program that these files would start, and ask once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from captain.tui.dialogs.base import Dialog, Heading
from captain.tui.present import count

if TYPE_CHECKING:
    from captain.trust import TrustRequest


@dataclass(frozen=True, slots=True)
class Trusting:
    """Accepted: what was shown, by its digest."""

    digest: str


class TrustDialog(Dialog[Trusting]):
    """Asks whether the programs may be started. The key works only when the last of them was on the screen."""

    leaves = "esc declines: nothing of this will run"

    def __init__(self, heading: Heading, request: TrustRequest) -> None:
        super().__init__(heading)
        self.request = request
        self.seen = 0
        """Rows that were on the screen so far, from the first one on."""

    @property
    def kind(self) -> Literal["plain", "warning", "danger"]:
        return "warning"

    def headline(self) -> str:
        return "Trust these commands?"

    def about(self) -> Content:
        return self.say(count(len(self.request.programs), "program"), "muted")

    def facts(self) -> Sequence[Content]:
        rows: list[Content] = []
        for at, program in enumerate(self.request.programs, 1):
            shell = isinstance(program.run, str)
            for part, argument in enumerate([program.run] if isinstance(program.run, str) else program.run):
                label = (f"{at} shell" if shell else f"{at} runs") if part == 0 else ""
                # Shown in full, one argument a row or more: what is cut off could not have been accepted.
                pieces = self._pieces(argument)
                rows += [self.fact(label if row == 0 else "", piece) for row, piece in enumerate(pieces)]
            env = ", ".join(program.env)
            if program.container is not None:
                rows += [self.fact("", piece) for piece in self._pieces(f"in container {program.container}")]
            rows.append(self.fact("", self.say(f"in {program.cwd}{f', with {env}' if env else ''}", "muted")))
        return rows

    def _pieces(self, argument: str) -> list[Content]:
        room = self.width - 10
        rows: list[Content] = []
        for line in argument.split("\n"):
            shown = self.look.say(line or " ", "bold", limit=65536)
            while shown.cell_length > room:
                rows.append(shown[: _fitting(shown, room)])
                shown = shown[_fitting(shown, room) :]
            rows.append(shown)
        return rows

    def fields(self) -> Iterator[Widget]:
        yield from ()

    def outcome(self) -> Sequence[Content]:
        digest = self.request.digest
        return [
            self.fact("digest", self.say(digest[:32], "muted")),
            self.fact("", self.say(digest[32:], "muted")),
            self.fact("then", self.say("they may run here, for you, until one of them changes")),
        ]

    def on_mount(self) -> None:
        super().on_mount()
        self.watch(self.query_one("#facts"), "scroll_y", self.fitted, init=False)

    def fitted(self) -> None:
        """Count what is in sight now as seen."""
        facts = self.query_one("#facts")
        before = self.left
        self.seen = max(self.seen, round(facts.scroll_y) + facts.size.height)
        if self.left != before:
            self.redraw()

    @property
    def left(self) -> int:
        """Rows that nobody has seen yet."""
        return max(0, self.query_one("#rows", Static).size.height - self.seen)

    def blocked(self) -> str | None:
        return f"pgdn: {self.left} more rows" if self.left else None

    def verb(self) -> str:
        return "trust them"

    def answer(self) -> Trusting:
        return Trusting(self.request.digest)


def _fitting(text: Content, width: int) -> int:
    """How many characters of `text` fill `width` cells, at least one."""
    used = min(len(text), width)
    while used > 1 and text[:used].cell_length > width:
        used -= 1
    return used
