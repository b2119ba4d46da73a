"""Appends a result to the summary that GitHub Actions shows of a step: the file that $GITHUB_STEP_SUMMARY names."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from typing import Any

from captain.diagnostics import warn
from captain.exports import exports

MOST = 1024 * 1024
"""Bytes that GitHub takes of one step; of more it shows nothing at all."""
_APPEND = os.O_WRONLY | os.O_APPEND
_CUT = b"\n\n_The rest is longer than a summary may be: see the log, or `captain check --report markdown=FILE`._\n"


def append_summary(result: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Write the result as Markdown behind what is there already. What cannot be written is a warning, no error."""
    path = environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    made = exports.find("markdown")
    assert made is not None and made.result is not None
    try:
        handle = os.open(path, _APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
        with os.fdopen(handle, "ab") as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(0, "it is no regular file")
            kept = fitting(made.result(result), MOST - found.st_size)
            if not kept:
                raise OSError(0, "what is in it already leaves no room")
            file.write(kept)
    except OSError as error:
        why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        warn(f"the step summary {path} was not written: {why}")


def fitting(text: bytes, room: int) -> bytes:
    """As many whole lines as there is room for, and a word where some are left out; nothing where even that is not."""
    if len(text) <= room:
        return text
    if room < len(_CUT):
        return b""
    kept = text[: room - len(_CUT)]
    return kept[: kept.rfind(b"\n") + 1] + _CUT
