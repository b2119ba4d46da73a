"""What differs in a git work tree from its commit, and what hides there. Runs nothing of the repository.

git compares changed files through the filters that the repository's config names; they are emptied by name first, so
a changed path that has one cannot be judged, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from captain.errors import ProbeError
from captain.safe import safe
from captain.systems.git.program import Git, decoded, legible

_DEPTH = 5
"""Submodules of submodules that are looked into."""
_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Changes:
    """What `git status` would count, submodules included."""

    dirty: int | None
    """Tracked paths that differ from HEAD, staged or not, conflicts too; None where a filter hides the answer."""
    untracked: int
    conflicts: int
    hidden: int
    """Paths git was told not to look at (assume-unchanged, or skip-worktree although the file is there)."""
    paths: tuple[str, ...]
    """`M shop.py`, `? notes.txt`: the first of them, untrusted text."""
    notes: tuple[str, ...]


async def changes(git: Git, depth: int = 0) -> Changes:
    """Look at the work tree that `git.root` is the top of. Raises ProbeError where git cannot tell."""
    git = replace(git, config={**git.config, **await _emptied_filters(git)})
    changed, untracked, conflicts = await _status(git)
    hidden, submodules = await _index(git)
    dirty: int | None = len(changed)
    notes = []
    if filtered := await _filtered(git, [path for mark, path in changed if mark[1] == "M"]):
        dirty = None
        named = ", ".join(safe(path, 60) for path in filtered[:3])
        notes.append(f"{named}: changed and behind a filter that captain does not run, so dirty is not known")
    found = Changes(
        dirty,
        len(untracked),
        conflicts,
        hidden,
        tuple(legible(f"{mark.replace('.', '')} {path}") for mark, path in changed)
        + tuple(legible(f"? {path}") for path in untracked),
        tuple(notes),
    )
    for path in submodules:
        found = _together(found, path, await _submodule(replace(git, root=git.root / path), path, depth + 1))
    return replace(found, paths=found.paths[:_SHOWN])


async def stashed(git: Git) -> int:
    """Entries of the stash: work that is in no commit of a branch."""
    if not await git.resolve("refs/stash"):
        return 0
    return int(await git.text("rev-list", "--walk-reflogs", "--count", "refs/stash", "--"))


async def _submodule(git: Git, path: str, depth: int) -> Changes:
    # Where the folder is no repository of its own git would answer for the outer one.
    if depth > _DEPTH or await git.text("rev-parse", "--show-prefix"):
        note = f"submodule {safe(path, 80)}: nested too deep or no repository, so dirty is not known"
        return Changes(None, 0, 0, 0, (), (note,))
    return await changes(git, depth)


def _together(outer: Changes, path: str, inner: Changes) -> Changes:
    known = outer.dirty is not None and inner.dirty is not None
    return Changes(
        (outer.dirty or 0) + (inner.dirty or 0) if known else None,
        outer.untracked + inner.untracked,
        outer.conflicts + inner.conflicts,
        outer.hidden + inner.hidden,
        (*outer.paths, *(f"{mark} {path}/{rest}" for mark, _, rest in (each.partition(" ") for each in inner.paths))),
        (*outer.notes, *inner.notes),
    )


async def _emptied_filters(git: Git) -> dict[str, str]:
    """Every filter driver that any config of this repository names, told to do nothing."""
    listed = (await git.run("config", "--list", "-z", "--name-only")).stdout
    names = {
        key[len("filter.") :].rpartition(".")[0]
        for key in decoded(listed).split("\0")
        if key.startswith("filter.") and key.count(".") > 1
    }
    return {
        f"filter.{name}.{key}": value
        for name in sorted(names)
        for key, value in (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false"))
    }


async def _status(git: Git) -> tuple[list[tuple[str, str]], list[str], int]:
    """Changed paths with their two marks, untracked paths, and how many of the changed are conflicts."""
    done = await git.run(
        *("status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames"),
        # git would ask a submodule with the submodule's own config; captain looks into it by itself.
        "--ignore-submodules=dirty",
    )
    _whole(done.truncated, git, "status")
    changed, untracked, conflicts = [], [], 0
    for entry in filter(None, decoded(done.stdout).split("\0")):
        kind, _, rest = entry.partition(" ")
        if kind == "1":
            changed.append((rest[:2], rest.split(" ", 7)[7]))
        elif kind == "u":
            changed.append(("UU", rest.split(" ", 9)[9]))
            conflicts += 1
        elif kind == "?":
            untracked.append(rest)
        elif kind != "!":
            raise ProbeError(f"git status in {safe(git.root)}: unknown answer {safe(entry, 80)}")
    return changed, untracked, conflicts


async def _index(git: Git) -> tuple[int, list[str]]:
    """How many paths git was told not to look at, and the submodules that are checked out."""
    done = await git.run("ls-files", "-v", "--stage", "-z")
    _whole(done.truncated, git, "ls-files")
    hidden, submodules = 0, []
    for entry in filter(None, decoded(done.stdout).split("\0")):
        facts, _, path = entry.partition("\t")
        mark, mode, *_ = facts.split(" ")
        sparse = mark in ("S", "s") and not (git.root / path).is_symlink() and not (git.root / path).exists()
        if (mark.islower() or mark == "S") and not sparse:
            hidden += 1
        if mode == "160000" and (git.root / path / ".git").exists():
            submodules.append(path)
    return hidden, submodules


async def _filtered(git: Git, paths: list[str]) -> list[str]:
    """Those of the paths that a filter stands before."""
    if not paths:
        return []
    asked = b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in paths)
    done = await git.run("check-attr", "-z", "--stdin", "filter", stdin=asked)
    fields = decoded(done.stdout).split("\0")
    return [
        path for path, value in zip(fields[::3], fields[2::3], strict=False) if value not in ("unspecified", "unset")
    ]


def _whole(truncated: bool, git: Git, command: str) -> None:
    if truncated:
        raise ProbeError(
            f"git {command} in {safe(git.root)}: more than captain reads, {Path(git.root).name} is too large"
        )
