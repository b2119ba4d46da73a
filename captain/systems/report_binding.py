"""Whether reports are about what is asked for: artifact, commit, lockfile, and a scanner that finds. No verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from captain.safe import safe
from captain.systems.report_counts import is_canary
from captain.systems.report_files import Document, digest, in_sums
from captain.systems.report_image import matches
from captain.systems.report_reading import Read, Reading, of_commit


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a report must be about; None is not asked for."""

    artifact: str | None = None
    commit: str | None = None
    lockfile: str | None = None
    sums: str | None = None
    canary: str | None = None
    canary_path: str | None = None


Bound = dict[str, bool | None]
"""By observation: whether it is so, None where that is not said."""


def bound(wanted: Wanted, read: Sequence[Read], reading: Reading) -> tuple[Bound, list[str]]:
    """What of it is so, and sentences about what is not. Blocks. Raises ProbeError."""
    found: Bound = {}
    notes: list[str | None] = []
    if wanted.artifact is not None:
        said = [matches(one.facts.image, wanted.artifact) for one in read]
        found["artifact_match"] = _all([match for match, _ in said])
        notes += dict.fromkeys(why for _, why in said)
    if wanted.commit is not None:
        found["commit_match"] = _all([of_commit(one.facts, wanted.commit) for one in read])
        named = ", ".join(sorted({one.facts.commit for one in read if one.facts.commit}))
        if found["commit_match"] is not True:
            notes.append(
                f"the report is of commit {named}, not of {wanted.commit}" if named else "the report names no commit"
            )
    if wanted.lockfile is not None and wanted.sums is not None:
        found["lockfile_match"], why = _lockfile(read[0].document, wanted.lockfile, wanted.sums, reading)
        notes.append(why)
    if wanted.canary is not None:
        found["canary_found"], why = _canary(read, wanted.canary, wanted.canary_path, reading)
        notes.append(why)
    return found, [safe(why, 500) for why in notes if why]


def _lockfile(report: Document, lockfile: str, sums: str, reading: Reading) -> tuple[bool | None, str | None]:
    listed = reading.beside(sums).data
    name = Path(urlsplit(report.name).path if "://" in report.name else report.name).name
    of_report = in_sums(listed, name)
    if of_report != report.sha256:
        how = "names another digest of this report" if of_report else "does not name this report"
        return None, f"{sums} {how}; where the scan runs: sha256sum {lockfile} {name}"
    scanned = in_sums(listed, lockfile)
    if scanned is None:
        return None, f"{sums} does not name {lockfile}"
    if scanned != digest(reading.root, lockfile):
        return False, f"{lockfile} has changed since the scan"
    return True, None


def _canary(read: Sequence[Read], canary: str, path: str | None, reading: Reading) -> tuple[bool | None, str | None]:
    own = read
    if path is not None:
        newest = reading.newest(path)
        if newest is None:
            return None, f"the canary's report {path} is not there"
        if not reading.young(newest):
            return None, f"the canary's report {newest.document.name} is too old, or of no known age"
        own = [newest]
    if any(is_canary(finding, canary) for one in own for finding in one.facts.findings or ()):
        return True, None
    return False, f"the canary {canary} was not found: the scanner knew no advisories"


def _all(said: Sequence[bool | None]) -> bool | None:
    """False where one is, else None where one is, else true."""
    return False if False in said else None if None in said else True
