"""Where in a repository a step is written, for reports that point at a line. Reads pinned bytes, opens no file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from captain.documents import read_yaml
from captain.loader.sheets import SERVICE_FILES, SHIPPED, git_root

if TYPE_CHECKING:
    from captain.checklist import Source, Target


@dataclass(frozen=True, slots=True)
class Place:
    """One line of a file."""

    path: str
    """Relative to the git work tree, where there is none to the folder of captain.yaml; forward slashes."""
    line: int
    """From 1."""


def places(target: Target) -> dict[str, Place]:
    """By step id the line of the checklist on which the step begins; a step that captain brought along has none.

    Where a checklist extends another one, what it says itself of a step comes first.
    """
    found: dict[str, Place] = {}
    for source in target.files:
        if source.path in SERVICE_FILES:
            continue
        path = _shown(source, Path(target.root))
        sections = (root.get("sections") if (root := read_yaml(source.data, source.path).root) else None) or None
        for section in sections.items if sections is not None else ():
            for step in steps.items if (steps := section.get("steps")) is not None else ():
                name = step.get("id")
                if path is not None and name is not None and name.text:
                    found.setdefault(name.text, Place(path, step.line))
    return found


def _shown(source: Source, root: Path) -> str | None:
    """The path as the repository knows it; None for what lies outside of it."""
    if source.path.startswith(SHIPPED):
        return None
    path = PurePosixPath(source.path)
    top = git_root(root)
    whole = path if top is None else PurePosixPath(root.relative_to(top).as_posix()) / path
    return None if path.is_absolute() or ".." in path.parts else str(whole)
