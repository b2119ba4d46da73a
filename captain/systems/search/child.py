"""Counts matches of regexes in files, in a process of its own that can be ended. Standard library only.

A regex can run for ever and cannot be interrupted, so it never runs inside captain. Reads one JSON document from
stdin, writes one to stdout: counts and places by the number of the file, never what matched.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # as typing has it, whose import is a sixth of the time that a search of a few files takes
    from typing import Any

LIMIT = 4 * 1024 * 1024
"""Bytes of one file that is still looked through."""
TOGETHER = 256 * 1024 * 1024
PLACES = 1000
_MEMORY = 1024 * 1024 * 1024
_BINARY = 8192


def content(root: str, path: str) -> bytes | None:
    """The bytes of a regular file below `root`, one more than the limit at most; None where it cannot be read."""
    full = os.path.join(root, path)  # noqa: PTH118  # pathlib would double the start-up time
    if os.path.realpath(os.path.dirname(full)) != os.path.normpath(os.path.dirname(full)):  # noqa: PTH120
        return None
    try:
        handle = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            return file.read(LIMIT + 1) if stat.S_ISREG(os.fstat(handle).st_mode) else None
    except OSError:
        return None


def text_of(data: bytes) -> str | None:
    """The text of a file, None of a binary one."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    return None if b"\0" in data[:_BINARY] else data.decode("utf-8-sig", "replace")


def search(asked: dict[str, Any]) -> dict[str, Any]:
    """What was found where."""
    compiled = {one["id"]: re.compile(one["regex"], re.MULTILINE) for one in asked["patterns"]}
    empty = [name for name, pattern in compiled.items() if pattern.search("") is not None]
    counts = dict.fromkeys(compiled, 0)
    places: list[tuple[int, int, str]] = []
    looked = binary = read = 0
    unread: list[int] = []
    for number, path in enumerate(asked["files"] if not empty else []):
        data = content(asked["root"], path)
        read += len(data or b"")
        if data is None or len(data) > LIMIT or read > TOGETHER:
            unread.append(number)
            continue
        text = text_of(data)
        if text is None:
            binary += 1
            continue
        looked += 1
        for name, pattern in compiled.items():
            line = at = 0
            for match in pattern.finditer(text):
                counts[name] += 1
                if len(places) < PLACES:
                    line += text.count("\n", at, match.start())
                    at = match.start()
                    places.append((number, line + 1, name))
    return {
        "empty": empty,
        "looked": looked,
        "binary": binary,
        "unread": unread[:10],
        "unread_count": len(unread),
        "counts": counts,
        "places": places,
    }


def main() -> None:
    """Once."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    sys.stdout.write(json.dumps(search(json.loads(sys.stdin.buffer.read()))))


if __name__ == "__main__":
    main()
