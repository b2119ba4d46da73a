"""npm's audit JSON, version 2: vulnerable packages, each with what makes it so."""

from __future__ import annotations

from typing import Any

from captain.systems.report_shapes import json_of, mapping, maybe_mapping, rows, text, whole
from captain.systems.reports import Asked, Facts, Finding, Severity, reads

_SEVERITIES: dict[str, Severity] = {
    "critical": "critical",
    "high": "high",
    "moderate": "medium",
    "low": "low",
    "info": "low",
}
_MOST_STEPS = 10_000


@reads("npm-audit")
def read(data: bytes, _: Asked) -> Facts:
    """A registry that knows no advisories gives the report of a clean project, or an error with the same exit code."""
    report = mapping(json_of(data), "it")
    if "auditReportVersion" not in report and ("error" in report or "statusCode" in report):
        said = maybe_mapping(report.get("error"), "error") if not isinstance(report.get("error"), str) else {}
        status = report.get("statusCode")
        why = text(report.get("message")) or text(said.get("summary")) or text(said.get("code")) or "it names no reason"
        told = why if status is None or str(status) in why else f"{status} {why}"
        return Facts("npm", findings=[], refused=f"the audit did not run: {told}")
    if report.get("auditReportVersion") != 2:
        raise ValueError("auditReportVersion is not 2 (npm 7 and later write it)")
    meta = mapping(report.get("metadata"), "metadata")
    counted = mapping(meta.get("vulnerabilities"), "metadata.vulnerabilities")
    packages = mapping(report.get("vulnerabilities"), "vulnerabilities")
    total = maybe_mapping(meta.get("dependencies"), "metadata.dependencies").get("total")
    facts = Facts(
        "npm",
        examined=None if total is None else whole(total, "metadata.dependencies.total"),
        findings=[_finding(name, one, packages) for name, one in packages.items()],
    )
    if not facts.examined:
        facts.refused = "it names no dependencies: nothing was scanned"
    elif whole(counted.get("total"), "metadata.vulnerabilities.total") != len(packages):
        facts.refused = f"it lists {len(packages)} packages and counts {counted['total']}: it is not whole"
    elif not packages:
        facts.needs_canary = True
    return facts


def _finding(name: str, one: Any, packages: dict[str, Any]) -> Finding:
    package = mapping(one, f"vulnerabilities.{text(name)}")
    severity = _SEVERITIES.get(text(package.get("severity")))
    if severity is None:
        raise ValueError(f"{text(name)} has a severity that npm does not know")
    return Finding(
        "vulnerability",
        tuple(_advisories(name, packages)),
        f"{text(name)} {text(package.get('range'))}",
        severity in ("critical", "high"),
        text(name),
        severity,
        package.get("fixAvailable", False) is not False,
    )


def _advisories(name: str, packages: dict[str, Any]) -> list[tuple[str, ...]]:
    """What makes a package vulnerable, also by way of those it needs."""
    found: dict[tuple[str, ...], None] = {}
    rest, seen = [name], {name}
    for _ in range(_MOST_STEPS):
        if not rest:
            break
        package = packages.get(rest.pop())
        for via in rows(package.get("via"), "via") if isinstance(package, dict) else ():
            if isinstance(via, dict):
                url = text(via.get("url"))
                names = [url.rpartition("/")[2], url, str(via.get("source", ""))]
                found[tuple(one for one in names if one)] = None
            elif isinstance(via, str) and via not in seen:
                seen.add(via)
                rest.append(via)
    return [*found]
