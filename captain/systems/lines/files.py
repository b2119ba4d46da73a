"""The newest lines of log files, within bounds. Blocks; knows no record and no verdict."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.lines.lines import LONGEST, Line

_PACKED = re.compile(r"\.(?:gz|bz2|xz|zst)$")
_DATED = re.compile(r"\d{8}|\d{4}-\d\d-\d\d")
_ROTATED = re.compile(r"(.+?)[.-](?:\d{1,3}|\d{8,14}|\d{4}-\d\d-\d\d(?:[T_.-]\d[\d.:-]*)?)(\.[A-Za-z]\w*)?")
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
    whole: str = ""
    """The log it is a rotated part of, its origin where it is none."""
    modified: datetime | None = None
    """When a file was last written to."""


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
    meant = set(paths)
    for path in paths:
        shown = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
        text, cut, modified = _end(path, shown, MOST // len(paths))
        piece = newest_lines(text, shown, tail, cut=cut)
        piece.modified = modified
        piece.whole = _whole(path, shown, meant)
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


def _end(path: Path, shown: str, most: int) -> tuple[bytes, bool, datetime]:
    """The last bytes of a file, whether there are more before them, and when it was last written to."""
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
    return text, begin > 0, datetime.fromtimestamp(status.st_mtime, UTC)


def rotated_from(name: str) -> str | None:
    """What a log was called before it was rotated to app.log.1, app.log-20261123, app.1.log or app.log.gz.

    None where it is not named so.
    """
    plain = _PACKED.sub("", name)
    if match := _ROTATED.fullmatch(plain):
        return f"{match[1]}{match[2] or ''}"
    return plain if plain != name else None


def _whole(path: Path, shown: str, meant: Collection[Path]) -> str:
    """What a file is a part of: of one that is meant too, or with others of other days of what they are called by."""
    base = rotated_from(path.name)
    if base is None or (path.with_name(base) not in meant and not _DATED.search(path.name)):
        return shown
    return str(Path(shown).with_name(base))


def _rotated(path: Path, meant: Sequence[Path], since: datetime) -> str | None:
    """A sibling that the file was renamed to after `since` and that is not read."""
    try:
        newest = path.stat().st_mtime
        for sibling in islice(path.parent.iterdir(), 10_000):
            if rotated_from(sibling.name) != path.name or sibling in meant:
                continue
            status = sibling.stat()
            if status.st_size and since.timestamp() <= status.st_mtime <= newest:
                return sibling.name
    except OSError:
        return None
    return None
