"""Asks one engine about several containers at the same time, within the time of the client that is asked for it.

For questions that the engine takes a second to answer, such as what a container uses.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from captain.systems.docker.reader import Reader

T = TypeVar("T")
WIDTH = 8
"""How many are asked about at once."""


def side_by_side(engine: Reader, refs: Sequence[str], ask: Callable[[Reader, str], T]) -> dict[str, T]:
    """The answer for each of `refs`. Raises what the first question that failed raised."""
    todo, found = list(refs), dict[str, T]()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with Reader(engine.where, engine.seconds_left()) as own:
                while not errors:
                    try:
                        ref = todo.pop()
                    except IndexError:
                        return
                    found[ref] = ask(own, ref)
        except BaseException as error:
            errors.append(error)

    # Daemons: captain's end waits for none of them.
    threads = [threading.Thread(target=work, name="captain-docker", daemon=True) for _ in refs[:WIDTH]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return found
