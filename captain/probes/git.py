"""The kind `git`: the release's commit and the work tree it stands in."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypedDict

from pydantic import AfterValidator

from captain.errors import ProbeError, UsageError
from captain.fields import Bool, Text, wrong
from captain.measurement import Measurement, Value
from captain.probes import Context, Probe, probe
from captain.safe import safe
from captain.systems.git.program import Git, check_ref, committed_at, legible, toplevel
from captain.systems.git.remote import ahead_behind, contains, fetch, fetched_at, main_branch, shallow, upstream
from captain.systems.git.signatures import Signature, signature
from captain.systems.git.worktree import changes, stashed


def _ref(value: str) -> str:
    if "${{" in value:
        return value
    try:
        return check_ref(value)
    except UsageError as error:
        raise wrong(error.message) from error


Ref = Annotated[Text, AfterValidator(_ref)]


@probe("git")
class GitProbe(Probe):
    """Is the work tree clean, and is its commit where it should be?

    Runs nothing that belongs to the inspected repository, and lets no list or setting of its own hide a change:
    .git/info/exclude keeps nothing out, core.fileMode is on. What cannot be known is left out: counts against the
    remote of a detached head, `dirty` where a changed file stands behind a filter. A tag's signature is checked with
    ssh-keygen and the keys of `allowed_signers`, or with gpg and the keys of whoever runs captain.
    """

    default_expect: ClassVar[tuple[str, ...]] = ("dirty == 0", "untracked == 0")
    errors: ClassVar[str] = "unknown: git, the repository and the remote are the instrument"
    example: ClassVar[str] = """\
id: no-uncommitted-changes
title: No uncommitted changes
git: { branch: main }
expect: ['dirty == 0', 'untracked == 0', 'hidden_changes == 0', 'in_branch']"""

    repo: Text | None = None
    """The work tree, default the service's."""
    remote: Ref = "origin"
    """The remote that ahead, behind and in_branch are about."""
    branch: Ref | None = None
    """The branch of the remote that in_branch asks about, default the remote's main branch."""
    ref: Ref = "HEAD"
    """The commit that is asked about."""
    fetch: Bool = False
    """Ask the remote first, over https or ssh. Without it counts are as old as `fetch_age`."""

    allowed_signers: Text | None = None
    """Whose SSH keys may sign a tag, a file as ssh-keygen(1) describes it. The repository's own never counts."""

    class Observes(TypedDict, total=False):
        """What git says."""

        dirty: Annotated[int, "tracked paths that differ from HEAD, staged or not, submodules included"]
        untracked: Annotated[int, "paths git does not track and no .gitignore keeps out"]
        conflicts: Annotated[int, "paths with unresolved conflicts"]
        hidden_changes: Annotated[int, "paths git was told not to look at (assume-unchanged, skip-worktree)"]
        ahead: Annotated[int, "commits of ref that the remote's branch does not have"]
        behind: Annotated[int, "commits of the remote's branch that ref does not have"]
        in_branch: Annotated[bool, "ref is part of the remote's branch"]
        detached: Annotated[bool, "no branch is checked out"]
        shallow: Annotated[bool, "the history is cut"]
        head_sha: Annotated[str, "the full id of ref's commit"]
        head_age: Annotated[timedelta, "time since that commit was made"]
        stash: Annotated[int, "entries of the stash"]
        tag: Annotated[str, "the release's tag on ref's commit, else the highest, empty where it has none"]
        tag_signed: Annotated[
            str, "the signature of tag: good, bad, unsigned, unknown (no key to check), none (no tag)"
        ]
        fetch_age: Annotated[timedelta, "time since the remote was last asked"]

    def asks(self) -> str:
        return f"git status of {self.ref} in {self.repo or 'the repository'}"

    async def measure(self, ctx: Context) -> Measurement:
        where = ctx.root / self.repo if self.repo else ctx.repo or ctx.root
        if not where.is_dir():
            raise ProbeError(f"git in {safe(where)}: no such folder", hint="check `repo`")
        top = await toplevel(where, ctx.environ, ctx.timeout)
        if top is None:
            raise ProbeError(f"git in {safe(where)}: not a git work tree", hint="name one with `repo`")
        git = Git(top, ctx.environ, ctx.timeout)
        try:
            return await self._look(git, ctx)
        except UsageError as error:
            raise ProbeError(error.message, hint=error.hint) from error

    async def _look(self, git: Git, ctx: Context) -> Measurement:
        if self.fetch:
            await fetch(git, self.remote)
        sha = await git.resolve(self.ref)
        if sha is None:
            raise ProbeError(f"git in {safe(git.root)}: {self.ref} is no commit here", hint="check `ref`")
        now = ctx.clock.now()
        state = await changes(git)
        current = (await git.text("symbolic-ref", "--quiet", "HEAD", also=(1,))).removeprefix("refs/heads/")
        tags = await git.text(
            "for-each-ref", "--sort=-v:refname", "--format=%(refname:strip=2)", f"--points-at={sha}", "refs/tags"
        )
        tag = _tag(tags.splitlines(), ctx)
        signed = await signature(git, tag, self._signers(ctx)) if tag else Signature("none")
        observed: dict[str, Value] = {
            "untracked": state.untracked,
            "conflicts": state.conflicts,
            "hidden_changes": state.hidden,
            "detached": not current,
            "shallow": await shallow(git),
            "head_sha": sha,
            "head_age": now - await committed_at(git, sha),
            "stash": await stashed(git),
            "tag": legible(tag),
            "tag_signed": signed.state,
        }
        if state.dirty is not None:
            observed["dirty"] = state.dirty
        observed.update(await self._against_remote(git, sha, current if self.ref == "HEAD" else self.ref))
        if at := await fetched_at(git, self.remote):
            observed["fetch_age"] = max(now - at, timedelta(0))
        return Measurement(
            observed=observed,
            places={
                "dirty": [safe(path, 100) for path in state.paths if not path.startswith("? ")],
                "untracked": [safe(path[2:], 100) for path in state.paths if path.startswith("? ")],
            },
            asked=f"git status of {self.ref} ({sha[:7]}) in {git.root}",
            body="\n".join(state.paths),
            notes=(*state.notes, *([signed.note] if signed.note else [])),
        )

    def _signers(self, ctx: Context) -> Path | None:
        return ctx.root / self.allowed_signers if self.allowed_signers else None

    async def _against_remote(self, git: Git, sha: str, branch: str) -> dict[str, Any]:
        """Ahead, behind and in_branch, as far as the stored refs can tell."""
        found: dict[str, Any] = {}
        theirs = await upstream(git, branch, self.remote) if branch else None
        if theirs and (counts := await ahead_behind(git, sha, theirs)):
            found["ahead"], found["behind"] = counts
        wanted = f"refs/remotes/{self.remote}/{self.branch}" if self.branch else await main_branch(git, self.remote)
        main = await git.resolve(wanted) if wanted else None
        if main and (inside := await contains(git, main, sha)) is not None:
            found["in_branch"] = inside
        return found


def _tag(tags: list[str], ctx: Context) -> str:
    """The tag that is released, where it is among them, else the first."""
    wanted = ctx.release.tag if ctx.release else None
    return wanted if wanted in tags else next(iter(tags), "")
