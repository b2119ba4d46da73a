"""SARIF 2.1.0, which CodeQL, Semgrep, Grype, osv-scanner, Trivy and others write."""

from __future__ import annotations

import math
from typing import Any

from captain.systems.report_shapes import json_of, mapping, mappings, maybe_mapping, moment, text
from captain.systems.reports import Asked, Facts, Finding, Image, Severity, reads

_LEVELS = ("error", "warning", "note", "none")
_BANDS: tuple[tuple[float, Severity], ...] = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.0, "low"))
_HIGH = 7.0
_NO_FINDINGS = ("pass", "notApplicable", "informational")


@reads("sarif")
def read(data: bytes, _: Asked) -> Facts:
    """Absent results are a tool that did not look; an empty list is one that found nothing."""
    report = mapping(json_of(data), "it")
    if report.get("version") != "2.1.0":
        raise ValueError("version is not 2.1.0")
    runs = mappings(report.get("runs"), "runs")
    drivers = [mapping(mapping(run.get("tool"), "tool").get("driver"), "tool.driver") for run in runs]
    facts = Facts(
        ", ".join(dict.fromkeys(text(one.get("name")) for one in drivers)),
        ", ".join(dict.fromkeys(text(one.get("semanticVersion") or one.get("version")) for one in drivers)),
        examined=len(runs),
        levels=True,
        fixes=False,
    )
    if not runs:
        facts.refused = "it has no runs: nothing was scanned"
    invocations = [one for run in runs for one in mappings(run.get("invocations"), "invocations")]
    if invocations:
        facts.observed["execution_successful"] = all(one.get("executionSuccessful") is True for one in invocations)
    ends = [at for one in invocations if (at := moment(one.get("endTimeUtc"))) is not None]
    facts.created = min(ends, key=lambda at: at.isoformat(), default=None)
    facts.image, facts.commit = _bound(runs)
    scores: list[float] = []
    findings = facts.findings = []
    for run, driver in zip(runs, drivers, strict=True):
        facts.refused = facts.refused or _why_not(run, text(driver.get("name")))
        rules = _Rules(run, driver)
        for result in mappings(run.get("results"), "results"):
            if result.get("kind", "fail") in _NO_FINDINGS or result.get("baselineState") == "absent":
                continue
            finding, score = _finding(result, rules)
            findings.append(finding)
            if score is not None and not finding.suppressed:
                scores.append(score)
    if scores:
        facts.observed["max_security_severity"] = max(scores)
    return facts


def _why_not(run: dict[str, Any], name: str) -> str | None:
    """Why a run did not do its work, or None."""
    for one in mappings(run.get("invocations"), "invocations"):
        if one.get("executionSuccessful") is not True:
            return f"{name} says that its run was not successful"
        for key in ("toolExecutionNotifications", "toolConfigurationNotifications"):
            for said in mappings(one.get(key), key):
                if said.get("level") == "error":
                    told = text(maybe_mapping(said.get("message"), "message").get("text"))
                    return f"{name} met an error: {told or 'without a word'}"
    return f"{name} has no results: it did not look" if run.get("results") is None else None


def _bound(runs: list[dict[str, Any]]) -> tuple[Image | None, str | None]:
    """What the runs say of image and commit, where all that say something agree."""
    commits = {
        text(one.get("revisionId"))
        for run in runs
        for one in mappings(run.get("versionControlProvenance"), "versionControlProvenance")
    } - {""}
    images = []
    for run in runs:
        said = maybe_mapping(run.get("properties"), "properties")
        if text(said.get("imageName")):
            names = {
                key: tuple(one for one in said[key] if isinstance(one, str))
                for key in ("repoDigests", "repoTags")
                if isinstance(said.get(key), list)
            }
            images.append(
                Image(
                    text(said["imageName"]),
                    text(said.get("imageID")),
                    names.get("repoDigests", ()),
                    names.get("repoTags", ()),
                )
            )
    whole = len(images) == len(runs) and len(set(images)) == 1
    return images[0] if whole else None, commits.pop() if len(commits) == 1 else None


class _Rules:
    """The rules of a run, by id and by index."""

    def __init__(self, run: dict[str, Any], driver: dict[str, Any]) -> None:
        extensions = mappings(mapping(run.get("tool"), "tool").get("extensions"), "extensions")
        self._driver = mappings(driver.get("rules"), "rules")
        self._extensions = [mappings(one.get("rules"), "rules") for one in extensions]
        self._by_id: dict[str, dict[str, Any]] = {}
        for rule in [*self._driver, *(rule for some in self._extensions for rule in some)]:
            self._by_id.setdefault(text(rule.get("id")), rule)

    def of(self, result: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The id that a result names, and its rule, empty where there is none."""
        reference = maybe_mapping(result.get("rule"), "rule")
        name = text(result.get("ruleId")) or text(reference.get("id"))
        if name in self._by_id:
            return name, self._by_id[name]
        if name and (parent := name.rpartition("/")[0]) in self._by_id:
            return name, self._by_id[parent]
        rules = self._driver
        component = maybe_mapping(reference.get("toolComponent"), "toolComponent").get("index")
        if isinstance(component, int) and 0 <= component < len(self._extensions):
            rules = self._extensions[component]
        index = result.get("ruleIndex", reference.get("index"))
        if isinstance(index, int) and 0 <= index < len(rules):
            return name or text(rules[index].get("id")), rules[index]
        return name, {}


def _finding(result: dict[str, Any], rules: _Rules) -> tuple[Finding, float | None]:
    name, rule = rules.of(result)
    default = maybe_mapping(rule.get("defaultConfiguration"), "defaultConfiguration").get("level")
    level = next((one for one in (result.get("level"), default) if one in _LEVELS), "warning")
    score = _score(result, rule)
    severity = "unknown" if score is None else next(band for least, band in _BANDS if score >= least)
    return (
        Finding(
            "result",
            ((name,),),
            _place(result),
            level == "error" or (score is not None and score >= _HIGH),
            severity=severity,
            level=level,
            suppressed=_suppressed(result),
        ),
        score,
    )


def _score(result: dict[str, Any], rule: dict[str, Any]) -> float | None:
    """CVSS as a text, of the result or else of its rule."""
    for one in (result, rule):
        said = maybe_mapping(one.get("properties"), "properties").get("security-severity")
        try:
            score = float(said) if isinstance(said, str | int | float) and not isinstance(said, bool) else math.nan
        except ValueError:
            continue
        if 0 <= score <= 10:
            return score
    return None


def _suppressed(result: dict[str, Any]) -> bool:
    """Accepted by somebody, and by nobody rejected or still looked at."""
    said = [one.get("status", "accepted") for one in mappings(result.get("suppressions"), "suppressions")]
    return bool(said) and all(one == "accepted" for one in said)


def _place(result: dict[str, Any]) -> str:
    for one in mappings(result.get("locations"), "locations"):
        physical = maybe_mapping(one.get("physicalLocation"), "physicalLocation")
        file = text(maybe_mapping(physical.get("artifactLocation"), "artifactLocation").get("uri"))
        line = maybe_mapping(physical.get("region"), "region").get("startLine")
        if file:
            return f"{file}:{line}" if isinstance(line, int) else file
    return "no place"
