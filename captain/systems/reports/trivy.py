"""Trivy's JSON, schema 2: vulnerabilities, misconfigurations and secrets of an image, a folder or a repository."""

from __future__ import annotations

from typing import Any

from captain.systems.report_shapes import json_of, mapping, mappings, maybe_mapping, moment, text
from captain.systems.reports import SEVERITIES, Asked, Facts, Finding, Image, Severity, reads

_PACKAGES = ("os-pkgs", "lang-pkgs")
_REVISION = "org.opencontainers.image.revision"


@reads("trivy")
def read(data: bytes, _: Asked) -> Facts:
    """Absent Results are what Trivy writes where it knew nothing to scan."""
    report = mapping(json_of(data), "it")
    if report.get("SchemaVersion") != 2 or isinstance(report["SchemaVersion"], bool):
        raise ValueError("SchemaVersion is not 2")
    if not text(report.get("ArtifactName")):
        raise ValueError("ArtifactName is missing")
    results = mappings(report.get("Results"), "Results")
    meta = maybe_mapping(report.get("Metadata"), "Metadata")
    facts = Facts(
        "trivy",
        text(maybe_mapping(report.get("Trivy"), "Trivy").get("Version")),
        created=moment(report.get("CreatedAt")),
        image=_image(report, meta),
        commit=_commit(meta),
        examined=len(results),
        secrets=True,
        findings=[finding for result in results for finding in _findings(result)],
    )
    if not results:
        facts.refused = "it has no Results: nothing was scanned"
        return facts
    if not any(result.get("Class") in _PACKAGES or result.get("Vulnerabilities") for result in results):
        facts.vulnerabilities = False
        facts.notes.append("it has no Results of packages: nothing was looked up for vulnerabilities")
    facts.misconfigurations = any(result.get("Class") == "config" for result in results)
    system = maybe_mapping(meta.get("OS"), "Metadata.OS")
    facts.observed["os_eosl"] = False
    if system:
        eosl = system.get("EOSL", False) is not False
        facts.observed["os_eosl"] = eosl
        facts.problems = int(eosl)
        if facts.vulnerabilities and not any(result.get("Class") == "os-pkgs" for result in results):
            facts.incomplete = "it names the system in the image and has no Results of its packages"
        if eosl:
            facts.notes.append("the system in the image is past its end of life: nobody looks for its weaknesses")
    return facts


def _image(report: dict[str, Any], meta: dict[str, Any]) -> Image:
    def listed(name: str) -> tuple[str, ...]:
        value = meta.get(name)
        return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()

    return Image(text(report["ArtifactName"]), text(meta.get("ImageID")), listed("RepoDigests"), listed("RepoTags"))


def _commit(meta: dict[str, Any]) -> str | None:
    config = maybe_mapping(meta.get("ImageConfig"), "Metadata.ImageConfig")
    labels = maybe_mapping(maybe_mapping(config.get("config"), "ImageConfig.config").get("Labels"), "Labels")
    return text(meta.get("Commit")) or text(labels.get(_REVISION)) or None


def _findings(result: dict[str, Any]) -> list[Finding]:
    target = text(result.get("Target"))
    found = []
    for one in mappings(result.get("Vulnerabilities"), "Vulnerabilities"):
        severity, fixed = _severity(one), text(one.get("FixedVersion"))
        package = text(one.get("PkgName"))
        found.append(
            Finding(
                "vulnerability",
                ((text(one.get("VulnerabilityID")),),),
                f"{package} {text(one.get('InstalledVersion'))} in {target}",
                severity in ("critical", "high"),
                package,
                severity,
                bool(fixed),
            )
        )
    for one in mappings(result.get("Misconfigurations"), "Misconfigurations"):
        if one.get("Status", "FAIL") == "FAIL":
            severity = _severity(one)
            names = tuple(name for key in ("ID", "AVDID") if (name := text(one.get(key))))
            blocking = severity in ("critical", "high")
            found.append(Finding("misconfiguration", (names,), target, blocking, severity=severity))
    for one in mappings(result.get("Secrets"), "Secrets"):
        where = f"{target}:{one.get('StartLine') if isinstance(one.get('StartLine'), int) else '?'}"
        found.append(Finding("secret", ((text(one.get("RuleID")),),), where, True, severity=_severity(one)))
    return found


def _severity(one: dict[str, Any]) -> Severity:
    """Trivy gives every finding one of these words: another would be counted as no high one."""
    said = text(one.get("Severity"))
    severity = next((name for name in SEVERITIES if name == said.lower()), None)
    if severity is None:
        raise ValueError(f"a finding has the severity {said or '(none)'}, which Trivy does not know")
    return severity
