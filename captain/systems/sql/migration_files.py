"""Files of migrations beside a table that says which were applied. Pure; knows no database and no verdict."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_FLYWAY = re.compile(r"[VU](\d+(?:[._]\d+)*)__")
_LEADING = re.compile(r"\d+")
_DOWN = re.compile(r"\.(down|undo)\.|^U\d", re.IGNORECASE)
_UP = re.compile(r"\.up\.", re.IGNORECASE)

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """How files and table stand to each other."""

    unapplied: tuple[str, ...]
    """Names of files, in order."""
    foreign: tuple[str, ...]
    """Versions in the table that no file has."""
    unread: tuple[str, ...]
    """Files whose name begins with no number, and which the table does not name."""


def version_of(name: str) -> Version | None:
    """The number that a file's name begins with: `0007_x.sql`, `20260102030405_x.rb`, `V1_2__x.sql`."""
    match = _FLYWAY.match(name)
    if match is not None:
        return tuple(int(part) for part in re.split(r"[._]", match[1]))
    match = _LEADING.match(name)
    return (int(match[0]),) if match is not None else None


def ups(files: Sequence[str]) -> tuple[str, ...]:
    """Those that lead forward."""
    return tuple(file for file in files if not _DOWN.search(_base(file)))


def without_way_back(files: Sequence[str]) -> tuple[str, ...] | None:
    """Those that lead forward and have no partner that leads back; None where nothing is written in such pairs."""
    downs = {version_of(_base(file)) for file in files if _DOWN.search(_base(file))}
    if not downs and not any(_UP.search(_base(file)) for file in files):
        return None
    return tuple(file for file in ups(files) if version_of(_base(file)) not in downs)


def standing(files: Sequence[str], applied: Sequence[str], *, latest: bool) -> Standing:
    """Compare by number, else by name. With `latest` the table holds only the highest number that was applied."""
    versions = {text: _number(text) for text in applied}
    numbers = {version for version in versions.values() if version is not None}
    highest = max(numbers, default=())
    known: set[Version] = set()
    named: set[str] = set()
    unapplied: list[tuple[Version, str]] = []
    unread: list[str] = []
    for file in ups(files):
        base = _base(file)
        spellings = {file, base, base.rpartition(".")[0]} & set(applied)
        version = version_of(base)
        named |= spellings
        if version is None:
            if not spellings:
                unread.append(file)
            continue
        known.add(version)
        there = version <= highest if latest else version in numbers
        if not there and not spellings:
            unapplied.append((version, file))
    foreign = [text for text, version in versions.items() if text not in named and version not in known]
    return Standing(tuple(file for _, file in sorted(unapplied)), tuple(foreign), tuple(unread))


def _number(text: str) -> Version | None:
    return tuple(int(part) for part in text.split(".")) if re.fullmatch(r"\d+(\.\d+)*", text) else None


def _base(file: str) -> str:
    return file.rpartition("/")[2]
