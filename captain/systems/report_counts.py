"""What a report's findings amount to once waivers and the canary are taken out. Pure; gives no verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from captain.measurement import Value
from captain.safe import safe
from captain.systems.reports import SEVERITIES, Facts, Finding

_KEPT_OF_REFUSED = ("execution_successful", "skipped")


@dataclass(frozen=True, slots=True)
class Waiver:
    """A finding that somebody accepts for a while."""

    name: str
    reason: str
    until: date
    """The last day."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What conditions and people see of one report."""

    observed: dict[str, Value]
    lines: list[str]
    """The findings, for evidence."""
    notes: list[str]


def counted(facts: Facts, waivers: Sequence[Waiver], today: date, canary: str | None, *, proven: bool) -> Counted:
    """Counts of what is left; a zero that proves nothing is left out.

    `canary` is what the report itself holds to be found, None where there is none; `proven`: a canary was found.
    """
    notes = [*facts.notes]
    if facts.refused is not None:
        kept = {name: value for name, value in facts.observed.items() if name in _KEPT_OF_REFUSED}
        return Counted({**kept, "error": facts.refused}, [*facts.details], [facts.refused, *notes])
    observed = {"examined": facts.examined, **facts.observed}
    if facts.findings is None:
        observed["problems"] = facts.problems
        if facts.incomplete is not None:
            notes.insert(0, facts.incomplete)
            observed["problems"] = facts.problems or None
        return Counted(_said(observed), [*facts.details], notes)
    all_of_them = [one for one in facts.findings if canary is None or not is_canary(one, canary)]
    active = {one.name.lower() for one in waivers if today <= one.until}
    left = [one for one in all_of_them if not one.suppressed and not _waived(one, active)]
    notes += _of_waivers(waivers, facts.findings, today)
    incomplete = facts.incomplete
    if facts.needs_canary and not proven and not all_of_them:
        incomplete = "a registry without advisories gives the same report as a clean project: give a canary"
    counts = _counts(facts, left)
    blocking = sum(one.blocking for one in left)
    counts["problems"] = blocking + (facts.problems or 0) if facts.problems is not None or blocking else None
    if incomplete is not None:
        notes.insert(0, f"finding nothing proves nothing here: {incomplete}")
        counts = {name: value or None for name, value in counts.items()}
    observed |= counts
    observed["waived"] = _number(all_of_them, lambda one: _waived(one, active))
    lines = [_line(one, _how(one, active)) for one in sorted(all_of_them, key=_rank)]
    return Counted(_said(observed), [*facts.details, *lines], notes)


def is_canary(finding: Finding, canary: str) -> bool:
    """Whether it is the package or weakness that was put there to be found."""
    names = {name.lower() for names in finding.advisories for name in names} | {finding.package.lower()}
    return canary.lower() in names


def together(several: Sequence[Facts]) -> Facts:
    """The parts of one run of tests as one report."""
    if len(several) == 1:
        return several[0]
    made = Facts(several[0].tool, several[0].tool_version, parts=True)
    made.examined = sum(one.examined or 0 for one in several)
    made.problems = sum(one.problems or 0 for one in several)
    made.incomplete = next((one.incomplete for one in several if one.incomplete), None)
    made.details = [line for one in several for line in one.details]
    made.notes = [*dict.fromkeys(note for one in several for note in one.notes)]
    for name in ("tests", "passed", "failed", "errors", "skipped"):
        values = [value for one in several if isinstance(value := one.observed.get(name), int)]
        if len(values) == len(several):
            made.observed[name] = sum(values)
    names = [name for one in several if isinstance(some := one.observed.get("failed_names"), list) for name in some]
    lasted = [one.observed.get("duration") for one in several]
    made.observed["failed_names"] = names[:100]
    made.observed["duration"] = sum((one for one in lasted if isinstance(one, timedelta)), timedelta(0))
    tests, skipped = made.observed.get("tests"), made.observed.get("skipped")
    if isinstance(tests, int) and isinstance(skipped, int) and tests:
        made.observed["skipped_ratio"] = skipped / tests
    return made


def _counts(facts: Facts, left: Sequence[Finding]) -> dict[str, Value]:
    weak = [one for one in left if one.kind in ("vulnerability", "result")]
    counts: dict[str, Value] = {}
    if facts.vulnerabilities:
        counts["total"] = len(weak)
        if facts.severities:
            of_severity = Counter(one.severity for one in weak)
            counts |= {name: of_severity[name] for name in SEVERITIES}
            if facts.levels and counts["unknown"]:
                counts = {name: value or None for name, value in counts.items()}
                counts["total"] = len(weak)
        if facts.fixes:
            fixable = Counter(one.severity for one in weak if one.fixable)
            counts["fixable"] = fixable.total()
            if facts.severities:
                counts |= {"fixable_critical": fixable["critical"], "fixable_high": fixable["high"]}
    if facts.levels:
        counts["errors"] = _number(left, lambda one: one.level == "error")
        counts["warnings"] = _number(left, lambda one: one.level == "warning")
        counts["suppressed"] = _number(facts.findings or (), lambda one: one.suppressed)
    if facts.secrets:
        counts["secrets"] = _number(left, lambda one: one.kind == "secret")
    if facts.misconfigurations:
        counts["misconfig_high"] = _number(left, lambda one: one.kind == "misconfiguration" and one.blocking)
    return counts


def _number(findings: Iterable[Finding], meant: Callable[[Finding], bool]) -> int:
    return sum(meant(one) for one in findings)


def _said(observed: dict[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in observed.items() if value is not None}


def _waived(finding: Finding, active: set[str]) -> bool:
    """Every one of the weaknesses it rests on must be waived, under any of its names."""
    return bool(finding.advisories) and all(
        any(name.lower() in active for name in names) for names in finding.advisories
    )


def _of_waivers(waivers: Sequence[Waiver], findings: Sequence[Finding], today: date) -> list[str]:
    known = {name.lower() for one in findings for names in one.advisories for name in names}
    notes = []
    for waiver in waivers:
        name = safe(waiver.name, 100)
        if waiver.name.lower() not in known:
            notes.append(f"ignore names {name}, which is not in the report")
        elif today > waiver.until:
            notes.append(f"{name} counts again: it was ignored until {waiver.until.isoformat()}")
    return notes


def _how(finding: Finding, active: set[str]) -> str:
    return "waived" if _waived(finding, active) else "accepted in the report" if finding.suppressed else ""


def _rank(finding: Finding) -> tuple[bool, int]:
    return not finding.blocking, SEVERITIES.index(finding.severity) if finding.severity else len(SEVERITIES)


def _line(finding: Finding, how: str) -> str:
    names = ", ".join("/".join(some) for some in finding.advisories[:5])
    fixed = {True: "fixed version is out", False: "no fixed version", None: ""}[finding.fixable]
    said = (finding.severity or "", finding.kind, names, finding.where, fixed, how)
    return safe("  ".join(one for one in said if one), 500)
