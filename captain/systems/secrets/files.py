"""Files of a folder that hold a secret, by name and, where the name alone says too little, by their content.

Gives paths and rules, never content. Bounded in names and bytes.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.secret_names import CONTENT, file_rule

MAX_NAMES = 200_000
_OBJECTS = ("objects", "lfs", "logs", "refs", "modules", "hooks")
"""Of .git, where nothing has a name of its own."""


def secret_files(root: Path, passed_over: Callable[[str], bool], until: float) -> dict[str, str]:
    """Path to rule of what lies below `root`, links not followed. `passed_over`: folders nobody needs to look into.

    Raises ProbeError where a folder cannot be listed, and past `until` on the monotonic clock.
    """
    found: dict[str, str] = {}
    waiting = [""]
    seen = 0
    while waiting:
        folder = waiting.pop()
        if time.monotonic() > until:
            raise ProbeError(f"looking through {safe(root)} takes longer than there is time")
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    seen += 1
                    if seen > MAX_NAMES:
                        raise ProbeError(f"more than {MAX_NAMES} names lie below {safe(root)}")
                    path = posixpath.join(folder, entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        if not (folder.endswith(".git") and entry.name in _OBJECTS) and not passed_over(path):
                            waiting.append(path)
                    elif (rule := confirmed(root, path)) is not None:
                        found[path] = rule
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            raise ProbeError(f"{safe(folder or '.', 200)} cannot be listed: {safe(said, 80)}") from error
    return found


def among(root: Path, paths: Iterable[str]) -> dict[str, str]:
    """Path to rule of those of the paths that hold a secret."""
    return {path: rule for path in paths if (rule := confirmed(root, path)) is not None}


def confirmed(root: Path, path: str) -> str | None:
    """The rule a file meets. One that cannot be read meets the rule of its name: it may hold what it is called."""
    rule = file_rule(path)
    if rule is None:
        return None
    try:
        handle = os.open(root / path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            return rule.id if rule.confirmed(file.read(CONTENT)) else None
    except OSError as error:
        # A link holds nothing itself.
        return None if error.errno == errno.ELOOP else rule.id
