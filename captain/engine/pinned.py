"""The files that a run is pinned to: kept in the log at its start, used from there, held against the present ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain.engine.ask import clip
from captain.engine.definitions import definitions
from captain.errors import Refusal
from captain.run import Run

if TYPE_CHECKING:
    from captain.checklist import Target
    from captain.engine.desk import Desk
    from captain.log.evidence import Evidence

MEDIA = "application/yaml"


@dataclass(frozen=True, slots=True)
class FileChange:
    """How the files differ from the ones a run is pinned to."""

    target: Target
    """The files as they are now."""
    files: tuple[str, ...]
    """Paths that changed, came or went."""
    changed: tuple[str, ...]
    """Steps that ask another question: by their own definition, or by the vars that it names."""
    added: tuple[str, ...]
    removed: tuple[str, ...]


def pinned(target: Target) -> tuple[list[Evidence], list[dict[str, Any]]]:
    """The files as evidence, and as entries name them."""
    from captain.log.evidence import Evidence

    blobs = [Evidence(MEDIA, source.data) for source in target.files]
    files = [
        {"path": clip(source.path), "sha256": source.sha256, "evidence": blob.digest}
        for source, blob in zip(target.files, blobs, strict=True)
    ]
    return blobs, files


async def use_pinned(desk: Desk, run: Run) -> None:
    """Use the files that the run is pinned to; remember how the present ones differ."""
    present = {source.path: source.sha256 for source in desk.target.files}
    kept = {str(one["path"]): str(one["sha256"]) for one in run.files}
    if present == kept:
        return
    from captain.checklist import Source
    from captain.loader import load_pinned

    now = desk.target

    def read() -> list[Source]:
        sources = []
        for one in run.files:
            blob = desk.log.evidence(one["evidence"])
            if blob is None:
                raise Refusal(f"the pinned {one['path']} was purged from the log: {run.id} cannot be resumed")
            sources.append(Source(str(one["path"]), blob.data))
        return sources

    sources = await desk.on_log(read)
    target = load_pinned(tuple(sources), run.environment, root=Path(now.root))
    desk.learn(target)
    desk.change = compare(now, desk.target, kept)


def compare(now: Target, then: Target, pinned: Mapping[str, str]) -> FileChange:
    """How the present files differ from the pinned ones, step by step."""
    present = {source.path: source.sha256 for source in now.files}
    files = sorted(path for path in {*present, *pinned} if present.get(path) != pinned.get(path))
    old, new = definitions(then), definitions(now)
    return FileChange(
        target=now,
        files=tuple(files),
        changed=tuple(step for step in new if step in old and old[step] != new[step]),
        added=tuple(step for step in new if step not in old),
        removed=tuple(step for step in old if step not in new),
    )


def refuse_unfit(run: Run, now: Target) -> None:
    """Refuse files in which the run would no longer know where it stands."""
    for section in dict.fromkeys((*run.decisions, *((run.opened,) if run.opened else ()))):
        if now.checklist.section(section) is None:
            raise Refusal(
                f"the present files have no section {section}, which this run has opened or closed",
                hint="keep the pinned files, or abort and start again",
            )
    names = {part.id for part in now.service.rollback.plan}
    taken = () if run.point is None else tuple(str(one["id"]) for one in run.point.data["targets"])
    if gone := [name for name in taken if name not in names]:
        raise Refusal(
            f"the present files do not know {gone[0]}, a part of the way back that was taken",
            hint="keep the pinned files, or abort and start again",
        )
