"""JUnit's XML, as pytest, vitest, Maven and others write it: every test case counted, its attributes not believed."""

from __future__ import annotations

import math
from datetime import timedelta

from captain.documents.xml_text import Element, parse_xml
from captain.safe import safe
from captain.systems.report_shapes import moment
from captain.systems.reports import Asked, Facts, reads

_COMMIT = ("git.sha", "git.commit", "git_commit", "git.commit.id", "commit", "commit.sha", "revision", "ci.commit")
_FAILED = ("failure", "rerunfailure")


@reads("junit")
def read(data: bytes, asked: Asked) -> Facts:
    """Elements below a test case decide; what the suites count is only held beside them."""
    if not data.strip():
        raise ValueError("it is empty")
    root = parse_xml(data)
    if root.name not in ("testsuites", "testsuite"):
        raise ValueError(f"it begins with {safe(root.name, 60)}, not with testsuites")
    suites = [*([root] if root.name == "testsuite" else []), *root.all("testsuite")]
    counts = {"passed": 0, "failed": 0, "errors": 0, "skipped": 0}
    cases, names, seconds = 0, list[str](), 0.0
    for case in root.all("testcase"):
        cases += 1
        name = f"{case.attributes.get('classname', '')}.{case.attributes.get('name', '')}".lstrip(".")
        if asked.chosen is not None and not asked.chosen(name):
            continue
        how = _outcome(case)
        counts[how] += 1
        seconds += _seconds(case.attributes.get("time", "0"))
        if how in ("failed", "errors"):
            names.append(safe(name, 300))
    # A suite that broke before its first test says so without a test case.
    broken = sum(child.name in ("error", "failure") for suite in suites for child in suite.children)
    counts["errors"] += broken
    tests = sum(counts.values()) - broken
    facts = Facts("junit", examined=tests - counts["skipped"], problems=counts["failed"] + counts["errors"], parts=True)
    facts.observed = {"tests": tests, **counts, "failed_names": [*names[:100]]}
    facts.observed["duration"] = timedelta(seconds=min(seconds, 1e9))
    if tests:
        facts.observed["skipped_ratio"] = counts["skipped"] / tests
    moments = [at for suite in suites if (at := moment(suite.attributes.get("timestamp"))) is not None]
    facts.created = min(moments, key=lambda at: at.isoformat(), default=None)
    facts.commit = _commit(root)
    facts.details = [f"failed {name}" for name in names]
    said, said_failed = _said(suites, "tests"), _said(suites, "failures", "errors")
    if said is not None and said != cases:
        facts.notes.append(f"its suites count {said} tests, {cases} test cases are in it")
    if asked.chosen is None and (said_failed or 0) > counts["failed"] + counts["errors"]:
        facts.incomplete = f"its suites count {said_failed} failures that are not all in it"
        facts.observed = {name: value for name, value in facts.observed.items() if name not in ("failed", "errors")}
    return facts


def _outcome(case: Element) -> str:
    below = {child.name.lower() for child in case.children}
    if below & {"error", "rerunerror"}:
        return "errors"
    if below & {*_FAILED}:
        return "failed"
    return "skipped" if "skipped" in below else "passed"


def _seconds(written: str) -> float:
    try:
        value = float(written.replace(",", ""))
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value >= 0 else 0.0


def _commit(root: Element) -> str | None:
    """The commit that properties of suites name, where they name one and the same."""
    found = {
        (one.attributes.get("value") or "").strip()
        for one in root.all("property")
        if one.attributes.get("name", "").lower() in _COMMIT
    } - {""}
    return safe(found.pop(), 100) if len(found) == 1 else None


def _said(suites: list[Element], *names: str) -> int | None:
    """What the innermost suites count themselves, None where one does not."""
    said = 0
    for suite in suites:
        if any(child.name == "testsuite" for child in suite.children):
            continue
        for name in names:
            written = suite.attributes.get(name, "")
            if not written.isdecimal() or len(written) > 9:
                return None
            said += int(written)
    return said
