"""The standing run of a checklist with `per: service`: which one it is, and the commit that it is bound to.

Knows git and the log; what a binding makes stale is said in `captain.run.since`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain.engine import authors, resting
from captain.engine.way_back import release_data
from captain.errors import CaptainError
from captain.events import Draft
from captain.release import Release

if TYPE_CHECKING:
    from captain.engine.desk import Desk
    from captain.engine.releases import Earlier
    from captain.log.reader import Reader

KIND = "standing"


def open_standing(reader: Reader, desk: Desk) -> str | None:
    """The run that stands for this service, environment and checklist; None where there is none."""
    return stands(reader, desk.target.service.service, desk.target.environment, desk.target.checklist.checklist)


def stands(reader: Reader, service: str, environment: str, checklist: str) -> str | None:
    """The run that stands for any of them; None where there is none."""
    wanted = (KIND, service, environment, checklist)
    for start in reader.by_type("run.start", newest_first=True):
        data = start.data
        found = (data["kind"], data["service"], data["environment"], data["checklist"])
        if found == wanted and reader.last("run.end", run=start.run) is None:
            return start.run
    return None


async def head(desk: Desk) -> str | None:
    """The commit that HEAD names now; None where git cannot tell."""
    from captain.systems.git.program import Git

    try:
        return None if desk.repo is None else await Git(desk.repo, desk.environ).resolve("HEAD")
    except CaptainError:
        return None


async def follow(desk: Desk) -> None:
    """Bind the run anew where HEAD has moved; where nothing can be recorded it is only held against the new one."""
    if not here(desk):
        return
    await look(desk)
    run = desk.open_run()
    if desk.head is None or desk.head == run.release.commit or desk.read_only or run.ended:
        return
    from captain.engine.releases import earlier_runs

    await bind_anew(desk, await desk.on_log(lambda: earlier_runs(desk)))


async def look(desk: Desk) -> None:
    """See which commit HEAD names. Records nothing."""
    desk.head = await head(desk)


async def look_only(desk: Desk) -> None:
    """See what there is now, commit and files. Records nothing."""
    await look(desk)
    bound = desk.open_run().bound
    desk.loose = bound is not None and bound.data["tree"] == "clean" and await tree(desk) != "clean"
    await resting.look(desk)


async def tree(desk: Desk) -> str:
    """Whether the work tree is what its commit says: clean, changed or unknown."""
    from captain.systems.git.program import Git
    from captain.systems.git.worktree import changes

    if desk.repo is None:
        return "unknown"
    try:
        found = await changes(Git(desk.repo, desk.environ))
    except CaptainError:
        return "unknown"
    if found.dirty is None:
        return "unknown"
    return "changed" if found.dirty or found.untracked or found.hidden else "clean"


def release_at(commit: str | None, earlier: Earlier) -> Release:
    """The release of a commit: the one that the log knows as it, else the bare commit."""
    known = (run.release for run in earlier.runs if commit is not None and run.release.commit == commit)
    found = next(known, None)
    return Release(commit=commit) if found is None else replace(found, untagged=False)


def binding(run_id: str, release: Release, state: str) -> Draft:
    """The entry that binds the run to a commit and a state of the work tree."""
    data: dict[str, Any] = {**release_data(release), "tag": release.tag, "tree": state}
    return Draft("run.bound", run_id, data)


async def renew(desk: Desk, earlier: Earlier) -> None:
    """Take the present files and the present commit: a review is of what is there now."""
    from captain.engine.opening import adopt

    if desk.change is not None:
        await adopt(desk, "adopt")
    await bind_anew(desk, earlier)
    await resting.look(desk)


async def bind_anew(desk: Desk, earlier: Earlier) -> None:
    """Bind the run anew where HEAD is another commit, or the work tree is or was not just what its commit says."""
    run = desk.open_run()
    commit, state = await head(desk), await tree(desk)
    desk.head = commit
    before = None if run.bound is None else run.bound.data["tree"]
    if commit is not None and commit == run.release.commit and state == before == "clean":
        return
    release = release_at(commit, earlier)
    wrote = await authors.drafts(desk, run.id, release, run.previous)
    await desk.record(binding(run.id, release, state), *wrote)


def here(desk: Desk) -> bool:
    """Whether captain was started where the service's files are: only then HEAD is this service's."""
    return any((Path(desk.root) / name).is_file() for name in ("captain.yaml", "captain.yml"))


def drafts(run_id: str, start: dict[str, Any], release: Release, state: str) -> Sequence[Draft]:
    """The entries that open it."""
    return (Draft("run.start", run_id, start), binding(run_id, release, state))
