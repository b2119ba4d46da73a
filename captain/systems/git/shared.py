"""Answers of git that rest on the index, the config and the cut of the history, shared between probes.

An answer is given again only while the files it rests on are the very same ones; where that cannot be told (a linked
work tree, a folder below the top, a file written a moment ago) git is asked each time.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from stat import S_ISDIR
from typing import TypeVar, cast

T = TypeVar("T")
Marks = tuple[tuple[int, ...], ...]

MOST = 16
"""Answers kept."""
RACY = 2_000_000_000
"""Nanoseconds: what was written so shortly before it was looked at may be written again and look the same."""
_RESTS_ON = ("HEAD", "config", "config.worktree", "commondir", "index", "shallow")

_known: OrderedDict[tuple[Path, str], tuple[Marks, object]] = OrderedDict()


async def shared(root: Path, question: str, ask: Callable[[], Awaitable[T]]) -> T:
    """The answer to a question about the repository whose top is `root`, asked again only where it may be another."""
    before = _marks(root)
    if before is None:
        return await ask()
    known = _known.get((root, question))
    if known is not None and known[0] == before:
        return cast(T, known[1])
    answer = await ask()
    if _marks(root) == before:
        _known[root, question] = before, answer
        while len(_known) > MOST:
            _known.popitem(last=False)
    return answer


def _marks(root: Path) -> Marks | None:
    """What tells whether the files are the same ones; None where it cannot be told."""
    now = time.time_ns()
    found: list[tuple[int, ...]] = []
    try:
        here, folder = os.lstat(root), os.lstat(root / ".git")
        if not S_ISDIR(folder.st_mode):
            return None
        found += [(one.st_dev, one.st_ino, one.st_uid) for one in (here, folder)]
        for name in _RESTS_ON:
            try:
                seen = os.lstat(root / ".git" / name)
            except FileNotFoundError:
                found.append(())
                continue
            if max(seen.st_mtime_ns, seen.st_ctime_ns) > now - RACY:
                return None
            found.append((seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_uid))
    except OSError:
        return None
    return tuple(found)
