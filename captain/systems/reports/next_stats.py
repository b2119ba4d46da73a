"""Next.js's .next/diagnostics/route-bundle-stats.json, of builds with Turbopack: what each route loads first."""

from __future__ import annotations

from captain.systems.next_build import routes
from captain.systems.reports import Asked, Facts, reads


@reads("next-stats")
def read(data: bytes, _: Asked) -> Facts:
    """Bytes are uncompressed."""
    found = routes(data)
    facts = Facts("next", examined=len(found), problems=None)
    if not found:
        facts.refused = "it lists no route: nothing was built"
        return facts
    facts.observed = {
        "routes": len(found),
        "distinct_chunk_sets": len({one.chunks for one in found}),
        "max_first_load": max(one.first_load for one in found),
    }
    facts.details = [f"{one.route}: {one.first_load} bytes in {len(one.chunks)} chunks" for one in found]
    return facts
