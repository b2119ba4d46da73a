"""Backups as a program lists them in JSON: runs it and reads what it prints. Looks into none of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from captain.documents import parse_json
from captain.effects import Program
from captain.errors import ProbeError, ProgramError
from captain.safe import safe
from captain.systems.backups.listing import MOST, Item, Listing

BYTES = 16 * 1024 * 1024
_LATEST = 253402300799


async def listed(program: Program, root: Path, environ: Mapping[str, str], timeout: timedelta) -> Listing:
    """What the program prints. Raises ProbeError."""
    from captain.effects.program import run_program

    name = safe(shlex.join(program.argv), 300)
    try:
        done = await run_program(program.argv, cwd=root / program.cwd, env=environ, timeout=timeout, limit=BYTES)
    except ProgramError as error:
        raise ProbeError(error.message, hint=error.hint) from error
    if done.timed_out:
        raise ProbeError(f"{name}: did not end in time and was stopped", fault="unclear")
    if done.exit_code != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        ended = f"exit {done.exit_code}" if done.signal is None else f"ended by {done.signal}"
        raise ProbeError(f"{name}: {ended}{f': {safe(lines[-1], 200)}' if lines else ''}", fault="unclear")
    try:
        if done.truncated:
            raise ValueError("it printed more than captain reads")
        return Listing(tuple(told(done.stdout.decode("utf-8", "replace"))))
    except ValueError as error:
        raise ProbeError(f"{name}: {error}", hint="print [{key, modified, size}] as JSON") from error


def told(text: str) -> list[Item]:
    """The backups of `[{key, modified, size}, …]`, or of what `aws s3api list-objects-v2` prints.

    Raises ValueError with a sentence for anything else, a list that says it is cut included.
    """
    document = parse_json(text, max_size=BYTES)
    if isinstance(document, dict):
        if document.get("IsTruncated") is True or document.get("NextToken") or document.get("NextContinuationToken"):
            raise ValueError("the list says that it is not complete")
        if "Contents" not in document:
            raise ValueError("it holds no list, and no Contents as aws s3api list-objects-v2 prints them")
        document = document["Contents"]
    if not isinstance(document, list):
        raise ValueError("it is no list of {key, modified, size}")
    if len(document) > MOST:
        raise ValueError(f"it holds more than {MOST} backups")
    return [_item(one, number) for number, one in enumerate(document, 1)]


def _item(one: Any, number: int) -> Item:
    if not isinstance(one, Mapping):
        raise ValueError(f"entry {number} is no {{key, modified, size}}")
    key = one.get("key", one.get("Key"))
    size = one.get("size", one.get("Size"))
    if not isinstance(key, str) or not key:
        raise ValueError(f"entry {number} names no key")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise ValueError(f"entry {number} names no size in bytes")
    return Item(key, _moment(one.get("modified", one.get("LastModified")), number), size)


def _moment(value: Any, number: int) -> datetime:
    """ISO 8601 with a time zone, or seconds since 1970."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LATEST:
        return datetime.fromtimestamp(value, UTC)
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"entry {number} names no moment in modified; write 2026-11-23T03:04:11Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"entry {number} names no time zone in modified; write 2026-11-23T03:04:11Z")
    return moment.astimezone(UTC)
