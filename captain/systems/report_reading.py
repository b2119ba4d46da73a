"""Reads reports of one format and says how old each is. Blocks; gives no verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from captain.errors import ProbeError, UsageError
from captain.safe import safe
from captain.systems.patterns import finder
from captain.systems.report_age import age
from captain.systems.report_files import Document, document, matching
from captain.systems.reports import LIMIT, Asked, Facts, reports
from captain.systems.rests import Reports, listing


@dataclass(frozen=True, slots=True)
class Read:
    """One report and what it says."""

    document: Document
    facts: Facts
    age: timedelta | None
    """Time since it was written, None where that is not known."""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reading:
    """How reports are read at one moment."""

    root: Path
    """The folder of captain.yaml."""
    format: str
    now: datetime
    limit: timedelta
    """How old a report may be."""
    commit: str | None = None
    """The commit that is asked for."""
    filter: str | None = None
    first_load: str | None = None

    def one(self, given: Document) -> Read:
        """What a document says. Raises ProbeError where it is not of the format."""
        reader = reports.find(self.format)
        if reader is None:
            raise ProbeError(f"report: {safe(self.format, 60)} is no format")
        chosen: Callable[[str], bool] | None = None
        if self.filter is not None:
            try:
                chosen = partial(_chosen, finder(self.filter))
            except UsageError as error:
                raise ProbeError(f"report: filter {error.message}") from error
        first = None if self.first_load is None else self.beside(self.first_load).data
        try:
            facts = reader(given.data, Asked(chosen, first))
        except (ValueError, RecursionError) as error:
            raise ProbeError(
                f"report {safe(given.name, 200)}: is no whole {self.format} report: {safe(error, 300)}",
                fault="unclear",
                hint="check `format`, and whether the job that writes it came to its end",
            ) from error
        lasted, notes = age(facts.created, given.modified, self.now)
        return Read(given, facts, lasted, notes)

    def newest(self, pattern: str) -> Read | None:
        """The newest file that is meant, None where there is none. Raises ProbeError."""
        paths = matching(self.root, pattern)
        return self.one(document(self.root, paths[0])) if paths else None

    def of_files(self, pattern: str) -> list[Read]:
        """The newest file that is meant; of formats with several parts all that are young and of no other commit."""
        paths = matching(self.root, pattern)
        if not paths:
            return []
        newest = self.one(document(self.root, paths[0]))
        if not newest.facts.parts:
            if len(paths) > 1:
                newest.notes.append(f"{len(paths)} files are meant, the newest was read: {newest.document.name}")
            return [newest]
        left, read = LIMIT - len(newest.document.data), [newest]
        for path in paths[1:]:
            part = document(self.root, path, left)
            left -= len(part.data)
            read.append(self.one(part))
        young = [one for one in read if self.young(one)] or [newest]
        own = [one for one in young if of_commit(one.facts, self.commit) is not False] or young
        if len(own) < len(read):
            own[0].notes.append(f"{len(read) - len(own)} of {len(read)} files are too old or of another commit")
        return own

    def watched(self, *patterns: str | None) -> tuple[str, ...]:
        """The files that these mean, as items of `captain.systems.rests`. Raises ProbeError."""
        items: list[str] = []
        for pattern in patterns:
            if pattern is not None:
                paths = matching(self.root, pattern)
                items.append(Reports(pattern, listing(str(path) for path in paths)).item)
                items += [f"file {_relative(path, self.root)}" for path in paths]
        return tuple(dict.fromkeys(items))

    def young(self, one: Read) -> bool:
        """Whether it is known to be no older than it may be."""
        return one.age is not None and one.age <= self.limit

    def beside(self, path: str) -> Document:
        """A file that helps to understand a report. Raises ProbeError."""
        paths = matching(self.root, path)
        if not paths:
            raise ProbeError(f"report: {safe(path, 200)} is not there", hint="check the path")
        return document(self.root, paths[0])


def _relative(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path


def of_commit(facts: Facts, wanted: str | None) -> bool | None:
    """Whether a report is of a commit, None where it names none that can be compared."""
    named = facts.commit or ""
    size = min(len(wanted or ""), len(named))
    if wanted is None or size < 7 or not named.isalnum():
        return None
    return wanted[:size].lower() == named[:size].lower()


def _chosen(find: Callable[[str], object], name: str) -> bool:
    return find(name) is not None
