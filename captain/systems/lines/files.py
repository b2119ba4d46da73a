"""The newest lines of log files, within bounds. Blocks; knows no record and no verdict."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.lines.lines import LONGEST, Line

FILES = 20
MOST = 8 * 1024 * 1024
"""Bytes of all files together."""


@dataclass(slots=True)
class Piece:
    """Lines of one origin, oldest first."""

    origin: str
    lines: list[Line]
    cut: bool
    """Whether older ones are there that were not read."""


def newest_lines(text: bytes, origin: str, tail: int, *, cut: bool) -> Piece:
    """The last `tail` lines of a text; the first line is left out where the text begins within one."""
    rows = text.split(b"\n")
    if rows and not rows[-1]:
        rows.pop()
    if cut and rows:
        rows.pop(0)
    kept = rows[-tail:]
    lines = [Line(row[: 4 * LONGEST].decode("utf-8", "replace").removesuffix("\r"), None, origin) for row in kept]
    return Piece(origin, lines, cut or len(kept) < len(rows))


def read_files(root: Path, pattern: str, tail: int, since: datetime | None) -> tuple[list[Piece], list[str], bool]:
    """Lines by file, notes, and whether all lie within `root`. Raises ProbeError where there is none to read."""
    paths = _paths(root, pattern)
    pieces, notes = [], []
    for path in paths:
        shown = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
        text, cut = _end(path, shown, MOST // len(paths))
        piece = newest_lines(text, shown, tail, cut=cut)
        if since is not None and not piece.cut and (older := _rotated(path, paths, since)):
            piece.cut = True
            notes.append(f"{safe(shown, 200)}: {safe(older, 100)} holds older lines and is not meant by path")
        pieces.append(piece)
    inside = all(path.resolve().is_relative_to(root.resolve()) for path in paths)
    return pieces, notes, inside


def _paths(root: Path, pattern: str) -> list[Path]:
    """Files that are meant, the oldest first."""
    if "\0" in pattern or "**" in pattern:
        raise ProbeError("logs: path holds a NUL character or **", hint="name the folder: path: 'log/*.log'")
    try:
        base, relative = (Path("/"), pattern.lstrip("/")) if pattern.startswith("/") else (root, pattern)
        found = list(islice(base.glob(relative), 1000))
        aged = [(one.stat().st_mtime, one) for one in found if one.is_file()]
    except (ValueError, NotImplementedError) as error:
        raise ProbeError(f"logs {safe(pattern, 200)}: is no path", hint="check `path`") from error
    except OSError as error:
        raise ProbeError(f"logs {safe(pattern, 200)}: {(error.strerror or 'cannot be read').lower()}") from error
    if not aged:
        raise ProbeError(f"logs {safe(pattern, 200)}: no file is there", fault="unclear", hint="check `path`")
    if len(aged) > FILES:
        raise ProbeError(f"logs {safe(pattern, 200)}: {len(aged)} files, at most {FILES} are read", hint="say which")
    return [one for _, one in sorted(aged)]


def _end(path: Path, shown: str, most: int) -> tuple[bytes, bool]:
    """The last bytes of a file, and whether there are more before them."""
    try:
        # It may have become a pipe since it was looked at, which must not block.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ProbeError(f"logs {safe(shown, 200)}: is no regular file")
            begin = max(status.st_size - most, 0)
            # One byte more tells whether the first line is a whole one.
            file.seek(max(begin - 1, 0))
            text = file.read(most + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ProbeError(f"logs {safe(shown, 200)}: cannot be read: {reason}", hint="may this user read it?") from error
    if text.startswith(b"\x1f\x8b"):
        raise ProbeError(f"logs {safe(shown, 200)}: is compressed", hint="give a path that means plain files only")
    return text, begin > 0


def _rotated(path: Path, meant: Sequence[Path], since: datetime) -> str | None:
    """A sibling that the file was renamed to after `since` and that is not read."""
    try:
        for sibling in islice(path.parent.iterdir(), 10_000):
            named = sibling.name.startswith((f"{path.name}.", f"{path.name}-", f"{path.stem}-", f"{path.stem}."))
            if named and sibling != path and sibling not in meant and sibling.stat().st_mtime >= since.timestamp():
                return sibling.name
    except OSError:
        return None
    return None
