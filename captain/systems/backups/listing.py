"""What a list of backups says: the newest, its age, its size beside the others', the gaps. Pure; asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from statistics import median

from captain.errors import ProbeError
from captain.measurement import Value
from captain.safe import safe

MOST = 100_000
"""Backups that one listing may hold."""
SKEW = timedelta(minutes=5)
"""How far clocks of two machines may lie apart."""
_OTHERS = 7
_ENOUGH = 3
_UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".incomplete", ".inprogress", ".filepart", ".crdownload", "~")
_BESIDE = (".sha256", ".sha256sum", ".sha512", ".sha1", ".md5", ".sig", ".minisig", ".log")


@dataclass(frozen=True, slots=True)
class Item:
    """One backup of a listing."""

    key: str
    """Its name where it lies."""
    modified: datetime
    size: int
    folder: bool = False
    """Whether it is a folder of several files."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything that lies where backups should be."""

    items: tuple[Item, ...]
    now: datetime | None = None
    """The clock of the storage, where it told it."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sorted:
    """What of a listing is a backup."""

    backups: tuple[Item, ...]
    """The newest first."""
    unfinished: tuple[Item, ...]


def sort_out(items: Iterable[Item], pattern: str | None, settled: datetime | None) -> Sorted:
    """Take away digests, signatures, logs and what is still being written.

    `pattern` is for the last part of a key. What changed after `settled` may still be growing.
    """
    backups: list[Item] = []
    unfinished: list[Item] = []
    for item in items:
        name = item.key.rstrip("/").rpartition("/")[2]
        lower = name.lower()
        if not name or lower.endswith(_BESIDE) or (pattern is not None and not _fits(name, pattern)):
            continue
        # What is dated far ahead is not fresh but wrong, and must not go by unseen.
        growing = settled is not None and settled < item.modified <= settled + SKEW
        (unfinished if growing or _half(lower) else backups).append(item)
    backups.sort(key=lambda item: (item.modified, item.key), reverse=True)
    return Sorted(tuple(backups), tuple(unfinished))


def _half(lower: str) -> bool:
    return lower.startswith(".") or lower.endswith(_UNFINISHED)


def _fits(name: str, pattern: str) -> bool:
    # A name that is still being written ends in more than the pattern says.
    return fnmatchcase(name, pattern) or any(
        fnmatchcase(name[: -len(end)], pattern) for end in _UNFINISHED if name.lower().endswith(end)
    )


def summary(backups: Sequence[Item], now: datetime, window: timedelta) -> dict[str, Value]:
    """What conditions may ask of the list, the newest first. Raises ProbeError where a clock must be wrong."""
    observed: dict[str, Value] = {"count": len(backups)}
    if not backups:
        return observed
    newest = backups[0]
    if newest.modified - now > SKEW:
        ahead = f"{(newest.modified - now).total_seconds() / 3600:.1f} h"
        raise ProbeError(
            f"{safe(newest.key, 200)} is dated {ahead} ahead of the clock: how old it is cannot be told",
            hint="compare the clocks of both machines (timedatectl), or remove what has a wrong date",
        )
    observed |= {
        "newest_key": newest.key,
        "newest_at": newest.modified,
        "newest_age": max(now - newest.modified, timedelta(0)),
        "newest_size": newest.size,
        "min_size": min(item.size for item in backups),
        "gap_max": longest_gap([item.modified for item in backups], now, window),
    }
    others = [item.size for item in backups[1 : _OTHERS + 1]]
    if len(others) >= _ENOUGH and (usual := median(others)) > 0:
        observed["size_ratio"] = newest.size / usual
    return observed


def longest_gap(moments: Sequence[datetime], now: datetime, window: timedelta) -> timedelta:
    """The longest time without a new backup, from `window` ago until now; `moments` are the newest first.

    Time in the window before the first backup counts: nothing of it could be restored.
    """
    begin = now - window
    gaps = [now - moments[0]]
    for later, earlier in zip(moments, [*moments[1:], min(begin, moments[-1])], strict=True):
        if later > begin:
            gaps.append(later - earlier)
    return max(*gaps, timedelta(0))
