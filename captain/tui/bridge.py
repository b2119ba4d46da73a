"""Carries engine events into Textual from any thread. Knows no screen and no engine."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from textual.message import Message
from textual.message_pump import MessagePump

from captain.events import Event, Output, Passing, Recorded

MOST_PENDING = 4096
"""Passing events kept between two drawings. Output beyond that is in the attempt's files."""


@dataclass
class Happened(Message, bubble=False):
    """An entry was recorded: the run may be another one now."""

    event: Recorded


class Stirred(Message, bubble=False):
    """Something passing is waiting in the bridge. Any number of these are one."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Stirred)


class Bridge:
    """`publish` for an engine. Recorded events travel one by one, passing ones wait here until they are drawn."""

    def __init__(self, node: MessagePump) -> None:
        self._node = node
        self._pending: deque[Passing] = deque(maxlen=MOST_PENDING)
        self.dropped = 0
        """Output lines that came faster than they could be drawn."""

    def publish(self, event: Event) -> None:
        """Called by the engine, from any thread."""
        if isinstance(event, Recorded):
            self._node.post_message(Happened(event))
            return
        if len(self._pending) == MOST_PENDING and isinstance(event, Output):
            self.dropped += 1
        self._pending.append(event)
        self._node.post_message(Stirred())

    def take(self) -> list[Passing]:
        """Everything that passed since the last call, in order."""
        taken: list[Passing] = []
        while self._pending:
            taken.append(self._pending.popleft())
        return taken
