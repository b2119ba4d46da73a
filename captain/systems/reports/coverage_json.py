"""coverage.py's JSON: how much of the code the tests ran."""

from __future__ import annotations

from captain.systems.report_shapes import json_of, mapping, moment, number, text, whole
from captain.systems.reports import Asked, Facts, reads


@reads("coverage-json")
def read(data: bytes, _: Asked) -> Facts:
    """100 % of no statement is nothing."""
    report = mapping(json_of(data), "it")
    meta, totals = mapping(report.get("meta"), "meta"), mapping(report.get("totals"), "totals")
    statements = whole(totals.get("num_statements"), "totals.num_statements")
    facts = Facts("coverage.py", text(meta.get("version")), created=moment(meta.get("timestamp")), problems=None)
    facts.examined = statements
    if not statements:
        facts.refused = "it knows no statement: nothing was measured"
        return facts
    percent = number(totals.get("percent_covered"), "totals.percent_covered")
    if percent > 100:
        raise ValueError("totals.percent_covered is above 100")
    facts.observed["percent"] = percent
    return facts
