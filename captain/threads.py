"""A blocking call on a daemon thread of its own, awaited. Knows nothing of what it runs.

asyncio's executor waits at exit for calls that hang; a daemon thread does not hold captain back.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def on_daemon(call: Callable[[], T], /) -> T:
    """The call's result or exception. When the waiter is cancelled the thread goes on, and nobody hears of it."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]  # T itself may be None

    def work() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = call()
        except BaseException as caught:
            error = caught
        try:
            loop.call_soon_threadsafe(tell, result, error)
        except RuntimeError:
            return  # the loop closed while the call hung

    threading.Thread(target=work, name="captain-blocking", daemon=True).start()
    return await answer
