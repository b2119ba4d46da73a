"""What a container wrote into its own file system, where the next deploy loses it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from captain.systems.docker import containers as told
from captain.systems.globs import Glob

ALLOWED = ("/tmp/**", "/run/**", "/var/run/**", "**/__pycache__/**", "**/.cache/**")  # patterns
"""Places that are written and never missed."""
_CHANGED = 0


def written(document: Mapping[str, Any], changes: Iterable[Mapping[str, Any]], allow: Sequence[Glob]) -> list[str]:
    """Paths that were changed, added or deleted, sorted: no mounts, nothing that `allow` covers, and no folder that
    counts as changed only because something in it was.
    """
    if told.part(document, "HostConfig").get("ReadonlyRootfs"):
        return []
    given = {str(each.get("Path") or ""): each.get("Kind") for each in changes}
    mounts = {str(mount.get("Destination") or "") for mount in told.mounts(document)}
    mounts |= set(told.part(document, "HostConfig", "Tmpfs"))
    above = {folder for path in (*given, *mounts) for folder in _above(path)}
    return sorted(
        path
        for path, kind in given.items()
        if not (kind == _CHANGED and path in above)
        and mounts.isdisjoint((path, *_above(path)))
        and not any(pattern.matches(path) for pattern in allow)
    )


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(2, len(parts))]
