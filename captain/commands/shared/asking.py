"""Asks a person at the terminal. Whoever calls made sure that there is one, and that asking is allowed."""

from __future__ import annotations

import asyncio
import sys

from captain.diagnostics import prompt


def ask_now(question: str) -> str:
    """What is typed, without surrounding space; "" at the end of input."""
    prompt(question)
    return sys.stdin.readline().strip()


async def ask(question: str) -> str:
    """The same while an event loop runs: Ctrl-C and TERM still work."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def read() -> None:
        line = sys.stdin.readline()
        if not answer.done():
            answer.set_result(line.strip())

    prompt(question)
    loop.add_reader(sys.stdin.fileno(), read)
    try:
        return await answer
    finally:
        loop.remove_reader(sys.stdin.fileno())
