"""What a build of Next.js says of its routes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from captain.systems.report_shapes import json_of, mappings, rows, text, whole


@dataclass(frozen=True, slots=True)
class Route:
    """One route and what its first load takes."""

    route: str
    first_load: int
    """Bytes, uncompressed."""
    chunks: frozenset[str]


def routes(data: bytes) -> list[Route]:
    """The routes of route-bundle-stats.json. Raises ValueError."""
    document = json_of(data)
    if not isinstance(document, list):
        raise ValueError("it is no list of routes")
    return [
        Route(
            text(one.get("route")),
            whole(one.get("firstLoadUncompressedJsBytes"), "firstLoadUncompressedJsBytes"),
            frozenset(chunk(text(file)) for file in rows(one.get("firstLoadChunkPaths"), "firstLoadChunkPaths")),
        )
        for one in mappings(document, "it")
    ]


def chunk(path: str) -> str:
    """A chunk as both files can name it: from static/ on."""
    before, found, after = path.partition("static/")
    return found + after if found else before
