"""size-limit's --json: bundles with their size and whether it is within the limit."""

from __future__ import annotations

from captain.systems.report_shapes import json_of, mappings, text, truth, whole
from captain.systems.reports import Asked, Facts, reads


@reads("size-limit")
def read(data: bytes, _: Asked) -> Facts:
    """A bundle without a limit is none that passed."""
    document = json_of(data)
    if isinstance(document, dict) and "error" in document:
        return Facts("size-limit", refused=f"size-limit did not run: {text(document['error']) or 'it names no reason'}")
    if not isinstance(document, list):
        raise ValueError("it is no list")
    bundles = mappings(document, "it")
    if any("sizeLimit" in one and "passed" not in one for one in bundles):
        raise ValueError("of a bundle with a limit it does not say whether it passed")
    limited = [one for one in bundles if "passed" in one]
    failed = [text(one.get("name")) for one in limited if not truth(one["passed"], "passed")]
    facts = Facts("size-limit", examined=len(limited), problems=len(failed))
    if not limited:
        facts.refused = "it lists no bundle with a limit: nothing was held to one"
        return facts
    facts.observed = {"passed": len(limited) - len(failed), "failed": len(failed), "failed_names": [*failed[:100]]}
    facts.put({"max_size": max((whole(one["size"], "size") for one in bundles if "size" in one), default=None)})
    facts.details = [f"{text(one.get('name'))}: {one.get('size')} of {one.get('sizeLimit')} bytes" for one in bundles]
    if len(limited) < len(bundles):
        facts.notes.append(f"{len(bundles) - len(limited)} bundles have no limit")
    return facts
