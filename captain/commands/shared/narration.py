"""Tells on stderr what an engine does while a command waits: entries in plain words, and what programs print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from captain.diagnostics import say, warn
from captain.events import Event, Output, Recorded, Stopped
from captain.events.sentences import sentence

if TYPE_CHECKING:
    from captain.engine import Engine


class Narrator:
    """The face of a headless command. Silent until `begin`: what is replayed is not news."""

    def __init__(self) -> None:
        self._titles: dict[str, str] | None = None

    def begin(self, engine: Engine) -> None:
        """From now on everything is news."""
        self._titles = titles(engine)

    def publish(self, event: Event) -> None:
        if self._titles is None:
            return
        if isinstance(event, Output):
            say(f"  {event.text}" if event.stream == "stdout" else f"! {event.text}")
        elif isinstance(event, Recorded):
            told = sentence(event, self._titles)
            say(f"{told.who} {told.text}")
        elif isinstance(event, Stopped):
            warn(event.why)


def titles(engine: Engine) -> dict[str, str]:
    """Titles of steps and sections, by id."""
    checklist = engine.target.checklist
    found = {step.id: step.title for _, step in checklist.steps()}
    return found | {section.id: section.title for section in checklist.sections}
