"""junit: the result of a check as CI servers read it, a suite per section and a case per step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from captain.exports import mark, report
from captain.safe import safe

_SKIPPED = ("excused", "waived", "waits")


@report("junit", suffix=".xml")
def write(result: Mapping[str, Any]) -> bytes:
    """Failed blockers are failures, what could not be told is an error, what nobody measured is skipped.

    A warning or informative step that failed is a skipped case with its message: it does not turn a build red.
    """
    from junitparser import JUnitXml, TestSuite

    xml: Any = JUnitXml(f"captain {safe(result['checklist']['id'])}")
    for section in result["sections"]:
        suite = TestSuite(safe(section["id"]))
        for name in ("run", "service", "environment", "verdict"):
            suite.add_property(name, safe(result[name] or ""))
        suite.add_property("version", safe(result["release"]["version"] or ""))
        suite.timestamp = result["started_at"]
        for step in section["steps"]:
            suite.add_testcase(_case(section, step))
        xml.add_testsuite(suite)
    xml.update_statistics()
    # A runner that shows it finds no command to itself in it.
    written: bytes = xml.tostring().replace(b"##", b"#&#35;")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + written + b"\n"


def _case(section: Mapping[str, Any], step: Mapping[str, Any]) -> Any:
    from junitparser import Error, Failure, Skipped, TestCase

    case = TestCase(safe(step["id"]), classname=safe(section["id"]), time=(step["duration_ms"] or 0) / 1000)
    message = safe(step["message"])
    lines = [f"{step['title']}: {step['verdict']}", *(_condition(one) for one in step["conditions"])]
    found = mark(step)
    if found in _SKIPPED:
        case.result = [Skipped(f"{step['state']}: {message}")]
    elif found in ("fail", "unknown"):
        if step["severity"] != "blocker" and step["unmet"] is None:
            case.result = [Skipped(f"{step['severity']} {found}: {message}")]
        else:
            problem = (Failure if found == "fail" else Error)(message, type_=found)
            problem.text = "\n".join(safe(line) for line in lines)
            case.result = [problem]
    if found == "warn":
        case.system_out = f"warn: {message}"
    return case


def _condition(one: Mapping[str, Any]) -> str:
    return f"{one['verdict']}  {one['expect']}  {one['resolved']}"
