"""Locust's --csv, the file ending in _stats.csv, whose row Aggregated is the sum of all.

Locust writes it every second and may end before the last requests are in it; --json has all of them.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping

from captain.safe import safe
from captain.systems.report_shapes import milliseconds, number, whole
from captain.systems.reports import LIMIT, Asked, Facts, reads

_TIMES = {"p50": "50%", "p90": "90%", "p95": "95%", "p99": "99%", "slowest": "Max Response Time"}
_MOST_ROWS = 10_000


@reads("locust-csv")
def read(data: bytes, _: Asked) -> Facts:
    """Without the row Aggregated the file is not whole: it is written last."""
    try:
        table = csv.DictReader(io.StringIO(data[:LIMIT].decode("utf-8-sig")), strict=True)
        rows = [row for row, _ in zip(table, range(_MOST_ROWS), strict=False)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"it is no CSV: {safe(error, 200)}") from error
    if not {"Name", "Request Count", "Failure Count"} <= {*(table.fieldnames or ())}:
        raise ValueError("it has no columns Name, Request Count and Failure Count")
    total = next((row for row in reversed(rows) if row["Name"] == "Aggregated" and not row.get("Type")), None)
    if total is None:
        raise ValueError("it has no row Aggregated")
    facts = Facts("locust")
    requests, errors = _count(total, "Request Count"), _count(total, "Failure Count")
    facts.examined, facts.problems = requests, errors
    if not requests:
        facts.refused = "it counts no request: nothing was loaded"
        return facts
    facts.put({"requests": requests, "errors": errors, "error_ratio": errors / requests})
    facts.put({name: milliseconds(at, key) for name, key in _TIMES.items() if (at := _number(total, key)) is not None})
    facts.put({"rps": _number(total, "Requests/s")})
    facts.notes.append("the last second of the run may be missing in Locust's CSV: format: locust (--json) has all")
    facts.details = [
        f"failed {row['Failure Count']} of {row['Request Count']} {safe(row['Name'], 300)}"
        for row in rows
        if row is not total and safe(row["Failure Count"], 20).strip("0")
    ]
    return facts


def _count(row: Mapping[str, str | None], name: str) -> int:
    written = row.get(name) or ""
    return whole(int(written) if written.isdecimal() and len(written) < 15 else None, name)


def _number(row: Mapping[str, str | None], name: str) -> float | None:
    written = row.get(name)
    if written in (None, "", "N/A"):
        return None
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    return number(value, name)
