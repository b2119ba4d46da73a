"""Next.js's react-loadable-manifest.json, of a route (Turbopack) or of the whole build (webpack): what is lazy."""

from __future__ import annotations

from captain.systems.next_build import chunk, routes
from captain.systems.report_shapes import json_of, mapping, rows, text
from captain.systems.reports import Asked, Facts, reads


@reads("next-loadable")
def read(data: bytes, asked: Asked) -> Facts:
    """An entry is lazy where none of its files is loaded first, which only the statistics of the build tell."""
    manifest = mapping(json_of(data), "it")
    entries = {}
    for name, written in manifest.items():
        entry = mapping(written, f"entry {text(name)}")
        if "files" not in entry:
            raise ValueError(f"entry {text(name)} has no files")
        files = {chunk(text(file)) for file in rows(entry["files"], "files")}
        if files:
            entries[text(name)] = files
    facts = Facts("next", examined=len(entries), problems=None)
    facts.observed["loadable_entries"] = len(entries)
    if asked.first_load is None:
        facts.notes.append("give first_load (route-bundle-stats.json) to tell which of them are lazy")
        return facts
    stats = routes(asked.first_load)
    if not stats:
        facts.notes.append("first_load lists no route: nothing tells which entries are lazy")
        return facts
    first = {file for one in stats for file in one.chunks}
    lazy = [name for name, files in entries.items() if not files & first]
    facts.observed["lazy_entries"] = len(lazy)
    facts.problems = len(entries) - len(lazy)
    facts.details = [f"{name}: {'lazy' if name in lazy else 'in the first load'}" for name in entries]
    return facts
