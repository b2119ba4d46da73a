"""The kind `file`: one regular file, its age, size and content."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from captain.errors import ProbeError
from captain.fields import Text
from captain.measurement import Measurement, Value
from captain.probes import TEXT, Context, Probe, probe

LIMIT = 1024 * 1024


@probe("file")
class FileProbe(Probe):
    """Is a file there, how old is it, and what does it hold?

    A missing file is an answer (`exists` is false), one that cannot be read is none. The content of files outside
    the folder of captain.yaml is never read into the record, only its size, age and digest.
    """

    rests: ClassVar[str] = "where no condition asks for age or modified"
    default_expect: ClassVar[tuple[str, ...]] = ("exists",)
    errors: ClassVar[str] = (
        "unknown: cannot be read (a missing file is an answer); on_error decides (unknown): no answer in time"
    )
    example: ClassVar[str] = """\
id: release-notes-written
title: Release notes are written
file: { path: CHANGELOG.md, parse: text }
expect: ['exists', 'text.contains("1.4.0")']"""

    path: Text
    """Relative to the folder of captain.yaml."""
    parse: Literal["none", "text", "json"] = "none"
    """What of its content conditions see."""

    class Observes(TypedDict, total=False):
        """What is there."""

        exists: Annotated[bool, "the file is there"]
        size: Annotated[int, "bytes"]
        age: Annotated[timedelta, "time since it was changed"]
        modified: Annotated[datetime, "when it was changed"]
        mode: Annotated[str, 'permissions as in "0644"']
        sha256: Annotated[str, "digest of the content, of files up to 1 MiB"]
        lines: Annotated[int, "lines, of files up to 1 MiB"]
        text: Annotated[str, "the content up to 64 KiB, with parse: text"]
        json: Annotated[Any, "the content, with parse: json"]

    def asks(self) -> str:
        return f"file {self.path}"

    async def measure(self, ctx: Context) -> Measurement:
        # A file may lie on a network drive that hangs.
        found = await ctx.blocking(lambda: _look(ctx.root / self.path, self.path))
        asked = self.asks()
        if found is None:
            return Measurement(observed={"exists": False}, asked=asked, rests=self._rests)
        status, data = found
        observed: dict[str, Value] = {
            "exists": True,
            "size": status.st_size,
            "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        }
        with suppress(OverflowError, ValueError, OSError):  # a time beyond the year 9999
            modified = datetime.fromtimestamp(status.st_mtime, UTC)
            observed |= {"modified": modified, "age": ctx.clock.now() - modified}
        whole = len(data) <= LIMIT
        notes: list[str] = []
        if whole:
            observed["sha256"] = hashlib.sha256(data).hexdigest()
            observed["lines"] = data.count(b"\n") + (1 if data and not data.endswith(b"\n") else 0)
        else:
            notes.append("larger than 1 MiB: neither digest nor lines nor JSON")
        body: str | None = None
        if self.parse != "none":
            _inside(ctx.root, ctx.root / self.path, self.path)
            body = data[:LIMIT].decode("utf-8", "replace")
            if self.parse == "text":
                observed["text"] = ctx.clip(body)
            elif whole:
                notes += _json(body, observed)
        return Measurement(
            observed=observed,
            asked=asked,
            body=None if body is None else ctx.clip(body),
            truncated=not whole or len(body or "") > TEXT,
            notes=tuple(notes),
            rests=self._rests,
        )

    @property
    def _rests(self) -> tuple[str, ...]:
        return (f"file {self.path}",)

    def aging(self) -> frozenset[str]:
        return frozenset(("age", "modified"))


def _json(body: str, observed: dict[str, Value]) -> list[str]:
    """Adds `json`; the reason where it is none."""
    from captain.documents import parse_json

    try:
        observed["json"] = parse_json(body)
    except ValueError as error:
        return [f"it is not JSON: {error}"]
    return []


def _look(path: Path, shown: str) -> tuple[os.stat_result, bytes] | None:
    """The status and up to one byte more than the limit; None where there is nothing. Raises ProbeError."""
    if "\0" in shown:
        raise ProbeError("the path holds a NUL character")
    try:
        status = path.stat()
        _regular(status, shown)
        # Between the look and the opening it may have become a pipe, which must not block.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            _regular(status, shown)
            return status, file.read(LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ProbeError(f"file {shown}: cannot be read: {(error.strerror or str(error)).lower()}") from error


def _regular(status: os.stat_result, shown: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise ProbeError(f"file {shown}: is {what}")


def _inside(root: Path, path: Path, shown: str) -> None:
    """Links are resolved: a repository must not be able to point at somebody's keys."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise ProbeError(
            f"file {shown}: lies outside {root}, where captain reads no content",
            hint="leave `parse` out, or use command",
        )
