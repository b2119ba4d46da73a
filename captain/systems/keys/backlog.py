"""What task queues in Redis hold: the shapes, and how keys are looked for within bounds. Knows no library's keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from captain.errors import ProbeError
from captain.measurement import Value
from captain.safe import safe
from captain.systems.keys.client import Client, text

PAGE = 2000
"""Keys that Redis looks at in one SCAN: about a millisecond of its time."""
PAGES = 500
MOST_QUEUES = 200
LONGEST_MESSAGE = 16 * 1024
"""Bytes of a message that is read for its age."""


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue. None is what the library does not keep, or what could not be read."""

    name: str
    ready: int
    in_flight: int | None = None
    """Taken by a worker, not done."""
    delayed: int | None = None
    dead: int | None = None
    dead_recent: int | None = None
    oldest_age: timedelta | None = None

    def plain(self) -> dict[str, Value]:
        """As conditions see it."""
        found: dict[str, Value] = {"name": safe(self.name, 200), "ready": self.ready}
        for name in ("in_flight", "delayed", "dead", "dead_recent", "oldest_age"):
            if (value := getattr(self, name)) is not None:
                found[name] = value
        return found


@dataclass(slots=True)
class Backlog:
    """All queues that were looked at."""

    queues: list[Queue] = field(default_factory=list)
    workers_seen: int | None = None
    in_flight: int | None = None
    """Where the library keeps it for all queues together."""
    notes: list[str] = field(default_factory=list)

    def observed(self) -> dict[str, Value]:
        """Sums over the queues; what one of them does not know has no sum."""
        found: dict[str, Value] = {"ready": sum(queue.ready for queue in self.queues)}
        for name in ("delayed", "dead", "dead_recent"):
            if (total := _sum(getattr(queue, name) for queue in self.queues)) is not None:
                found[name] = total
        flying = self.in_flight if self.in_flight is not None else _sum(queue.in_flight for queue in self.queues)
        if flying is not None:
            found |= {"in_flight": flying, "outstanding": sum(queue.ready for queue in self.queues) + flying}
        ages = [queue.oldest_age for queue in self.queues if queue.ready]
        known = [age for age in ages if age is not None]
        if known and len(known) == len(ages):
            found["oldest_age"] = max(known)
        elif ages:
            self.notes.append("how old the oldest message is could not be read")
        if self.workers_seen is not None:
            found["workers_seen"] = self.workers_seen
        found["queues"] = [queue.plain() for queue in self.queues]
        return found


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be looked at."""

    namespace: str
    queues: tuple[str, ...] | None
    """None for all that can be found."""
    dead_window: timedelta
    until: float
    """A moment of time.monotonic() after which no more keys are looked for."""


def server_now(client: Client) -> timedelta:
    """The server's clock since the epoch: ages do not depend on captain's."""
    seconds, micros = client.ask("TIME")
    return timedelta(seconds=int(seconds), microseconds=int(micros))


def scan(client: Client, pattern: str, ask: Ask) -> list[str]:
    """Names of the keys that match, once each. Raises ProbeError where there are too many keys to look through."""
    found: dict[str, None] = {}
    cursor: bytes | int = 0
    for _ in range(PAGES):
        cursor, some = client.ask("SCAN", cursor, "MATCH", pattern, "COUNT", PAGE)
        found.update(dict.fromkeys(text(key) for key in some))
        if int(cursor) == 0:
            return sorted(found)
        if time.monotonic() > ask.until or len(found) > 20 * MOST_QUEUES:
            break
    raise ProbeError("too many keys to look through all of them", hint="name the queues: queues: [default, …]")


def glob_quoted(name: str) -> str:
    """A name as a pattern that matches it alone."""
    return "".join(f"\\{char}" if char in "\\*?[]" else char for char in name)


def count(answer: object, key: str) -> int:
    """A count as Redis answered it. Raises ProbeError where the key holds something else."""
    if isinstance(answer, int):
        return answer
    raise ProbeError(
        f"{safe(key, 100)}: {safe(' '.join(str(answer).split()), 100)}",
        hint="is this the library, the database and the namespace the queues are in?",
    )


def counts(client: Client, commands: Sequence[tuple[str, str]]) -> list[int]:
    """Answers of LLEN, HLEN, ZCARD and the like, in order."""
    return [count(answer, key) for answer, (_, key) in zip(client.ask_all(list(commands)), commands, strict=True)]


def unknown_place(library: str, sign: str, hint: str) -> ProbeError:
    """Nothing of the library's is there: an empty queue looks different."""
    return ProbeError(
        f"nothing of {library}'s is in this database ({safe(sign, 100)}): nothing can be said about its queues",
        fault="unclear",
        hint=hint,
    )


def at_most(names: Iterable[str]) -> list[str]:
    """The queues, unless there are too many. Raises ProbeError."""
    found = sorted(set(names))
    if len(found) > MOST_QUEUES:
        raise ProbeError(f"more than {MOST_QUEUES} queues", hint="name those that matter: queues: [default, …]")
    return found


def oldest(
    client: Client,
    ids: Sequence[bytes],
    sizes: Callable[[bytes], tuple[str, ...]],
    read: Callable[[bytes], tuple[str, ...]],
) -> list[bytes]:
    """What `read` answers for the ids whose `sizes` is bounded; one that is gone or too long is passed over."""
    lengths = client.ask_all([sizes(one) for one in ids])
    fit = [
        one
        for one, length in zip(ids, lengths, strict=True)
        if isinstance(length, int) and 0 < length <= LONGEST_MESSAGE
    ]
    return [answer for answer in client.ask_all([read(one) for one in fit]) if isinstance(answer, bytes)]


def _sum(values: Iterable[int | None]) -> int | None:
    listed = list(values)
    known = [value for value in listed if value is not None]
    return sum(known) if len(known) == len(listed) else None
