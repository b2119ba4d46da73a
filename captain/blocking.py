"""The promise that a blocking call does not block the event loop. Knows no thread and no library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Blocking(Protocol):
    """Runs a blocking call on one of the engine's own daemon threads.

    The call needs a socket timeout of its own below the time its caller gives it: a thread cannot be cancelled.
    """

    async def __call__(self, call: Callable[[], T], /) -> T: ...
