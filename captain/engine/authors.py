"""Who wrote what a release brings, where a rule says that its authors may not sign. Knows git and the files' rules."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from captain.errors import CaptainError
from captain.events import Draft
from captain.release import Release

if TYPE_CHECKING:
    from captain.checklist import Target
    from captain.engine.desk import Desk

MOST = 300
"""Names that one entry holds; of more nobody could say that they are all there."""
LONGEST = 100
GIT_TIME = timedelta(seconds=10)


def asked_for(target: Target) -> bool:
    """Whether any rule of the checklist leaves authors out."""
    rules = [rule for _, step in target.checklist.steps() for rule in step.sign_off]
    rules += [rule for section in target.checklist.sections for rule in section.gate.sign_off]
    return any(rule.not_author for rule in rules)


async def drafts(desk: Desk, run_id: str, release: Release, previous: Release | None) -> tuple[Draft, ...]:
    """The entry that names them; none where no rule asks."""
    if not asked_for(desk.target):
        return ()
    names = await _names(desk, release, previous)
    known = names is not None and len(names) <= MOST and all(len(name) <= LONGEST for name in names)
    data = {"names": [desk.mask(name) for name in sorted(names or ())] if known else [], "known": known}
    return (Draft("run.authors", run_id, data),)


async def _names(desk: Desk, release: Release, previous: Release | None) -> set[str] | None:
    """E-mail addresses from behind the previous release up to this one; None where git cannot tell.

    Without a previous release everything up to this one is new.
    """
    from captain.systems.git.program import Git, authors

    if desk.repo is None or release.commit is None or (previous is not None and previous.commit is None):
        return None
    try:
        git = Git(desk.repo, desk.environ, GIT_TIME)
        return await authors(git, release.commit, behind=previous.commit if previous is not None else None)
    except CaptainError:
        return None
