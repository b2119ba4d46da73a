"""pip-audit's JSON: packages with their vulnerabilities. It knows no severities, so every one counts."""

from __future__ import annotations

from captain.systems.report_shapes import json_of, mapping, mappings, rows, text
from captain.systems.reports import Asked, Facts, Finding, reads


@reads("pip-audit")
def read(data: bytes, _: Asked) -> Facts:
    """A package that was skipped is one of which nothing is known, though the program ends with 0."""
    report = mapping(json_of(data), "it")
    if "dependencies" not in report:
        raise ValueError("it has no dependencies")
    packages = mappings(report["dependencies"], "dependencies")
    skipped = [one for one in packages if "skip_reason" in one or "vulns" not in one]
    facts = Facts("pip-audit", examined=len(packages) - len(skipped), severities=False)
    facts.observed["skipped"] = len(skipped)
    facts.details = [f"skipped {text(one.get('name'))}: {text(one.get('skip_reason'))}" for one in skipped]
    if not packages or len(skipped) == len(packages):
        facts.refused = "it lists no package that was looked up: nothing was scanned"
    elif skipped:
        names = ", ".join(text(one.get("name")) for one in skipped[:5])
        facts.incomplete = f"{len(skipped)} of {len(packages)} packages were skipped: {names}"
    facts.findings = [
        Finding(
            "vulnerability",
            (tuple(text(name) for name in (one.get("id"), *rows(one.get("aliases"), "aliases")) if text(name)),),
            f"{text(package.get('name'))} {text(package.get('version'))}",
            True,
            text(package.get("name")),
            fixable=bool(rows(one.get("fix_versions"), "fix_versions")),
        )
        for package in packages
        for one in mappings(package.get("vulns"), "vulns")
    ]
    return facts
