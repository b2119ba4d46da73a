"""Cobertura's XML, which most coverage tools can write: how much of the code the tests ran."""

from __future__ import annotations

import math

from captain.documents.xml_text import parse_xml
from captain.safe import safe
from captain.systems.report_shapes import since_epoch
from captain.systems.reports import Asked, Facts, reads


@reads("cobertura")
def read(data: bytes, _: Asked) -> Facts:
    """All lines with a number of hits are counted; the rate that is written stands beside it."""
    if not data.strip():
        raise ValueError("it is empty")
    root = parse_xml(data)
    if root.name != "coverage":
        raise ValueError(f"it begins with {safe(root.name, 60)}, not with coverage")
    facts = Facts("cobertura", safe(root.attributes.get("version", ""), 60), problems=None)
    stamp = root.attributes.get("timestamp", "")
    if stamp.isdecimal() and len(stamp) < 16:
        # Milliseconds by the format, seconds by some tools.
        facts.created = since_epoch(int(stamp) / (1000 if len(stamp) > 11 else 1))
    lines = sum(1 for one in root.all("line") if one.attributes.get("hits", "").isdecimal())
    facts.examined = lines
    if not lines:
        facts.refused = "it knows no line: nothing was measured"
        return facts
    try:
        rate = float(root.attributes.get("line-rate", ""))
    except ValueError:
        rate = math.nan
    if not 0 <= rate <= 1:
        raise ValueError("line-rate is no part of one")
    facts.observed["percent"] = rate * 100
    return facts
