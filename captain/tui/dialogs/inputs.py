"""The questions that captain.yaml asks before a run is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from textual.widget import Widget

from captain.tui.dialogs.base import Dialog, Heading
from captain.tui.dialogs.fields import Field

MOST = 200


class InputsDialog(Dialog[dict[str, str]]):
    """Asks every question that was not answered; `questions` by id. What an answer must look like the engine knows."""

    key = "enter"
    leaves = "esc opens nothing"

    def __init__(self, heading: Heading, questions: Mapping[str, str], trouble: str | None = None) -> None:
        super().__init__(heading)
        self.questions = dict(questions)
        self.trouble = trouble

    def headline(self) -> str:
        return "Before it begins"

    def fields(self) -> Iterator[Widget]:
        if self.trouble is not None:
            yield self.label(self.trouble)
            yield self.gap()
        for ident, question in self.questions.items():
            yield self.label(question)
            yield Field(f"input-{ident}", cap=MOST)
            yield self.gap()

    def blocked(self) -> str | None:
        return next((f"{ident} missing" for ident in self.questions if not self.text(f"input-{ident}")), None)

    def verb(self) -> str:
        return "open the run"

    def answer(self) -> dict[str, str]:
        return {ident: self.text(f"input-{ident}") for ident in self.questions}
